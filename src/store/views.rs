//! Saved views. Who may see which is the domain's to say; [`of_list`] leaves out what is another's
//! private one, for a page holds none of them.

use entity::views;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder,
};
use serde_json::Value;

use super::{StoreError, Tx};
use crate::domain::view::{View, ViewKind};
use crate::ids::{ListId, UserId, ViewId, WorkspaceId};

/// The views of a list that this person may see, by age.
pub async fn of_list(
    tx: &Tx,
    workspace: WorkspaceId,
    list: ListId,
    user: UserId,
) -> Result<Vec<View>, StoreError> {
    let theirs = Condition::any()
        .add(views::Column::Shared.eq(true))
        .add(views::Column::OwnerId.eq(user));
    let rows = views::Entity::find()
        .filter(views::Column::WorkspaceId.eq(workspace))
        .filter(views::Column::ListId.eq(list))
        .filter(views::Column::DeletedAt.is_null())
        .filter(theirs)
        .order_by_asc(views::Column::CreatedAt)
        .order_by_asc(views::Column::Id)
        .all(tx)
        .await?;
    rows.into_iter().map(view).collect()
}

/// Those of the views that are not deleted.
pub async fn living(
    tx: &Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = ViewId>,
) -> Result<Vec<View>, StoreError> {
    let rows = views::Entity::find()
        .filter(views::Column::WorkspaceId.eq(workspace))
        .filter(views::Column::Id.is_in(ids))
        .filter(views::Column::DeletedAt.is_null())
        .all(tx)
        .await?;
    rows.into_iter().map(view).collect()
}

/// How many views a list has, everybody's.
pub async fn count(tx: &Tx, workspace: WorkspaceId, list: ListId) -> Result<u64, StoreError> {
    Ok(views::Entity::find()
        .filter(views::Column::WorkspaceId.eq(workspace))
        .filter(views::Column::ListId.eq(list))
        .filter(views::Column::DeletedAt.is_null())
        .count(tx)
        .await?)
}

/// A view, also a deleted one or another's private one.
pub async fn find(tx: &Tx, workspace: WorkspaceId, id: ViewId) -> Result<Option<View>, StoreError> {
    let row = views::Entity::find_by_id((workspace, id)).one(tx).await?;
    row.map(view).transpose()
}

pub async fn insert(tx: &Tx, workspace: WorkspaceId, view: &View) -> Result<(), StoreError> {
    let row = row(workspace, view).into_active_model().reset_all();
    views::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Writes all of it.
pub async fn update(tx: &Tx, workspace: WorkspaceId, view: &View) -> Result<(), StoreError> {
    let row = row(workspace, view).into_active_model().reset_all();
    views::Entity::update(row).exec(tx).await?;
    Ok(())
}

fn row(workspace: WorkspaceId, view: &View) -> views::Model {
    views::Model {
        workspace_id: workspace,
        id: view.id,
        list_id: view.list,
        name: view.name.clone(),
        kind: view.kind.as_str().to_owned(),
        config: Value::Object(view.config.clone()),
        shared: view.shared,
        owner_id: view.owner,
        version: view.version,
        created_at: view.created_at,
        updated_at: view.updated_at,
        updated_by: view.updated_by,
        deleted_at: view.deleted_at,
    }
}

fn view(row: views::Model) -> Result<View, StoreError> {
    let Value::Object(config) = row.config else {
        return Err(StoreError::corrupt("a view's config"));
    };
    Ok(View {
        id: row.id,
        list: row.list_id,
        name: row.name,
        kind: ViewKind::from_name(&row.kind).ok_or_else(|| StoreError::corrupt("a view's kind"))?,
        config,
        shared: row.shared,
        owner: row.owner_id,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
        updated_by: row.updated_by,
        deleted_at: row.deleted_at,
    })
}
