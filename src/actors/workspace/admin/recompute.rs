//! What a change of the schema does to computed columns: those whose cells may not be right any more are
//! computed anew, in the change itself where few items are concerned, else page by page after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::core::Core;
use super::super::durable::Attempt;
use super::effect::{Change, Effect};
use crate::domain::cell::ColumnId;
use crate::domain::columns::{Column, Computed, Options};
use crate::domain::computed::ColumnAt;
use crate::domain::relate::with;
use crate::domain::schema::{List, Schema};
use crate::error::AppError;
use crate::ids::ListId;
use crate::store::items::{Shelf, estimate};
use crate::store::{self, Tx};
use crate::wire::lists::ColumnOut;

/// So many cells are computed within the change itself.
const AT_ONCE: i64 = 2_000;
/// Items of a page.
const PAGE: i64 = 500;

/// The nodes that a change is to compute, under the schema as it leaves it.
pub(super) struct Recomputed {
    schema: Schema,
    nodes: BTreeSet<ColumnAt>,
}

/// Adds to a judged change what follows of it for computed columns. `strict`: it may not spoil one.
///
/// Errors: 422 `in_use`, where a column could not be computed any more that was.
pub(super) async fn follow(
    core: &Core,
    tx: &mut Tx,
    effect: &mut Effect,
    strict: bool,
) -> Result<(), Attempt> {
    if !reshapes_lists(effect) {
        return Ok(());
    }
    let schema = after(&core.schema, effect);
    if schema.graph().is_empty() {
        return Ok(());
    }
    if strict && let Some((list, column)) = schema.graph().spoiled_since(core.schema.graph()) {
        return Err(in_use(&schema, list, column).into());
    }
    let nodes = schema.graph().changed_since(core.schema.graph());
    if nodes.is_empty() {
        return Ok(());
    }
    let mut cells = 0;
    for (list, _) in &nodes {
        // A list that is made by this change has no items.
        if core.schema.lists.contains_key(list) && cells <= AT_ONCE {
            cells += estimate(tx, core.id, *list, Shelf::Living).await?;
        }
    }
    let settled = cells <= AT_ONCE;
    tell(effect, &schema, &nodes, settled);
    for (list, id) in &nodes {
        let column = schema.lists.get(list).and_then(|l| l.columns.by_id(id));
        if let Some(column) = column {
            let column = settling(column, settled);
            effect.changes.push(Change::Columns(*list, vec![column]));
        }
    }
    if settled && cells > 0 {
        let recomputed = Recomputed { schema, nodes };
        effect.changes.push(Change::Compute(Box::new(recomputed)));
    }
    Ok(())
}

/// Computes them, in the order of what they need.
pub(super) async fn write(
    core: &Core,
    tx: &mut Tx,
    recomputed: &Recomputed,
) -> Result<(), store::StoreError> {
    // Others take the head before they take items.
    store::log::head(tx, core.id, true).await?;
    let schema = &recomputed.schema;
    for node in schema.graph().nodes() {
        if !recomputed.nodes.contains(&(node.list, node.column)) {
            continue;
        }
        let mut after = None;
        loop {
            let page = store::computed::fill(tx, core.id, schema, node, after, PAGE).await?;
            after = page.last;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// The column with the mark whether all of its cells are computed.
pub(in crate::actors::workspace) fn settling(column: &Column, settled: bool) -> Column {
    let computed = column.options.computed.as_ref().map(|computed| Computed {
        settled,
        ..computed.clone()
    });
    Column {
        options: Options {
            computed,
            ..column.options.clone()
        },
        ..column.clone()
    }
}

fn reshapes_lists(effect: &Effect) -> bool {
    let shapes = |change: &Change| {
        matches!(
            change,
            Change::NewList(_) | Change::List(_) | Change::Columns(..)
        )
    };
    effect.changes.iter().any(shapes)
}

/// The schema as the change leaves it.
fn after(schema: &Schema, effect: &Effect) -> Schema {
    let mut lists: BTreeMap<ListId, Arc<List>> = schema.lists.clone();
    for change in &effect.changes {
        match change {
            Change::NewList(list) => drop(lists.insert(list.id, Arc::new(list.clone()))),
            Change::List(list) => {
                let columns = lists.get(&list.id).map(|known| known.columns.clone());
                let mut list = list.clone();
                list.columns = columns.unwrap_or(list.columns);
                lists.insert(list.id, Arc::new(list));
            }
            Change::Columns(id, columns) => {
                if let Some(list) = lists.get(id) {
                    let mut list = List::clone(list);
                    for column in columns {
                        list = with(&list, column.clone(), list.updated_at);
                    }
                    lists.insert(*id, Arc::new(list));
                }
            }
            _ => {}
        }
    }
    Schema::new(lists)
}

/// The event, and where it shows them the answer, say which columns are computed anew.
fn tell(effect: &mut Effect, schema: &Schema, nodes: &BTreeSet<ColumnAt>, settled: bool) {
    let mut by_list: BTreeMap<ListId, Vec<ColumnOut>> = BTreeMap::new();
    for (list, id) in nodes {
        let column = schema.lists.get(list).and_then(|l| l.columns.by_id(id));
        if let Some(column) = column {
            let told = ColumnOut::new(&settling(column, settled));
            by_list.entry(*list).or_default().push(told);
        }
    }
    if !settled && let Some(own) = effect.list.and_then(|list| by_list.get(&list)) {
        let keys: BTreeSet<&str> = own.iter().map(|column| column.key.as_str()).collect();
        unsettle(&mut effect.data, &keys);
        effect.answer.revise(|body| unsettle(body, &keys));
    }
    let told: Vec<Value> = by_list
        .into_iter()
        .map(|(list, columns)| json!({"list": list, "columns": columns}))
        .collect();
    if let Some(data) = effect.data.as_object_mut() {
        data.insert("computed".to_owned(), Value::Array(told));
    }
}

/// Marks columns of these keys, wherever they stand in what is told.
fn unsettle(told: &mut Value, keys: &BTreeSet<&str>) {
    match told {
        Value::Array(members) => members.iter_mut().for_each(|part| unsettle(part, keys)),
        Value::Object(fields) => {
            let key = fields.get("key").and_then(Value::as_str);
            if key.is_some_and(|key| keys.contains(key))
                && let Some(Value::Object(options)) = fields.get_mut("options")
            {
                options.insert("settled".to_owned(), false.into());
            }
            for name in ["columns", "data"] {
                if let Some(part) = fields.get_mut(name) {
                    unsettle(part, keys);
                }
            }
        }
        _ => {}
    }
}

fn in_use(schema: &Schema, list: ListId, column: ColumnId) -> AppError {
    let list = schema.lists.get(&list);
    let column = list.and_then(|list| list.columns.by_id(&column));
    let name = list
        .zip(column)
        .map(|(list, column)| format!("{}.{}", list.name, column.key));
    let message = format!(
        "{} is computed from it, and could not be any more",
        name.unwrap_or_default()
    );
    AppError::field("/options", "in_use", message)
}
