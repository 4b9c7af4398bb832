//! What takes back a change of a view or of a comment. What each of its parts was set to must stand still.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::core::Core;
use super::Plan;
use super::plan_items::erased;
use crate::actors::workspace::{AdminCommand, CommentCommand, ViewCommand};
use crate::domain::item::Place;
use crate::domain::undo::{Obstacle, not_undoable, refused};
use crate::domain::view::{View, ViewPatch};
use crate::error::AppError;
use crate::ids::{CommentId, ItemId, ListId, UserId, ViewId};
use crate::store::log::LoggedEvent;
use crate::store::past::reshapings;
use crate::store::{self, Tx};

/// What an event says of a view: the whole, or which one.
#[derive(Deserialize)]
struct ViewSaid {
    view: ViewPart,
    #[serde(default)]
    was: Map<String, Value>,
}

#[derive(Deserialize)]
struct ViewPart {
    id: ViewId,
    #[serde(flatten)]
    parts: Map<String, Value>,
}

#[derive(Deserialize)]
struct CommentSaid {
    comment: CommentPart,
    #[serde(default)]
    was: Option<Words>,
}

#[derive(Deserialize)]
struct CommentPart {
    id: CommentId,
    list_id: ListId,
    item_id: ItemId,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct Words {
    body: String,
    mentions: Vec<UserId>,
}

pub(super) async fn plan(core: &Core, tx: &mut Tx, event: &LoggedEvent) -> Result<Plan, AppError> {
    let command = match event.header.kind.starts_with("view.") {
        true => view(core, tx, event).await?,
        false => comment(core, tx, event).await?,
    };
    Ok(Plan::Schema {
        undoes: event.header.seq,
        command,
    })
}

async fn view(core: &Core, tx: &mut Tx, event: &LoggedEvent) -> Result<AdminCommand, AppError> {
    let header = &event.header;
    // The row that is shown to nobody says more, where there is one.
    let said = event
        .rows
        .last()
        .and_then(|row| row.text())
        .ok_or_else(erased)?;
    let said: ViewSaid = serde_json::from_str(said).map_err(AppError::internal)?;
    let list = header.list.ok_or_else(AppError::not_found)?;
    let id = said.view.id;
    let now = store::views::find(tx, core.id, id)
        .await?
        .ok_or_else(AppError::not_found)?;
    let command = match header.kind.as_str() {
        "view.created" | "view.restored" => ViewCommand::Delete {
            id,
            if_version: None,
        },
        "view.deleted" => ViewCommand::Restore { id },
        "view.updated" | "view.unshared" => {
            let stands = parts(&now);
            let moved = said
                .was
                .keys()
                .any(|part| stands.get(part) != said.view.parts.get(part));
            if moved || now.deleted_at.is_some() {
                return Err(changed_since(core, tx, event, id).await?);
            }
            ViewCommand::Update {
                id,
                patch: Box::new(patch(said.was)),
            }
        }
        _ => return Err(not_undoable("Such a change is not undone")),
    };
    if matches!(command, ViewCommand::Restore { .. }) != now.deleted_at.is_some() {
        return Err(changed_since(core, tx, event, id).await?);
    }
    Ok(AdminCommand::View { list, command })
}

fn parts(view: &View) -> Map<String, Value> {
    let mut parts = Map::new();
    parts.insert("name".to_owned(), view.name.clone().into());
    parts.insert("kind".to_owned(), view.kind.as_str().into());
    parts.insert("config".to_owned(), Value::Object(view.config.clone()));
    parts.insert("shared".to_owned(), view.shared.into());
    parts
}

fn patch(mut was: Map<String, Value>) -> ViewPatch {
    let text = |value: Value| value.as_str().map(str::to_owned);
    ViewPatch {
        name: was.remove("name").and_then(text),
        kind: was.remove("kind").and_then(text),
        config: match was.remove("config") {
            Some(Value::Object(config)) => Some(config),
            _ => None,
        },
        shared: was.remove("shared").and_then(|shared| shared.as_bool()),
        if_version: None,
    }
}

/// Who changed the view last.
async fn changed_since(
    core: &Core,
    tx: &mut Tx,
    event: &LoggedEvent,
    id: ViewId,
) -> Result<AppError, AppError> {
    let later = reshapings(tx, core.id, event.header.seq, core.seq).await?;
    let of_it = later.unwrap_or_default().into_iter().find(|change| {
        let told = change
            .told
            .as_deref()
            .filter(|_| change.kind.starts_with("view."));
        let told = told.and_then(|told| serde_json::from_str::<ViewSaid>(told).ok());
        told.is_some_and(|told| told.view.id == id)
    });
    let obstacle = of_it.map(|change| Obstacle {
        list: change.list,
        item: None,
        column: None,
        actor: change.actor,
        seq: change.seq,
    });
    Ok(refused(obstacle.as_slice()))
}

async fn comment(core: &Core, tx: &mut Tx, event: &LoggedEvent) -> Result<AdminCommand, AppError> {
    let said = event
        .rows
        .first()
        .and_then(|row| row.text())
        .ok_or_else(erased)?;
    let said: CommentSaid = serde_json::from_str(said).map_err(AppError::internal)?;
    let CommentPart {
        id,
        list_id,
        item_id,
        body,
    } = said.comment;
    let place: Place = (list_id, item_id);
    let now = store::comments::find(tx, core.id, id)
        .await?
        .ok_or_else(AppError::not_found)?;
    let deleted = now.deleted_at.is_some();
    let (command, stands) = match (event.header.kind.as_str(), said.was) {
        ("comment.created" | "comment.restored", _) => {
            let if_version = None;
            (CommentCommand::Delete { id, if_version }, !deleted)
        }
        ("comment.updated", Some(was)) => {
            let command = CommentCommand::Update {
                id,
                body: Some(was.body),
                mentions: Some(was.mentions),
                if_version: None,
            };
            (command, !deleted && now.body == body)
        }
        ("comment.deleted", Some(Words { body, mentions })) => {
            let command = CommentCommand::Restore { id, body, mentions };
            (command, deleted)
        }
        _ => return Err(not_undoable("Such a change is not undone")),
    };
    if !stands {
        // Its author alone changes it, or an admin takes it away: whoever it was, since then.
        return Err(refused(&[]));
    }
    Ok(AdminCommand::Comment { place, command })
}
