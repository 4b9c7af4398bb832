//! An item: a row of a list, and how it looks on the wire. Pure; who may change it and how is
//! `edit`'s.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};

use super::cell::{Cell, ColumnId, Values};
use super::columns::{Column, ColumnType, Stamps, write_wire_stamped};
use super::schema::List;
use crate::ids::{ItemId, ListId, UserId};

/// A row of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub id: ItemId,
    /// Counts this item's changes, from 1.
    pub version: i64,
    /// The position in the log of its last change.
    pub seq: i64,
    pub values: Values,
    pub created_at: DateTime<Utc>,
    pub created_by: UserId,
    pub updated_at: DateTime<Utc>,
    pub updated_by: UserId,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Item {
    /// Appends the item as JSON: `{"id","list_id","version","seq","values",…}`.
    pub fn write_wire(&self, list: &List, out: &mut String) {
        // Writing to a String can't fail.
        let _ = write!(
            out,
            r#"{{"id":"{}","list_id":"{}","version":{},"seq":{},"values":"#,
            self.id, list.id, self.version, self.seq
        );
        write_wire_stamped(&list.columns, &self.values, &self.stamps(), out);
        let _ = write!(
            out,
            r#","created_at":"{}","created_by":"{}","updated_at":"{}","updated_by":"{}""#,
            time(self.created_at),
            self.created_by,
            time(self.updated_at),
            self.updated_by
        );
        if let Some(deleted_at) = self.deleted_at {
            let _ = write!(out, r#","deleted_at":"{}""#, time(deleted_at));
        }
        out.push('}');
    }

    /// The item as JSON.
    pub fn to_wire(&self, list: &List) -> String {
        let mut out = String::with_capacity(512);
        self.write_wire(list, &mut out);
        out
    }

    /// What stands in a column of this item, its own times and people too; `None` when empty.
    pub fn cell(&self, column: &Column) -> Option<Cow<'_, Cell>> {
        if column.ty.is_stored() || column.ty == ColumnType::Link {
            self.values
                .get(&column.id)
                .and_then(|cell| column.shown(cell))
        } else {
            self.stamps().cell(column.ty).map(Cow::Owned)
        }
    }

    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let cell = size_of::<ColumnId>() + size_of::<Cell>();
        let cells = self.values.values().map(|value| cell + value.heap());
        size_of::<Item>() + cells.sum::<usize>()
    }

    /// How the item is called: what stands in its list's first text column.
    pub fn title(&self, list: &List) -> Option<&str> {
        match self.values.get(&list.title_column()?.id)? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    fn stamps(&self) -> Stamps {
        Stamps {
            created_at: self.created_at,
            created_by: Some(self.created_by),
            updated_at: self.updated_at,
            updated_by: Some(self.updated_by),
        }
    }
}

/// RFC 3339 in UTC, microseconds.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Where an item stands: its list and its id.
pub type Place = (ListId, ItemId);
