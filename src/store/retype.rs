//! The cells of a column on their way to another type: page by page along the key, so that no list is too
//! large, and each page's new cells in one statement. What becomes of a cell is the domain's to say.

use std::collections::HashMap;

use serde_json::value::RawValue;
use sqlx::Row as _;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::columns::Column;
use crate::domain::retype::{Outlook, convert};
use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

/// Cells read, and written, in one go.
const PAGE: i64 = 5_000;
/// Items that have been changed since are told up to so many.
const OBSTACLES: usize = 100;

/// A column and the one in its place.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub list: ListId,
    pub from: &'a Column,
    pub to: &'a Column,
    /// The members by id and e-mail address.
    pub people: &'a HashMap<String, UserId>,
}

impl Pair<'_> {
    fn find(&self) -> impl Fn(&str) -> Option<UserId> {
        |text| self.people.get(&text.trim().to_lowercase()).copied()
    }
}

/// What would become of the values.
pub async fn outlook(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pair: Pair<'_>,
) -> Result<Outlook, StoreError> {
    along(tx, workspace, pair, false, false).await
}

/// Fills the new column. Where values would be lost and may not be, nothing is written from there on: the
/// caller lets go of the transaction.
pub async fn fill(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pair: Pair<'_>,
    may_lose: bool,
) -> Result<Outlook, StoreError> {
    along(tx, workspace, pair, true, may_lose).await
}

async fn along(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pair: Pair<'_>,
    write: bool,
    may_lose: bool,
) -> Result<Outlook, StoreError> {
    tx.follow_the_index().await?;
    let mut outlook = Outlook::default();
    let mut after = Uuid::nil();
    loop {
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            r#"SELECT id, ("values"->$4)::text FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND id > $3 AND "values" ? $4 ORDER BY id LIMIT $5"#,
        )
        .bind(workspace.uuid())
        .bind(pair.list.uuid())
        .bind(after)
        .bind(pair.from.id.to_string())
        .bind(PAGE)
        .fetch_all(tx.conn())
        .await?;
        let Some((last, _)) = rows.last() else {
            return Ok(outlook);
        };
        let (first, last) = (after, *last);
        let cells = converted(&rows, pair, &mut outlook);
        if write && (may_lose || outlook.lost == 0) && !cells.is_empty() {
            write_page(tx, workspace, pair, (first, last), &cells).await?;
        }
        after = last;
    }
}

/// The new cells of a page by item, as a JSON object.
fn converted(rows: &[(Uuid, String)], pair: Pair<'_>, outlook: &mut Outlook) -> String {
    let mut cells = String::new();
    for (id, stored) in rows {
        let Some(cell) = pair.from.read_stored_cell(stored) else {
            continue;
        };
        outlook.values += 1;
        match convert(pair.from, pair.to, &cell, &pair.find()) {
            Ok(None) => {}
            Ok(Some(cell)) => {
                cells.push_str(if cells.is_empty() { "{\"" } else { ",\"" });
                cells.push_str(&id.to_string());
                cells.push_str("\":");
                cell.write_stored(&mut cells);
            }
            Err(error) => outlook.lose(pair.from, pair.to, ItemId(*id), cell, error),
        }
    }
    if !cells.is_empty() {
        cells.push('}');
    }
    cells
}

/// One range of the key: no other index serves it, whatever the planner believes.
async fn write_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pair: Pair<'_>,
    (after, last): (Uuid, Uuid),
    cells: &str,
) -> Result<(), StoreError> {
    // Sent as JSONB: of a text it would be read anew for each row.
    let cells: &RawValue =
        serde_json::from_str(cells).map_err(|error| StoreError::Fault(anyhow::anyhow!(error)))?;
    sqlx::query(
        r#"UPDATE estatebase.items SET "values" = "values" || jsonb_build_object($5::text, $6 -> id::text)
         WHERE workspace_id = $1 AND list_id = $2 AND id > $3 AND id <= $4 AND $6 ? id::text"#,
    )
    .bind(workspace.uuid())
    .bind(pair.list.uuid())
    .bind(after)
    .bind(last)
    .bind(pair.to.id.to_string())
    .bind(sqlx::types::Json(cells))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An item whose value is not what the change of type made of it.
#[derive(Clone, Copy, Debug)]
pub struct Differs {
    pub item: ItemId,
    pub by: UserId,
    pub seq: i64,
}

/// The items of which the two columns say different things since `seq`: up to a hundred.
pub async fn differing(
    tx: &mut Tx,
    workspace: WorkspaceId,
    pair: Pair<'_>,
    seq: i64,
) -> Result<Vec<Differs>, StoreError> {
    tx.follow_the_index().await?;
    let mut differing = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query(
            r#"SELECT id, seq, updated_by, ("values"->$4)::text AS from_cell, ("values"->$5)::text AS to_cell
             FROM estatebase.items
             WHERE workspace_id = $1 AND list_id = $2 AND id > $3 AND seq > $6 ORDER BY id LIMIT $7"#,
        )
        .bind(workspace.uuid())
        .bind(pair.list.uuid())
        .bind(after)
        .bind(pair.from.id.to_string())
        .bind(pair.to.id.to_string())
        .bind(seq)
        .bind(PAGE)
        .fetch_all(tx.conn())
        .await?;
        for row in &rows {
            after = row.try_get("id")?;
            let from: Option<String> = row.try_get("from_cell")?;
            let to: Option<String> = row.try_get("to_cell")?;
            let from = from.and_then(|stored| pair.from.read_stored_cell(&stored));
            let to = to.and_then(|stored| pair.to.read_stored_cell(&stored));
            let made = from.and_then(|cell| {
                let made = convert(pair.from, pair.to, &cell, &pair.find());
                made.ok().flatten()
            });
            if made != to && differing.len() < OBSTACLES {
                differing.push(Differs {
                    item: ItemId(after),
                    by: UserId(row.try_get("updated_by")?),
                    seq: row.try_get("seq")?,
                });
            }
        }
        if rows.is_empty() || differing.len() >= OBSTACLES {
            return Ok(differing);
        }
    }
}
