//! Lists and columns of a workspace.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{columns, lists};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, Set};

use super::{StoreError, Tx};
use crate::domain::columns::{Column, ColumnSet, ColumnType, Options, ParseContext};
use crate::domain::schema::{List, Schema};
use crate::ids::{ListId, WorkspaceId};

/// Every list and column, the deleted ones too; and the next automatic number of each list.
pub async fn load(
    tx: &Tx,
    workspace: WorkspaceId,
) -> Result<(Schema, BTreeMap<ListId, i64>), StoreError> {
    let list_rows = lists::Entity::find()
        .filter(lists::Column::WorkspaceId.eq(workspace))
        .all(tx)
        .await?;
    let column_rows = columns::Entity::find()
        .filter(columns::Column::WorkspaceId.eq(workspace))
        .all(tx)
        .await?;
    let mut columns_of: BTreeMap<ListId, Vec<Column>> = BTreeMap::new();
    for row in column_rows {
        columns_of
            .entry(row.list_id)
            .or_default()
            .push(column(row)?);
    }
    let mut lists = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for row in list_rows {
        numbers.insert(row.id, row.next_number);
        let list = List {
            id: row.id,
            name: row.name,
            position: row.position,
            columns: ColumnSet::new(columns_of.remove(&row.id).unwrap_or_default()),
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        };
        lists.insert(list.id, Arc::new(list));
    }
    Ok((Schema::new(lists), numbers))
}

/// Inserts a list without its columns.
pub async fn insert_list(tx: &Tx, workspace: WorkspaceId, list: &List) -> Result<(), StoreError> {
    lists::Entity::insert(list_row(workspace, list))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Writes name, position, column counter and the trash mark of a list.
pub async fn update_list(tx: &Tx, workspace: WorkspaceId, list: &List) -> Result<(), StoreError> {
    let mut row = list_row(workspace, list);
    row.created_at = sea_orm::ActiveValue::NotSet;
    row.created_by = sea_orm::ActiveValue::NotSet;
    row.next_number = sea_orm::ActiveValue::NotSet;
    row.workspace_id = sea_orm::ActiveValue::Unchanged(workspace);
    row.id = sea_orm::ActiveValue::Unchanged(list.id);
    row.update(tx).await?;
    Ok(())
}

/// The next automatic number of each list.
pub async fn next_numbers(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<BTreeMap<ListId, i64>, StoreError> {
    let rows = sqlx::query_as::<_, (uuid::Uuid, i64)>(
        "SELECT id, next_number FROM estatebase.lists WHERE workspace_id = $1",
    )
    .bind(workspace.uuid())
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, next)| (ListId(id), next))
        .collect())
}

/// Inserts or overwrites columns of a list.
pub async fn save_columns(
    tx: &Tx,
    workspace: WorkspaceId,
    list: ListId,
    columns: &[Column],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if columns.is_empty() {
        return Ok(());
    }
    let rows = columns
        .iter()
        .map(|column| column_row(workspace, list, column, now));
    columns::Entity::insert_many(rows)
        .on_conflict(
            sea_orm::sea_query::OnConflict::columns([
                columns::Column::WorkspaceId,
                columns::Column::ListId,
                columns::Column::Id,
            ])
            .update_columns([
                columns::Column::Name,
                columns::Column::Kind,
                columns::Column::Options,
                columns::Column::Required,
                columns::Column::IsUnique,
                columns::Column::IsReplaced,
                columns::Column::DefaultValue,
                columns::Column::Position,
                columns::Column::DeletedAt,
            ])
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn list_row(workspace: WorkspaceId, list: &List) -> lists::ActiveModel {
    lists::Model {
        workspace_id: workspace,
        id: list.id,
        name: list.name.clone(),
        position: list.position,
        next_number: 1,
        created_at: list.created_at,
        created_by: list.created_by,
        updated_at: list.updated_at,
        deleted_at: list.deleted_at,
    }
    .into_active_model()
    .reset_all()
}

fn column_row(
    workspace: WorkspaceId,
    list: ListId,
    column: &Column,
    now: DateTime<Utc>,
) -> columns::ActiveModel {
    columns::ActiveModel {
        workspace_id: Set(workspace),
        list_id: Set(list),
        id: Set(column.id.to_string()),
        key: Set(column.key.clone()),
        name: Set(column.name.clone()),
        kind: Set(column.ty.as_str().to_owned()),
        options: Set(column.options.to_stored()),
        required: Set(column.required),
        is_unique: Set(column.unique),
        is_replaced: Set(column.replaced),
        default_value: Set(column.default.as_ref().and_then(|cell| {
            let mut json = String::new();
            column.write_wire_cell(cell, &mut json);
            serde_json::from_str(&json).ok()
        })),
        position: Set(column.position),
        created_at: Set(now),
        deleted_at: Set(column.deleted.then_some(now)),
    }
}

fn column(row: columns::Model) -> Result<Column, StoreError> {
    let ty =
        ColumnType::from_name(&row.kind).ok_or_else(|| StoreError::corrupt("a column's type"))?;
    let options = Options::from_stored(&row.options);
    let mut column = Column {
        id: row
            .id
            .parse()
            .map_err(|_| StoreError::corrupt("a column's id"))?,
        key: row.key,
        name: row.name,
        ty,
        options,
        required: row.required,
        unique: row.is_unique,
        default: None,
        position: row.position,
        deleted: row.deleted_at.is_some(),
        replaced: row.is_replaced,
    };
    if let Some(default) = row.default_value {
        let context = ParseContext { members: &|_| true };
        column.default = column
            .parse_json(&default.to_string(), &context)
            .unwrap_or_default();
    }
    Ok(column)
}
