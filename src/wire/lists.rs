//! Lists and columns as clients see them.

use serde::Serialize;
use serde_json::Value;

use crate::domain::columns::Column;
use crate::domain::item::time;
use crate::domain::retype::{Loss, Outlook};
use crate::domain::schema::List;
use crate::ids::{ItemId, ListId, UserId};

/// A list with its columns, in their order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListOut {
    #[schema(value_type = uuid::Uuid)]
    pub id: ListId,
    pub name: String,
    pub position: i32,
    pub columns: Vec<ColumnOut>,
    pub created_at: String,
    #[schema(value_type = uuid::Uuid)]
    pub created_by: UserId,
    pub updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
}

/// A column of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ColumnOut {
    pub key: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    #[schema(value_type = Object)]
    pub options: Value,
    pub required: bool,
    pub unique: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub default: Option<Value>,
    pub read_only: bool,
    pub position: i32,
}

impl ListOut {
    pub fn new(list: &List) -> ListOut {
        ListOut {
            id: list.id,
            name: list.name.clone(),
            position: list.position,
            columns: list.columns.iter().map(ColumnOut::new).collect(),
            created_at: time(list.created_at),
            created_by: list.created_by,
            updated_at: time(list.updated_at),
            deleted_at: list.deleted_at.map(time),
        }
    }
}

impl ColumnOut {
    pub fn new(column: &Column) -> ColumnOut {
        ColumnOut {
            key: column.key.clone(),
            name: column.name.clone(),
            ty: column.type_name().to_owned(),
            options: column.options_json(),
            required: column.required,
            unique: column.unique,
            default: column.default.as_ref().and_then(|cell| {
                let mut json = String::new();
                column.write_wire_cell(cell, &mut json);
                serde_json::from_str(&json).ok()
            }),
            read_only: column.is_read_only(),
            position: column.position,
        }
    }
}

/// What another type would do to a column's values, those in the trash too.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OutlookOut {
    pub values: u64,
    /// So many can't be of that type.
    pub lost: u64,
    /// Up to ten of them.
    pub samples: Vec<LossOut>,
    /// Of a type with choices: names that stand in the values and are no choices of it, at most as many as it
    /// may have. With them among the `choices` of its options nothing of these is lost.
    pub missing_choices: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LossOut {
    #[schema(value_type = uuid::Uuid)]
    pub item: ItemId,
    #[schema(value_type = Object)]
    pub value: Value,
    pub code: String,
    pub message: String,
}

impl OutlookOut {
    pub fn new(from: &Column, outlook: &Outlook) -> OutlookOut {
        let sample = |loss: &Loss| {
            let mut value = String::new();
            from.write_wire_cell(&loss.cell, &mut value);
            LossOut {
                item: loss.item,
                value: serde_json::from_str(&value).unwrap_or_default(),
                code: loss.code.to_owned(),
                message: loss.message.clone(),
            }
        };
        OutlookOut {
            values: outlook.values,
            lost: outlook.lost,
            samples: outlook.samples.iter().map(sample).collect(),
            missing_choices: outlook.missing_choices.clone(),
        }
    }
}
