//! Following the log where another node wrote it: its events go to our sockets, and what is cached and
//! may be old is read again.

use std::time::Duration;

use super::broadcast::{EncodedEvent, EventBatch};
use super::core::Core;
use super::done::{Diverged, Done};
use crate::domain::log::mark;
use crate::error::AppError;
use crate::store::log::{Head, LoggedEvent};
use crate::store::{self, Db, Purpose, StoreError, Tx};

/// Events read in one go.
const PAGE: i64 = 1_000;
/// One row, by key.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Whatever has been missed, and the wait for whoever holds the head.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(12);

/// Looks whether another node wrote, and if so catches up. A failure leaves it for the next time.
pub(super) async fn look(db: &Db, core: &mut Core) -> Done {
    let mut done = Done::default();
    let head = db.in_time(HEAD_WITHIN, async {
        let mut tx = Tx::begin(db, core.id, Purpose::Read).await?;
        let head = store::log::head(&mut tx, core.id, false).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(head)
    });
    let moved = matches!(head.await, Ok(Some(head)) if !is_as_known(&head, core));
    if moved && let Err(error) = catch_up(db, core, &mut done).await {
        tracing::warn!(workspace = %core.id, %error, "could not catch up with another node");
    }
    done
}

/// A step of the schema's version alone says that a reading after a change of ours failed.
fn is_as_known(head: &Head, core: &Core) -> bool {
    (head.seq, &head.hash, head.schema_version) == (core.seq, &core.hash, core.schema_version)
}

/// Brings memory to the head of the log, and the events up to there to `done`.
pub(super) async fn catch_up(db: &Db, core: &mut Core, done: &mut Done) -> Result<(), AppError> {
    db.in_time(CAUGHT_UP_WITHIN, async {
        let mut tx = Tx::begin(db, core.id, Purpose::Snapshot).await?;
        follow(&mut tx, core, done, false).await?;
        Ok(tx.commit().await?)
    })
    .await
}

/// Catches up and holds the head: until the transaction ends nobody else writes, so that what is judged
/// now stands when it is written.
pub(super) async fn hold(
    db: &Db,
    core: &mut Core,
    done: &mut Done,
    purpose: Purpose,
) -> Result<Tx, AppError> {
    db.in_time(CAUGHT_UP_WITHIN, async {
        let mut tx = Tx::begin(db, core.id, purpose).await?;
        follow(&mut tx, core, done, true).await?;
        Ok(tx)
    })
    .await
}

/// Memory moves on only with all events at hand: what failed half-way is read again from here, else the
/// sockets would miss the rest without knowing.
async fn follow(tx: &mut Tx, core: &mut Core, done: &mut Done, lock: bool) -> Result<(), AppError> {
    let head = store::log::head(tx, core.id, lock).await?;
    let head = head.ok_or_else(AppError::not_found)?;
    if is_as_known(&head, core) {
        return Ok(());
    }
    if !continues(tx, core, &head).await? {
        tracing::warn!(workspace = %core.id, from = core.seq, to = head.seq,
            "the log is another one: its readers begin anew");
        core.reread(tx).await?;
        done.batches.clear();
        done.diverged = Some(Diverged {
            seq: core.seq,
            mark: mark(&core.hash),
        });
        return Ok(());
    }
    let events = missed(tx, core, head.seq).await?;
    let batches: Vec<_> = events.iter().map(|page| batch(core, page)).collect();
    if head.schema_version == core.schema_version {
        let numbers = store::schema::next_numbers(tx, core.id).await?;
        core.pass(&head, numbers, events.iter().flatten());
    } else {
        core.reread(tx).await?;
    }
    done.batches.extend(batches);
    Ok(())
}

/// Whether the log still holds the head that memory knows: a restored backup need not.
async fn continues(tx: &mut Tx, core: &Core, head: &Head) -> Result<bool, StoreError> {
    if head.seq <= core.seq {
        return Ok(head.seq == core.seq && head.hash == core.hash);
    }
    let known = store::log::hash_at(tx, core.id, core.seq).await?;
    Ok(known == Some(core.hash))
}

/// The events between memory and the head, by pages.
async fn missed(tx: &mut Tx, core: &Core, head: i64) -> Result<Vec<Vec<LoggedEvent>>, AppError> {
    let mut pages = Vec::new();
    let mut after = core.seq;
    while after < head {
        let events = store::log::events_after(tx, core.id, after, head, PAGE, false).await?;
        let Some(last) = events.last() else {
            return Err(AppError::internal(anyhow::anyhow!(
                "the log has a gap after {after}"
            )));
        };
        after = last.header.seq;
        pages.push(events);
    }
    Ok(pages)
}

fn batch(core: &Core, events: &[LoggedEvent]) -> EventBatch {
    let after = events
        .first()
        .map_or(core.seq, |event| event.header.seq - 1);
    let (through, mark) = events.last().map_or_else(
        || (core.seq, mark(&core.hash)),
        |event| (event.header.seq, mark(&event.hash)),
    );
    let encoded = events.iter().map(EncodedEvent::logged).collect();
    EventBatch::new(core.id, after, through, &mark, encoded)
}
