//! What takes back a change of a list or of a column: the opposite command, as anybody would send it.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Obstacle, living_column, not_undoable};
use crate::domain::cell::ColumnId;
use crate::domain::columns::Column;
use crate::domain::log::Actor;
use crate::domain::past::Before;
use crate::domain::schema::{List, Schema};
use crate::domain::schema_change::ColumnPatch;
use crate::error::AppError;
use crate::ids::ListId;

/// The opposite of a change of the schema.
#[derive(Debug)]
pub enum Reshape {
    DropList,
    RestoreList,
    ChangeList {
        name: Option<String>,
        position: Option<i32>,
    },
    DropColumn {
        key: String,
    },
    RestoreColumn {
        key: String,
    },
    /// One column in the place of another, as before a change of type or its undoing.
    SwapColumn {
        back: ColumnId,
        gone: ColumnId,
    },
    ChangeColumn {
        key: String,
        patch: Box<ColumnPatch>,
    },
}

/// A later change of the schema, newest first, without what was undone.
#[derive(Debug)]
pub struct Later {
    pub seq: i64,
    pub actor: Actor,
    pub before: Before,
}

/// A change of the schema in its place.
#[derive(Clone, Copy, Debug)]
pub struct Reshaped<'a> {
    pub list: ListId,
    pub before: &'a Before,
    /// The schema right after it.
    pub after: &'a Schema,
    pub now: &'a Schema,
    pub later: &'a [Later],
}

/// The opposite of `change`, or who has changed the same since.
pub fn take_back_schema(kind: &str, change: &Reshaped<'_>) -> Result<Reshape, AppError> {
    if change.before.is_empty() {
        let detail = "It is from before such changes could be undone, or changed nothing";
        return Err(not_undoable(detail));
    }
    match kind {
        "list.created" | "list.restored" => change.list_stands(false).map(|()| Reshape::DropList),
        "list.deleted" => change.list_stands(true).map(|()| Reshape::RestoreList),
        "list.updated" => change.list_back(),
        "column.created" | "column.restored" => {
            let column = change.only_column(kind)?;
            change.column_stands(column, false)?;
            let key = column.key.clone();
            Ok(Reshape::DropColumn { key })
        }
        "column.deleted" => {
            let column = change.only_column(kind)?;
            change.column_stands(column, true)?;
            let key = column.key.clone();
            Ok(Reshape::RestoreColumn { key })
        }
        "column.updated" => change.column_back(),
        _ => Err(not_undoable("Such a change is not undone")),
    }
}

impl<'a> Reshaped<'a> {
    fn lists(&self) -> Result<(&'a List, &'a List), AppError> {
        let after = self.after.lists.get(&self.list);
        let now = self.now.lists.get(&self.list);
        after
            .zip(now)
            .map(|(after, now)| (after.as_ref(), now.as_ref()))
            .ok_or_else(AppError::not_found)
    }

    fn list_stands(&self, deleted: bool) -> Result<(), AppError> {
        let (_, now) = self.lists()?;
        match now.deleted_at.is_some() == deleted {
            true => Ok(()),
            false => Err(self.refused(None)),
        }
    }

    fn list_back(&self) -> Result<Reshape, AppError> {
        let (after, now) = self.lists()?;
        let before = self.before.before.get(&self.list);
        let Some(before) = before.and_then(|before| before.list.as_ref()) else {
            return Err(not_undoable("It changed nothing"));
        };
        let (name, position) = (before.name != after.name, before.position != after.position);
        let moved = name && now.name != after.name || position && now.position != after.position;
        if moved {
            return Err(self.refused(None));
        }
        Ok(Reshape::ChangeList {
            name: name.then(|| before.name.clone()),
            position: position.then_some(before.position),
        })
    }

    /// The column of the list that it is about; of several there is no opposite.
    fn only_column(&self, kind: &str) -> Result<&'a Column, AppError> {
        let (after, _) = self.lists()?;
        let changed = self.before.before.get(&self.list);
        let ids = changed.into_iter().flat_map(|list| list.columns.keys());
        let mut ids = ids.filter_map(|id| ColumnId::parse(id));
        let columns = after.columns.iter_all();
        // An inverse in the same list comes and goes with it.
        let forward = |column: &&Column| !column.options.link.as_ref().is_some_and(|l| l.backward);
        let first = match kind {
            "column.created" => {
                let made: Vec<ColumnId> = ids.collect();
                let made: Vec<&Column> = columns
                    .filter(|column| made.contains(&column.id))
                    .filter(forward)
                    .collect();
                match made.as_slice() {
                    [one] => Some(*one),
                    _ => None,
                }
            }
            _ => ids.next().and_then(|id| after.columns.by_id(&id)),
        };
        first.ok_or_else(|| not_undoable("It made several columns: take them away one by one"))
    }

    fn column_stands(&self, column: &Column, deleted: bool) -> Result<(), AppError> {
        let (_, now) = self.lists()?;
        let same = now.columns.by_id(&column.id);
        match same.is_some_and(|now| now.deleted == deleted) {
            true => Ok(()),
            false => Err(self.refused(Some(column))),
        }
    }

    fn column_back(&self) -> Result<Reshape, AppError> {
        let (after, now) = self.lists()?;
        let before = self.before.rewind(self.after);
        let before = before
            .lists
            .get(&self.list)
            .ok_or_else(AppError::not_found)?;
        if let Some((back, gone)) = self.swapped(before, after) {
            // Since then the one in the place may have changed in whatever way but its number.
            let same = now.columns.by_id(&gone.id).is_some_and(|now| {
                let placed = Column {
                    position: gone.position,
                    ..now.clone()
                };
                placed == *gone
            });
            return match same {
                true => Ok(Reshape::SwapColumn {
                    back: back.id,
                    gone: gone.id,
                }),
                false => Err(self.refused(Some(gone))),
            };
        }
        let id = self.changed_column(before, after)?;
        let both = before.columns.by_id(&id).zip(after.columns.by_id(&id));
        let (old, new) = both.ok_or_else(AppError::not_found)?;
        let Some(stands) = living_column(now, id) else {
            return Err(self.refused(Some(new)));
        };
        let moved = old.name != new.name && stands.name != new.name
            || old.options != new.options && stands.options != new.options
            || old.required != new.required && stands.required != new.required
            || old.unique != new.unique && stands.unique != new.unique
            || old.default != new.default && stands.default != new.default;
        if moved {
            return Err(self.refused(Some(new)));
        }
        let reordered = order(before) != order(after);
        if reordered && order(after) != order(now) {
            return Err(self.refused(Some(new)));
        }
        let place = order(before).iter().position(|other| *other == id);
        let patch = ColumnPatch {
            name: (old.name != new.name).then(|| old.name.clone()),
            options: (old.options != new.options).then(|| options_back(old, stands)),
            required: (old.required != new.required).then_some(old.required),
            unique: (old.unique != new.unique).then_some(old.unique),
            default: (old.default != new.default)
                .then(|| default_back(old))
                .flatten(),
            position: place
                .filter(|_| reordered)
                .and_then(|at| i32::try_from(at).ok()),
            ..ColumnPatch::default()
        };
        Ok(Reshape::ChangeColumn {
            key: new.key.clone(),
            patch: Box::new(patch),
        })
    }

    /// The columns of which one took the other's place: how the one stood before, and the other after.
    fn swapped<'b>(&self, before: &'b List, after: &'b List) -> Option<(&'b Column, &'b Column)> {
        let told = self.before.before.get(&self.list)?;
        let ids = told.columns.keys();
        let ids: Vec<ColumnId> = ids.filter_map(|id| ColumnId::parse(id)).collect();
        let living = |list: &'b List, other: &List| {
            let came = ids.iter().find(|id| {
                living_column(list, **id).is_some() && living_column(other, **id).is_none()
            });
            living_column(list, *came?)
        };
        living(before, after).zip(living(after, before))
    }

    /// The column that was changed; where others were only numbered anew, the one that was moved.
    fn changed_column(&self, before: &List, after: &List) -> Result<ColumnId, AppError> {
        let told = self.before.before.get(&self.list);
        let ids = told.into_iter().flat_map(|list| list.columns.keys());
        let ids: Vec<ColumnId> = ids.filter_map(|id| ColumnId::parse(id)).collect();
        let reshaped = |id: &&ColumnId| {
            let both = before.columns.by_id(id).zip(after.columns.by_id(id));
            both.is_some_and(|(old, new)| {
                let placed = Column {
                    position: new.position,
                    ..old.clone()
                };
                placed != *new
            })
        };
        let farthest = |id: &&ColumnId| {
            let place = |list: &List| order(list).iter().position(|other| other == *id);
            place(before)
                .zip(place(after))
                .map(|(was, is)| was.abs_diff(is))
        };
        let one = ids
            .iter()
            .find(reshaped)
            .or_else(|| ids.iter().max_by_key(farthest));
        one.copied()
            .ok_or_else(|| not_undoable("It changed nothing"))
    }

    /// Whoever changed the same last.
    fn refused(&self, column: Option<&Column>) -> AppError {
        let touches = |later: &&Later| {
            let list = later.before.before.get(&self.list);
            list.is_some_and(|list| match column {
                Some(column) => {
                    list.columns.contains_key(column.id.as_str()) || list.list.is_some()
                }
                None => true,
            })
        };
        let by = self.later.iter().find(touches);
        let obstacles = by.map(|later| Obstacle {
            list: Some(self.list),
            item: None,
            column: column.map(|column| column.key.clone()),
            actor: later.actor,
            seq: later.seq,
        });
        super::refused(obstacles.as_slice())
    }
}

fn order(list: &List) -> Vec<ColumnId> {
    list.columns.iter().map(|column| column.id).collect()
}

/// Options as a request says them: choices that have another name now are renamed back.
fn options_back(old: &Column, now: &Column) -> Value {
    let mut options = old.options.to_json();
    let choices: Vec<Value> = old
        .options
        .choices
        .iter()
        .map(|choice| match now.options.choices.by_id(choice.id) {
            Some(same) if same.name != choice.name => {
                json!({"name": choice.name, "color": choice.color, "was": same.name})
            }
            _ => json!({"name": choice.name, "color": choice.color}),
        })
        .collect();
    if let Some(object) = options.as_object_mut()
        && object.contains_key("choices")
    {
        object.insert("choices".to_owned(), choices.into());
    }
    options
}

fn default_back(old: &Column) -> Option<Box<RawValue>> {
    let mut json = String::new();
    match &old.default {
        Some(cell) => old.write_wire_cell(cell, &mut json),
        None => json.push_str("null"),
    }
    RawValue::from_string(json).ok()
}
