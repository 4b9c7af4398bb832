//! Invitations. Only the hash of a token is ever stored.

use chrono::{DateTime, Utc};
use entity::invites;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Set,
};

use super::{Db, StoreError, Tx};
use crate::ids::{InviteId, UserId, WorkspaceId};

pub use entity::invites::Model as Invite;

pub async fn insert(tx: &Tx, invite: Invite) -> Result<(), StoreError> {
    let row = invite.into_active_model().reset_all();
    invites::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// The invitations of a workspace that are still open, newest first.
pub async fn open(
    tx: &Tx,
    workspace: WorkspaceId,
    now: DateTime<Utc>,
) -> Result<Vec<Invite>, StoreError> {
    Ok(invites::Entity::find()
        .filter(invites::Column::WorkspaceId.eq(workspace))
        .filter(invites::Column::AcceptedAt.is_null())
        .filter(invites::Column::RevokedAt.is_null())
        .filter(invites::Column::ExpiresAt.gt(now))
        .order_by_desc(invites::Column::Id)
        .all(tx)
        .await?)
}

pub async fn find(
    tx: &Tx,
    workspace: WorkspaceId,
    id: InviteId,
) -> Result<Option<Invite>, StoreError> {
    Ok(invites::Entity::find_by_id((workspace, id)).one(tx).await?)
}

pub async fn mark_revoked(tx: &Tx, invite: Invite, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut row = invite.into_active_model();
    row.revoked_at = Set(Some(now));
    row.update(tx).await?;
    Ok(())
}

pub async fn mark_accepted(
    tx: &Tx,
    invite: Invite,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut row = invite.into_active_model();
    row.accepted_at = Set(Some(now));
    row.accepted_by = Set(Some(by));
    row.update(tx).await?;
    Ok(())
}

/// Where a token leads. Whoever holds it does not know its workspace yet, hence a definer function
/// that takes the token's hash and nothing else.
pub async fn by_token(db: &Db, hash: &[u8]) -> Result<Option<(WorkspaceId, InviteId)>, StoreError> {
    let row = sqlx::query_as::<_, (uuid::Uuid, uuid::Uuid)>(
        "SELECT workspace_id, id FROM estatebase.invite_by_token($1)",
    )
    .bind(hash)
    .fetch_optional(db.outside())
    .await?;
    Ok(row.map(|(workspace, id)| (WorkspaceId(workspace), InviteId(id))))
}
