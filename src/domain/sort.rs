//! Sorts: the contract's `-ListPrice,City` read against a list's columns, the total order that it
//! means, and the positions in it at which pages end. Whatever else sorts (SQL, an index) must agree.
//!
//! # Order
//! As [`Column::compare`] says; empty cells last in both directions; where cells are equal, by the
//! item's id, in both directions ascending. A position carries the value by which it was sorted, so
//! that it stays good when its item changes or goes; texts therefore count with their first
//! [`SORTED_TEXT`] characters alone.

use std::borrow::Cow;
use std::cmp::Ordering;

use uuid::Uuid;

use super::cell::{Cell, ColumnId};
use super::columns::{Column, ColumnSet};
use super::item::Item;
use crate::error::FieldError;
use crate::ids::ItemId;

/// So many characters of a text take part in the order.
pub const SORTED_TEXT: usize = 1_000;

/// The order of a list's items. By default that of their ids, which is by age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    pub by: Option<(ColumnId, Direction)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Where an item stands in the order of one sort.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// What stands in the sorted column, a text cut after [`SORTED_TEXT`] characters.
    pub cell: Option<Cell>,
    pub item: ItemId,
}

impl Sort {
    /// Reads keys of columns, each with a `-` in front for descending; none for the order of ids.
    /// The path of an error is `/sort`, its code `unknown_column` or `not_built`.
    pub fn parse<'k>(
        keys: impl IntoIterator<Item = &'k str>,
        columns: &ColumnSet,
    ) -> Result<Sort, FieldError> {
        let mut keys = keys.into_iter();
        let Some(first) = keys.next() else {
            return Ok(Sort::default());
        };
        let (key, direction) = match first.strip_prefix('-') {
            Some(key) => (key, Direction::Descending),
            None => (first, Direction::Ascending),
        };
        let column = columns
            .by_key(key)
            .ok_or_else(|| error("unknown_column", format!("no column {key:?}")))?;
        match keys.next() {
            None => Ok(Sort {
                by: Some((column.id, direction)),
            }),
            Some(_) => Err(error(
                "not_built",
                "sorting by more than one column is not built yet",
            )),
        }
    }

    /// Where an item stands.
    pub fn position(&self, columns: &ColumnSet, item: &Item) -> Position {
        let cell = self.column(columns).and_then(|column| item.cell(column));
        Position {
            cell: cell.map(|cell| cut(cell.into_owned())),
            item: item.id,
        }
    }

    /// The order of two positions of this sort.
    pub fn compare(&self, columns: &ColumnSet, a: &Position, b: &Position) -> Ordering {
        let by_cell = match (self.column(columns), &a.cell, &b.cell) {
            (Some(column), Some(a), Some(b)) => self.directed(column.compare(a, b)),
            (_, a, b) => a.is_none().cmp(&b.is_none()),
        };
        by_cell.then(a.item.cmp(&b.item))
    }

    /// A position as bytes.
    pub fn write_position(&self, position: &Position) -> Vec<u8> {
        let mut stored = String::new();
        if let Some(cell) = &position.cell {
            cell.write_stored(&mut stored);
        }
        let mut bytes = position.item.uuid().as_bytes().to_vec();
        bytes.extend_from_slice(stored.as_bytes());
        bytes
    }

    /// Reads what [`write_position`](Self::write_position) made; `None` when it no longer means
    /// anything, as when the choice at which it stood is gone.
    pub fn read_position(&self, columns: &ColumnSet, bytes: &[u8]) -> Option<Position> {
        let (id, stored) = bytes.split_at_checked(16)?;
        let item = ItemId(Uuid::from_slice(id).ok()?);
        if stored.is_empty() {
            return Some(Position { cell: None, item });
        }
        let column = self.column(columns)?;
        let cell = column.read_stored_cell(std::str::from_utf8(stored).ok()?)?;
        let shown = column.shown(&cell)?.into_owned();
        Some(Position {
            cell: Some(shown),
            item,
        })
    }

    /// The column by which is sorted.
    pub fn column<'c>(&self, columns: &'c ColumnSet) -> Option<&'c Column> {
        self.by.and_then(|(id, _)| columns.by_id(&id))
    }

    fn directed(&self, order: Ordering) -> Ordering {
        match self.by {
            Some((_, Direction::Descending)) => order.reverse(),
            _ => order,
        }
    }
}

fn cut(cell: Cell) -> Cell {
    match cell {
        Cell::Text(mut text) => {
            if let Some((end, _)) = text.char_indices().nth(SORTED_TEXT) {
                text.truncate(end);
            }
            Cell::Text(text)
        }
        other => other,
    }
}

fn error(code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError {
        path: "/sort".to_owned(),
        code: Cow::Borrowed(code),
        message: message.into(),
    }
}
