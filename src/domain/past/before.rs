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
    #[serde(default)]
    unique: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Box<RawValue>>,
    position: i32,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    replaced: bool,
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
            unique: column.unique,
            default: default.and_then(|json| RawValue::from_string(json).ok()),
            position: column.position,
            deleted: column.deleted,
            replaced: column.replaced,
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
            unique: self.unique,
            default: None,
            position: self.position,
            deleted: self.deleted,
            replaced: self.replaced,
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
            if was.is_some_and(|was| was.stands_as(column)) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::schema_change::{
        ColumnPatch, ColumnSpec, add_columns, change_column, change_list, drop_column, new_list,
    };
    use crate::ids::UserId;

    const LIST: ListId = ListId(Uuid::from_u128(1));

    fn spec(key: &str) -> ColumnSpec {
        let choices = json!({"choices": [{"name": "A"}, {"name": "B"}]});
        let spec = json!({"key": key, "type": "single_select", "options": choices, "default": "A"});
        serde_json::from_str(&spec.to_string()).unwrap()
    }

    /// The list after a change, as the lane makes it; `None` where the rules refuse it.
    fn changed(list: &List, what: u8, nr: u8) -> Option<List> {
        let now = DateTime::UNIX_EPOCH;
        let key = format!("C{}", nr % 4);
        let patch = |patch: serde_json::Value| {
            let patch: ColumnPatch = serde_json::from_str(&patch.to_string()).unwrap();
            let changed = change_column(list, &key, &patch, now);
            changed.ok().map(|(list, _)| list)
        };
        match what {
            0 => add_columns(list, &[spec(&key)], |_| String::new(), now).ok(),
            1 => drop_column(list, &key, now).ok().map(|(list, _)| list),
            2 => patch(json!({"name": format!("Name {nr}")})),
            3 => patch(json!({"position": nr % 3})),
            4 => {
                let name = list.columns.by_key(&key)?.options.choices.iter().next()?;
                let renamed = json!({"name": format!("N{nr}"), "was": name.name});
                let rest = list.columns.by_key(&key)?.options.choices.iter().skip(1);
                let rest = rest.map(|choice| json!({"name": choice.name}));
                let choices: Vec<_> = std::iter::once(renamed).chain(rest).collect();
                patch(json!({"options": {"choices": choices}, "default": null}))
            }
            _ => change_list(&Arc::new(list.clone()), Some(&format!("L{nr}")), None, now).ok(),
        }
    }

    proptest! {
        #[test]
        fn the_schema_is_rewound_to_every_position(
            plan in proptest::collection::vec((0u8..6, any::<u8>()), 1..30),
        ) {
            let owner = UserId(Uuid::from_u128(2));
            let first = new_list(LIST, "L", &[spec("C0")], 0, owner, DateTime::UNIX_EPOCH).unwrap();
            let mut schema = Schema::new(BTreeMap::from([(LIST, Arc::new(first))]));
            let mut states = vec![(1, schema.clone())];
            let mut changes: Vec<(i64, Before)> = Vec::new();
            for (seq, (what, nr)) in (2..).zip(plan) {
                let list = &schema.lists[&LIST];
                let Some(after) = changed(list, what, nr) else { continue };
                let mut before = Before::default();
                before.list(&schema, &after);
                let columns: Vec<Column> = after.columns.iter_all().cloned().collect();
                before.columns(&schema, LIST, &columns);
                // As the log keeps it.
                let kept = serde_json::to_string(&before).unwrap();
                changes.insert(0, (seq, serde_json::from_str(&kept).unwrap()));
                schema = Schema::new(BTreeMap::from([(LIST, Arc::new(after))]));
                states.push((seq, schema.clone()));
            }
            let timeline = Timeline::new(Arc::new(schema), &changes);
            for (seq, then) in states {
                let (then, read) = (&then.lists[&LIST], &timeline.at(seq).lists[&LIST]);
                prop_assert_eq!(&then.columns, &read.columns);
                prop_assert_eq!(&then.name, &read.name);
            }
        }
    }
}
