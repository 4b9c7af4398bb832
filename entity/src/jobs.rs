//! `estatebase.jobs`: an import or another long-running piece of work, its progress and its end.

use sea_orm::entity::prelude::*;

use crate::ids::{JobId, ListId, UserId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(schema_name = "estatebase", table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    /// `import`.
    pub kind: String,
    /// `queued running paused needs_input succeeded failed cancelled reverted`.
    pub state: String,
    pub list_id: Option<ListId>,
    pub created_by: UserId,
    pub created_at: DateTimeUtc,
    /// What is to be done, by kind; of an import, its plan.
    #[sea_orm(column_type = "JsonBinary")]
    pub params: Json,
    pub file_name: Option<String>,
    pub file_size: i64,
    pub sha256: Option<Vec<u8>>,
    /// Rows read; each ends as one of the next five.
    pub read: i64,
    pub created: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub skipped: i64,
    pub failed: i64,
    pub total_bytes: i64,
    /// Bytes of the file whose rows are committed.
    pub checkpoint_bytes: i64,
    /// Rows that are committed; also the compare-and-set against doubles.
    pub checkpoint_record: i64,
    /// Why it failed: `{"path","code","message"}`.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub error: Option<Json>,
    /// Which process works on it, and until when that is believed without a sign of life.
    pub lease_owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub attempts: i32,
    pub finished_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
