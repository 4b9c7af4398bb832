//! Unique columns: which item holds which value. A living item holds the values of its unique cells; one in
//! the trash holds none. Judged over what the group has moved so far, and written with it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::cell::{Cell, ColumnId, Values};
use super::columns::{Column, ColumnType};
use super::edit::{Act, ItemCommand, RawValues, parse_alone};
use super::fold::folded;
use super::item::{Item, Place};
use super::log::Hash;
use super::schema::{List, Schema};
use crate::error::{AppError, ErrorCode, FieldError};
use crate::ids::{ItemId, ListId};

/// Values that a refusal lists at most.
const MAX_TAKEN: usize = 100;

/// The code of a value that another item holds.
pub const NOT_UNIQUE: &str = "not_unique";

/// A value of a unique column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub list: ListId,
    pub column: ColumnId,
    /// Of the value as it compares.
    pub hash: Hash,
}

impl Key {
    /// As `estatebase.unique_key` in the database makes it of the stored cell.
    pub fn of(list: ListId, column: ColumnId, cell: &Cell) -> Key {
        let mut stored = String::new();
        let text = match cell {
            Cell::Text(text) => text.as_str(),
            other => {
                other.write_stored(&mut stored);
                stored.trim_matches('"')
            }
        };
        Key {
            list,
            column,
            hash: Sha256::digest(folded(text).as_bytes()).into(),
        }
    }
}

/// A value that changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub key: Key,
    /// Whether an item held it before.
    pub was_held: bool,
    /// Who holds it after.
    pub holder: Option<ItemId>,
}

/// Who holds what, as far as it was asked for, and as the commands so far leave it.
#[derive(Debug, Default)]
pub struct Holders {
    /// Of each value that was asked for.
    asked: HashMap<Key, Option<ItemId>>,
    moved: Handed,
}

/// Values that change hands, with who holds them then.
pub type Handed = BTreeMap<Key, Option<ItemId>>;

impl Holders {
    /// As the database has them.
    pub fn asked(asked: HashMap<Key, Option<ItemId>>) -> Holders {
        Holders {
            asked,
            moved: Handed::new(),
        }
    }

    fn of(&self, key: &Key) -> Option<ItemId> {
        let moved = self.moved.get(key).or_else(|| self.asked.get(key));
        moved.copied().flatten()
    }

    /// What a command moved counts for those behind it.
    pub fn take(&mut self, handed: Handed) {
        self.moved.extend(handed);
    }

    /// All that changed hands. What is let go is not asked for: somebody held it.
    pub fn moved(&self) -> impl Iterator<Item = Moved> {
        self.moved.iter().map(|(key, holder)| Moved {
            key: *key,
            was_held: self.asked.get(key).is_none_or(Option::is_some),
            holder: *holder,
        })
    }
}

/// The unique columns of a list.
pub fn unique_columns(list: &List) -> impl Iterator<Item = &Column> {
    list.columns.iter().filter(|column| column.unique)
}

/// What a living item with these values holds.
pub fn keys<'l>(list: &'l List, values: &Values) -> impl Iterator<Item = (&'l Column, Key)> {
    unique_columns(list).filter_map(move |column| {
        let cell = values.get(&column.id)?;
        Some((column, Key::of(list.id, column.id, cell)))
    })
}

/// What a command may come to hold, so that it is asked for before it is judged. `items` are those that it
/// names, as they stand.
pub fn claims(
    schema: &Schema,
    command: &ItemCommand,
    items: &HashMap<Place, Arc<Item>>,
) -> BTreeSet<Key> {
    let mut claimed = BTreeSet::new();
    let Some(list) = schema.live(command.list()) else {
        return claimed;
    };
    if unique_columns(list).next().is_none() {
        return claimed;
    }
    let stored = |id: &ItemId| {
        let item = items.get(&(list.id, *id));
        item.into_iter()
            .flat_map(|item| keys(list, &item.values).map(|(_, key)| key))
    };
    match command {
        ItemCommand::Create {
            items, typecast, ..
        } => {
            let values = items.iter().map(|item| &item.values);
            claimed.extend(values.flat_map(|values| written(list, values, *typecast)));
        }
        ItemCommand::Update {
            items, typecast, ..
        } => {
            let values = items.iter().map(|item| &item.values);
            claimed.extend(values.flat_map(|values| written(list, values, *typecast)));
        }
        ItemCommand::Restore { ids, .. } => claimed.extend(ids.iter().flat_map(stored)),
        ItemCommand::Merge { what, .. } => {
            claimed.extend(written(list, &what.values, false));
            claimed.extend(what.merge.iter().flat_map(stored));
        }
        ItemCommand::Compensate(what) => {
            claimed.extend(what.of(Act::Restore).iter().flat_map(stored));
            for (id, cell) in what.steps.iter().flat_map(|step| &step.cells) {
                let unique = unique_columns(list).any(|column| column.id == *id);
                claimed.extend(
                    cell.iter()
                        .filter(|_| unique)
                        .map(|cell| Key::of(list.id, *id, cell)),
                );
            }
        }
        ItemCommand::Delete { .. } | ItemCommand::Links { .. } => {}
    }
    claimed
}

/// What cells would hold that can be read.
fn written(list: &List, values: &RawValues, typecast: bool) -> impl Iterator<Item = Key> {
    values.0.iter().filter_map(move |(key, raw)| {
        let column = list.columns.by_key(key).filter(|column| column.unique)?;
        let cell = parse_alone(column, raw, typecast)?;
        Some(Key::of(list.id, column.id, &cell))
    })
}

/// What changes hands when items of a list, each with how it stood, stand like this; or which values are
/// taken. All is let go before anything is taken: two items may swap.
pub fn hand_over<'a>(
    list: &List,
    holders: &Holders,
    items: impl Iterator<Item = (Option<&'a Item>, &'a Item)> + Clone,
) -> Result<Handed, AppError> {
    let mut handed = Handed::new();
    if unique_columns(list).next().is_none() {
        return Ok(handed);
    }
    let held = |item: Option<&Item>| -> BTreeSet<Key> {
        let living = item.filter(|item| item.deleted_at.is_none());
        let keys = living
            .into_iter()
            .flat_map(|item| keys(list, &item.values).map(|(_, key)| key));
        keys.collect()
    };
    for (before, after) in items.clone() {
        let kept = held(Some(after));
        let gone = held(before).into_iter().filter(|key| !kept.contains(key));
        handed.extend(gone.map(|key| (key, None)));
    }
    let mut taken = Vec::new();
    for (index, (before, after)) in items.enumerate() {
        if after.deleted_at.is_some() {
            continue;
        }
        let had = held(before);
        for (column, key) in keys(list, &after.values).filter(|(_, key)| !had.contains(key)) {
            let holder = match handed.get(&key) {
                Some(holder) => *holder,
                None => holders.of(&key),
            };
            match holder.filter(|holder| *holder != after.id) {
                Some(holder) if taken.len() < MAX_TAKEN => {
                    taken.push((index, column.key.clone(), holder));
                }
                Some(_) => {}
                None => {
                    handed.insert(key, Some(after.id));
                }
            }
        }
    }
    match taken.as_slice() {
        [] => Ok(handed),
        taken => Err(refused(taken)),
    }
}

/// New rows of a list, each on its own: what those come to hold that may stand, and by their index the others,
/// with the columns of which another item, or a row before, holds the value.
pub fn hand_out<'a>(
    list: &'a List,
    holders: &Holders,
    rows: &[(ItemId, Values)],
) -> (Handed, Vec<(usize, Vec<&'a Column>)>) {
    let (mut handed, mut refused) = (Handed::new(), Vec::new());
    for (index, (item, values)) in rows.iter().enumerate() {
        let claimed: Vec<(&Column, Key)> = keys(list, values).collect();
        let is_taken = |key: &Key| handed.contains_key(key) || holders.of(key).is_some();
        let taken = claimed.iter().filter(|(_, key)| is_taken(key));
        let taken: Vec<&Column> = taken.map(|(column, _)| *column).collect();
        if taken.is_empty() {
            handed.extend(claimed.into_iter().map(|(_, key)| (key, Some(*item))));
        } else {
            refused.push((index, taken));
        }
    }
    (handed, refused)
}

/// 409, with who holds each: `current.taken`.
fn refused(taken: &[(usize, String, ItemId)]) -> AppError {
    let told: Vec<_> = taken
        .iter()
        .map(|(_, column, item)| json!({"column": column, "item": item}))
        .collect();
    let mut error = AppError::new(
        ErrorCode::NotUnique,
        "Another item holds this value, and its column is unique",
    );
    error.fields = taken
        .iter()
        .map(|(index, column, _)| FieldError {
            path: format!("/items/{index}/values/{column}"),
            code: NOT_UNIQUE.into(),
            message: "another item holds this value".to_owned(),
        })
        .collect();
    error.with_current(json!({"taken": told}).to_string())
}

impl ColumnType {
    /// Whether a column of this type can be unique: its cells hold one value that people write.
    pub fn may_be_unique(self) -> bool {
        matches!(
            self,
            ColumnType::Text
                | ColumnType::LongText
                | ColumnType::Number
                | ColumnType::Currency
                | ColumnType::Percent
                | ColumnType::Date
                | ColumnType::DateTime
                | ColumnType::SingleSelect
                | ColumnType::Email
                | ColumnType::Phone
                | ColumnType::Url
        )
    }
}
