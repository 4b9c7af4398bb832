//! The cells of a computed column, page by page along the key: what is computed anew when a rule, or what
//! it is made of, has changed. What a cell comes to is the domain's to say.

use std::collections::HashMap;

use super::{StoreError, Tx, items, links};
use crate::domain::cell::Cell;
use crate::domain::computed::{Known, MAX_ROLLED, Node};
use crate::domain::item::{Item, Place};
use crate::domain::links::{CellAsk, CellAt};
use crate::domain::schema::Schema;
use crate::error::AppError;
use crate::ids::{ItemId, WorkspaceId};

/// What became of a page.
#[derive(Debug, Default)]
pub struct Page {
    /// Where the next one begins; none: this was the last.
    pub last: Option<ItemId>,
    /// The items whose cells changed.
    pub changed: Vec<ItemId>,
}

/// Computes a node's cells of so many items behind `after`, and writes those that change. Items in the
/// trash are left alone: they are computed when they come out of it.
pub async fn fill(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    node: &Node,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Page, StoreError> {
    let Some(list) = schema.live(node.list) else {
        return Ok(Page::default());
    };
    tx.follow_the_index().await?;
    let page = items::page(tx, workspace, list, items::Shelf::Living, after, limit).await?;
    let known = known(tx, workspace, schema, node, &page).await?;
    let mut patch = serde_json::Map::new();
    let mut changed = Vec::new();
    for item in &page {
        let cell = node
            .compute(&schema.lists, item, &known)
            .map_err(|error| StoreError::Fault(anyhow::anyhow!("{error}")))?;
        if item.values.get(&node.column) != cell.as_ref() {
            patch.insert(item.id.to_string(), stored(cell.as_ref()));
            changed.push(item.id);
        }
    }
    if let (Some(first), Some(last)) = (changed.first(), changed.last()) {
        write(tx, workspace, node, (*first, *last), &patch).await?;
    }
    let full = i64::try_from(page.len()).is_ok_and(|count| count == limit);
    let last = page.last().filter(|_| full).map(|item| item.id);
    Ok(Page { last, changed })
}

fn stored(cell: Option<&Cell>) -> serde_json::Value {
    let mut json = String::new();
    match cell {
        Some(cell) => cell.write_stored(&mut json),
        None => return serde_json::Value::Null,
    }
    serde_json::from_str(&json).unwrap_or_default()
}

/// One range of the key: no other index serves it, whatever the planner believes.
async fn write(
    tx: &mut Tx,
    workspace: WorkspaceId,
    node: &Node,
    (first, last): (ItemId, ItemId),
    patch: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), StoreError> {
    // Sent as JSONB: of a text it would be read anew for each row.
    sqlx::query(
        r#"UPDATE estatebase.items SET "values" = CASE $6 -> id::text
             WHEN 'null' THEN "values" - $5
             ELSE "values" || jsonb_build_object($5::text, $6 -> id::text) END
         WHERE workspace_id = $1 AND list_id = $2 AND id >= $3 AND id <= $4 AND $6 ? id::text"#,
    )
    .bind(workspace.uuid())
    .bind(node.list.uuid())
    .bind(first.uuid())
    .bind(last.uuid())
    .bind(node.column.to_string())
    .bind(sqlx::types::Json(patch))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Linked items of a page.
#[derive(Default)]
struct Linked {
    cells: HashMap<CellAt, (usize, Vec<ItemId>)>,
    items: HashMap<Place, Item>,
}

impl Known for Linked {
    fn item(&self, place: Place) -> Option<&Item> {
        self.items.get(&place)
    }

    fn linked(&self, at: &CellAt) -> Result<(usize, Vec<ItemId>), AppError> {
        Ok(self.cells.get(at).cloned().unwrap_or_default())
    }
}

async fn known(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    node: &Node,
    page: &[Item],
) -> Result<Linked, StoreError> {
    let mut known = Linked::default();
    let Some(end) = node.end() else {
        return Ok(known);
    };
    let asks: Vec<CellAsk> = page
        .iter()
        .map(|item| CellAsk {
            at: end.cell(item.id),
            end: *end,
            most: Some(MAX_ROLLED + 1),
            titled: false,
        })
        .collect();
    let read = links::cells(tx, workspace, &asks).await?;
    let mut places: Vec<Place> = Vec::new();
    for (ask, cell) in asks.iter().zip(read) {
        let ids: Vec<ItemId> = match cell.count {
            0..=MAX_ROLLED => cell.first.iter().map(|link| link.other).collect(),
            _ => Vec::new(),
        };
        places.extend(ids.iter().map(|id| (end.other_list, *id)));
        known.cells.insert(ask.at, (cell.count, ids));
    }
    places.sort_unstable();
    places.dedup();
    let found = items::find_across(tx, workspace, schema, &places).await?;
    known.items.extend(found);
    Ok(known)
}
