//! A public link to the form of a view, known by the hash of its token alone.

use sea_orm::entity::prelude::*;

use crate::ids::{FormId, UserId, ViewId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "estatebase", table_name = "form_links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FormId,
    pub view_id: ViewId,
    pub token_hash: Vec<u8>,
    pub created_by: UserId,
    pub created_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
