//! The schema as it stood: what a change of it keeps of what it touched, and the way back along those.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::cell::ColumnId;
use crate::domain::columns::{Column, ColumnSet, ColumnType, Options, ParseContext};
use crate::domain::schema::{List, Schema};
use crate::ids::ListId;

/// The lists that a change of the schema touched, as they were before it. Kept by the log in a row of its
/// own, which is shown to nobody.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Before {
    pub before: BTreeMap<ListId, ListBefore>,
}

/// A list before a change of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListBefore {
    /// The list was made by it.
    #[serde(default)]
    pub new: bool,
    /// How the list itself stood, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<HeadBefore>,
    /// The columns that changed, by id; `null`: the column was made by it.
    #[serde(default)]
    pub columns: BTreeMap<String, Option<ColumnBefore>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadBefore {
    pub name: String,
    pub position: i32,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A column as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnBefore {
    key: String,
    name: String,
    #[serde(rename = "type")]
    ty: String,
    options: Value,
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Box<RawValue>>,
    position: i32,
    #[serde(default)]
    deleted: bool,
}

impl HeadBefore {
    fn of(list: &List) -> HeadBefore {
        HeadBefore {
            name: list.name.clone(),
            position: list.position,
            deleted_at: list.deleted_at,
        }
    }
}

impl ColumnBefore {
    fn of(column: &Column) -> ColumnBefore {
        let default = column.default.as_ref().map(|cell| {
            let mut json = String::new();
            column.write_wire_cell(cell, &mut json);
            json
        });
        ColumnBefore {
            key: column.key.clone(),
            name: column.name.clone(),
            ty: column.ty.as_str().to_owned(),
            options: column.options.to_stored(),
            required: column.required,
            default: default.and_then(|json| RawValue::from_string(json).ok()),
            position: column.position,
            deleted: column.deleted,
        }
    }

    /// The column once more; `None` when its type is not known any more.
    fn column(&self, id: ColumnId) -> Option<Column> {
        let mut column = Column {
            id,
            key: self.key.clone(),
            name: self.name.clone(),
            ty: ColumnType::from_name(&self.ty)?,
            options: Options::from_stored(&self.options),
            required: self.required,
            default: None,
            position: self.position,
            deleted: self.deleted,
        };
        if let Some(default) = &self.default {
            let context = ParseContext { members: &|_| true };
            let cell = column.parse_json(default.get(), &context);
            column.default = cell.unwrap_or_default();
        }
        Some(column)
    }
}

impl Before {
    pub fn is_empty(&self) -> bool {
        self.before.is_empty()
    }

    /// A list will be made.
    pub fn new_list(&mut self, id: ListId) {
        self.before.entry(id).or_default().new = true;
    }

    /// A list will stand as `after`.
    pub fn list(&mut self, schema: &Schema, after: &List) {
        let Some(list) = schema.lists.get(&after.id) else {
            return;
        };
        let before = HeadBefore::of(list);
        if before != HeadBefore::of(after) {
            let kept = self.before.entry(after.id).or_default();
            kept.list.get_or_insert(before);
        }
    }

    /// Columns of a list will stand as `after`.
    pub fn columns(&mut self, schema: &Schema, list: ListId, after: &[Column]) {
        let before = schema.lists.get(&list);
        for column in after {
            let was = before.and_then(|list| list.columns.by_id(&column.id));
            if was == Some(column) {
                continue;
            }
            let kept = &mut self.before.entry(list).or_default().columns;
            let kept = kept.entry(column.id.to_string());
            kept.or_insert_with(|| was.map(ColumnBefore::of));
        }
    }

    /// The schema as it stood before the change that led to `after`.
    pub fn rewind(&self, after: &Schema) -> Schema {
        let mut lists = after.lists.clone();
        for (id, before) in &self.before {
            if before.new {
                lists.remove(id);
            } else if let Some(list) = lists.get(id) {
                let list = Arc::new(before.rewind(list));
                lists.insert(*id, list);
            }
        }
        Schema::new(lists)
    }
}

impl ListBefore {
    fn rewind(&self, after: &List) -> List {
        let kept = |column: &&Column| !self.columns.contains_key(column.id.as_str());
        let mut columns: Vec<Column> = after.columns.iter_all().filter(kept).cloned().collect();
        let back = self.columns.iter().filter_map(|(id, before)| {
            let id = ColumnId::parse(id)?;
            before.as_ref()?.column(id)
        });
        columns.extend(back);
        let mut list = List {
            columns: ColumnSet::new(columns),
            ..after.clone()
        };
        if let Some(head) = &self.list {
            list.name.clone_from(&head.name);
            list.position = head.position;
            list.deleted_at = head.deleted_at;
        }
        list
    }
}

/// The schema along the log, from now back to a position.
#[derive(Debug)]
pub struct Timeline {
    now: Arc<Schema>,
    /// The schema before each change of it, newest first.
    before: Vec<(i64, Arc<Schema>)>,
}

impl Timeline {
    /// `changes` are all that happened to the schema since the position, newest first.
    pub fn new(now: Arc<Schema>, changes: &[(i64, Before)]) -> Timeline {
        let mut before = Vec::with_capacity(changes.len());
        let mut schema = Arc::clone(&now);
        for (seq, change) in changes {
            if !change.is_empty() {
                schema = Arc::new(change.rewind(&schema));
            }
            before.push((*seq, Arc::clone(&schema)));
        }
        Timeline { now, before }
    }

    /// The schema right after `seq`.
    pub fn at(&self, seq: i64) -> &Arc<Schema> {
        let later = self.before.iter().take_while(|(changed, _)| *changed > seq);
        later.last().map_or(&self.now, |(_, schema)| schema)
    }
}
