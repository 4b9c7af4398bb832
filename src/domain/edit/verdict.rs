//! What comes of a command that may take effect: its items as they stand after it, those at other ends
//! of its links, and what the log keeps of each: one `changes` entry an item.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use super::settle::{Reached, Was, push, settle};
use super::{Bench, Errors, MAX_ITEM_BYTES};
use crate::domain::cell::{Cell, ColumnId, Linked, Links, Values, write_stored};
use crate::domain::columns::Column;
use crate::domain::event::ITEMS_CHANGED;
use crate::domain::item::{Item, Place};
use crate::domain::links::{CellAt, CellEdit, Diff, Drafted, Edits, How};
use crate::domain::schema::List;
use crate::domain::unique::{Handed, hand_over};
use crate::error::AppError;
use crate::ids::ItemId;

/// A command that may take effect.
#[derive(Debug)]
pub struct Verdict {
    pub kind: &'static str,
    pub list: Arc<List>,
    /// The items as they stand after it, in the command's order.
    pub items: Vec<Arc<Item>>,
    /// What the log keeps of each item: a `changes` entry of the event, as JSON.
    pub changes: Vec<String>,
    /// The items' values as they are stored.
    pub stored: Vec<String>,
    /// Further items whose cells show the links that it changed.
    pub others: Vec<Other>,
    pub links: Drafted,
    /// Values of unique columns that change hands.
    pub handed: Handed,
    /// The items with their links, where that was asked for.
    pub shown: Option<Vec<Arc<Item>>>,
    pub next_number: i64,
}

/// An item that the command does not name.
#[derive(Debug)]
pub struct Other {
    pub list: Arc<List>,
    pub item: Arc<Item>,
    pub change: String,
    pub stored: String,
}

impl Verdict {
    /// The items as its answer shows them.
    pub fn answered(&self) -> &[Arc<Item>] {
        self.shown.as_ref().unwrap_or(&self.items)
    }

    /// The `changes` entries of its event, with their items.
    pub fn rows(&self) -> impl Iterator<Item = (Place, &str)> {
        let own = self.items.iter().zip(&self.changes);
        let own = own.map(|(item, change)| ((self.list.id, item.id), change.as_str()));
        let others = self.others.iter();
        own.chain(others.map(|other| ((other.list.id, other.item.id), other.change.as_str())))
    }

    /// The items that it changes, with their values as they are stored.
    pub fn written(&self) -> impl Iterator<Item = (Place, &Arc<Item>, &str)> {
        let own = self.items.iter().zip(&self.stored);
        let own = own.map(|(item, stored)| ((self.list.id, item.id), item, stored.as_str()));
        let others = self.others.iter();
        own.chain(others.map(|other| {
            let place = (other.list.id, other.item.id);
            (place, &other.item, other.stored.as_str())
        }))
    }
}

/// A command while it is judged.
pub(super) struct Trial<'b> {
    pub(super) kind: &'static str,
    pub(super) links: Edits<'b>,
    pub(super) next_number: i64,
    list: &'b Arc<List>,
    bench: &'b Bench<'b>,
    entries: Vec<Entry>,
}

/// What becomes of one item.
pub(super) struct Entry {
    pub(super) kind: &'static str,
    pub(super) item: Item,
    pub(super) set: Option<Cells>,
    pub(super) was: Option<Cells>,
    /// Items that it takes in.
    pub(super) merged: Vec<ItemId>,
}

/// What a command did to the cells of links that columns show, by item.
pub(super) type Diffs = BTreeMap<Place, BTreeMap<CellAt, Diff>>;

impl<'b> Trial<'b> {
    pub(super) fn new(list: &'b Arc<List>, bench: &'b Bench<'b>, items: usize) -> Self {
        Trial {
            kind: ITEMS_CHANGED,
            links: Edits::new(bench.schema, bench.items, bench.links, bench.seq),
            next_number: bench.next_number,
            list,
            bench,
            entries: Vec::with_capacity(items),
        }
    }

    pub(super) fn push(
        &mut self,
        kind: &'static str,
        item: Item,
        set: Option<Cells>,
        was: Option<Cells>,
    ) {
        self.entries.push(Entry {
            kind,
            item,
            set,
            was,
            merged: Vec::new(),
        });
    }

    /// The item that was pushed last takes these in.
    pub(super) fn takes_in(&mut self, merged: &[ItemId]) {
        if let Some(entry) = self.entries.last_mut() {
            entry.merged = merged.to_vec();
        }
    }

    /// Takes a cell of links that stood among an item's values.
    pub(super) fn links_of_values(
        &mut self,
        item: ItemId,
        column: &Column,
        cell: Option<Cell>,
        path: impl Fn(&str) -> String,
        errors: &mut Errors,
    ) {
        let path = path(&column.key);
        let ids = match cell {
            Some(Cell::Links(links)) => links.ids().collect(),
            _ => Vec::new(),
        };
        match self.bench.schema.end_of(self.list.id, column.id) {
            Some(end) => self.links.push(CellEdit {
                end: *end,
                item,
                how: How::Replace,
                ids,
                path,
                short: true,
            }),
            None => errors.note(path, "deleted_list", "the linked list is in the trash"),
        }
    }

    /// Tries the links, and says what became of every item.
    pub(super) fn finish(mut self, mut errors: Errors) -> Result<Verdict, AppError> {
        self.links.apply(&mut errors)?;
        let mut diffs = self.links.diffs();
        let mut reached = match errors.is_empty() {
            true => self.settle_computed(&diffs)?,
            false => Reached::new(),
        };
        let mut verdict = Verdict {
            kind: self.kind,
            list: Arc::clone(self.list),
            items: Vec::with_capacity(self.entries.len()),
            changes: Vec::with_capacity(self.entries.len()),
            stored: Vec::with_capacity(self.entries.len()),
            others: Vec::new(),
            links: Drafted::default(),
            handed: Handed::new(),
            shown: None,
            next_number: self.next_number,
        };
        for (index, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            let diff = diffs.remove(&(self.list.id, entry.item.id));
            let (item, change, stored) = self.settle(self.list, entry, diff.as_ref());
            if stored.len() > MAX_ITEM_BYTES {
                errors.note(
                    format!("/items/{index}"),
                    "too_large",
                    "an item holds at most 1 MiB",
                );
            }
            verdict.items.push(item);
            verdict.changes.push(change);
            verdict.stored.push(stored);
        }
        errors.into_result()?;
        verdict.handed = self.hand_over(&verdict.items)?;
        for (place, diff) in diffs {
            let follows = reached.remove(&place);
            verdict
                .others
                .extend(self.other(place, Some(&diff), follows));
        }
        for (place, follows) in reached {
            verdict
                .others
                .extend(self.other(place, None, Some(follows)));
        }
        if self.bench.show && !self.bench.schema.ends(self.list.id).is_empty() {
            verdict.shown = Some(self.dressed(&verdict.items));
        }
        verdict.links = self.links.into_drafted();
        Ok(verdict)
    }

    fn hand_over(&self, items: &[Arc<Item>]) -> Result<Handed, AppError> {
        let before = |item: &Item| self.bench.items.get(&(self.list.id, item.id));
        let both = items
            .iter()
            .map(|item| (before(item).map(Arc::as_ref), item.as_ref()));
        hand_over(self.list, self.bench.holders, both)
    }

    fn settle_computed(&mut self, diffs: &Diffs) -> Result<Reached, AppError> {
        let mut entries = std::mem::take(&mut self.entries);
        let reached = settle(self.bench, self.list, &self.links, &mut entries, diffs);
        self.entries = entries;
        reached
    }

    /// An item that is changed by its links, or by what follows from others, alone.
    fn other(
        &self,
        place: Place,
        diff: Option<&BTreeMap<CellAt, Diff>>,
        follows: Option<(Item, Was)>,
    ) -> Option<Other> {
        let list = self.bench.schema.lists.get(&place.0)?;
        let (mut set, mut was) = (Some(Cells::default()), Some(Cells::default()));
        let item = match follows {
            Some((item, before)) => {
                push(list, &item, &before, &mut set, &mut was);
                item
            }
            None => {
                let mut item = Item::clone(self.bench.items.get(&place)?);
                item.touch(self.bench);
                item
            }
        };
        let entry = Entry {
            kind: "updated",
            item,
            set,
            was,
            merged: Vec::new(),
        };
        let (item, change, stored) = self.settle(list, entry, diff);
        Some(Other {
            list: Arc::clone(list),
            item,
            change,
            stored,
        })
    }

    fn settle(
        &self,
        list: &List,
        mut entry: Entry,
        diff: Option<&BTreeMap<CellAt, Diff>>,
    ) -> (Arc<Item>, String, String) {
        let mut links = Cells::default();
        for (at, diff) in diff.into_iter().flatten() {
            let end = self.links.end_at(list.id, at);
            let column = end.and_then(|end| list.columns.by_id(&end.column?));
            let Some(column) = column else { continue };
            links.push_diff(column, diff, || self.links.orders(at));
            if let Some(set) = &mut entry.set {
                let (first, count) = self.links.shown(at);
                set.push_links(column, &first, count);
            }
            if let Some(was) = &mut entry.was {
                let (first, count) = self.links.was_shown(at);
                was.push_links(column, &first, count);
            }
        }
        let mut change = change(list, entry.kind, &entry.item, entry.set, entry.was, links);
        if !entry.merged.is_empty() {
            let mut merged = Cells::default();
            merged.ids("merged", &entry.merged);
            let merged = merged.close();
            change.pop();
            change.push(',');
            change.push_str(merged.trim_start_matches('{'));
        }
        let mut stored = String::with_capacity(change.len());
        write_stored(&entry.item.values, &mut stored);
        (Arc::new(entry.item), change, stored)
    }

    fn dressed(&self, items: &[Arc<Item>]) -> Vec<Arc<Item>> {
        let own: HashMap<ItemId, &Arc<Item>> = items.iter().map(|item| (item.id, item)).collect();
        let title = |place: Place| {
            let list = self.bench.schema.lists.get(&place.0)?;
            let item = own
                .get(&place.1)
                .copied()
                .filter(|_| place.0 == self.list.id);
            match item.or_else(|| self.bench.items.get(&place)) {
                Some(item) => item.title(list).map(str::to_owned),
                None => self.links.book().title(&place),
            }
        };
        items
            .iter()
            .map(|item| Arc::new(dressed(self.list, item, self.bench, &self.links, &title)))
            .collect()
    }
}

/// An item with its cells of links.
fn dressed(
    list: &List,
    item: &Item,
    bench: &Bench<'_>,
    links: &Edits<'_>,
    title: &dyn Fn(Place) -> Option<String>,
) -> Item {
    let mut item = item.clone();
    if item.deleted_at.is_some() {
        return item;
    }
    for end in bench.schema.ends(list.id) {
        let Some(column) = end.column else { continue };
        let (first, count) = links.shown(&end.cell(item.id));
        put_links(&mut item.values, column, first, count, |id| {
            title((end.other_list, id))
        });
    }
    item
}

/// Lays a cell of links over an item's values.
fn put_links(
    values: &mut Values,
    column: ColumnId,
    first: Vec<ItemId>,
    count: usize,
    title: impl Fn(ItemId) -> Option<String>,
) {
    if count == 0 {
        return;
    }
    let linked = |id| Linked {
        id,
        title: title(id).map(Arc::from),
        item: None,
    };
    let first = first.into_iter().map(linked).collect();
    values.insert(column, Cell::Links(Links { first, count }));
}

/// An item as it stands, for whoever meant another state of it.
pub(super) fn current(list: &Arc<List>, item: &Item, bench: &Bench<'_>) -> String {
    let links = Edits::new(bench.schema, bench.items, bench.links, bench.seq);
    let title = |place: Place| {
        let list = bench.schema.lists.get(&place.0)?;
        match bench.items.get(&place) {
            Some(item) => item.title(list).map(str::to_owned),
            None => bench.links.title(&place),
        }
    };
    dressed(list, item, bench, &links, &title).to_wire(list)
}

/// JSON object of cells by key; an empty cell is null.
#[derive(Default)]
pub(super) struct Cells(String);

impl Cells {
    fn key(&mut self, key: &str, suffix: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = write!(self.0, r#""{key}{suffix}":"#);
    }

    pub(super) fn push(&mut self, column: &Column, cell: Option<&Cell>) {
        self.key(&column.key, "");
        match cell {
            Some(cell) => column.write_wire_cell(cell, &mut self.0),
            None => self.0.push_str("null"),
        }
    }

    /// A cell of links as the log keeps it: without titles, which are as of each reading.
    fn push_links(&mut self, column: &Column, first: &[ItemId], count: usize) {
        self.key(&column.key, "");
        if count == 0 {
            self.0.push_str("null");
            self.key(&column.key, "__count");
            self.0.push_str("null");
            return;
        }
        self.0.push('[');
        for (index, id) in first.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(self.0, r#"{comma}{{"id":"{id}"}}"#);
        }
        self.0.push(']');
        self.key(&column.key, "__count");
        let _ = write!(self.0, "{count}");
    }

    /// All that became of a cell's links.
    fn push_diff(
        &mut self,
        column: &Column,
        diff: &Diff,
        orders: impl FnOnce() -> (Vec<ItemId>, Vec<ItemId>),
    ) {
        self.key(&column.key, "");
        let mut parts = Cells::default();
        for (name, ids) in [("added", &diff.added), ("removed", &diff.removed)] {
            if !ids.is_empty() {
                parts.ids(name, ids);
            }
        }
        if diff.moved {
            let (was, is) = orders();
            parts.ids("order", &is);
            parts.ids("was_order", &was);
        }
        self.0.push_str(&parts.close());
    }

    fn ids(&mut self, name: &str, ids: &[ItemId]) {
        self.key(name, "");
        self.0.push('[');
        for (index, id) in ids.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(self.0, r#"{comma}"{id}""#);
        }
        self.0.push(']');
    }

    fn close(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

pub(super) fn all_cells(list: &List, values: &Values) -> Cells {
    let mut cells = Cells::default();
    for column in list.columns.iter() {
        if let Some(cell) = values.get(&column.id) {
            cells.push(column, Some(cell));
        }
    }
    cells
}

fn change(
    list: &List,
    kind: &str,
    item: &Item,
    set: Option<Cells>,
    was: Option<Cells>,
    links: Cells,
) -> String {
    let length = |cells: &Option<Cells>| cells.as_ref().map_or(0, |cells| cells.0.len());
    let mut out = String::with_capacity(192 + length(&set) + length(&was) + links.0.len());
    let _ = write!(
        out,
        r#"{{"kind":"{kind}","list":"{}","item":"{}","version":{}"#,
        list.id, item.id, item.version
    );
    if let Some(set) = set {
        let _ = write!(out, r#","set":{}"#, set.close());
    }
    if let Some(was) = was {
        let _ = write!(out, r#","was":{}"#, was.close());
    }
    if !links.0.is_empty() {
        let _ = write!(out, r#","links":{}"#, links.close());
    }
    out.push('}');
    out
}
