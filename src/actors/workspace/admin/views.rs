//! Commands on saved views. A view is read in the transaction that writes it: nothing of it is cached,
//! so no node can know an old one; but for forms, whose links may be open, and whose changes therefore
//! count as the schema's.
//!
//! What an event says of a view goes to whom the view belongs (`domain::event::Reach`). When a view
//! changes hands with its readers, its event says no more than the new ones may know; the log keeps the
//! rest where nobody is shown it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::core::Core;
use super::super::durable::Attempt;
use super::effect::{Change, Effect};
use crate::domain::edit::{Versions, list_of};
use crate::domain::event::VIEW_UNSHARED;
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::view::{MAX_VIEWS, NewView, View, ViewKind, ViewPatch};
use crate::error::{AppError, ErrorCode};
use crate::ids::{ListId, UserId, ViewId};
use crate::store::{self, Tx};
use crate::wire::views::ViewOut;

/// A command on the views of a list.
#[derive(Debug)]
pub enum ViewCommand {
    Create {
        view: Box<NewView>,
        location: String,
    },
    Update {
        id: ViewId,
        patch: Box<ViewPatch>,
    },
    Delete {
        id: ViewId,
        if_version: Option<Versions>,
    },
    /// Takes back a deletion: no caller asks for it but by undoing.
    Restore {
        id: ViewId,
    },
}

pub(super) async fn judge(
    core: &Core,
    tx: &Tx,
    list: ListId,
    command: &ViewCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    let role = core.authorize(by, Action::WriteViews)?;
    let list = list_of(list, &core.schema)?;
    match command {
        ViewCommand::Create { view, location } => {
            if store::views::find(tx, core.id, view.id).await?.is_some() {
                let taken = AppError::conflict("A view of this id exists already");
                return Err(taken.at("/id", "taken").into());
            }
            check_room(core, tx, list).await?;
            let view = View::make(view, list, by, now)?;
            Ok(created(view, location))
        }
        ViewCommand::Update { id, patch } => {
            let view = find(core, tx, list, *id).await?;
            view.writable_by(by, role)?;
            check_version(&view, patch.if_version.as_ref(), list)?;
            let changed = view.changed(patch, list, by, now)?;
            Ok(updated(&view, changed, list))
        }
        ViewCommand::Delete { id, if_version } => {
            let view = find(core, tx, list, *id).await?;
            view.writable_by(by, role)?;
            check_version(&view, if_version.as_ref(), list)?;
            Ok(deleted(view, now))
        }
        ViewCommand::Restore { id } => {
            let was = find(core, tx, list, *id).await?;
            let view = View {
                version: was.version + 1,
                updated_at: now,
                updated_by: by,
                deleted_at: None,
                ..was
            };
            view.writable_by(by, role)?;
            check_room(core, tx, list).await?;
            Ok(restored(view))
        }
    }
}

async fn check_room(core: &Core, tx: &Tx, list: &List) -> Result<(), Attempt> {
    if store::views::count(tx, core.id, list.id).await? >= MAX_VIEWS {
        let message = format!("A list has at most {MAX_VIEWS} views");
        return Err(AppError::too_large(message).into());
    }
    Ok(())
}

/// The view of that id in the list, whoever may see it.
pub(super) async fn find(core: &Core, tx: &Tx, list: &List, id: ViewId) -> Result<View, Attempt> {
    let view = store::views::find(tx, core.id, id).await?;
    let here = view.filter(|view| view.list == list.id);
    Ok(here.ok_or_else(AppError::not_found)?)
}

fn check_version(view: &View, wanted: Option<&Versions>, list: &List) -> Result<(), AppError> {
    if wanted.is_none_or(|wanted| wanted.accept(view.version)) {
        return Ok(());
    }
    let current = json!(ViewOut::read(view, list)).to_string();
    let stale = AppError::new(
        ErrorCode::PreconditionFailed,
        "The view has changed since you read it",
    );
    Err(stale.with_current(current))
}

fn created(view: View, location: &str) -> Effect {
    let out = json!(ViewOut::new(&view));
    Effect::new("view.created", json!({"view": out}), 201, Some(out))
        .on(view.list)
        .keeps_shape()
        .at(format!("{location}/{}", view.id))
        .at_version(view.version)
        .with(Change::NewView(Box::new(view)))
}

fn updated(was: &View, view: View, list: &List) -> Effect {
    let (before, after) = (json!(ViewOut::new(was)), json!(ViewOut::new(&view)));
    let changed = difference(&before, &after);
    let whole = json!({"view": after, "was": changed});
    let (kind, data, unseen) = match (was.shared, view.shared) {
        (true, false) => (VIEW_UNSHARED, json!({"view": stub(&view)}), Some(whole)),
        (false, true) => {
            let data = json!({"view": after, "was": {"shared": false}});
            ("view.updated", data, Some(whole))
        }
        _ => ("view.updated", whole, None),
    };
    Effect::new(kind, data, 200, Some(json!(ViewOut::read(&view, list))))
        .on(view.list)
        .shaping(was.kind == ViewKind::Form || view.kind == ViewKind::Form)
        .keeping(unseen)
        .at_version(view.version)
        .with(Change::View(Box::new(view)))
}

fn restored(view: View) -> Effect {
    let out = json!(ViewOut::new(&view));
    Effect::new("view.restored", json!({"view": out}), 200, Some(out))
        .on(view.list)
        .shaping(view.kind == ViewKind::Form)
        .at_version(view.version)
        .with(Change::View(Box::new(view)))
}

fn deleted(was: View, now: DateTime<Utc>) -> Effect {
    let data = json!({"view": stub(&was), "was": ViewOut::new(&was)});
    let view = View {
        version: was.version + 1,
        deleted_at: Some(now),
        ..was
    };
    Effect::new("view.deleted", data, 204, None)
        .on(view.list)
        .shaping(view.kind == ViewKind::Form)
        .with(Change::View(Box::new(view)))
}

/// Which view, whose, and for whom: all that one who may not see it is told.
pub(super) fn stub(view: &View) -> Value {
    json!({"id": view.id, "list_id": view.list, "owner_id": view.owner, "shared": view.shared})
}

/// What a change replaced: of each part that changed, what stood there.
fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    ["name", "kind", "config", "shared"]
        .into_iter()
        .filter_map(|part| {
            let (old, new) = (before.get(part)?, after.get(part)?);
            (old != new).then(|| (part.to_owned(), old.clone()))
        })
        .collect()
}
