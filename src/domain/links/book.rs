//! What is known of links: cells by their first links and their number, links by their rows. A command
//! is tried on a draft over it, which becomes part of it once the command may be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{CellAt, End, Pair, Side};
use crate::domain::item::Place;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

/// A link as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub from_position: i64,
    pub to_position: i64,
    /// Both ends are out of the trash.
    pub live: bool,
}

impl Row {
    fn position(&self, side: Side) -> i64 {
        match side {
            Side::From => self.from_position,
            Side::To => self.to_position,
        }
    }

    /// The same at another place in the cell of that side.
    pub(super) fn at(self, side: Side, position: i64) -> Row {
        match side {
            Side::From => Row {
                from_position: position,
                ..self
            },
            Side::To => Row {
                to_position: position,
                ..self
            },
        }
    }
}

/// What becomes of a link: its row, or that it goes, with what the database must know of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedRow {
    pub row: Option<Row>,
    pub from: End,
}

/// A cell, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Known {
    count: usize,
    /// Its first links, by position.
    head: BTreeSet<(i64, ItemId)>,
    /// The last of those that were read; `None`: all of them were.
    until: Option<(i64, ItemId)>,
    /// Links that are not live, as far as they were asked for.
    resting: BTreeSet<ItemId>,
    /// Nothing but those was asked for.
    resting_alone: bool,
}

impl Known {
    /// Whether all its links are known.
    fn is_whole(&self) -> bool {
        self.until.is_none() && !self.resting_alone
    }
}

/// What is known of links, as a group's commands leave it.
#[derive(Debug, Default)]
pub struct Book {
    cells: HashMap<CellAt, Known>,
    rows: HashMap<Pair, Option<Row>>,
    titles: HashMap<Place, Option<String>>,
    changed: BTreeMap<Pair, PlacedRow>,
}

impl Book {
    /// A cell was read: of `count` links the first ones, all of them if `most` is `None` or not reached.
    pub fn read_cell(
        &mut self,
        at: CellAt,
        count: usize,
        most: Option<usize>,
        first: impl IntoIterator<Item = (ItemId, Row)>,
    ) {
        let mut known = Known {
            count,
            ..Known::default()
        };
        for (other, row) in first {
            known.head.insert((row.position(at.side), other));
            self.rows.insert(at.pair(other), Some(row));
        }
        if most.is_some_and(|most| known.head.len() >= most) {
            known.until = known.head.last().copied();
        }
        if let Some(before) = self.cells.remove(&at) {
            known.resting = before.resting;
        }
        self.cells.insert(at, known);
    }

    /// A link that is not live was read.
    pub fn read_resting(&mut self, at: CellAt, other: ItemId, row: Row) {
        self.rows.insert(at.pair(other), Some(row));
        let cell = self.cells.entry(at).or_insert_with(|| Known {
            resting_alone: true,
            ..Known::default()
        });
        cell.resting.insert(other);
    }

    /// A link was asked for, and is there or not.
    pub fn read_pair(&mut self, pair: Pair, row: Option<Row>) {
        self.rows.insert(pair, row);
    }

    pub fn read_title(&mut self, place: Place, title: Option<String>) {
        self.titles.insert(place, title);
    }

    /// How an item was called when it was read.
    pub fn title(&self, place: &Place) -> Option<String> {
        self.titles.get(place).cloned().flatten()
    }

    /// The links that a cell is known to have, in order: its first ones.
    pub fn members(&self, at: &CellAt) -> impl Iterator<Item = ItemId> {
        let known = self.cells.get(at);
        known
            .into_iter()
            .flat_map(|known| known.head.iter().map(|(_, item)| *item))
    }

    /// Whether all links of a cell are known.
    pub fn is_whole(&self, at: &CellAt) -> bool {
        self.cells.get(at).is_some_and(Known::is_whole)
    }

    /// Whether all links of a cell are known, or that there are more than `most`.
    pub fn is_known(&self, at: &CellAt, most: usize) -> bool {
        self.is_whole(at) || self.count(at) > most
    }

    /// How many links a cell has, as far as it was read.
    pub fn count(&self, at: &CellAt) -> usize {
        self.cells.get(at).map_or(0, |known| known.count)
    }

    pub fn is_read(&self, at: &CellAt) -> bool {
        let known = self.cells.get(at);
        known.is_some_and(|known| !known.resting_alone)
    }

    /// The links of a cell that are not live.
    pub fn resting(&self, at: &CellAt) -> impl Iterator<Item = ItemId> {
        let known = self.cells.get(at);
        known
            .into_iter()
            .flat_map(|known| known.resting.iter().copied())
    }

    /// All links that the group changed, as it leaves them.
    pub fn changed(&self) -> &BTreeMap<Pair, PlacedRow> {
        &self.changed
    }

    /// Takes a command's draft for what is known.
    pub fn take(&mut self, drafted: Drafted) {
        let rows = drafted.changed.iter();
        self.rows
            .extend(rows.map(|(pair, placed)| (*pair, placed.row)));
        self.cells.extend(drafted.cells);
        self.changed.extend(drafted.changed);
    }
}

/// What one command changes.
#[derive(Debug, Default)]
pub struct Drafted {
    cells: HashMap<CellAt, Known>,
    changed: BTreeMap<Pair, PlacedRow>,
}

impl Drafted {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}

/// A command under trial.
pub(super) struct Draft<'b> {
    base: &'b Book,
    drafted: Drafted,
}

/// What a command did to one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub added: Vec<ItemId>,
    pub removed: Vec<ItemId>,
    /// What stayed stands in another order.
    pub moved: bool,
}

impl<'b> Draft<'b> {
    pub(super) fn new(base: &'b Book) -> Self {
        Draft {
            base,
            drafted: Drafted::default(),
        }
    }

    pub(super) fn into_drafted(self) -> Drafted {
        self.drafted
    }

    pub(super) fn base(&self) -> &'b Book {
        self.base
    }

    pub(super) fn is_empty(&self) -> bool {
        self.drafted.changed.is_empty()
    }

    fn known(&self, at: &CellAt) -> Option<&Known> {
        let drafted = self.drafted.cells.get(at);
        drafted.or_else(|| self.base.cells.get(at))
    }

    /// A new item has no links.
    pub(super) fn born(&mut self, at: CellAt) {
        self.drafted.cells.insert(at, Known::default());
    }

    pub(super) fn count(&self, at: &CellAt) -> Result<usize, AppError> {
        self.known(at).map(|known| known.count).ok_or_else(unread)
    }

    /// The first links of a cell, in order, and how many there are.
    pub(super) fn shown(&self, at: &CellAt, most: usize) -> (Vec<ItemId>, usize) {
        let Some(known) = self.known(at) else {
            return (Vec::new(), 0);
        };
        let first = known.head.iter().take(most).map(|(_, item)| *item);
        (first.collect(), known.count)
    }

    /// The same before the command.
    pub(super) fn was_shown(&self, at: &CellAt, most: usize) -> (Vec<ItemId>, usize) {
        let Some(known) = self.base.cells.get(at) else {
            return (Vec::new(), 0);
        };
        let first = known.head.iter().take(most).map(|(_, item)| *item);
        (first.collect(), known.count)
    }

    /// All links of a cell, which must have been read whole.
    pub(super) fn all(&self, at: &CellAt) -> Result<Vec<ItemId>, AppError> {
        let known = self.known(at).filter(|known| known.is_whole());
        let known = known.ok_or_else(unread)?;
        Ok(known.head.iter().map(|(_, item)| *item).collect())
    }

    pub(super) fn resting(&self, at: &CellAt) -> Vec<ItemId> {
        let known = self.known(at);
        let mut resting: Vec<(i64, ItemId)> = known
            .into_iter()
            .flat_map(|known| &known.resting)
            .filter_map(|other| {
                let row = self.row(&at.pair(*other)).ok().flatten()?;
                Some((row.position(at.side), *other))
            })
            .collect();
        resting.sort_unstable();
        resting.into_iter().map(|(_, item)| item).collect()
    }

    /// A link's row. Where one of its cells is known whole, one that was not read is not there.
    pub(super) fn row(&self, pair: &Pair) -> Result<Option<Row>, AppError> {
        if let Some(placed) = self.drafted.changed.get(pair) {
            return Ok(placed.row);
        }
        if let Some(row) = self.base.rows.get(pair) {
            return Ok(*row);
        }
        let whole = |side| {
            let known = self.known(&pair.cell(side));
            known.is_some_and(Known::is_whole)
        };
        if whole(Side::From) || whole(Side::To) {
            Ok(None)
        } else {
            Err(unread())
        }
    }

    /// Writes a link as it stands from now on. `end` is either of its ends.
    pub(super) fn set(
        &mut self,
        end: &End,
        here: ItemId,
        there: ItemId,
        row: Option<Row>,
    ) -> Result<(), AppError> {
        let pair = end.pair(here, there);
        let before = self.row(&pair)?;
        for side in [Side::From, Side::To] {
            let at = pair.cell(side);
            let Some(known) = self.cell_mut(at) else {
                continue;
            };
            let other = pair.other(side);
            if let Some(before) = before {
                if before.live {
                    known.count = known.count.saturating_sub(1);
                    known.head.remove(&(before.position(side), other));
                } else {
                    known.resting.remove(&other);
                }
            }
            match row {
                Some(row) if row.live => {
                    let place = (row.position(side), other);
                    known.count += 1;
                    if known.until.is_none_or(|until| place <= until) {
                        known.head.insert(place);
                    }
                }
                Some(_) => drop(known.resting.insert(other)),
                None => {}
            }
        }
        let from = match end.side {
            Side::From => *end,
            Side::To => end.turned(),
        };
        self.drafted.changed.insert(pair, PlacedRow { row, from });
        Ok(())
    }

    fn cell_mut(&mut self, at: CellAt) -> Option<&mut Known> {
        if !self.drafted.cells.contains_key(&at) {
            let known = self.base.cells.get(&at)?.clone();
            self.drafted.cells.insert(at, known);
        }
        self.drafted.cells.get_mut(&at)
    }

    /// What the command did to each cell that a column shows, by the item's list.
    pub(super) fn diffs(&self) -> BTreeMap<(ListId, ItemId), BTreeMap<CellAt, Diff>> {
        type Moves = Vec<(i64, ItemId)>;
        let mut cells: BTreeMap<(ListId, CellAt), (Moves, Moves, bool)> = BTreeMap::new();
        for (pair, placed) in &self.drafted.changed {
            let before = self.base.rows.get(pair).copied().flatten();
            let before = before.filter(|row| row.live);
            let after = placed.row.filter(|row| row.live);
            for side in [Side::From, Side::To] {
                let end = match side {
                    Side::From => placed.from,
                    Side::To => placed.from.turned(),
                };
                if end.column.is_none() {
                    continue;
                }
                let cell = cells.entry((end.list, pair.cell(side))).or_default();
                let other = pair.other(side);
                match (before, after) {
                    (None, Some(row)) => cell.0.push((row.position(side), other)),
                    (Some(row), None) => cell.1.push((row.position(side), other)),
                    (Some(a), Some(b)) => cell.2 |= a.position(side) != b.position(side),
                    (None, None) => {}
                }
            }
        }
        let sorted = |mut moves: Moves| {
            moves.sort_unstable();
            moves.into_iter().map(|(_, item)| item).collect()
        };
        let mut diffs: BTreeMap<(ListId, ItemId), BTreeMap<CellAt, Diff>> = BTreeMap::new();
        for ((list, at), (added, removed, moved)) in cells {
            let diff = Diff {
                added: sorted(added),
                removed: sorted(removed),
                moved,
            };
            if diff != Diff::default() {
                diffs.entry((list, at.item)).or_default().insert(at, diff);
            }
        }
        diffs
    }
}

impl End {
    /// The same relation seen from the other end. Titles and what holds are not known there.
    pub(super) fn turned(&self) -> End {
        End {
            relation: self.relation,
            side: match self.side {
                Side::From => Side::To,
                Side::To => Side::From,
            },
            list: self.other_list,
            column: self.other_column,
            other_list: self.list,
            other_column: self.column,
            single: self.other_single,
            other_single: self.single,
            held: false,
            title: None,
        }
    }
}

fn unread() -> AppError {
    AppError::internal(std::io::Error::other("a cell of links was not read"))
}
