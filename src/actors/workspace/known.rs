//! Operations that took effect before: a retry gets the answer that it got the first time, from memory
//! or from the log's table of operations, and never a second effect.

use std::collections::{HashMap, HashSet};

use super::command::{Job, Outcome, Remember, Reply};
use super::core::{Core, KeptOp};
use super::done::{Done, refuse_all};
use crate::error::{AppError, ErrorCode};
use crate::ids::UserId;
use crate::store::commit::PATIENCE;
use crate::store::{self, Db, Purpose, StoreError, Tx};

/// Answers those whose key is in memory, and defers those whose key stands in the group already.
pub(super) fn take_distinct(core: &mut Core, jobs: Vec<Job>, done: &mut Done) -> Vec<Job> {
    let mut keys = HashSet::new();
    let mut waiting = Vec::with_capacity(jobs.len());
    for job in jobs {
        let Some(remember) = job.request.remember.clone() else {
            waiting.push(job);
            continue;
        };
        let key = (job.request.user, remember.key.clone());
        if let Some(kept) = core.ops.get(&key).cloned() {
            let answer = core
                .may(&job.request)
                .and_then(|()| replay(&remember, &kept));
            done.answers.push((job, answer));
        } else if keys.insert(key) {
            waiting.push(job);
        } else {
            done.deferred.push(job);
        }
    }
    waiting
}

fn replay(remember: &Remember, kept: &KeptOp) -> Result<Reply, AppError> {
    if kept.fingerprint != remember.fingerprint {
        return Err(AppError::new(
            ErrorCode::IdempotencyMismatch,
            "This key was used for another request",
        ));
    }
    Ok(Reply {
        seq: kept.seq,
        outcome: Outcome::Ready(kept.answer.clone()),
    })
}

pub(super) async fn answer_refused(
    db: &Db,
    core: &mut Core,
    refused: Vec<(Job, AppError)>,
    done: &mut Done,
) {
    let (keyed, plain): (Vec<_>, Vec<_>) = refused
        .into_iter()
        .partition(|(job, _)| job.request.remember.is_some());
    done.answers
        .extend(plain.into_iter().map(|(job, error)| (job, Err(error))));
    if keyed.is_empty() {
        return;
    }
    let (jobs, errors): (Vec<Job>, Vec<AppError>) = keyed.into_iter().unzip();
    let mut errors: HashMap<(UserId, String), AppError> =
        jobs.iter().filter_map(op_key).zip(errors).collect();
    for job in answer_known(db, core, jobs, done).await {
        let error = op_key(&job)
            .and_then(|key| errors.remove(&key))
            .unwrap_or_else(|| AppError::unavailable("Try again"));
        done.answers.push((job, Err(error)));
    }
}

/// Answers the jobs whose operation took effect before; gives back the others.
pub(super) async fn answer_known(
    db: &Db,
    core: &mut Core,
    jobs: Vec<Job>,
    done: &mut Done,
) -> Vec<Job> {
    let keys: Vec<(UserId, String)> = jobs.iter().filter_map(op_key).collect();
    let known = match remembered(db, core, &keys).await {
        Ok(known) => known,
        Err(error) => {
            let refused = refuse_all(std::mem::take(done), jobs, error.into());
            *done = refused;
            return Vec::new();
        }
    };
    let mut others = Vec::new();
    for job in jobs {
        match op_key(&job).and_then(|key| known.get(&key)) {
            Some(kept) => {
                let answer = match &job.request.remember {
                    Some(remember) => core.may(&job.request).and_then(|()| replay(remember, kept)),
                    None => Err(AppError::unavailable("Try again")),
                };
                done.answers.push((job, answer));
            }
            None => others.push(job),
        }
    }
    others
}

async fn remembered(
    db: &Db,
    core: &Core,
    keys: &[(UserId, String)],
) -> Result<HashMap<(UserId, String), KeptOp>, StoreError> {
    let rows = db
        .in_time(PATIENCE, async {
            let mut tx = Tx::begin(db, core.id, Purpose::Read).await?;
            let rows = store::log::remembered(&mut tx, core.id, keys).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(rows)
        })
        .await?;
    rows.into_iter()
        .map(|row| {
            let kept = KeptOp {
                fingerprint: row
                    .fingerprint
                    .try_into()
                    .map_err(|_| StoreError::corrupt("an operation's fingerprint"))?,
                seq: row.seq,
                answer: serde_json::from_slice(&row.answer)
                    .map_err(|_| StoreError::corrupt("an operation's answer"))?,
            };
            Ok(((row.principal, row.key), kept))
        })
        .collect()
}

fn op_key(job: &Job) -> Option<(UserId, String)> {
    job.request
        .remember
        .as_ref()
        .map(|remember| (job.request.user, remember.key.clone()))
}
