//! What takes back a change of items and links: its entries, what happened to the same items since, and the
//! items as they stand, read for the domain to say.

use std::sync::Arc;

use super::super::core::Core;
use super::Plan;
use crate::domain::cell::ColumnId;
use crate::domain::edit::list_of;
use crate::domain::event::ITEMS_MERGED;
use crate::domain::item::Place;
use crate::domain::log::Actor;
use crate::domain::past::{Before, Entry, Timeline, by_item, read_entries, too_reshaped};
use crate::domain::undo::{Undone, by_people, refused, standing, take_back};
use crate::error::AppError;
use crate::ids::{ItemId, ListId};
use crate::store::log::{LoggedEvent, events_after};
use crate::store::past::{Reshaping, entries_of, reshapings};
use crate::store::{Db, Tx};

pub(super) async fn plan(
    db: &Db,
    core: &mut Core,
    tx: &mut Tx,
    event: &LoggedEvent,
) -> Result<Plan, AppError> {
    let header = &event.header;
    let list = header.list.ok_or_else(AppError::not_found)?;
    let list = Arc::clone(list_of(list, &core.schema)?);
    let said = read_entries(event.rows.iter().map(|row| row.text())).ok_or_else(erased)?;
    let entries: Vec<Entry> = said
        .into_iter()
        .map(|said| Entry {
            seq: header.seq,
            at: header.at,
            actor: header.actor,
            undoes: header.undoes,
            said,
        })
        .collect();
    let undone = Undone {
        seq: header.seq,
        actor: header.actor,
        list: list.id,
        entries,
    };
    let places: Vec<Place> = undone.entries.iter().map(|e| e.said.place()).collect();
    let items = core.look_up(db, Some(tx), places.iter().copied()).await?;
    let touched = |place: &&Place| items.get(*place).is_none_or(|item| item.seq > header.seq);
    let touched: Vec<Place> = places.iter().filter(touched).copied().collect();
    let since = entries_of(tx, core.id, &touched, header.seq).await?;
    let since = by_people(since.whole()?, &core.schema);
    let since = by_item(standing(since, header.seq));
    let changes = changes(core, tx, header.seq).await?;
    let timeline = timeline(core, &changes);
    let gone = |column: ColumnId| who_took(&changes, list.id, column);
    let mut what = take_back(&undone, &since, &items, &list, &timeline, &gone)
        .map_err(|obstacles| refused(&obstacles))?;
    what.after = core.seq;
    what.merges = merged(core, tx, header.undoes).await?;
    Ok(Plan::Items(Box::new(what)))
}

/// What a change took in that is done again: it is a merge once more.
async fn merged(core: &Core, tx: &mut Tx, again: Option<i64>) -> Result<Vec<ItemId>, AppError> {
    let Some(seq) = again else {
        return Ok(Vec::new());
    };
    let events = events_after(tx, core.id, seq - 1, seq, 1, true).await?;
    let merge = events
        .first()
        .filter(|event| event.header.kind == ITEMS_MERGED);
    let Some(merge) = merge else {
        return Ok(Vec::new());
    };
    let said = read_entries(merge.rows.iter().map(|row| row.text())).ok_or_else(erased)?;
    Ok(said.into_iter().flat_map(|said| said.merged).collect())
}

pub(super) fn erased() -> AppError {
    AppError::gone("What it said was erased")
}

/// What changed the schema since.
pub(super) async fn changes(
    core: &Core,
    tx: &mut Tx,
    after: i64,
) -> Result<Vec<Reshaping>, AppError> {
    let changes = reshapings(tx, core.id, after, core.seq).await?;
    changes.ok_or_else(too_reshaped)
}

pub(super) fn timeline(core: &Core, changes: &[Reshaping]) -> Timeline {
    let before = changes
        .iter()
        .map(|change| (change.seq, change.before.clone()));
    let before: Vec<(i64, Before)> = before.collect();
    Timeline::new(Arc::clone(&core.schema), &before)
}

/// Who last changed a column, where it is in the way.
fn who_took(changes: &[Reshaping], list: ListId, column: ColumnId) -> Option<(Actor, i64)> {
    let touches = |change: &&Reshaping| {
        let list = change.before.before.get(&list);
        list.is_some_and(|list| list.columns.contains_key(column.as_str()))
    };
    let change = changes.iter().find(touches)?;
    Some((change.actor, change.seq))
}
