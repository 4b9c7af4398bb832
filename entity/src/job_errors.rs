//! `estatebase.job_errors`: the cells because of which a job could not store a row.

use sea_orm::entity::prelude::*;

use crate::ids::{JobId, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "estatebase", table_name = "job_errors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: WorkspaceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: JobId,
    /// Row of the data, from 1, the header and blank lines left out.
    #[sea_orm(primary_key, auto_increment = false)]
    pub row: i64,
    /// Which error of the row, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ordinal: i32,
    pub column_key: Option<String>,
    /// The text of the cell, at most 200 characters of it.
    pub value: Option<String>,
    pub code: String,
    pub message: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
