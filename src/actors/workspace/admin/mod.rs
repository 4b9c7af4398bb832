//! Changes of the workspace itself, its members, invitations, lists, columns, views and comments: each judged by the
//! domain and written alone, as one event and one step of `schema_version`, so that every cache
//! that was read before it is known to be old.

mod comments;
mod effect;
mod forms;
mod jobs;
mod judge;
mod recompute;
mod views;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{SubsecRound, Utc};
use serde_json::Value;

pub use self::comments::CommentCommand;
use self::effect::{Effect, write};
pub use self::forms::FormCommand;
use self::judge::judge;
pub(super) use self::recompute::settling;
pub use self::views::ViewCommand;
use super::broadcast::{EncodedEvent, EventBatch};
use super::catch_up::{catch_up, hold};
use super::command::{Command, Job, Outcome, Reply, Request};
use super::core::Core;
use super::done::Done;
use super::durable::{Attempt, Failure, commit_in, in_doubt};
use super::entry::{By, NewEvent, event, head_move, op_row, payload};
use super::known;
use crate::domain::cell::ColumnId;
use crate::domain::item::Place;
use crate::domain::log::mark;
use crate::domain::roles::Role;
use crate::domain::schema_change::{ColumnPatch, ColumnSpec};
use crate::error::AppError;
use crate::ids::{InviteId, JobId, ListId, UserId, ViewId};
use crate::store::commit::{GroupWrite, PATIENCE, PayloadRow};
use crate::store::jobs::{NewJob, RowError};
use crate::store::{Db, Purpose, StoreError, Tx};

/// How long an invitation is good.
pub const INVITE_DAYS: i64 = 7;

/// A change of what a workspace is made of.
#[derive(Debug)]
pub enum AdminCommand {
    RenameWorkspace {
        name: String,
    },
    DeleteWorkspace,
    RestoreWorkspace,
    SetRole {
        user: UserId,
        role: Role,
    },
    RemoveMember {
        user: UserId,
    },
    /// `token_hash` is all that is kept of the secret.
    CreateInvite {
        id: InviteId,
        email: String,
        role: Role,
        token_hash: Vec<u8>,
    },
    RevokeInvite {
        id: InviteId,
    },
    /// By somebody who is no member yet; `email` is the caller's, normalised.
    AcceptInvite {
        id: InviteId,
        email: Option<String>,
    },
    CreateList {
        id: ListId,
        name: String,
        columns: Vec<ColumnSpec>,
        location: String,
    },
    UpdateList {
        list: ListId,
        name: Option<String>,
        position: Option<i32>,
    },
    DeleteList {
        list: ListId,
    },
    RestoreList {
        list: ListId,
    },
    CreateColumn {
        list: ListId,
        spec: Box<ColumnSpec>,
        location: String,
    },
    /// Several at once, as an import needs them.
    AddColumns {
        list: ListId,
        specs: Vec<ColumnSpec>,
    },
    UpdateColumn {
        list: ListId,
        key: String,
        patch: Box<ColumnPatch>,
    },
    /// Puts a column in the place of the one that took its own by a change of type, or the other way round.
    SwapColumn {
        list: ListId,
        back: ColumnId,
        gone: ColumnId,
    },
    DeleteColumn {
        list: ListId,
        key: String,
    },
    /// On the public links to the form that a view is.
    Form {
        list: ListId,
        view: ViewId,
        command: FormCommand,
    },
    /// On the comments of an item.
    Comment {
        place: Place,
        command: CommentCommand,
    },
    /// On the views of a list.
    View {
        list: ListId,
        command: ViewCommand,
    },
    /// The opposite of a change, thought out right behind `after` and good there alone.
    Compensate {
        after: i64,
        undoes: i64,
        command: Box<AdminCommand>,
    },
    /// An import was taken back, all of it.
    RevertImport {
        job: JobId,
        change: uuid::Uuid,
    },
    /// Takes back the column that was deleted last under this key.
    RestoreColumn {
        list: ListId,
        key: String,
    },
    /// Stores an import whose file is on disk: in the queue, or to be decided about.
    QueueImport {
        job: Box<NewJob>,
    },
    /// Plans an import anew that waits for a person, or lets it run.
    RunImport {
        job: Box<NewJob>,
    },
    /// Queues an export.
    QueueExport {
        job: Box<NewJob>,
    },
    /// The file of an export is there.
    FinishExport {
        job: JobId,
        rows: u64,
        bytes: u64,
    },
    /// Ends a job that can't be done, with what was wrong.
    FailJob {
        job: JobId,
        export: bool,
        error: Value,
        errors: Vec<RowError>,
    },
    /// Ends a job that nobody wants any more; what is committed stays.
    CancelJob {
        job: JobId,
        export: bool,
    },
}

/// Runs one change alone.
pub(super) async fn run(db: &Db, core: &mut Core, job: Job) -> Done {
    let mut done = Done::default();
    let Some(mut job) = answer_retry(db, core, job, &mut done).await else {
        return done;
    };
    const MAX_TRIES: u32 = 8;
    for attempt in 1.. {
        // Another node is at it as well: the head is held before anything is judged again.
        let begun = match attempt {
            1 => Tx::begin(db, core.id, Purpose::Write)
                .await
                .map_err(AppError::from),
            _ => hold(db, core, &mut done, Purpose::Write).await,
        };
        let tried = match begun {
            Ok(tx) => attempt_once(db, core, tx, &job.request).await,
            Err(error) => Err(Attempt::Refused(error)),
        };
        let error = match tried {
            Ok((reply, batch, reshapes)) => {
                done.batches.push(batch);
                // It is committed whatever this says: where the reading fails, the next look finds
                // the head's version changed and reads again.
                if reshapes && let Err(error) = catch_up(db, core, &mut done).await {
                    tracing::warn!(workspace = %core.id, %error, "a change could not be read back");
                }
                done.answers.push((job, Ok(reply)));
                return done;
            }
            Err(Attempt::Failed(
                Failure::LostRace
                | Failure::Unwritten
                | Failure::Stale
                | Failure::Store(StoreError::Retry(_)),
            )) if attempt < MAX_TRIES => continue,
            Err(Attempt::Failed(Failure::Doubt)) => in_doubt(),
            Err(Attempt::Failed(Failure::KnownOp)) => {
                // Written by another node a moment ago: the look-up finds it now.
                let Some(unknown) = answer_retry(db, core, job, &mut done).await else {
                    return done;
                };
                job = unknown;
                AppError::unavailable("Try again")
            }
            Err(Attempt::Failed(Failure::LostRace | Failure::Unwritten | Failure::Stale)) => {
                AppError::unavailable("The workspace is written elsewhere; try again")
            }
            Err(Attempt::Failed(Failure::Store(error))) => error.into(),
            Err(Attempt::Refused(error)) => error,
        };
        done.answers.push((job, Err(error)));
        return done;
    }
    done
}

/// How long a change may take: one that rewrites the cells of a list longer than others.
fn patience(command: &Command) -> Duration {
    const RETYPING: Duration = Duration::from_secs(60);
    match command {
        Command::Admin(AdminCommand::UpdateColumn { patch, .. }) if patch.ty.is_some() => RETYPING,
        _ => PATIENCE,
    }
}

/// Whether a change may not take from a computed column what it is made of. What is deleted may: its cells
/// say so then.
fn spoils_nothing(command: &Command) -> bool {
    matches!(
        command,
        Command::Admin(AdminCommand::UpdateColumn { .. } | AdminCommand::SwapColumn { .. })
    )
}

/// Gives the remembered answer to a retry; a job that is none comes back.
async fn answer_retry(db: &Db, core: &mut Core, job: Job, done: &mut Done) -> Option<Job> {
    if job.request.remember.is_none() {
        return Some(job);
    }
    known::answer_known(db, core, vec![job], done).await.pop()
}

/// What the event says, and behind it what the log alone keeps.
fn said(effect: &Effect, text: &str) -> Vec<PayloadRow> {
    let row = |item, text: String| payload(effect.list, item, None, text.into_bytes(), false);
    let mut rows = vec![row(effect.item, text.to_owned())];
    rows.extend(
        effect
            .unseen
            .as_ref()
            .map(|unseen| row(None, unseen.to_string())),
    );
    rows
}

async fn attempt_once(
    db: &Db,
    core: &mut Core,
    mut tx: Tx,
    request: &Request,
) -> Result<(Reply, EventBatch, bool), Attempt> {
    let now = Utc::now().trunc_subsecs(6);
    let effect = db
        .in_time(patience(&request.command), async {
            let mut effect = judge(core, &mut tx, request, now).await?;
            let strict = spoils_nothing(&request.command);
            recompute::follow(core, &mut tx, &mut effect, strict).await?;
            effect.keep_before(&core.schema);
            effect.keep_unique(&core.schema);
            for change in &effect.changes {
                write(core, &mut tx, change, now).await?;
            }
            Ok::<_, Attempt>(effect)
        })
        .await?;
    let text = effect.data.to_string();
    let mut hash = core.hash;
    let entry = event(
        core,
        &mut hash,
        NewEvent {
            seq: core.seq + 1,
            at: now,
            kind: effect.kind,
            by: By::of(request),
            list: effect.list,
            payloads: said(&effect, &text),
        },
    );
    let write = GroupWrite {
        head: head_move(core, hash, effect.reshapes),
        items: Vec::new(),
        events: vec![entry.clone()],
        ops: request
            .remember
            .iter()
            .map(|remember| op_row(request.user, remember, core.seq + 1, &effect.answer))
            .collect(),
        numbers: BTreeMap::new(),
        links: Vec::new(),
        keys: Vec::new(),
    };
    commit_in(db, core, tx, &write, now).await?;

    let after = core.seq;
    let reply = Reply {
        seq: after + 1,
        outcome: Outcome::Ready(effect.answer),
    };
    let event = EncodedEvent::new(&entry.header, &entry.hash, &[Some(&text)]);
    let batch = EventBatch::new(core.id, after, after + 1, &mark(&hash), vec![event]);
    core.seq = write.head.seq;
    core.hash = write.head.hash;
    Ok((reply, batch, effect.reshapes))
}
