//! Where a load takes place: a workspace with lists of items, made over REST before the start, and
//! read back at the end.

use std::collections::HashMap;

use anyhow::Context;
use serde_json::{Value, json};

use super::check::Known;
use super::event::{COLUMN, Cells};
use super::plan::LoadPlan;
use crate::commands::client::rest::{Column, Rest, RestError};
use crate::ids::{ItemId, ListId, WorkspaceId};

const BATCH: usize = 1000;

/// A workspace and, in it, the lists that the editors edit.
#[derive(Clone, Debug)]
pub struct Ground {
    pub workspace: WorkspaceId,
    pub lists: Vec<Field>,
}

/// A list and its items.
#[derive(Clone, Debug)]
pub struct Field {
    pub list: ListId,
    pub items: Vec<ItemId>,
}

impl Ground {
    /// Makes the plan's lists, in its workspace or a new one, or takes the list that it names.
    ///
    /// # Errors
    /// When the server refuses, or the named list has no items.
    pub async fn prepare(rest: &Rest, plan: &LoadPlan) -> anyhow::Result<Self> {
        let workspace = match plan.workspace {
            Some(workspace) => workspace,
            None => {
                let made = rest.create_workspace("Load test", None).await;
                made.context("making a workspace for the load")?.id
            }
        };
        let mut fields = Vec::new();
        if let Some(list) = plan.list {
            fields.push(Field::existing(rest, workspace, list, plan.items).await?);
        } else {
            for number in 1..=plan.lists.max(1) {
                fields.push(Field::prepare(rest, workspace, number, plan.items).await?);
            }
        }
        Ok(Self {
            workspace,
            lists: fields,
        })
    }

    /// Every item of every list as the database has it, no older than `seq`.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn read(&self, rest: &Rest, seq: u64) -> Result<HashMap<ItemId, Known>, RestError> {
        let mut found = HashMap::new();
        for field in &self.lists {
            let mut cursor: Option<String> = None;
            loop {
                let page = rest
                    .items::<Cells>(
                        self.workspace,
                        field.list,
                        1000,
                        cursor.as_deref(),
                        Some(seq),
                    )
                    .await?;
                found.extend(page.data.into_iter().map(|item| {
                    let known = Known {
                        version: item.version,
                        marker: item.values.marker,
                    };
                    (item.id, known)
                }));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }
}

impl Field {
    /// A list that is there already, with a column for the edits.
    async fn existing(
        rest: &Rest,
        workspace: WorkspaceId,
        list: ListId,
        most: usize,
    ) -> anyhow::Result<Self> {
        let columns = rest.columns(workspace, list).await?;
        if columns.iter().all(|column| column.key != COLUMN) {
            let column = marker_column();
            rest.create_column(workspace, list, &column).await?;
        }
        let limit = u32::try_from(most.clamp(1, BATCH))?;
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        while items.len() < most {
            let page = rest
                .items::<Cells>(workspace, list, limit, cursor.as_deref(), None)
                .await?;
            items.extend(page.data.into_iter().map(|item| item.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        anyhow::ensure!(!items.is_empty(), "there is nothing to edit in list {list}");
        items.truncate(most);
        Ok(Self { list, items })
    }

    async fn prepare(
        rest: &Rest,
        workspace: WorkspaceId,
        number: u16,
        count: usize,
    ) -> anyhow::Result<Self> {
        // Loads may share a workspace, and their lists must be told apart.
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("Load {number} {}", tag.chars().take(4).collect::<String>());
        let made = rest.create_list(workspace, &name, &columns()).await;
        let list = made.context("making a list for the load")?.id;
        let rows: Vec<Value> = (1..=count.max(1)).map(row).collect();
        let mut items = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            let made = rest.create_items(workspace, list, batch).await;
            items.extend(made.context("making items for the load")?);
        }
        anyhow::ensure!(
            items.len() == rows.len(),
            "{} items were asked for and {} made",
            rows.len(),
            items.len()
        );
        Ok(Self { list, items })
    }
}

fn columns() -> [Column; 3] {
    [
        column("UnparsedAddress", "Address", "text"),
        column("City", "City", "text"),
        marker_column(),
    ]
}

fn marker_column() -> Column {
    column(COLUMN, "Last edit", "number")
}

fn column(key: &str, name: &str, ty: &str) -> Column {
    Column {
        key: key.into(),
        name: name.into(),
        ty: ty.into(),
        options: Value::Null,
    }
}

fn row(number: usize) -> Value {
    json!({ "UnparsedAddress": format!("{number} Load Street"), "City": "Sacramento" })
}
