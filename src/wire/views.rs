//! Saved views as clients see them, and as they send them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::item::time;
use crate::domain::schema::List;
use crate::domain::view::View;
use crate::error::FieldError;
use crate::ids::{ListId, UserId, ViewId};

/// A view to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewIn {
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub id: Option<ViewId>,
    /// 1–200 characters.
    pub name: String,
    /// `grid`, `kanban`, `calendar`, `gallery`, `map` or `form`.
    pub kind: String,
    /// By kind, ≤ 64 KiB: `columns` (keys, in order; a form's questions) of all; `filter`, `sort` and
    /// `colors` (`{"column"}`, of choices) of all but forms; `group_by` (a column; a kanban needs one of
    /// type `single_select`) and `widths` (pixels by key) of grids; `date` and `end_date` of calendars;
    /// `location` (a column of type `location` or `address`) of maps; `cover` (`url`) of galleries;
    /// `title`, `description` and `required` (keys) of forms.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    /// Whether everybody in the workspace sees it; else its owner alone.
    #[serde(default)]
    pub shared: bool,
}

/// A change of a view; what is absent stays, a config is replaced as a whole.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewPatchIn {
    pub name: Option<String>,
    pub kind: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    /// `false` is its owner's to say.
    pub shared: Option<bool>,
}

/// A saved view.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ViewOut {
    #[schema(value_type = uuid::Uuid)]
    pub id: ViewId,
    #[schema(value_type = uuid::Uuid)]
    pub list_id: ListId,
    pub name: String,
    pub kind: String,
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    pub shared: bool,
    #[schema(value_type = uuid::Uuid)]
    pub owner_id: UserId,
    pub version: i64,
    /// What no longer holds of `config`, as where a column was deleted since: paths and codes as a write
    /// would be refused with. Leave those parts alone; nothing was taken out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldError>,
    pub created_at: String,
    pub updated_at: String,
    #[schema(value_type = uuid::Uuid)]
    pub updated_by: UserId,
}

impl ViewOut {
    /// As it was saved.
    pub fn new(view: &View) -> ViewOut {
        ViewOut {
            id: view.id,
            list_id: view.list,
            name: view.name.clone(),
            kind: view.kind.as_str().to_owned(),
            config: view.config.clone(),
            shared: view.shared,
            owner_id: view.owner,
            version: view.version,
            problems: Vec::new(),
            created_at: time(view.created_at),
            updated_at: time(view.updated_at),
            updated_by: view.updated_by,
        }
    }

    /// With what no longer holds of it in its list as that is now.
    pub fn read(view: &View, list: &List) -> ViewOut {
        ViewOut {
            problems: view.problems(list),
            ..ViewOut::new(view)
        }
    }
}
