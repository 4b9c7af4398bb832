//! Reading what the log says of items: the `changes` entries of its events.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::domain::edit::RawValues;
use crate::domain::item::Place;
use crate::domain::log::Actor;
use crate::ids::{ItemId, ListId};

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
    pub set: RawValues,
    #[serde(default)]
    pub was: RawValues,
    #[serde(default)]
    pub links: BTreeMap<String, LinksSaid>,
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

/// Reads the entries of one event; `None` when one of them was erased. What stands in an item's history and
/// is not about its cells, as a comment, is left out.
pub fn read_entries<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> Option<Vec<Said>> {
    let mut said = Vec::new();
    for text in texts {
        said.extend(serde_json::from_str::<Said>(text?).ok());
    }
    Some(said)
}
