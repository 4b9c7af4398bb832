//! What follows from a command: the computed cells whose sources it changed, in the order of what they need,
//! each once, until nothing changes any more. Of the command's own items and of others that it reaches.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Bench;
use super::verdict::{Cells, Diffs, Entry, all_cells};
use crate::domain::cell::{Cell, ColumnId};
use crate::domain::computed::{Graph, Known, MAX_ROLLED, NodeId};
use crate::domain::item::{Item, Place};
use crate::domain::links::{CellAt, Edits};
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

/// Computed cells as they stood before.
pub(super) type Was = Vec<(ColumnId, Option<Cell>)>;

/// Items that the command does not name, as they stand after it.
pub(super) type Reached = BTreeMap<Place, (Item, Was)>;

/// Computes what follows; the command's own entries tell of it, other items are given.
pub(super) fn settle(
    bench: &Bench<'_>,
    list: &List,
    links: &Edits<'_>,
    entries: &mut [Entry],
    diffs: &Diffs,
) -> Result<Reached, AppError> {
    let graph = bench.schema.graph();
    if !graph.concerns(list.id) {
        return Ok(Reached::new());
    }
    let own = entries.iter().enumerate();
    let mut work = Work {
        bench,
        graph,
        links,
        index: own.map(|(at, entry)| (entry.item.id, at)).collect(),
        list: list.id,
        entries,
        was: BTreeMap::new(),
        reached: Reached::new(),
        dirty: BTreeMap::new(),
    };
    work.begin(diffs)?;
    while let Some((node, items)) = work.dirty.pop_first() {
        for item in items {
            work.compute(node, item)?;
        }
    }
    work.tell(list);
    Ok(work.reached)
}

struct Work<'w, 'b> {
    bench: &'w Bench<'b>,
    graph: &'w Graph,
    links: &'w Edits<'b>,
    index: HashMap<ItemId, usize>,
    list: ListId,
    entries: &'w mut [Entry],
    /// Of the command's own items.
    was: BTreeMap<ItemId, Was>,
    reached: Reached,
    dirty: BTreeMap<NodeId, BTreeSet<ItemId>>,
}

impl Work<'_, '_> {
    fn begin(&mut self, diffs: &Diffs) -> Result<(), AppError> {
        let mut changed = Vec::new();
        let mut whole = Vec::new();
        for entry in self.entries.iter() {
            let item = &entry.item;
            if item.deleted_at.is_some() {
                continue;
            }
            match self.bench.items.get(&(self.list, item.id)) {
                Some(before) if before.deleted_at.is_none() => {
                    let ids: BTreeSet<&ColumnId> =
                        before.values.keys().chain(item.values.keys()).collect();
                    let differs = |id: &&ColumnId| before.values.get(id) != item.values.get(id);
                    let ids = ids.into_iter().filter(differs);
                    changed.extend(ids.map(|column| (item.id, *column)));
                }
                _ => whole.push(item.id),
            }
        }
        for item in whole {
            for node in self.graph.of_list(self.list) {
                self.mark(*node, item);
            }
        }
        for (item, column) in changed {
            self.follow(self.list, item, column)?;
        }
        for ((list, item), cells) in diffs {
            for at in cells.keys() {
                let end = self.links.end_at(*list, at);
                if let Some(column) = end.and_then(|end| end.column) {
                    for node in self.graph.beside(*list, column) {
                        self.mark(*node, *item);
                    }
                }
            }
        }
        Ok(())
    }

    fn mark(&mut self, node: NodeId, item: ItemId) {
        self.dirty.entry(node).or_default().insert(item);
    }

    /// Whatever reads this cell is to be computed.
    fn follow(&mut self, list: ListId, item: ItemId, column: ColumnId) -> Result<(), AppError> {
        let graph = self.graph;
        for node in graph.beside(list, column) {
            self.mark(*node, item);
        }
        for (node, _, end) in graph.across(list, column) {
            for other in self.links.all(&end.other_cell(item))? {
                self.mark(node, other);
            }
        }
        Ok(())
    }

    fn compute(&mut self, id: NodeId, item: ItemId) -> Result<(), AppError> {
        let Some(node) = self.graph.node(id) else {
            return Ok(());
        };
        let place = (node.list, item);
        let Some(stands) = self.item(place) else {
            return Err(unread());
        };
        if stands.deleted_at.is_some() {
            return Ok(());
        }
        let cell = node.compute(&self.bench.schema.lists, stands, self)?;
        let column = node.column;
        if stands.values.get(&column) == cell.as_ref() {
            return Ok(());
        }
        self.put(place, column, cell);
        self.follow(place.0, item, column)
    }

    fn put(&mut self, place: Place, column: ColumnId, cell: Option<Cell>) {
        let own = self.index.get(&place.1).filter(|_| place.0 == self.list);
        let slot = own.and_then(|at| self.entries.get_mut(*at));
        let (item, was) = match slot {
            Some(entry) => (&mut entry.item, self.was.entry(place.1).or_default()),
            None => {
                let base = self.bench.items.get(&place);
                let Some(base) = base else { return };
                let reached = self.reached.entry(place).or_insert_with(|| {
                    let mut item = Item::clone(base);
                    item.touch(self.bench);
                    (item, Was::new())
                });
                (&mut reached.0, &mut reached.1)
            }
        };
        let old = match cell {
            Some(cell) => item.values.insert(column, cell),
            None => item.values.remove(&column),
        };
        was.push((column, old));
    }

    /// What an entry of the log says of an item holds what follows as well.
    fn tell(&mut self, list: &List) {
        for (item, was) in std::mem::take(&mut self.was) {
            let at = self.index.get(&item);
            let Some(entry) = at.and_then(|at| self.entries.get_mut(*at)) else {
                continue;
            };
            match entry.kind {
                "updated" => push(list, &entry.item, &was, &mut entry.set, &mut entry.was),
                _ => entry.set = Some(all_cells(list, &entry.item.values)),
            }
        }
    }
}

/// Computed cells, as they stand and as they stood.
pub(super) fn push(
    list: &List,
    item: &Item,
    cells: &Was,
    set: &mut Option<Cells>,
    was: &mut Option<Cells>,
) {
    for (id, old) in cells {
        let Some(column) = list.columns.by_id(id) else {
            continue;
        };
        if let Some(set) = set {
            set.push(column, item.values.get(id));
        }
        if let Some(was) = was {
            was.push(column, old.as_ref());
        }
    }
}

impl Known for Work<'_, '_> {
    fn item(&self, place: Place) -> Option<&Item> {
        let own = self.index.get(&place.1).filter(|_| place.0 == self.list);
        if let Some(entry) = own.and_then(|at| self.entries.get(*at)) {
            return Some(&entry.item);
        }
        match self.reached.get(&place) {
            Some((item, _)) => Some(item),
            None => self.bench.items.get(&place).map(AsRef::as_ref),
        }
    }

    fn linked(&self, at: &CellAt) -> Result<(usize, Vec<ItemId>), AppError> {
        let count = self.links.count(at)?;
        let all = match count {
            0..=MAX_ROLLED => self.links.all(at)?,
            _ => Vec::new(),
        };
        Ok((count, all))
    }
}

fn unread() -> AppError {
    AppError::internal(std::io::Error::other("an item that follows was not read"))
}
