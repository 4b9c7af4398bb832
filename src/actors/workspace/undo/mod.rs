//! Undo, redo, and a list brought back: thought out from the log inside the lane, then run as ordinary
//! commands. Each is thought out right behind one position of the log and is good there alone: where another
//! node was faster, it is thought out anew. Writes nothing itself.

mod lists;
mod plan_items;
mod plan_said;
mod plan_schema;
mod target;

use super::admin::{self, AdminCommand};
use super::catch_up::catch_up;
use super::command::{Command, Job, Shape};
use super::core::Core;
use super::done::Done;
use super::{items, known};
use crate::domain::edit::{Compensation, ItemCommand, has_moved};
use crate::domain::undo::Wanted;
use crate::error::AppError;
use crate::ids::{JobId, ListId, UserId};
use crate::store::commit::PATIENCE;
use crate::store::{Db, Purpose, Tx};

/// What is to be taken back.
#[derive(Clone, Debug)]
pub enum UndoCommand {
    /// The caller's last change, or the one at `seq`.
    Undo { seq: Option<i64> },
    /// The caller's last undoing, or the one at `seq`.
    Redo { seq: Option<i64> },
    /// A list, to how it stood at `seq`.
    RestoreTo { list: ListId, seq: i64 },
    /// The batch of an import at `seq`: one step of a change that is more than one command.
    RevertBatch {
        job: JobId,
        seq: i64,
        change: uuid::Uuid,
    },
}

/// How often it is thought out anew when another node was faster.
const MAX_TRIES: u32 = 8;

/// What it comes to.
enum Plan {
    Items(Box<Compensation>),
    Schema {
        undoes: i64,
        command: AdminCommand,
    },
    /// There is nothing left to do.
    Nothing,
}

/// Runs one alone.
pub(super) async fn run(db: &Db, core: &mut Core, job: Job) -> Done {
    let mut done = Done::default();
    let mut jobs = known::take_distinct(core, vec![job], &mut done);
    if jobs.iter().any(|job| job.request.remember.is_some()) {
        jobs = known::answer_known(db, core, jobs, &mut done).await;
    }
    let Some(mut job) = jobs.pop() else {
        return done;
    };
    let Command::Undo(asked) = &job.request.command else {
        return done;
    };
    let asked = asked.clone();
    for attempt in 1.. {
        let plan = match catch_up(db, core, &mut done).await {
            Ok(()) => plan(db, core, job.request.user, &asked).await,
            Err(error) => Err(error),
        };
        let mut part = match plan {
            Err(error) => {
                done.answers.push((job, Err(error)));
                return done;
            }
            Ok(Plan::Nothing) => {
                let nothing = AppError::conflict("There is nothing to be changed");
                done.answers.push((job, Err(nothing.at("/seq", NOTHING))));
                return done;
            }
            Ok(Plan::Items(what)) => {
                job.request.shape = Shape::Undone {
                    undoes: what.undoes,
                };
                job.request.command = Command::Items(ItemCommand::Compensate(what));
                items::run(db, core, vec![job]).await
            }
            Ok(Plan::Schema { undoes, command }) => {
                job.request.command = Command::Admin(AdminCommand::Compensate {
                    after: core.seq,
                    undoes,
                    command: Box::new(command),
                });
                admin::run(db, core, job).await
            }
        };
        let moved = part
            .answers
            .pop_if(|(_, answer)| attempt < MAX_TRIES && answer.as_ref().is_err_and(has_moved));
        done.absorb(part);
        let Some((again, _)) = moved else {
            return done;
        };
        job = again;
    }
    done
}

/// The code of what would change nothing.
const NOTHING: &str = "nothing_to_change";

/// Thinks out what to do, from the log as of the head that is known.
async fn plan(db: &Db, core: &mut Core, by: UserId, asked: &UndoCommand) -> Result<Plan, AppError> {
    // Several readings, of a log that only grows: what is newer than the head fails to be written.
    db.in_time(PATIENCE, async {
        let mut tx = Tx::begin(db, core.id, Purpose::Commit).await?;
        let plan = match asked {
            UndoCommand::Undo { seq } => take_back(db, core, &mut tx, by, Wanted::Undo, *seq).await,
            UndoCommand::Redo { seq } => take_back(db, core, &mut tx, by, Wanted::Redo, *seq).await,
            UndoCommand::RestoreTo { list, seq } => {
                lists::restore_to(db, core, &mut tx, by, *list, *seq).await
            }
            UndoCommand::RevertBatch { job, seq, change } => {
                lists::revert_batch(db, core, &mut tx, by, *job, *seq, *change).await
            }
        }?;
        tx.commit().await?;
        Ok(plan)
    })
    .await
}

async fn take_back(
    db: &Db,
    core: &mut Core,
    tx: &mut Tx,
    by: UserId,
    wanted: Wanted,
    seq: Option<i64>,
) -> Result<Plan, AppError> {
    let event = target::find(core, tx, by, wanted, seq).await?;
    let family = event.header.kind.split('.').next().unwrap_or_default();
    match family {
        "items" | "links" => plan_items::plan(db, core, tx, &event).await,
        "list" | "column" => plan_schema::plan(core, tx, &event).await,
        _ => plan_said::plan(core, tx, &event).await,
    }
}
