//! Undo and redo: which change is meant, what takes it back, and what stands in its way. Pure; the log says
//! what happened, and nothing else is asked or kept.
//!
//! # Which change
//! Each person has a stack, which is the log read backwards: a change that something of its author's `undoes`
//! is skipped, and so is whatever undoes. Undoing takes the newest change that is left; redoing the newest
//! undoing since the author's last change of another kind, by undoing that. What can't be undone (members,
//! invitations, tokens, the workspace itself, jobs) is skipped, and refused where it is named.
//!
//! # What takes it back
//! Of items and links a [`Compensation`](super::edit::Compensation), judged as any command is. Of lists,
//! columns, views and comments the opposite command, judged as if it had been sent: who may not do it now may
//! not undo it either.
//!
//! # What stands in its way
//! A cell that was written since, a link that was made or taken since, an item that was put into the trash or
//! out of it since, a column that went. Changes that were undone, and what undid them, don't count. All or
//! nothing: one obstacle refuses the whole, and up to [`MAX_OBSTACLES`] are listed.

mod items;
mod restore;
mod schema;
mod stack;

use serde_json::{Value, json};

pub use items::{Since, Undone, by_people, changed_since, standing, take_back};
pub use restore::{Both, bring_back, linked_places};
pub use schema::{Later, Reshape, Reshaped, take_back_schema};
pub use stack::{NothingLeft, Own, Reading, Wanted, newest};

use super::cell::ColumnId;
use super::log::Actor;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

/// Obstacles that a refusal lists at most.
pub const MAX_OBSTACLES: usize = 100;

/// Something that was changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub list: Option<ListId>,
    pub item: Option<ItemId>,
    /// The key of the column; none where the thing as a whole was changed.
    pub column: Option<String>,
    pub actor: Actor,
    pub seq: i64,
}

/// 409, with what was changed since: `current.changed`.
pub fn refused(obstacles: &[Obstacle]) -> AppError {
    let told: Vec<Value> = obstacles
        .iter()
        .map(|obstacle| {
            json!({
                "list": obstacle.list, "item": obstacle.item, "column": obstacle.column,
                "actor": {obstacle.actor.kind(): obstacle.actor.id()}, "seq": obstacle.seq,
            })
        })
        .collect();
    let current = json!({"changed": told}).to_string();
    let error = AppError::conflict("What this change touched has been changed since");
    error.at("/seq", "changed_since").with_current(current)
}

/// Whether the log's kind of change can be undone.
pub fn is_undoable(kind: &str) -> bool {
    match kind.split_once('.') {
        Some(("items", what)) => ["changed", "merged"].contains(&what),
        Some(("links", what)) => what == "changed",
        Some(("list" | "column" | "comment", _)) => true,
        Some(("view", what)) => !what.starts_with("link_"),
        _ => false,
    }
}

/// 409: of a kind that is not undone, or from before its log kept what it takes.
pub fn not_undoable(detail: &'static str) -> AppError {
    AppError::conflict(detail).at("/seq", "not_undoable")
}

/// A column as it stands now, by the id that it always had.
fn living_column(list: &super::schema::List, id: ColumnId) -> Option<&super::columns::Column> {
    list.columns.by_id(&id).filter(|column| !column.deleted)
}

/// Whether a cell that once stood in a column may stand in it as that is now.
fn fits(column: &super::columns::Column, cell: Option<&super::cell::Cell>) -> bool {
    let Some(cell) = cell else { return true };
    let mut stored = String::new();
    cell.write_stored(&mut stored);
    column.read_stored_cell(&stored).as_ref() == Some(cell)
        && column.shown(cell).as_deref() == Some(cell)
}
