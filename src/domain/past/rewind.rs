//! An item as it stood: rewound along the entries about it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Entry, SaidKind, Timeline};
use crate::domain::cell::{Cell, ColumnId, Links};
use crate::domain::columns::SHOWN_LINKS;
use crate::domain::edit::RawValues;
use crate::domain::item::Item;
use crate::domain::links::Pair;
use crate::domain::schema::List;
use crate::ids::{ItemId, ListId, UserId};

/// What an item was.
#[derive(Clone, Debug)]
pub enum Rewound {
    /// It had not been made.
    Unborn,
    /// It stood like this, in the trash perhaps.
    Stood(Item),
}

/// The change of an item that was its last one then.
#[derive(Clone, Copy, Debug)]
pub struct LastChange {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub by: UserId,
}

/// Rewinds an item through the entries about it since, newest first. `present` bears the links that it shows
/// now. `last` is the newest change that was not rewound; none where none is known.
pub fn rewind(
    present: &Item,
    list: ListId,
    since: &[Entry],
    last: Option<LastChange>,
    timeline: &Timeline,
) -> Rewound {
    let mut item = present.clone();
    for entry in since {
        let said = &entry.said;
        item.version = said.version.saturating_sub(1);
        let schema = timeline.at(entry.seq);
        let Some(then) = schema.lists.get(&list) else {
            continue;
        };
        put_back(&mut item, then, &said.was);
        match said.kind {
            SaidKind::Created => return Rewound::Unborn,
            SaidKind::Updated => {}
            SaidKind::Deleted => {
                item.deleted_at = None;
                for (key, links) in &said.links {
                    if let Some(column) = then.columns.by_key(key) {
                        let all = links.removed.clone();
                        put_links(&mut item, column.id, all.len(), all);
                    }
                }
            }
            SaidKind::Restored => item.deleted_at = Some(entry.at),
        }
    }
    if let (Some(last), false) = (last, since.is_empty()) {
        item.seq = last.seq;
        item.updated_at = last.at;
        item.updated_by = last.by;
    }
    Rewound::Stood(item)
}

fn put_back(item: &mut Item, list: &List, was: &RawValues) {
    for (key, raw) in &was.0 {
        let Some(column) = list.columns.by_key(key) else {
            continue;
        };
        match column.read_wire_cell(raw.get()) {
            Some(Cell::Links(links)) => {
                let count = was.count_of(key).unwrap_or(links.count);
                put_links(item, column.id, count, links.ids().collect());
            }
            Some(cell) => drop(item.values.insert(column.id, cell)),
            None => drop(item.values.remove(&column.id)),
        }
    }
}

fn put_links(item: &mut Item, column: ColumnId, count: usize, mut ids: Vec<ItemId>) {
    ids.truncate(SHOWN_LINKS);
    let links = Links {
        count,
        ..Links::of(ids)
    };
    match count {
        0 => drop(item.values.remove(&column)),
        _ => drop(item.values.insert(column, Cell::Links(links))),
    }
}

impl RawValues {
    /// How many links the cell of that key had.
    fn count_of(&self, key: &str) -> Option<usize> {
        let counted = |name: &str| name.strip_suffix("__count") == Some(key);
        let (_, raw) = self.0.iter().find(|(name, _)| counted(name))?;
        raw.get().parse().ok()
    }
}

/// The links that the entries name, newest first, and whether each was there before all of them.
pub fn pairs_then<'e>(
    entries: impl IntoIterator<Item = &'e Entry>,
    timeline: &Timeline,
) -> BTreeMap<Pair, bool> {
    let mut pairs = BTreeMap::new();
    for entry in entries {
        let (list, item) = entry.said.place();
        let schema = timeline.at(entry.seq);
        let Some(columns) = schema.lists.get(&list).map(|list| &list.columns) else {
            continue;
        };
        for (key, links) in &entry.said.links {
            let column = columns.by_key(key);
            let Some(end) = column.and_then(|column| schema.end_of(list, column.id)) else {
                continue;
            };
            for id in &links.added {
                pairs.insert(end.pair(item, *id), false);
            }
            for id in &links.removed {
                pairs.insert(end.pair(item, *id), true);
            }
        }
    }
    pairs
}
