//! Public links to forms. Only the hash of a token is ever stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::form_links;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Set,
};

use super::{Db, StoreError, Tx};
use crate::domain::form::Form;
use crate::domain::view::ViewKind;
use crate::ids::{FormId, ViewId, WorkspaceId};

pub use entity::form_links::Model as FormLink;

/// Every form that is open, by its link.
pub async fn open(
    tx: &Tx,
    workspace: WorkspaceId,
) -> Result<BTreeMap<FormId, Arc<Form>>, StoreError> {
    let links = form_links::Entity::find()
        .filter(form_links::Column::WorkspaceId.eq(workspace))
        .filter(form_links::Column::RevokedAt.is_null())
        .all(tx)
        .await?;
    if links.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = links.iter().map(|link| link.view_id);
    let views = super::views::living(tx, workspace, ids).await?;
    let views: HashMap<ViewId, _> = views.into_iter().map(|view| (view.id, view)).collect();
    let forms = links.iter().filter_map(|link| {
        let view = views.get(&link.view_id)?;
        let is_form = view.kind == ViewKind::Form;
        is_form.then(|| (link.id, Arc::new(Form::of(link.id, view))))
    });
    Ok(forms.collect())
}

/// The links of a view that are good, oldest first.
pub async fn of_view(
    tx: &Tx,
    workspace: WorkspaceId,
    view: ViewId,
) -> Result<Vec<FormLink>, StoreError> {
    Ok(form_links::Entity::find()
        .filter(form_links::Column::WorkspaceId.eq(workspace))
        .filter(form_links::Column::ViewId.eq(view))
        .filter(form_links::Column::RevokedAt.is_null())
        .order_by_asc(form_links::Column::CreatedAt)
        .order_by_asc(form_links::Column::Id)
        .all(tx)
        .await?)
}

pub async fn find(
    tx: &Tx,
    workspace: WorkspaceId,
    id: FormId,
) -> Result<Option<FormLink>, StoreError> {
    let found = form_links::Entity::find_by_id((workspace, id));
    Ok(found.one(tx).await?)
}

pub async fn insert(tx: &Tx, link: FormLink) -> Result<(), StoreError> {
    let row = link.into_active_model().reset_all();
    form_links::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

pub async fn mark_revoked(tx: &Tx, link: FormLink, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut row = link.into_active_model();
    row.revoked_at = Set(Some(now));
    row.update(tx).await?;
    Ok(())
}

/// Where a token leads, and a position of that workspace's log at which it does. Whoever holds it does
/// not know its workspace, hence a definer function that takes the token's hash and nothing else.
pub async fn by_token(
    db: &Db,
    hash: &[u8],
) -> Result<Option<(WorkspaceId, FormId, i64)>, StoreError> {
    let row = sqlx::query_as::<_, (uuid::Uuid, uuid::Uuid, i64)>(
        "SELECT workspace_id, id, seq FROM estatebase.form_by_token($1)",
    )
    .bind(hash)
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|(workspace, id, seq)| (WorkspaceId(workspace), FormId(id), seq)))
}
