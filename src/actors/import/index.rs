//! What an import with a key must know of the items that stand, read once before its first batch. What
//! happens to them from then on the lane tells the index.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::batch::Upsert;
use crate::domain::cell::ColumnId;
use crate::domain::import::Refusal;
use crate::domain::import::options::Mode;
use crate::domain::import::plan::ImportPlan;
use crate::domain::import::row_key::{KeyIndex, RowKey};
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store::{self, Db, Purpose, Tx};

/// How the rows of a plan find their items; None: all are new. Refuses `unknown_column` (of the key,
/// deleted since).
pub async fn upsert(
    db: &Db,
    workspace: WorkspaceId,
    list: &List,
    plan: &ImportPlan,
) -> Result<Option<Upsert>, AppError> {
    if plan.mode == Mode::Create {
        return Ok(None);
    }
    let column = |key: &String| -> Result<ColumnId, Refusal> {
        let column = list.columns.by_key(key);
        let gone = || format!("The list has no column `{key}` any more");
        Ok(column
            .ok_or_else(|| Refusal::at("/key", "unknown_column", gone()))?
            .id)
    };
    let columns = plan
        .keys
        .iter()
        .map(column)
        .collect::<Result<Vec<_>, _>>()?;
    let mut tx = Tx::begin(db, workspace, Purpose::Export).await?;
    let mut index = KeyIndex::at(store::row_keys::seen(&mut tx, workspace).await?);
    store::row_keys::all(&mut tx, workspace, list, &columns, |item, values| {
        if let Some(key) = RowKey::of(list.id, &columns, &values) {
            index.add(key, item);
        }
    })
    .await?;
    tx.commit().await?;
    Ok(Some(Upsert {
        columns,
        index: Arc::new(Mutex::new(index)),
        makes: plan.mode == Mode::Upsert,
    }))
}
