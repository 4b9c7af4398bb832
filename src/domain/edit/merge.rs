//! Judges a merge: several items become one by ONE command. The kept one is filled up with what the others
//! have, in their order, and takes over their links; they go into the trash with theirs at rest, so that
//! taking it back is taking them out again.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::verdict::{Cells, Trial};
use super::{Bench, Errors, RawValues, Verdict, live, parse, require};
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::columns::{Column, ColumnType};
use crate::domain::event::ITEMS_MERGED;
use crate::domain::item::Item;
use crate::domain::links::{CellEdit, End, How};
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::ItemId;

/// Items that one merge takes in, at most.
pub const MAX_MERGED: usize = 100;

/// What a merge is of.
#[derive(Clone, Debug)]
pub struct Merge {
    pub keep: ItemId,
    /// Whose cells fill up what is empty, the first that has one.
    pub merge: Vec<ItemId>,
    /// Cells of the kept one, whatever stood there.
    pub values: RawValues,
}

/// Whether the items of a merge make sense, whatever they are.
pub(super) fn check(what: &Merge) -> Result<(), AppError> {
    if what.merge.is_empty() {
        let message = "name at least one item to be merged into it";
        return Err(AppError::field("/merge", "empty", message));
    }
    if what.merge.len() > MAX_MERGED {
        let message = format!("at most {MAX_MERGED} items are merged at once");
        return Err(AppError::field("/merge", "too_many", message));
    }
    let mut seen = HashSet::from([what.keep]);
    match what.merge.iter().position(|id| !seen.insert(*id)) {
        None => Ok(()),
        Some(index) if what.merge.get(index) == Some(&what.keep) => {
            let message = "an item is not merged with itself";
            Err(AppError::field(
                format!("/merge/{index}"),
                "itself",
                message,
            ))
        }
        Some(index) => {
            let message = "the same item stands twice in this request";
            Err(AppError::field(
                format!("/merge/{index}"),
                "duplicate",
                message,
            ))
        }
    }
}

pub(super) fn merge(
    list: &Arc<List>,
    what: &Merge,
    bench: &Bench<'_>,
) -> Result<Verdict, AppError> {
    let mut trial = Trial::new(list, bench, what.merge.len() + 1);
    trial.kind = ITEMS_MERGED;
    let mut errors = Errors::default();
    let kept = live(list, what.keep, bench)?;
    let merged: Vec<&Arc<Item>> = what
        .merge
        .iter()
        .map(|id| live(list, *id, bench))
        .collect::<Result<_, _>>()?;
    let path = |key: &str| format!("/values/{key}");
    let said = parse(list, &what.values, false, bench, path, &mut errors);
    let mut item = Item::clone(kept);
    let (mut set, mut was) = (Cells::default(), Cells::default());
    let mut linked = BTreeSet::new();
    for (column, cell) in said {
        if column.ty == ColumnType::Link {
            linked.insert(column.id);
            trial.links_of_values(item.id, column, cell, path, &mut errors);
            continue;
        }
        write(&mut item, column, cell, &mut set, &mut was);
    }
    let is_said = |column: &Column| what.values.0.iter().any(|(key, _)| *key == column.key);
    for column in list.columns.iter() {
        let is_filled = item.values.contains_key(&column.id) || column.is_read_only();
        if is_filled || column.ty == ColumnType::Link || is_said(column) {
            continue;
        }
        let found = merged.iter().find_map(|other| other.values.get(&column.id));
        if let Some(cell) = found {
            write(&mut item, column, Some(cell.clone()), &mut set, &mut was);
        }
    }
    require(list, &item.values, path, &mut errors);
    item.touch(bench);
    trial.push("updated", item, Some(set), Some(was));
    trial.takes_in(&what.merge);
    for other in &merged {
        let mut item = Item::clone(other);
        item.touch(bench);
        item.deleted_at = Some(bench.now);
        trial.push("deleted", item, None, None);
    }
    let taken = taken_over(list, what, &linked, bench)?;
    trial.links.lay_to_rest(list.id, &what.merge)?;
    for edit in taken {
        trial.links.push(edit);
    }
    trial.finish(errors)
}

fn write(item: &mut Item, column: &Column, cell: Option<Cell>, set: &mut Cells, was: &mut Cells) {
    set.push(column, cell.as_ref());
    let old = match cell {
        Some(cell) => item.values.insert(column.id, cell),
        None => item.values.remove(&column.id),
    };
    was.push(column, old.as_ref());
}

/// The links that the kept item gets: those that it has not, of each cell as many as it may hold. 409 where
/// one that holds its item would be left behind.
fn taken_over(
    list: &Arc<List>,
    what: &Merge,
    linked: &BTreeSet<ColumnId>,
    bench: &Bench<'_>,
) -> Result<Vec<CellEdit>, AppError> {
    let gone: HashSet<ItemId> = what.merge.iter().copied().collect();
    let mut edits = Vec::new();
    for end in bench.schema.ends(list.id) {
        if end.column.is_some_and(|column| linked.contains(&column)) {
            continue;
        }
        let mut has: HashSet<ItemId> = members(end, what.keep, bench)?.into_iter().collect();
        let mut ids = Vec::new();
        for (index, other) in what.merge.iter().enumerate() {
            for id in members(end, *other, bench)? {
                // Of items of this list some may be merged ones, or the kept one.
                let own = end.other_list == list.id && (id == what.keep || gone.contains(&id));
                if own || has.contains(&id) {
                    continue;
                }
                if !end.single || has.is_empty() {
                    has.insert(id);
                    ids.push(id);
                } else if end.held {
                    let detail = "It is linked where that keeps it from the trash, and the kept item \
                                  is linked elsewhere there";
                    return Err(
                        AppError::conflict(detail).at(format!("/merge/{index}"), "restricted")
                    );
                }
            }
        }
        if !ids.is_empty() {
            edits.push(CellEdit {
                end: *end,
                item: what.keep,
                how: How::Add,
                ids,
                path: "/merge".to_owned(),
                short: false,
            });
        }
    }
    Ok(edits)
}

fn members(end: &End, item: ItemId, bench: &Bench<'_>) -> Result<Vec<ItemId>, AppError> {
    let at = end.cell(item);
    if bench.links.is_whole(&at) {
        return Ok(bench.links.members(&at).collect());
    }
    Err(AppError::internal(std::io::Error::other(
        "a cell of links was not read",
    )))
}
