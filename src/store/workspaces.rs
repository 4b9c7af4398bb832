//! The workspace row itself; its head moves only in `commit`.

use chrono::{DateTime, Utc};
use entity::workspaces;
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IntoActiveModel, Set};

use super::{StoreError, Tx};
use crate::ids::WorkspaceId;

pub use entity::workspaces::Model as Workspace;

pub async fn find(tx: &Tx, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    Ok(workspaces::Entity::find_by_id(id).one(tx).await?)
}

pub async fn insert(tx: &Tx, workspace: Workspace) -> Result<(), StoreError> {
    let row = workspace.into_active_model().reset_all();
    workspaces::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Writes the name and the trash mark.
pub async fn update(
    tx: &Tx,
    id: WorkspaceId,
    name: &str,
    deleted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    workspaces::ActiveModel {
        id: ActiveValue::Unchanged(id),
        name: Set(name.to_owned()),
        deleted_at: Set(deleted_at),
        updated_at: Set(now),
        ..Default::default()
    }
    .update(tx)
    .await?;
    Ok(())
}
