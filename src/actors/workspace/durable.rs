//! The step from judged to durable. Where the answer of a commit is lost, the log itself says whether
//! it took effect, before anybody is told anything.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::core::Core;
use crate::error::AppError;
use crate::store::commit::{
    CommitError, GroupWrite, PATIENCE, Written, commit_group, is_logged, write_group,
};
use crate::store::{self, Db, Purpose, StoreError, Tx};
use crate::telemetry;

/// How long a lost commit answer is looked for before the caller is told that nobody knows.
const DOUBT: Duration = Duration::from_secs(5);

/// Why a write came to nothing, or that nobody knows.
pub(super) enum Failure {
    /// Another node moved the head first.
    LostRace,
    /// An item was not as cached.
    Stale,
    /// An operation of the group took effect before.
    KnownOp,
    /// The database went away for a moment; the log says that it had no effect.
    Unwritten,
    /// The database went away between the question and its answer, and has not come back.
    Doubt,
    Store(StoreError),
}

/// Why a command that is written alone came to nothing.
pub(super) enum Attempt {
    Refused(AppError),
    Failed(Failure),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { constraint } if constraint == "ops_pkey" => Failure::KnownOp,
            error => Failure::Store(error),
        }
    }
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        Attempt::Failed(error.into())
    }
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Attempt::Failed(failure)
    }
}

impl From<AppError> for Attempt {
    fn from(error: AppError) -> Self {
        Attempt::Refused(error)
    }
}

/// What callers hear when nobody knows: `unavailable`, so that clients ask again by the same key or op,
/// which finds out without a second effect.
pub(super) fn in_doubt() -> AppError {
    AppError::unavailable(
        "The database went away before it answered: the change may have taken effect; ask again with \
         the same key",
    )
}

/// Makes a group durable: in one round trip, or in the transaction that holds the head.
pub(super) async fn commit(
    db: &Db,
    core: &Core,
    held: Option<Tx>,
    write: &GroupWrite,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if let Some(tx) = held {
        return commit_in(db, core, tx, write, now).await;
    }
    match commit_group(db, write, now).await {
        Ok(written) => done(written),
        Err(CommitError::Refused(error)) => Err(error.into()),
        Err(CommitError::Lost(error)) => look_for(db, core, write, error).await,
    }
}

/// Writes the group beside what `tx` holds already, and commits it all.
pub(super) async fn commit_in(
    db: &Db,
    core: &Core,
    mut tx: Tx,
    write: &GroupWrite,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    done(
        db.in_time(PATIENCE, write_group(&mut tx, write, now))
            .await?,
    )?;
    match tokio::time::timeout(PATIENCE, tx.commit()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(lost @ StoreError::Away(_))) => look_for(db, core, write, lost).await,
        Ok(Err(error)) => Err(error.into()),
        Err(_) => look_for(db, core, write, StoreError::silent()).await,
    }
}

fn done(written: Written) -> Result<(), Failure> {
    match written {
        Written::Done => Ok(()),
        Written::LostRace => Err(Failure::LostRace),
        Written::Stale => Err(Failure::Stale),
    }
}

/// Looks in the log whether the group took effect, for as long as it makes sense to let its callers
/// wait.
async fn look_for(
    db: &Db,
    core: &Core,
    write: &GroupWrite,
    lost: StoreError,
) -> Result<(), Failure> {
    metrics::counter!(telemetry::COMMITS_IN_DOUBT).increment(1);
    tracing::warn!(error = %lost, seq = write.head.seq, "the answer of a commit was lost");
    let give_up = tokio::time::Instant::now() + DOUBT;
    loop {
        match was_logged(db, core, write).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(Failure::Unwritten),
            Err(_) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(_) => return Err(Failure::Doubt),
        }
    }
}

/// The head is locked first: a commit still under way on a connection that we lost is waited for.
async fn was_logged(db: &Db, core: &Core, write: &GroupWrite) -> Result<bool, StoreError> {
    db.in_time(PATIENCE, async {
        let mut tx = Tx::begin(db, core.id, Purpose::Write).await?;
        store::log::head(&mut tx, core.id, true).await?;
        let logged = is_logged(&mut tx, core.id, write.head.seq, &write.head.hash).await?;
        tx.commit().await?;
        Ok(logged)
    })
    .await
}
