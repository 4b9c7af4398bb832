//! Who holds which value of a unique column: asked for by key, and, when a column becomes unique or stops
//! being so, taken and let go for a whole list at once. Values that change hands are written by `commit`.

use std::collections::{BTreeSet, HashMap};

use sqlx::Row as _;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::columns::Column;
use crate::domain::unique::Key;
use crate::ids::{ItemId, ListId, WorkspaceId};

/// Values that stand more than once are told up to so many.
const SAMPLE: i64 = 10;

/// A value that several living items hold.
#[derive(Clone, Debug)]
pub struct Duplicate {
    /// As it is stored.
    pub stored: String,
    pub count: i64,
    /// The first of them.
    pub items: Vec<ItemId>,
}

/// Who holds these values: one statement however many there are.
pub async fn holders(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: &BTreeSet<Key>,
) -> Result<HashMap<Key, Option<ItemId>>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    // Each by a subquery of its own: whatever the planner believes, by the primary key.
    let rows: Vec<Option<Uuid>> = sqlx::query_scalar(
        "SELECT (SELECT k.item_id FROM estatebase.unique_keys k
             WHERE k.workspace_id = $1 AND k.list_id = a.list_id AND k.column_id = a.column_id AND k.key = a.key)
         FROM unnest($2::uuid[], $3::text[], $4::bytea[]) WITH ORDINALITY AS a (list_id, column_id, key, nr)
         ORDER BY a.nr",
    )
    .bind(workspace.uuid())
    .bind(keys.iter().map(|key| key.list.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.column.to_string()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(tx.conn())
    .await?;
    let holders = rows.into_iter().map(|item| item.map(ItemId));
    Ok(keys.iter().copied().zip(holders).collect())
}

/// Takes the values of all living items of the list, or says which of them stand more than once.
pub async fn claim(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    column: &Column,
) -> Result<Vec<Duplicate>, StoreError> {
    let duplicates = duplicates(tx, workspace, list, column).await?;
    if duplicates.is_empty() {
        sqlx::query(
            r#"INSERT INTO estatebase.unique_keys (workspace_id, list_id, column_id, key, item_id)
             SELECT $1, $2, $3, estatebase.unique_key("values"->>$3), id FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND deleted_at IS NULL AND "values" ? $3"#,
        )
        .bind(workspace.uuid())
        .bind(list.uuid())
        .bind(column.id.to_string())
        .execute(tx.conn())
        .await?;
    }
    Ok(duplicates)
}

async fn duplicates(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    column: &Column,
) -> Result<Vec<Duplicate>, StoreError> {
    let rows = sqlx::query(
        r#"SELECT min(stored) AS stored, count(*) AS count, (array_agg(id ORDER BY id))[1:3] AS items
         FROM (SELECT id, ("values"->$3)::text AS stored, estatebase.unique_key("values"->>$3) AS key
             FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND deleted_at IS NULL AND "values" ? $3) held
         GROUP BY key HAVING count(*) > 1 ORDER BY (array_agg(id ORDER BY id))[1] LIMIT $4"#,
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(column.id.to_string())
    .bind(SAMPLE)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            let items: Vec<Uuid> = row.try_get("items")?;
            Ok(Duplicate {
                stored: row.try_get("stored")?,
                count: row.try_get("count")?,
                items: items.into_iter().map(ItemId).collect(),
            })
        })
        .collect()
}

/// Lets go of all values of a column.
pub async fn release(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    column: &Column,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM estatebase.unique_keys WHERE workspace_id = $1 AND list_id = $2 AND column_id = $3",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(column.id.to_string())
    .execute(tx.conn())
    .await?;
    Ok(())
}
