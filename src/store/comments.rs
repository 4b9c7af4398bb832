//! Comments on items. Raw SQL, for pages are read by key along their index.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::comment::Comment;
use crate::ids::{CommentId, ItemId, ListId, UserId, WorkspaceId};

/// Where a comment stands among those of its item.
pub type Position = (DateTime<Utc>, CommentId);

/// The comments of these items of a list behind `after`, oldest first, at most `limit`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    items: &[ItemId],
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Comment>, StoreError> {
    let (at, id) = after.unwrap_or((DateTime::UNIX_EPOCH, CommentId(Uuid::nil())));
    let rows = sqlx::query(
        "SELECT id, list_id, item_id, author_id, body, mentions, version, created_at, updated_at, deleted_at
         FROM estatebase.comments
         WHERE workspace_id = $1 AND list_id = $2 AND item_id = ANY($3) AND deleted_at IS NULL
           AND (created_at, id) > ($4, $5)
         ORDER BY created_at, id LIMIT $6",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(items.iter().map(|item| item.uuid()).collect::<Vec<_>>())
    .bind(at)
    .bind(id.uuid())
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    rows.iter().map(comment).collect()
}

/// A comment, also a deleted one.
pub async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: CommentId,
) -> Result<Option<Comment>, StoreError> {
    let row = sqlx::query(
        "SELECT id, list_id, item_id, author_id, body, mentions, version, created_at, updated_at, deleted_at
         FROM estatebase.comments WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace.uuid())
    .bind(id.uuid())
    .fetch_optional(tx.conn())
    .await?;
    row.as_ref().map(comment).transpose()
}

pub async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    comment: &Comment,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO estatebase.comments (workspace_id, id, list_id, item_id, author_id, body, mentions,
             version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(workspace.uuid())
    .bind(comment.id.uuid())
    .bind(comment.list.uuid())
    .bind(comment.item.uuid())
    .bind(comment.author.uuid())
    .bind(&comment.body)
    .bind(people(comment))
    .bind(comment.version)
    .bind(comment.created_at)
    .bind(comment.updated_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes what it says, its version and its end.
pub async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    comment: &Comment,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE estatebase.comments
         SET body = $3, mentions = $4, version = $5, updated_at = $6, deleted_at = $7
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace.uuid())
    .bind(comment.id.uuid())
    .bind(&comment.body)
    .bind(people(comment))
    .bind(comment.version)
    .bind(comment.updated_at)
    .bind(comment.deleted_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn people(comment: &Comment) -> Vec<Uuid> {
    comment.mentions.iter().map(|user| user.uuid()).collect()
}

fn comment(row: &PgRow) -> Result<Comment, StoreError> {
    let mentions: Vec<Uuid> = row.try_get("mentions")?;
    Ok(Comment {
        id: CommentId(row.try_get("id")?),
        list: ListId(row.try_get("list_id")?),
        item: ItemId(row.try_get("item_id")?),
        author: UserId(row.try_get("author_id")?),
        body: row.try_get("body")?,
        mentions: mentions.into_iter().map(UserId).collect(),
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        deleted_at: row.try_get("deleted_at")?,
    })
}
