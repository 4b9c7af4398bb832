//! The ids of the product under one name, so that pure rooms need not know where they are defined.

pub use entity::ids::{
    CommentId, FormId, InviteId, ItemId, JobId, ListId, UserId, ViewId, WorkspaceId,
};
