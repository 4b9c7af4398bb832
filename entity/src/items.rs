//! A row of a list. Its values are keyed by the short ids of the list's columns.

use sea_orm::entity::prelude::*;

use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "estatebase", table_name = "items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub list_id: ListId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ItemId,
    pub version: i64,
    pub seq: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub values: Json,
    pub created_at: DateTimeUtc,
    pub created_by: UserId,
    pub updated_at: DateTimeUtc,
    pub updated_by: UserId,
    pub deleted_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
