//! Reads of items by id and by page. Raw SQL: these are the pages that every client scrolls, and
//! their values are read straight from JSONB's text into typed cells.

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::cell::read_stored;
use crate::domain::item::{Item, Place};
use crate::domain::schema::{List, Schema};
use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

pub(super) const COLUMNS: &str = r#"id, version, seq, "values"::text AS stored, created_at, created_by, updated_at, updated_by, deleted_at"#;

/// The items of that list with those ids, in no order; trashed ones too.
pub async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    ids: &[ItemId],
) -> Result<Vec<Item>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let sql = const_format(
        "SELECT {} FROM estatebase.items WHERE workspace_id = $1 AND list_id = $2 AND id = ANY($3)",
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(list.id.uuid())
        .bind(&ids)
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| item(list, row)).collect()
}

/// Which of a page: the living or the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    Living,
    Trash,
}

/// A page by id, from behind `after`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    shelf: Shelf,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Vec<Item>, StoreError> {
    let sql = const_format(match shelf {
        Shelf::Living => {
            "SELECT {} FROM estatebase.items WHERE workspace_id = $1 AND list_id = $2 AND id > $3
             AND deleted_at IS NULL ORDER BY id LIMIT $4"
        }
        Shelf::Trash => {
            "SELECT {} FROM estatebase.items WHERE workspace_id = $1 AND list_id = $2 AND id > $3
             AND deleted_at IS NOT NULL ORDER BY id LIMIT $4"
        }
    });
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(list.id.uuid())
        .bind(after.map_or(Uuid::nil(), ItemId::uuid))
        .bind(limit)
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| item(list, row)).collect()
}

/// How many items stand on a shelf of the list.
pub async fn count(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    shelf: Shelf,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM estatebase.items
         WHERE workspace_id = $1 AND list_id = $2 AND (deleted_at IS NOT NULL) = $3",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(shelf == Shelf::Trash)
    .fetch_one(tx.conn())
    .await?)
}

/// So many items are counted one by one; of more there is an estimate.
pub const COUNTED: i64 = 10_000;

/// About how many items stand on a shelf of the list: exactly up to [`COUNTED`], beyond it as many as
/// the planner's statistics say, so that the cost does not grow with the list. Right after a large
/// import they may be behind.
pub async fn estimate(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    shelf: Shelf,
) -> Result<i64, StoreError> {
    let counted: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND (deleted_at IS NOT NULL) = $3
             LIMIT $4) few",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(shelf == Shelf::Trash)
    .bind(COUNTED + 1)
    .fetch_one(tx.conn())
    .await?;
    if counted <= COUNTED {
        return Ok(counted);
    }
    // The planner knows the share of NULLs, but nothing of `(… IS NOT NULL) = $3`.
    let plan: serde_json::Value = sqlx::query_scalar(match shelf {
        Shelf::Living => {
            "EXPLAIN (FORMAT JSON) SELECT FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND deleted_at IS NULL"
        }
        Shelf::Trash => {
            "EXPLAIN (FORMAT JSON) SELECT FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND deleted_at IS NOT NULL"
        }
    })
    .bind(workspace.uuid())
    .bind(list.uuid())
    .fetch_one(tx.conn())
    .await?;
    let planned = plan.pointer("/0/Plan/Plan Rows");
    let planned = planned.and_then(serde_json::Value::as_i64);
    Ok(planned.unwrap_or(0).max(counted))
}

/// Items by place, across lists: what a group of commands is about to touch.
pub async fn find_places(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lists: &[(std::sync::Arc<List>, Vec<ItemId>)],
) -> Result<Vec<(Place, Item)>, StoreError> {
    let mut found = Vec::new();
    for (list, ids) in lists {
        let items = find(tx, workspace, list, ids).await?;
        found.extend(items.into_iter().map(|item| ((list.id, item.id), item)));
    }
    Ok(found)
}

/// Living items by place, across lists: one statement.
pub async fn find_across(
    tx: &mut Tx,
    workspace: WorkspaceId,
    schema: &Schema,
    places: &[Place],
) -> Result<Vec<(Place, Item)>, StoreError> {
    let lists: Vec<Uuid> = places.iter().map(|(list, _)| list.uuid()).collect();
    let ids: Vec<Uuid> = places.iter().map(|(_, id)| id.uuid()).collect();
    let sql = const_format(
        "SELECT found.* FROM unnest($2::uuid[], $3::uuid[]) AS asked (list, item)
         CROSS JOIN LATERAL (SELECT list_id, {} FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = asked.list AND id = asked.item
                 AND deleted_at IS NULL OFFSET 0) found",
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(&lists)
        .bind(&ids)
        .fetch_all(tx.conn())
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = ListId(row.try_get("list_id")?);
        if let Some(list) = schema.live(id) {
            let item = item(list, row)?;
            found.push(((id, item.id), item));
        }
    }
    Ok(found)
}

/// Fills the shared column list into a statement of constants.
fn const_format(template: &str) -> String {
    template.replace("{}", COLUMNS)
}

pub(super) fn item(list: &List, row: &PgRow) -> Result<Item, StoreError> {
    Ok(Item {
        id: ItemId(row.try_get("id")?),
        version: row.try_get("version")?,
        seq: row.try_get("seq")?,
        values: read_stored(&list.columns, row.try_get("stored")?),
        created_at: row.try_get("created_at")?,
        created_by: UserId(row.try_get("created_by")?),
        updated_at: row.try_get("updated_at")?,
        updated_by: UserId(row.try_get("updated_by")?),
        deleted_at: row.try_get("deleted_at")?,
    })
}
