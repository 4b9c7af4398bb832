//! An item's cells as clients see them: keyed by column key, in column order, choices by name.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::json::{self, Token};
use super::{Column, ColumnSet, ColumnType, user};
use crate::domain::cell::{Cell, ChoiceId, Linked, Links, Values};
use crate::ids::{ItemId, UserId};

/// Who made and last changed an item, and when: the source of the columns that are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    pub created_at: DateTime<Utc>,
    /// `None` when no person did it.
    pub created_by: Option<UserId>,
    pub updated_at: DateTime<Utc>,
    pub updated_by: Option<UserId>,
}

impl Stamps {
    /// The cell of a column that is not stored; `None` for every other type.
    pub fn cell(&self, ty: ColumnType) -> Option<Cell> {
        match ty {
            ColumnType::CreatedAt => Some(Cell::DateTime(self.created_at)),
            ColumnType::UpdatedAt => Some(Cell::DateTime(self.updated_at)),
            ColumnType::CreatedBy => self.created_by.map(|user| Cell::Users(vec![user])),
            ColumnType::UpdatedBy => self.updated_by.map(|user| Cell::Users(vec![user])),
            _ => None,
        }
    }
}

/// Appends the `values` object of an item: its stored cells.
pub fn write_wire(columns: &ColumnSet, values: &Values, out: &mut String) {
    write_cells(columns, values, None, out);
}

/// Appends the `values` object of an item, with the columns that show its stamps.
pub fn write_wire_stamped(columns: &ColumnSet, values: &Values, stamps: &Stamps, out: &mut String) {
    write_cells(columns, values, Some(stamps), out);
}

fn write_cells(columns: &ColumnSet, values: &Values, stamps: Option<&Stamps>, out: &mut String) {
    out.push('{');
    let mut separator = "";
    for column in columns.iter() {
        let computed = stamps.and_then(|stamps| stamps.cell(column.ty));
        let Some(cell) = computed
            .as_ref()
            .or_else(|| values.get(&column.id))
            .filter(|cell| column.shows(cell))
        else {
            continue;
        };
        out.push_str(separator);
        json::write_plain(&column.key, out);
        out.push(':');
        column.write_wire_cell(cell, out);
        if let Cell::Links(links) = cell {
            write_count(&column.key, links.count, out);
        }
        separator = ",";
    }
    out.push('}');
}

/// Appends how many links a cell has, beside those that are shown.
fn write_count(key: &str, count: usize, out: &mut String) {
    json::write_formatted(format_args!(r#","{key}__count":{count}"#), out);
}

/// A link as the log keeps it.
#[derive(Deserialize)]
struct LinkedId {
    id: ItemId,
}

impl Linked {
    /// Appends `{"id","title"}`, with the `item` where it was asked for.
    pub fn write_wire(&self, out: &mut String) {
        // By hand: a page may show thousands.
        out.push_str(r#"{"id":""#);
        let mut id = Uuid::encode_buffer();
        out.push_str(self.id.uuid().as_hyphenated().encode_lower(&mut id));
        out.push_str(r#"","title":"#);
        match &self.title {
            Some(title) => json::write_text(title, out),
            None => out.push_str("null"),
        }
        if let Some(item) = &self.item {
            json::write_formatted(format_args!(r#","item":{item}"#), out);
        }
        out.push('}');
    }
}

impl Column {
    /// Appends the JSON of a cell. A choice that the column no longer has is left out (`null` where
    /// it is the only one).
    pub fn write_wire_cell(&self, cell: &Cell, out: &mut String) {
        match cell {
            Cell::Choice(id) => match self.options.choices.by_id(*id) {
                Some(choice) => json::write_text(&choice.name, out),
                None => out.push_str("null"),
            },
            Cell::Choices(ids) => {
                let known: Vec<_> = ids
                    .iter()
                    .filter_map(|id| self.options.choices.by_id(*id))
                    .collect();
                json::write_array(&known, out, |choice, out| {
                    json::write_text(&choice.name, out)
                });
            }
            Cell::Users(users) => match users.as_slice() {
                // A second user is never hidden, even if the column holds one at most by now.
                [user] if !self.options.multiple => json::write_user(*user, out),
                users => json::write_array(users, out, |user, out| json::write_user(*user, out)),
            },
            Cell::Links(links) => json::write_array(&links.first, out, Linked::write_wire),
            other => other.write_stored(out),
        }
    }

    /// Reads a cell as it was written for the wire when the column stood as it does here: by no rule but its
    /// kind, for it was checked on its way in. `None` when it is empty or of another kind.
    pub fn read_wire_cell(&self, raw: &str) -> Option<Cell> {
        match (self.ty, json::token(raw)) {
            (ColumnType::SingleSelect, Token::Text(name)) => {
                let choice = self.options.choices.by_name(&name)?;
                Some(Cell::Choice(choice.id))
            }
            (ColumnType::MultiSelect, Token::Array(raw)) => {
                let mut ids = Vec::new();
                let known = |name: &str| self.options.choices.by_name(name);
                json::each_text(raw, |name| {
                    ids.extend(known(name).map(|choice| choice.id));
                    true
                })
                .ok()?;
                (!ids.is_empty()).then_some(Cell::Choices(ids))
            }
            (ColumnType::User, Token::Text(text)) => {
                user::read(&text).map(|id| Cell::Users(vec![id]))
            }
            (ColumnType::Link, Token::Array(raw)) => {
                let linked: Vec<LinkedId> = serde_json::from_str(raw).ok()?;
                let ids: Vec<ItemId> = linked.into_iter().map(|linked| linked.id).collect();
                (!ids.is_empty()).then(|| Cell::Links(Links::of(ids)))
            }
            _ => self.read_stored_cell(raw),
        }
    }

    /// The cell as people see it, without choices that the column no longer has; `None` when
    /// nothing is left, or an error stands for it. That counts as empty in filters and sorts too.
    pub fn shown<'a>(&self, cell: &'a Cell) -> Option<Cow<'a, Cell>> {
        let known = |id: &ChoiceId| self.options.choices.by_id(*id).is_some();
        match cell {
            Cell::Choice(id) => known(id).then_some(Cow::Borrowed(cell)),
            Cell::Choices(ids) if !ids.iter().all(known) => {
                let left: Vec<_> = ids.iter().copied().filter(known).collect();
                (!left.is_empty()).then_some(Cow::Owned(Cell::Choices(left)))
            }
            Cell::Fault(_) => None,
            _ => Some(Cow::Borrowed(cell)),
        }
    }

    /// Whether anything of the cell is left to show.
    fn shows(&self, cell: &Cell) -> bool {
        let known = |id| self.options.choices.by_id(id).is_some();
        match cell {
            Cell::Choice(id) => known(*id),
            Cell::Choices(ids) => ids.iter().any(|id| known(*id)),
            _ => true,
        }
    }
}
