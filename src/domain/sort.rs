//! Sorts: the contract's `-ListPrice,City` read against a list's columns, the total order that it
//! means, and the positions in it at which pages end. Whatever else sorts (SQL, an index) must agree.
//!
//! # Order
//! As [`Column::compare`] says; empty cells last in both directions; where cells are equal, by the
//! item's id, in both directions ascending. A position carries the value by which it was sorted, so
//! that it stays good when its item changes or goes, and must fit into an address; texts therefore
//! count with their first [`SORTED_TEXT`] characters alone, and ties beyond them fall to the id.

use std::borrow::Cow;
use std::cmp::Ordering;

use uuid::Uuid;

use super::cell::{Cell, ColumnId};
use super::columns::{Column, ColumnSet, ColumnType};
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
    /// The path of an error is `/sort`, its code `unknown_column`, `bad_sort` or `not_built`.
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
        if column.ty == ColumnType::Link {
            return Err(error("bad_sort", "items can't be sorted by their links"));
        }
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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::cell::Values;
    use crate::domain::columns::{ColumnType, Options};
    use crate::ids::UserId;

    fn columns() -> ColumnSet {
        let choices = json!({"choices": [{"name": "B"}, {"name": "A"}]});
        let types = [
            ColumnType::Text,
            ColumnType::Number,
            ColumnType::SingleSelect,
            ColumnType::CreatedAt,
        ];
        let column = |(at, ty): (u32, ColumnType)| Column {
            id: ColumnId::nth(at).unwrap(),
            key: ty.as_str().to_owned(),
            name: ty.as_str().to_owned(),
            ty,
            options: match ty {
                _ if ty.is_select() => Options::from_json(ty, &choices, None).unwrap(),
                _ => Options::default(),
            },
            required: false,
            default: None,
            position: 0,
            deleted: false,
        };
        ColumnSet::new((0..).zip(types).map(column).collect())
    }

    fn item(id: u128, text: Option<&str>) -> Item {
        let cell = text.map(|text| (ColumnId::nth(0).unwrap(), Cell::Text(text.to_owned())));
        let by = UserId(Uuid::nil());
        Item {
            id: ItemId(Uuid::from_u128(id)),
            version: 1,
            seq: 1,
            values: cell.into_iter().collect::<Values>(),
            created_at: DateTime::UNIX_EPOCH,
            created_by: by,
            updated_at: DateTime::UNIX_EPOCH,
            updated_by: by,
            deleted_at: None,
        }
    }

    fn sorted(key: &str, items: &[Item]) -> Vec<u128> {
        let columns = columns();
        let sort = Sort::parse([key], &columns).unwrap();
        let mut positions: Vec<_> = items
            .iter()
            .map(|item| sort.position(&columns, item))
            .collect();
        positions.sort_by(|a, b| sort.compare(&columns, a, b));
        positions
            .iter()
            .map(|position| position.item.uuid().as_u128())
            .collect()
    }

    #[test]
    fn empty_cells_stand_last_and_ids_break_ties_both_ways() {
        let items = [
            item(6, None),
            item(5, Some("b")),
            item(4, Some("a")),
            item(3, Some("b")),
            item(2, Some("A")),
            item(1, None),
        ];
        assert_eq!(sorted("text", &items), [2, 4, 3, 5, 1, 6]);
        assert_eq!(sorted("-text", &items), [3, 5, 4, 2, 1, 6]);
    }

    #[test]
    fn long_texts_count_with_their_beginning() {
        let long = |end: &str| format!("{}{end}", "é".repeat(SORTED_TEXT));
        let items = [item(2, Some(&long("a"))), item(1, Some(&long("b")))];
        assert_eq!(sorted("text", &items), [1, 2]);
    }

    #[test]
    fn what_is_no_sort_is_refused() {
        let columns = columns();
        let code = |keys: &[&str]| {
            let error = Sort::parse(keys.iter().copied(), &columns).unwrap_err();
            assert_eq!(error.path, "/sort");
            error.code
        };
        assert_eq!(Sort::parse([], &columns).unwrap(), Sort::default());
        assert_eq!(code(&["Text"]), "unknown_column");
        assert_eq!(code(&["--text"]), "unknown_column");
        assert_eq!(code(&[""]), "unknown_column");
        assert_eq!(code(&["text", "-number"]), "not_built");
    }

    #[test]
    fn a_position_at_a_choice_that_is_gone_is_none() {
        let columns = columns();
        let sort = Sort::parse(["single_select"], &columns).unwrap();
        let id = Uuid::from_u128(9).into_bytes();
        let at = |cell: &str| sort.read_position(&columns, &[&id, cell.as_bytes()].concat());
        assert!(at("\"1\"").is_some() && at("").is_some());
        assert_eq!(at("\"7\""), None);
        assert_eq!(at("7"), None);
        assert_eq!(Sort::default().read_position(&columns, b"short"), None);
    }

    proptest! {
        #[test]
        fn a_written_position_is_read_back(text in "\\PC{0,1100}", id: u128, descending: bool) {
            let columns = columns();
            let key = if descending { "-text" } else { "text" };
            let sort = Sort::parse([key], &columns).unwrap();
            let text = Some(text.as_str()).filter(|text| !text.is_empty());
            let position = sort.position(&columns, &item(id, text));
            let bytes = sort.write_position(&position);
            prop_assert_eq!(sort.read_position(&columns, &bytes), Some(position));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let columns = columns();
            for key in ["text", "-number", "single_select", "created_at"] {
                let _ = Sort::parse([key], &columns).unwrap().read_position(&columns, &bytes);
            }
        }
    }
}
