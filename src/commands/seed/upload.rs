//! The agency written into a workspace over REST: lists and columns that are missing are made,
//! those that are there are used as they are, and rows go in as batches.

use std::collections::HashMap;

use anyhow::Context;
use serde_json::{Map, Value};

use super::agency::{Agency, Cell};
use super::tables::{Field, Table};
use crate::commands::client::rest::{Column, List, Rest};
use crate::ids::{ListId, WorkspaceId};

/// Rows a request: about half a megabyte.
const BATCH: usize = 1000;

/// What one column of the list takes of what the generator has.
struct Slot {
    key: &'static str,
    /// The choices it knows; `None`: anything.
    choices: Option<Vec<String>>,
}

/// Fills a table's list. Returns the number of rows; `progress` hears the number so far.
///
/// # Errors
/// When the server refuses.
pub async fn upload(
    rest: &Rest,
    workspace: WorkspaceId,
    lists: &[List],
    agency: Agency,
    table: Table,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<u64> {
    let (list, slots) = prepare(rest, workspace, lists, table).await?;
    let mut rows = agency.rows(table);
    let mut written = 0;
    loop {
        let batch: Vec<Value> = rows
            .by_ref()
            .take(BATCH)
            .map(|row| values(&slots, &row))
            .collect();
        if batch.is_empty() {
            return Ok(written);
        }
        let made = rest.create_items(workspace, list, &batch).await;
        let made = made.with_context(|| format!("writing {}", table.name()))?;
        written += u64::try_from(made.len())?;
        progress(written);
    }
}

async fn prepare(
    rest: &Rest,
    workspace: WorkspaceId,
    lists: &[List],
    table: Table,
) -> anyhow::Result<(ListId, Vec<Option<Slot>>)> {
    let fields = table.fields();
    let Some(list) = lists.iter().find(|list| list.name == table.name()) else {
        let columns: Vec<Column> = fields.iter().map(Field::column).collect();
        let list = rest.create_list(workspace, table.name(), &columns).await?;
        let slots = columns.iter().zip(fields).map(|(c, f)| slot(f, c));
        return Ok((list.id, slots.collect()));
    };
    let there = rest.columns(workspace, list.id).await?;
    let mut there: HashMap<String, Column> =
        there.into_iter().map(|c| (c.key.clone(), c)).collect();
    let mut slots = Vec::new();
    for field in fields {
        let column = match there.remove(field.key) {
            Some(column) => column,
            None => {
                rest.create_column(workspace, list.id, &field.column())
                    .await?
            }
        };
        slots.push(slot(field, &column));
    }
    Ok((list.id, slots))
}

/// How a field goes into a column; a column of another type is left alone.
fn slot(field: &Field, column: &Column) -> Option<Slot> {
    let choices = column
        .options
        .get("choices")
        .and_then(Value::as_array)
        .map(|choices| {
            let names = choices.iter().filter_map(|choice| choice.get("name"));
            names
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        });
    (column.ty == field.column().ty).then_some(Slot {
        key: field.key,
        choices,
    })
}

fn values(slots: &[Option<Slot>], row: &[Cell]) -> Value {
    let filled = slots.iter().zip(row).filter_map(|(slot, cell)| {
        let slot = slot.as_ref()?;
        let value = cell.to_json().filter(|value| slot.takes(value))?;
        Some((slot.key.to_owned(), value))
    });
    Value::Object(filled.collect::<Map<_, _>>())
}

impl Slot {
    /// A choice that the list's owner has removed is left out, not brought back.
    fn takes(&self, value: &Value) -> bool {
        let Some(choices) = &self.choices else {
            return true;
        };
        let knows = |name: &Value| choices.iter().any(|choice| name == choice);
        match value {
            Value::Array(names) => names.iter().all(knows),
            name => knows(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_list_does_not_take_is_left_out() {
        let fields = Table::Properties.fields();
        let mut columns: Vec<Column> = fields.iter().map(Field::column).collect();
        columns[4].options = json!({"choices": [{"name": "Withdrawn"}]});
        columns[13].ty = "user".into();
        let slots: Vec<_> = columns
            .iter()
            .zip(fields)
            .map(|(c, f)| slot(f, c))
            .collect();
        let agency = Agency {
            seed: 1,
            properties: 500,
        };
        let mut withdrawn = 0;
        for row in agency.rows(Table::Properties) {
            let values = values(&slots, &row);
            assert!(values.get("ListAgentFullName").is_none());
            assert!(values["ListPrice"].is_u64());
            if let Some(status) = values.get("StandardStatus") {
                assert_eq!(status, "Withdrawn");
                withdrawn += 1;
            }
        }
        assert!((1..100).contains(&withdrawn));
    }
}
