//! Reading what the log says of items: the `changes` entries of its events.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

use crate::domain::edit::RawValues;
use crate::domain::item::Place;
use crate::domain::log::Actor;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

use super::MAX_ENTRIES;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidKind {
    Created,
    Updated,
    Deleted,
    Restored,
}

/// What an entry says of one item. Columns stand by the keys that they had then.
#[derive(Clone, Debug, Deserialize)]
pub struct Said {
    pub kind: SaidKind,
    pub list: ListId,
    pub item: ItemId,
    pub version: i64,
    #[serde(default)]
    pub was: RawValues,
    #[serde(default)]
    pub links: BTreeMap<String, LinksSaid>,
    /// Items that this one took in.
    #[serde(default)]
    pub merged: Vec<ItemId>,
}

/// What became of a cell's links.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LinksSaid {
    #[serde(default)]
    pub added: Vec<ItemId>,
    #[serde(default)]
    pub removed: Vec<ItemId>,
    /// The whole cell before, where its order changed.
    #[serde(default)]
    pub was_order: Vec<ItemId>,
}

impl Said {
    pub fn place(&self) -> Place {
        (self.list, self.item)
    }
}

/// An entry with whose it is.
#[derive(Clone, Debug)]
pub struct Entry {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor: Actor,
    pub undoes: Option<i64>,
    pub said: Said,
}

/// Entries about items, or why they are not all there.
#[derive(Debug)]
pub enum Entries {
    /// Newest first.
    All(Vec<Entry>),
    /// What one of them said was erased.
    Erased,
    /// There are more than [`MAX_ENTRIES`].
    TooMany,
}

impl Entries {
    /// All of them; 410 where one was erased, 413 where there are too many.
    pub fn whole(self) -> Result<Vec<Entry>, AppError> {
        match self {
            Entries::All(entries) => Ok(entries),
            Entries::Erased => Err(AppError::gone("A part of what was said since was erased")),
            Entries::TooMany => Err(AppError::too_large(format!(
                "More than {MAX_ENTRIES} entries of the log lie between: ask for fewer items or a later \
                 position"
            ))),
        }
    }
}

/// The entries about each item, in their order.
pub fn by_item(entries: impl IntoIterator<Item = Entry>) -> HashMap<Place, Vec<Entry>> {
    let mut of_item: HashMap<Place, Vec<Entry>> = HashMap::new();
    for entry in entries {
        of_item.entry(entry.said.place()).or_default().push(entry);
    }
    of_item
}

/// Reads the entries of one event; `None` when one of them was erased. What stands in an item's history and
/// is not about its cells, as a comment, is left out.
pub fn read_entries<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> Option<Vec<Said>> {
    let mut said = Vec::new();
    for text in texts {
        said.extend(serde_json::from_str::<Said>(text?).ok());
    }
    Some(said)
}
