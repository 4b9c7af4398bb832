//! Judges a compensation: items and links brought back to an earlier state by ONE command, which may write
//! some, take some to the trash and take others out of it. What it puts back has been there before, so it is
//! not parsed again; all that follows (required cells, links, sizes, versions) is judged as of any command.
//! Which state, and whether others have changed it since, is `undo`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::verdict::{Cells, Trial, all_cells};
use super::{Bench, Errors, MAX_ITEMS, Verdict, require};
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::event::ITEMS_MERGED;
use crate::domain::item::Item;
use crate::domain::links::{CellEdit, How, Pair};
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

/// Items of one list, put back.
#[derive(Clone, Debug)]
pub struct Compensation {
    pub list: ListId,
    /// Right behind this position of the log it was thought out, and there alone it is good.
    pub after: i64,
    /// The change that it takes back; none where it is no undoing of one change.
    pub undoes: Option<i64>,
    /// The items that it merges into its first step's, where it redoes a merge.
    pub merges: Vec<ItemId>,
    /// What several events have in common that are one change together.
    pub change: Option<uuid::Uuid>,
    pub steps: Vec<Step>,
    pub links: Vec<Relink>,
    /// Links that must live again once their items do.
    pub revived: Vec<Pair>,
}

/// What becomes of one item.
#[derive(Clone, Debug)]
pub struct Step {
    pub item: ItemId,
    pub act: Act,
    /// Cells to be written; `None` clears.
    pub cells: Vec<(ColumnId, Option<Cell>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Write,
    Trash,
    Restore,
}

/// What becomes of a cell's links.
#[derive(Clone, Debug)]
pub struct Relink {
    /// The list of the item: that of the command, or one that it is linked with.
    pub list: ListId,
    pub item: ItemId,
    pub column: ColumnId,
    pub remove: Vec<ItemId>,
    pub add: Vec<ItemId>,
    /// The whole cell in its order, where that is known.
    pub order: Option<Vec<ItemId>>,
}

impl Relink {
    /// Of a cell, nothing yet.
    pub fn of((list, item, column): (ListId, ItemId, ColumnId)) -> Relink {
        Relink {
            list,
            item,
            column,
            remove: Vec::new(),
            add: Vec::new(),
            order: None,
        }
    }
}

impl Compensation {
    /// The items that it brings into the trash, or out of it.
    pub fn of(&self, act: Act) -> Vec<ItemId> {
        let of_act = self.steps.iter().filter(|step| step.act == act);
        of_act.map(|step| step.item).collect()
    }
}

/// The code of a compensation that came too late: it must be thought out anew.
const MOVED: &str = "moved";

/// Whether a refusal says no more than that the log has moved on.
pub fn has_moved(error: &AppError) -> bool {
    error
        .fields
        .first()
        .is_some_and(|field| field.code == MOVED)
}

/// The refusal of what was thought out at another position.
pub fn moved() -> AppError {
    let moved = AppError::unavailable("The workspace is written elsewhere; try again");
    moved.at("/seq", MOVED)
}

pub(super) fn compensate(
    list: &Arc<List>,
    what: &Compensation,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    if bench.seq != what.after + 1 {
        return Err(moved());
    }
    if what.steps.len() > MAX_ITEMS {
        let detail = format!("At most {MAX_ITEMS} items are put back in one change");
        return Err(AppError::too_large(detail));
    }
    let mut errors = Errors::default();
    let mut trial = Trial::new(list, bench, what.steps.len());
    for (index, step) in what.steps.iter().enumerate() {
        put_back(list, step, index, bench, &mut trial, &mut errors)?;
        if index == 0 && !what.merges.is_empty() {
            trial.kind = ITEMS_MERGED;
            trial.takes_in(&what.merges);
        }
        errors.stop_if_many()?;
    }
    // What goes, goes first: it may free the place of what comes.
    for relink in &what.links {
        push(relink, How::Remove, &relink.remove, bench, &mut trial)?;
    }
    trial.links.apply(&mut errors)?;
    match what.merges.is_empty() {
        true => trial.links.trash(list.id, &what.of(Act::Trash))?,
        false => trial.links.lay_to_rest(list.id, &what.of(Act::Trash))?,
    }
    trial.links.restore(list.id, &what.of(Act::Restore))?;
    revive(what, &mut trial)?;
    for relink in &what.links {
        let (how, ids) = match &relink.order {
            Some(order) => (How::Replace, order),
            None => (How::Add, &relink.add),
        };
        push(relink, how, ids, bench, &mut trial)?;
    }
    trial.finish(errors)
}

fn put_back(
    list: &Arc<List>,
    step: &Step,
    index: usize,
    bench: &Bench<'_>,
    trial: &mut Trial<'_>,
    errors: &mut Errors,
) -> Result<(), AppError> {
    let before = bench.items.get(&(list.id, step.item));
    let before = before.ok_or_else(AppError::not_found)?;
    let deleted = before.deleted_at.is_some();
    if deleted != (step.act == Act::Restore) {
        return Err(AppError::gone(
            "An item is in the trash, or out of it, against expectation",
        ));
    }
    let mut item = Item::clone(before);
    let (mut set, mut was) = (Cells::default(), Cells::default());
    for (id, cell) in &step.cells {
        let column = list.columns.by_id(id).filter(|column| !column.deleted);
        let Some(column) = column else { continue };
        let old = match cell {
            Some(cell) => item.values.insert(*id, cell.clone()),
            None => item.values.remove(id),
        };
        set.push(column, cell.as_ref());
        was.push(column, old.as_ref());
    }
    item.touch(bench);
    match step.act {
        Act::Write => {
            let path = |key: &str| format!("/items/{index}/values/{key}");
            require(list, &item.values, path, errors);
            trial.push("updated", item, Some(set), Some(was));
        }
        Act::Trash => {
            let written = !step.cells.is_empty();
            item.deleted_at = Some(bench.now);
            trial.push("deleted", item, None, written.then_some(was));
        }
        Act::Restore => {
            let written = !step.cells.is_empty();
            item.deleted_at = None;
            let all = all_cells(list, &item.values);
            trial.push("restored", item, Some(all), written.then_some(was));
        }
    }
    Ok(())
}

fn push(
    relink: &Relink,
    how: How,
    ids: &[ItemId],
    bench: &Bench<'_>,
    trial: &mut Trial<'_>,
) -> Result<(), AppError> {
    if ids.is_empty() && how != How::Replace {
        return Ok(());
    }
    let end = bench.schema.end_of(relink.list, relink.column);
    let end = end.ok_or_else(|| AppError::gone("The linked list is in the trash"))?;
    trial.links.push(CellEdit {
        end: *end,
        item: relink.item,
        how,
        ids: ids.to_vec(),
        path: "/links".to_owned(),
        short: false,
    });
    Ok(())
}

/// All or nothing: a link whose place was taken meanwhile is no less a change by others than a cell is.
fn revive(what: &Compensation, trial: &mut Trial<'_>) -> Result<(), AppError> {
    let restored: BTreeSet<ItemId> = what.of(Act::Restore).into_iter().collect();
    for pair in &what.revived {
        let comes_back = restored.contains(&pair.from) || restored.contains(&pair.to);
        if comes_back && !trial.links.may_stand(pair)? {
            let detail = "The place of a link has been taken since";
            return Err(AppError::conflict(detail).at("/links", "taken"));
        }
    }
    Ok(())
}
