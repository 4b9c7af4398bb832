//! The values of some columns of a list's items, for an import that finds its rows' items by them. Raw
//! SQL: whole lists are read, and of each item only what is asked for.

use futures::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::cell::{ColumnId, Values, read_stored};
use crate::domain::schema::List;
use crate::ids::{ItemId, WorkspaceId};

/// The position of the log that the transaction sees.
pub async fn seen(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let seq = sqlx::query_scalar("SELECT seq FROM estatebase.workspaces WHERE id = $1")
        .bind(workspace.uuid())
        .fetch_one(tx.conn())
        .await?;
    Ok(seq)
}

/// Tells `each` the living items of the list with these columns' values.
pub async fn all(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    columns: &[ColumnId],
    mut each: impl FnMut(ItemId, Values),
) -> Result<(), StoreError> {
    let sql = format!("{} AND deleted_at IS NULL", select(columns));
    let mut rows = sqlx::query(AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(list.id.uuid())
        .bind(names(columns))
        .fetch(tx.conn());
    while let Some(row) = rows.try_next().await? {
        let (item, values) = read(list, &row)?;
        each(item, values);
    }
    Ok(())
}

/// The same of the items that anything has happened to behind the position `after`.
pub async fn touched(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    columns: &[ColumnId],
    after: i64,
) -> Result<Vec<(ItemId, Values)>, StoreError> {
    let sql = format!(
        "WITH told AS MATERIALIZED (
             SELECT item_id, coalesce(last_item_id, item_id) AS last FROM estatebase.event_payloads
             WHERE workspace_id = $1 AND seq > $4 AND list_id = $2 AND item_id IS NOT NULL)
         SELECT i.id, i.stored FROM (SELECT DISTINCT item_id, last FROM told) told
         CROSS JOIN LATERAL ({} AND deleted_at IS NULL AND id BETWEEN told.item_id AND told.last
             OFFSET 0) i",
        select(columns)
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(list.id.uuid())
        .bind(names(columns))
        .bind(after)
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| read(list, row)).collect()
}

/// An object of the columns' values, by column id; what is empty is null.
fn select(columns: &[ColumnId]) -> String {
    let pairs: Vec<String> = (1..=columns.len())
        .map(|nr| format!(r#"($3::text[])[{nr}], "values"->($3::text[])[{nr}]"#))
        .collect();
    format!(
        "SELECT id, jsonb_strip_nulls(jsonb_build_object({}))::text AS stored
         FROM estatebase.items WHERE workspace_id = $1 AND list_id = $2",
        pairs.join(", ")
    )
}

fn names(columns: &[ColumnId]) -> Vec<String> {
    columns.iter().map(ColumnId::to_string).collect()
}

fn read(list: &List, row: &PgRow) -> Result<(ItemId, Values), StoreError> {
    let id: Uuid = row.try_get("id")?;
    Ok((
        ItemId(id),
        read_stored(&list.columns, row.try_get("stored")?),
    ))
}
