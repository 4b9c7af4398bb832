//! Which change is meant: the caller's newest that is left, or the one that was named, if it may be taken back.

use super::super::core::Core;
use crate::domain::log::Actor;
use crate::domain::roles::Action;
use crate::domain::undo::{NothingLeft, Reading, Wanted, is_undoable, newest, not_undoable};
use crate::error::{AppError, ErrorCode};
use crate::ids::UserId;
use crate::store::log::{LoggedEvent, events_after};
use crate::store::{self, Tx};

/// Changes read in one go.
const PAGE: i64 = 100;
/// So many of the caller's changes are looked through.
const MOST: i64 = 10_000;
/// How often a change can have been undone and redone before nobody follows any more.
const DEEPEST: u32 = 1_000;

/// The event, with all that it says.
pub(super) async fn find(
    core: &Core,
    tx: &mut Tx,
    by: UserId,
    wanted: Wanted,
    seq: Option<i64>,
) -> Result<LoggedEvent, AppError> {
    let event = match seq {
        Some(seq) => {
            let event = read(core, tx, seq).await?;
            check_named(core, tx, by, wanted, &event).await?;
            event
        }
        None => {
            let seq = last(core, tx, by, wanted).await?;
            read(core, tx, seq).await?
        }
    };
    core.authorize(by, needed(&event.header.kind))?;
    Ok(event)
}

/// What one must be allowed to write to take back a change of that kind.
fn needed(kind: &str) -> Action {
    match kind.split('.').next() {
        Some("list" | "column") => Action::WriteSchema,
        Some("view") => Action::WriteViews,
        Some("comment") => Action::Comment,
        _ => Action::WriteItems,
    }
}

async fn last(core: &Core, tx: &mut Tx, by: UserId, wanted: Wanted) -> Result<i64, AppError> {
    let nothing = || {
        let (detail, code) = match wanted {
            Wanted::Undo => ("There is nothing of yours to undo", "nothing_to_undo"),
            Wanted::Redo => ("There is nothing of yours to redo", "nothing_to_redo"),
        };
        AppError::conflict(detail).at("/seq", code)
    };
    let mut reading = Reading::default();
    let (mut below, mut looked) = (core.seq.saturating_add(1), 0);
    while looked < MOST {
        let own = store::past::own(tx, core.id, by, below, PAGE).await?;
        match newest(wanted, &own, &mut reading) {
            Ok(Some(seq)) => return Ok(seq),
            Ok(None) => {}
            Err(NothingLeft) => return Err(nothing()),
        }
        match own.last() {
            Some(oldest) => below = oldest.seq,
            None => return Err(nothing()),
        }
        looked += PAGE;
    }
    Err(nothing())
}

async fn read(core: &Core, tx: &mut Tx, seq: i64) -> Result<LoggedEvent, AppError> {
    if seq < 1 || seq > core.seq {
        return Err(AppError::not_found());
    }
    if seq < core.workspace.oldest_seq {
        return Err(AppError::gone("The log does not reach back to it any more"));
    }
    let mut found = events_after(tx, core.id, seq - 1, seq, 1, true).await?;
    found.pop().ok_or_else(AppError::not_found)
}

async fn check_named(
    core: &Core,
    tx: &mut Tx,
    by: UserId,
    wanted: Wanted,
    event: &LoggedEvent,
) -> Result<(), AppError> {
    let header = &event.header;
    if header.actor != Actor::User(by) {
        let detail = "It is another's change: one undoes one's own";
        return Err(AppError::new(ErrorCode::Forbidden, detail));
    }
    if !is_undoable(&header.kind) {
        return Err(not_undoable("Such a change is not undone"));
    }
    let refused = |detail, code| Err(AppError::conflict(detail).at("/seq", code));
    match (wanted, header.undoes) {
        (Wanted::Undo, Some(_)) => {
            return refused("It undoes another change: redo that", "is_an_undoing");
        }
        (Wanted::Redo, None) => {
            return refused("It undoes nothing that could be redone", "is_no_undoing");
        }
        _ => {}
    }
    if is_undone(core, tx, header.seq).await? {
        return refused("It has been taken back already", "already_undone");
    }
    Ok(())
}

/// Whether the newest event that undoes it stands itself.
async fn is_undone(core: &Core, tx: &mut Tx, seq: i64) -> Result<bool, AppError> {
    let mut undone = false;
    let mut at = seq;
    for _ in 0..DEEPEST {
        let Some(by) = store::past::undone_by(tx, core.id, at).await? else {
            break;
        };
        undone = !undone;
        at = by;
    }
    Ok(undone)
}
