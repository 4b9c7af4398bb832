//! Cells of a list's living items, page by page, for a search of duplicates. Raw SQL: which cells follows
//! the question.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::{Purpose, StoreError, Tx};
use crate::domain::columns::Column;
use crate::domain::duplicates::MAX_CELL;
use crate::ids::{ItemId, ListId, WorkspaceId};
use crate::store::Db;

/// Rows of one statement.
const PAGE: i64 = 5_000;

/// An item's cells as they are stored; those that take too much are left out.
pub type RawCells = (ItemId, Vec<Option<String>>);

/// Gives the items, in the order of their ids, to `take` until that wants no more. Each page is as of its own
/// moment, and none holds a transaction while it is looked at.
pub async fn read(
    db: &Db,
    workspace: WorkspaceId,
    list: ListId,
    columns: &[Arc<Column>],
    mut take: impl AsyncFnMut(Vec<RawCells>) -> bool,
) -> Result<(), StoreError> {
    let mut after = Uuid::nil();
    let ids: Vec<String> = columns.iter().map(|column| column.id.to_string()).collect();
    loop {
        let page = page(db, workspace, list, &ids, after).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = last.uuid();
        if !take(page).await {
            return Ok(());
        }
    }
}

async fn page(
    db: &Db,
    workspace: WorkspaceId,
    list: ListId,
    columns: &[String],
    after: Uuid,
) -> Result<Vec<RawCells>, StoreError> {
    // As many as there are columns, each a number of ours.
    let cells: Vec<String> = (1..=columns.len())
        .map(|nr| format!("left((\"values\"->($6::text[])[{nr}])::text, $5)"))
        .collect();
    let sql = format!(
        "SELECT id, ARRAY[{}]::text[] AS cells FROM estatebase.items
         WHERE workspace_id = $1 AND list_id = $2 AND deleted_at IS NULL AND id > $3
         ORDER BY id LIMIT $4",
        cells.join(", ")
    );
    let mut tx = Tx::begin(db, workspace, Purpose::Page).await?;
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(list.uuid())
        .bind(after)
        .bind(PAGE)
        .bind(MAX_CELL + 1)
        .bind(columns)
        .fetch_all(tx.conn())
        .await?;
    tx.commit().await?;
    let most = usize::try_from(MAX_CELL).unwrap_or(usize::MAX);
    let fits = |cell: Option<String>| cell.filter(|cell| cell.chars().count() <= most);
    rows.iter()
        .map(|row| {
            let cells: Vec<Option<String>> = row.try_get("cells")?;
            Ok((
                ItemId(row.try_get("id")?),
                cells.into_iter().map(fits).collect(),
            ))
        })
        .collect()
}
