//! Which cells and links commands will look at, so that they are read beforehand, in as many questions
//! however many commands there are. Asking for too much costs time; what is not asked for is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::{Book, CellAt, End, How, Pair, Side};
use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnType, ParseContext, SHOWN_LINKS};
use crate::domain::edit::{Act, Compensation, ItemCommand, RawValues};
use crate::domain::item::Place;
use crate::domain::schema::{List, Schema};
use crate::ids::ItemId;

/// A command, and whether its items will be shown with all their cells.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub command: &'a ItemCommand,
    pub show: bool,
}

/// What must be known of links to judge a group.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Cells whose links may all go.
    pub whole: BTreeSet<CellAt>,
    /// Cells that are written as a whole if they are short.
    short: BTreeSet<CellAt>,
    /// Cells of items that come out of the trash.
    pub resting: BTreeSet<CellAt>,
    pub pairs: BTreeSet<Pair>,
    /// Cells of which the first links are enough.
    first: BTreeSet<CellAt>,
    /// Those of them that are shown with titles.
    shown: BTreeSet<CellAt>,
    /// So many links may go before a cell's first ones are asked for.
    removals: usize,
    ends: BTreeMap<CellAt, End>,
    places: BTreeSet<Place>,
}

/// A cell to read.
#[derive(Clone, Copy, Debug)]
pub struct CellAsk {
    pub at: CellAt,
    pub end: End,
    /// The first so many; `None`: all.
    pub most: Option<usize>,
    /// With the titles of the linked items.
    pub titled: bool,
}

impl Wanted {
    pub fn of<'a>(schema: &Schema, commands: impl Iterator<Item = Asked<'a>>) -> Wanted {
        let mut wanted = Wanted::default();
        for asked in commands {
            let list = asked.command.list();
            let ends = schema.ends(list);
            if let Some(list) = schema.live(list).filter(|_| !ends.is_empty()) {
                wanted.command(list, ends, asked);
            }
        }
        wanted
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.places.is_empty()
    }

    fn command(&mut self, list: &List, ends: &[End], asked: Asked<'_>) {
        match asked.command {
            ItemCommand::Create { items, .. } => {
                for item in items {
                    self.values(list, ends, item.id, &item.values, true);
                }
            }
            ItemCommand::Update { items, .. } => {
                for item in items {
                    self.values(list, ends, item.id, &item.values, false);
                    let conditional = item.if_version.is_some() || item.if_values.is_some();
                    if asked.show || conditional {
                        self.show(ends, item.id);
                    }
                }
            }
            ItemCommand::Delete {
                ids, if_version, ..
            } => {
                for (end, id) in ends
                    .iter()
                    .flat_map(|end| ids.iter().map(move |id| (end, *id)))
                {
                    self.whole.insert(self_cell(&mut self.ends, end, id));
                }
                if if_version.is_some() {
                    ids.iter().for_each(|id| self.show(ends, *id));
                }
            }
            ItemCommand::Restore { ids, .. } => {
                for (end, id) in ends
                    .iter()
                    .flat_map(|end| ids.iter().map(move |id| (end, *id)))
                {
                    self.resting.insert(self_cell(&mut self.ends, end, id));
                }
            }
            ItemCommand::Links {
                item,
                column,
                how,
                ids,
                ..
            } => {
                self.show(ends, *item);
                let column = list.columns.by_key(column).map(|column| column.id);
                let end = ends
                    .iter()
                    .find(|end| end.column == column && column.is_some());
                let Some(end) = end else { return };
                let at = self_cell(&mut self.ends, end, *item);
                match how {
                    How::Replace => drop(self.whole.insert(at)),
                    How::Add => drop(self.first.insert(at)),
                    How::Remove => {
                        self.removals = self.removals.saturating_add(ids.len());
                        self.first.insert(at);
                    }
                }
                self.named(end, *item, ids);
            }
            ItemCommand::Merge { what, .. } => {
                let all = std::iter::once(&what.keep).chain(&what.merge);
                for (end, id) in ends
                    .iter()
                    .flat_map(|end| all.clone().map(move |id| (end, *id)))
                {
                    self.whole.insert(self_cell(&mut self.ends, end, id));
                }
                self.values(list, ends, what.keep, &what.values, false);
                if asked.show {
                    self.show(ends, what.keep);
                }
            }
            ItemCommand::Compensate(what) => self.compensation(ends, what),
        }
    }

    fn compensation(&mut self, ends: &[End], what: &Compensation) {
        for step in &what.steps {
            let cells = match step.act {
                Act::Write => continue,
                Act::Trash => &mut self.whole,
                Act::Restore => &mut self.resting,
            };
            for end in ends {
                cells.insert(self_cell(&mut self.ends, end, step.item));
            }
        }
        for relink in &what.links {
            let shown = |end: &End| (end.list, end.column) == (relink.list, Some(relink.column));
            let both = ends.iter().flat_map(|end| [*end, end.turned()]);
            let Some(end) = both.into_iter().find(shown) else {
                continue;
            };
            let at = self_cell(&mut self.ends, &end, relink.item);
            self.places.insert((relink.list, relink.item));
            match &relink.order {
                Some(order) => {
                    self.whole.insert(at);
                    self.named(&end, relink.item, order);
                }
                None => drop(self.first.insert(at)),
            }
            self.removals = self.removals.saturating_add(relink.remove.len());
            self.named(&end, relink.item, &relink.remove);
            self.named(&end, relink.item, &relink.add);
        }
        for pair in &what.revived {
            let of_it = |end: &&End| end.relation == pair.relation && end.side == Side::From;
            let turned = |end: &End| match end.side {
                Side::From => *end,
                Side::To => end.turned(),
            };
            if let Some(end) = ends.iter().map(turned).find(|end| of_it(&end)) {
                self.pairs.insert(*pair);
                self.places.insert((end.list, pair.from));
                self.places.insert((end.other_list, pair.to));
            }
        }
    }

    /// The cells of links among an item's values.
    fn values(&mut self, list: &List, ends: &[End], item: ItemId, values: &RawValues, new: bool) {
        for (key, raw) in &values.0 {
            let column = list.columns.by_key(key);
            let Some(column) = column.filter(|column| column.ty == ColumnType::Link) else {
                continue;
            };
            let Some(end) = ends.iter().find(|end| end.column == Some(column.id)) else {
                continue;
            };
            if !new {
                let at = self_cell(&mut self.ends, end, item);
                self.short.insert(at);
            }
            self.named(end, item, &linked_ids(column, raw.get()));
        }
    }

    fn show(&mut self, ends: &[End], item: ItemId) {
        for end in ends.iter().filter(|end| end.column.is_some()) {
            let at = self_cell(&mut self.ends, end, item);
            self.first.insert(at);
            self.shown.insert(at);
        }
    }

    /// Links that a command names.
    fn named(&mut self, end: &End, item: ItemId, others: &[ItemId]) {
        for other in others {
            self.pairs.insert(end.pair(item, *other));
            self.beyond(end, *other);
        }
    }

    /// The other end of a link that may change.
    fn beyond(&mut self, end: &End, other: ItemId) {
        self.places.insert((end.other_list, other));
        if end.other_column.is_some() || end.other_single {
            let turned = end.turned();
            let at = self_cell(&mut self.ends, &turned, other);
            self.first.insert(at);
        }
    }

    /// What to read first: cells whose links may go.
    pub fn cells_that_may_go(&self) -> Vec<CellAsk> {
        let whole = self.whole.iter().map(|at| (at, None));
        let short = self.short.difference(&self.whole);
        let short = short.map(|at| (at, Some(SHOWN_LINKS + 1)));
        whole
            .chain(short)
            .filter_map(|(at, most)| self.ask(*at, most, false))
            .collect()
    }

    /// What to read then, when those and what rests are in the book.
    pub fn other_cells(&mut self, book: &Book) -> Vec<CellAsk> {
        for at in self.whole.union(&self.short).copied().collect::<Vec<_>>() {
            let Some(end) = self.ends.get(&at).copied() else {
                continue;
            };
            for other in book.members(&at) {
                self.removals = self.removals.saturating_add(1);
                self.beyond(&end, other);
            }
        }
        for at in self.resting.clone() {
            let Some(end) = self.ends.get(&at).copied() else {
                continue;
            };
            for other in book.resting(&at) {
                self.beyond(&end, other);
            }
        }
        let most = SHOWN_LINKS.saturating_add(1).saturating_add(self.removals);
        let unknown = |at: &&CellAt| !(book.is_read(at) && book.is_whole(at));
        self.first
            .union(&self.short)
            .filter(unknown)
            .filter_map(|at| self.ask(*at, Some(most), self.shown.contains(at)))
            .collect()
    }

    fn ask(&self, at: CellAt, most: Option<usize>, titled: bool) -> Option<CellAsk> {
        Some(CellAsk {
            at,
            end: *self.ends.get(&at)?,
            most,
            titled,
        })
    }

    /// The items at other ends.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().copied()
    }
}

/// An item's cell, noted with its end.
fn self_cell(ends: &mut BTreeMap<CellAt, End>, end: &End, item: ItemId) -> CellAt {
    let at = end.cell(item);
    // One seen from its own list knows more than one that was reached from the other end.
    let known = ends.entry(at).or_insert(*end);
    if known.title.is_none() {
        *known = *end;
    }
    at
}

/// The ids in a cell as it was sent; none of one that can't be read.
pub fn linked_ids(column: &Column, raw: &str) -> Vec<ItemId> {
    let context = ParseContext {
        members: &|_| false,
    };
    match column.parse_json(raw, &context) {
        Ok(Some(Cell::Links(links))) => links.ids().collect(),
        _ => Vec::new(),
    }
}
