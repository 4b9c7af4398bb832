//! The log's frames as they are described: `events` and `ack`. They are written by hand, encoded
//! once for many (`domain::event`, `frames::ack`); the golden frames hold the two together.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// All that this socket may see of `(after, through]`, in order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Events {
    pub workspace: Uuid,
    /// The socket's position before it; another one than the client's means a hole.
    pub after: i64,
    pub through: i64,
    /// Of the log at `through`.
    pub mark: String,
    pub events: Vec<Event>,
}

/// One command of the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Event {
    pub seq: i64,
    pub at: String,
    pub actor: Author,
    /// The operation that it is the effect of, for its author.
    #[schema(nullable = false)]
    pub op: Option<Uuid>,
    /// The large change that it is a step of.
    #[schema(nullable = false)]
    pub change: Option<Uuid>,
    /// The `seq` that it takes back.
    #[schema(nullable = false)]
    pub undoes: Option<i64>,
    /// `family.past_tense`; a client leaves alone what it doesn't know.
    pub kind: String,
    /// With `items.changed`, `links.changed` and `items.merged`: an entry for each item that shows another state by it,
    /// those at the other ends of links too.
    #[schema(nullable = false)]
    pub changes: Option<Vec<Change>>,
    /// With every other kind. `view.created|updated|deleted|unshared|link_created|link_revoked`: `view`
    /// (whole, or its `id`, `list_id`, `owner_id` and `shared`), `was`, `link`. A private view's go to its
    /// owner alone; `view.unshared` tells everybody else to forget it. `comment.created|updated|deleted`:
    /// `comment`, `was`. `items.computed`: `list`, `columns`, `first`, `last` and `count` of the items of which
    /// computed cells changed. `computed`, beside whatever changed columns or lists: by `list`, the `columns`
    /// whose cells are computed anew.
    #[schema(value_type = Object, required = false)]
    pub data: Option<Map<String, Value>>,
    /// It was too large for a socket: read `lists` again, where `count` things changed.
    #[schema(nullable = false)]
    pub wide: Option<bool>,
    #[schema(nullable = false)]
    pub lists: Option<Vec<Uuid>>,
    #[schema(nullable = false)]
    pub count: Option<u64>,
}

/// Who did it: one of the four.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Author {
    #[schema(nullable = false)]
    pub user: Option<Uuid>,
    #[schema(nullable = false)]
    pub token: Option<Uuid>,
    #[schema(nullable = false)]
    pub job: Option<Uuid>,
    /// Of the public link to a form.
    #[schema(nullable = false)]
    pub form: Option<Uuid>,
}

/// What became of one item.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Change {
    Item(ItemChange),
    Erased(Erased),
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ItemChange {
    pub kind: ChangeKind,
    pub list: Uuid,
    pub item: Uuid,
    pub version: i64,
    /// By column key; `null` empties a cell. A cell of links is an array of its first ten, as `{"id"}`:
    /// titles are as of each reading. Their number stands beside it as `<key>__count`.
    #[schema(value_type = Object, required = false)]
    pub set: Option<Map<String, Value>>,
    /// What stood there before.
    #[schema(value_type = Object, required = false)]
    pub was: Option<Map<String, Value>>,
    /// With `items.merged`: the items that it takes in, which have entries of their own.
    #[schema(nullable = false)]
    pub merged: Option<Vec<Uuid>>,
    /// By key of a link column, all that became of the cell.
    #[schema(value_type = HashMap<String, CellLinks>, required = false)]
    pub links: Option<HashMap<String, CellLinks>>,
}

/// What became of a cell's links: ids of items.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CellLinks {
    #[schema(nullable = false)]
    pub added: Option<Vec<Uuid>>,
    #[schema(nullable = false)]
    pub removed: Option<Vec<Uuid>>,
    /// All of them, where what stayed was moved.
    #[schema(nullable = false)]
    pub order: Option<Vec<Uuid>>,
    #[schema(nullable = false)]
    pub was_order: Option<Vec<Uuid>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Created,
    Updated,
    Deleted,
    Restored,
}

/// A change whose content was erased for good.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Erased {
    pub kind: ErasedKind,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasedKind {
    Erased,
}

/// The edit `op` is in the log at `seq`; its event comes too, or came.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Ack {
    pub op: Uuid,
    pub seq: i64,
    pub items: Vec<AckedItem>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AckedItem {
    pub id: Uuid,
    pub version: i64,
}
