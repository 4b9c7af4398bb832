//! Sorts: the contract's `-ListPrice,City` read against a list's columns, the total order that it
//! means, and the positions in it at which pages end. Whatever else sorts (SQL, an index) must agree.
//!
//! # Order
//! By the first column, where that says equal by the second, and so on: as [`Column::compare`] says,
//! empty cells last in both directions; where all are equal, by the item's id, ascending whatever the
//! directions. A position carries the values by which it was sorted, so that it stays good when its
//! item changes or goes, and must fit into an address; texts therefore count with their first
//! [`SORTED_TEXT`] characters alone, which the columns of a sort share evenly.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::cell::{Cell, ColumnId};
use super::columns::{Column, ColumnSet, ColumnType};
use super::item::Item;
use crate::error::FieldError;
use crate::ids::ItemId;

/// So many characters of texts take part in the order, in all columns of a sort together.
pub const SORTED_TEXT: usize = 1_000;
/// By so many columns may be sorted.
pub const MAX_SORTED: usize = 5;

/// The order of a list's items. By default that of their ids, which is by age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// At most [`MAX_SORTED`] columns, none twice, the one that decides first in front.
    by: Vec<(ColumnId, Direction)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Where an item stands in the order of one sort.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// What stands in the sorted columns, texts cut to what is sorted of them.
    pub cells: Vec<Option<Cell>>,
    pub item: ItemId,
}

impl Sort {
    /// Reads keys of columns, each with a `-` in front for descending; none for the order of ids.
    /// The path of an error is `/sort`, its code `unknown_column`, `bad_sort`, `too_many` or `duplicate`.
    pub fn parse<'k>(
        keys: impl IntoIterator<Item = &'k str>,
        columns: &ColumnSet,
    ) -> Result<Sort, FieldError> {
        let mut sort = Sort::default();
        for key in keys {
            let (key, direction) = match key.strip_prefix('-') {
                Some(key) => (key, Direction::Descending),
                None => (key, Direction::Ascending),
            };
            let column = columns
                .by_key(key)
                .ok_or_else(|| error("unknown_column", format!("no column {key:?}")))?;
            if column.ty == ColumnType::Link {
                return Err(error("bad_sort", "items can't be sorted by their links"));
            }
            if sort.by.iter().any(|(id, _)| *id == column.id) {
                return Err(error("duplicate", format!("{key:?} stands there twice")));
            }
            if sort.by.len() == MAX_SORTED {
                return Err(error("too_many", format!("more than {MAX_SORTED} columns")));
            }
            sort.by.push((column.id, direction));
        }
        Ok(sort)
    }

    /// Whether no column is sorted by, only the items' ids.
    pub fn is_by_id(&self) -> bool {
        self.by.is_empty()
    }

    /// The columns by which is sorted, with their directions. One that the list doesn't have orders
    /// nothing.
    pub fn columns<'c>(
        &self,
        columns: &'c ColumnSet,
    ) -> impl Iterator<Item = (Option<&'c Column>, Direction)> {
        self.by
            .iter()
            .map(|(id, direction)| (columns.by_id(id), *direction))
    }

    /// So many characters of each text take part in the order.
    pub fn text_length(&self) -> usize {
        SORTED_TEXT / self.by.len().max(1)
    }

    /// Where an item stands.
    pub fn position(&self, columns: &ColumnSet, item: &Item) -> Position {
        let length = self.text_length();
        let cells = self
            .columns(columns)
            .map(|(column, _)| item.cell(column?))
            .map(|cell| cell.map(|cell| cut(cell.into_owned(), length)));
        Position {
            cells: cells.collect(),
            item: item.id,
        }
    }

    /// The order of two positions of this sort.
    pub fn compare(&self, columns: &ColumnSet, a: &Position, b: &Position) -> Ordering {
        self.columns(columns)
            .zip(a.cells.iter().zip(&b.cells))
            .map(|((column, direction), cells)| match (column, cells) {
                (Some(column), (Some(a), Some(b))) => direction.of(column.compare(a, b)),
                (_, (a, b)) => a.is_none().cmp(&b.is_none()),
            })
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.item.cmp(&b.item))
    }

    /// A position as bytes.
    pub fn write_position(&self, position: &Position) -> Vec<u8> {
        let mut stored = String::from("[");
        for (at, cell) in position.cells.iter().enumerate() {
            if at > 0 {
                stored.push(',');
            }
            match cell {
                Some(cell) => cell.write_stored(&mut stored),
                None => stored.push_str("null"),
            }
        }
        stored.push(']');
        let mut bytes = position.item.uuid().as_bytes().to_vec();
        bytes.extend_from_slice(stored.as_bytes());
        bytes
    }

    /// Reads what [`write_position`](Self::write_position) made; `None` when it no longer means
    /// anything, as when the choice at which it stood is gone.
    pub fn read_position(&self, columns: &ColumnSet, bytes: &[u8]) -> Option<Position> {
        let (id, stored) = bytes.split_at_checked(16)?;
        let item = ItemId(Uuid::from_slice(id).ok()?);
        let stored: Vec<&RawValue> = serde_json::from_slice(stored).ok()?;
        if stored.len() != self.by.len() {
            return None;
        }
        let cells = self
            .columns(columns)
            .zip(stored)
            .map(|((column, _), stored)| match stored.get() {
                "null" => Some(None),
                stored => {
                    let cell = column?.read_stored_cell(stored)?;
                    Some(Some(column?.shown(&cell)?.into_owned()))
                }
            });
        Some(Position {
            cells: cells.collect::<Option<_>>()?,
            item,
        })
    }
}

impl Direction {
    fn of(self, ascending: Ordering) -> Ordering {
        match self {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        }
    }
}

fn cut(cell: Cell, length: usize) -> Cell {
    match cell {
        Cell::Text(mut text) => {
            if let Some((end, _)) = text.char_indices().nth(length) {
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
            unique: false,
            default: None,
            position: 0,
            deleted: false,
            replaced: false,
        };
        ColumnSet::new((0..).zip(types).map(column).collect())
    }

    fn item(id: u128, text: Option<&str>) -> Item {
        numbered(id, text, None)
    }

    fn numbered(id: u128, text: Option<&str>, number: Option<i64>) -> Item {
        let text = text.map(|text| (ColumnId::nth(0).unwrap(), Cell::Text(text.to_owned())));
        let number = number.map(|number| (ColumnId::nth(1).unwrap(), Cell::Number(number.into())));
        let by = UserId(Uuid::nil());
        Item {
            id: ItemId(Uuid::from_u128(id)),
            version: 1,
            seq: 1,
            values: text.into_iter().chain(number).collect::<Values>(),
            created_at: DateTime::UNIX_EPOCH,
            created_by: by,
            updated_at: DateTime::UNIX_EPOCH,
            updated_by: by,
            deleted_at: None,
        }
    }

    fn sorted(keys: &str, items: &[Item]) -> Vec<u128> {
        let columns = columns();
        let sort = Sort::parse(keys.split(','), &columns).unwrap();
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
    fn what_is_equal_in_one_column_is_ordered_by_the_next() {
        let items = [
            numbered(1, Some("b"), Some(1)),
            numbered(2, Some("a"), None),
            numbered(3, None, Some(2)),
            numbered(4, Some("a"), Some(2)),
            numbered(5, Some("b"), Some(3)),
            numbered(6, Some("a"), Some(2)),
            numbered(7, None, None),
        ];
        assert_eq!(sorted("text,number", &items), [4, 6, 2, 1, 5, 3, 7]);
        assert_eq!(sorted("text,-number", &items), [4, 6, 2, 5, 1, 3, 7]);
        assert_eq!(sorted("-text,-number", &items), [5, 1, 4, 6, 2, 3, 7]);
        assert_eq!(sorted("-number,text", &items), [5, 4, 6, 3, 1, 2, 7]);
    }

    #[test]
    fn long_texts_count_with_their_beginning() {
        let long = |end: &str| format!("{}{end}", "é".repeat(SORTED_TEXT));
        let items = [item(2, Some(&long("a"))), item(1, Some(&long("b")))];
        assert_eq!(sorted("text", &items), [1, 2]);
        let half = |end: &str| format!("{}{end}", "é".repeat(SORTED_TEXT / 2));
        let items = [item(2, Some(&half("a"))), item(1, Some(&half("b")))];
        assert_eq!(sorted("text", &items), [2, 1]);
        assert_eq!(sorted("text,number", &items), [1, 2]);
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
        assert_eq!(code(&["text", "-text"]), "duplicate");
        assert_eq!(code(&["text", ""]), "unknown_column");
        assert!(Sort::parse(["text", "-number", "created_at"], &columns).is_ok());
    }

    #[test]
    fn five_columns_are_enough() {
        let columns = (0..6).map(|at| Column {
            id: ColumnId::nth(at).unwrap(),
            key: format!("K{at}"),
            ..columns().by_key("text").unwrap().clone()
        });
        let columns = ColumnSet::new(columns.collect());
        let keys = ["K0", "-K1", "K2", "K3", "K4", "K5"];
        assert!(Sort::parse(keys[..5].iter().copied(), &columns).is_ok());
        let error = Sort::parse(keys, &columns).unwrap_err();
        assert_eq!((error.path.as_str(), &*error.code), ("/sort", "too_many"));
    }

    #[test]
    fn a_position_at_a_choice_that_is_gone_is_none() {
        let columns = columns();
        let sort = Sort::parse(["single_select"], &columns).unwrap();
        let id = Uuid::from_u128(9).into_bytes();
        let at = |cell: &str| sort.read_position(&columns, &[&id, cell.as_bytes()].concat());
        assert!(at("[\"1\"]").is_some() && at("[null]").is_some());
        for gone in ["[\"7\"]", "[7]", "[]", "[null,null]", "", "\"1\""] {
            assert_eq!(at(gone), None, "{gone}");
        }
        assert_eq!(Sort::default().read_position(&columns, b"short"), None);
    }

    proptest! {
        #[test]
        fn a_written_position_is_read_back(text in "\\PC{0,1100}", id: u128, descending: bool) {
            let columns = columns();
            let key = if descending { "-text" } else { "text" };
            let sort = Sort::parse([key, "created_at", "number"], &columns).unwrap();
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
