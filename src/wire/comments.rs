//! Comments as clients see them, and as they send them.

use serde::{Deserialize, Serialize};

use crate::domain::comment::Comment;
use crate::domain::item::time;
use crate::ids::{CommentId, ItemId, ListId, UserId};

/// A comment to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommentIn {
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub id: Option<CommentId>,
    /// 1–10 000 characters.
    pub body: String,
    /// Members of the workspace, at most 50.
    #[serde(default)]
    #[schema(value_type = Vec<uuid::Uuid>)]
    pub mentions: Vec<UserId>,
}

/// A change of a comment; what is absent stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommentPatchIn {
    pub body: Option<String>,
    #[schema(value_type = Option<Vec<uuid::Uuid>>)]
    pub mentions: Option<Vec<UserId>>,
}

/// A comment on an item.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CommentOut {
    #[schema(value_type = uuid::Uuid)]
    pub id: CommentId,
    #[schema(value_type = uuid::Uuid)]
    pub list_id: ListId,
    #[schema(value_type = uuid::Uuid)]
    pub item_id: ItemId,
    #[schema(value_type = uuid::Uuid)]
    pub author_id: UserId,
    pub body: String,
    #[schema(value_type = Vec<uuid::Uuid>)]
    pub mentions: Vec<UserId>,
    pub version: i64,
    pub created_at: String,
    pub updated_at: String,
}

impl CommentOut {
    pub fn new(comment: &Comment) -> CommentOut {
        CommentOut {
            id: comment.id,
            list_id: comment.list,
            item_id: comment.item,
            author_id: comment.author,
            body: comment.body.clone(),
            mentions: comment.mentions.clone(),
            version: comment.version,
            created_at: time(comment.created_at),
            updated_at: time(comment.updated_at),
        }
    }
}
