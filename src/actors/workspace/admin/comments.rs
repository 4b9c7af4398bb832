//! Commands on comments. A comment and its item are read in the transaction that writes it. Its event
//! stands in the item's history too.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::core::Core;
use super::super::durable::Attempt;
use super::effect::{Change, Effect};
use crate::domain::comment::{Comment, Said};
use crate::domain::edit::{Versions, list_of};
use crate::domain::item::Place;
use crate::domain::roles::Action;
use crate::error::{AppError, ErrorCode};
use crate::ids::{CommentId, UserId};
use crate::store::{self, Tx};
use crate::wire::comments::CommentOut;

/// A command on the comments of an item.
#[derive(Debug)]
pub enum CommentCommand {
    Create {
        id: CommentId,
        said: Said,
        location: String,
    },
    Update {
        id: CommentId,
        body: Option<String>,
        mentions: Option<Vec<UserId>>,
        if_version: Option<Versions>,
    },
    Delete {
        id: CommentId,
        if_version: Option<Versions>,
    },
    /// Takes back a deletion: no caller asks for it but by undoing. What it said is in the log alone.
    Restore {
        id: CommentId,
        body: String,
        mentions: Vec<UserId>,
    },
}

pub(super) async fn judge(
    core: &Core,
    tx: &mut Tx,
    place: Place,
    command: &CommentCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    let role = core.authorize(by, Action::Comment)?;
    living_item(core, tx, place).await?;
    let is_member = |user: UserId| core.members.contains_key(&user);
    match command {
        CommentCommand::Create { id, said, location } => {
            if store::comments::find(tx, core.id, *id).await?.is_some() {
                let taken = AppError::conflict("A comment of this id exists already");
                return Err(taken.at("/id", "taken").into());
            }
            let said = said.clone().checked(is_member)?;
            let comment = Comment {
                id: *id,
                list: place.0,
                item: place.1,
                author: by,
                body: said.body,
                mentions: said.mentions,
                version: 1,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            };
            Ok(created(comment, location))
        }
        CommentCommand::Update {
            id,
            body,
            mentions,
            if_version,
        } => {
            let was = find(core, tx, place, *id).await?;
            was.editable_by(by)?;
            check_version(&was, if_version.as_ref())?;
            let said = Said {
                body: body.clone().unwrap_or_else(|| was.body.clone()),
                mentions: mentions.clone().unwrap_or_default(),
            };
            let said = said.checked(is_member)?;
            let comment = Comment {
                body: said.body,
                // Those who were named stay named, also when they have left since.
                mentions: match mentions {
                    Some(_) => said.mentions,
                    None => was.mentions.clone(),
                },
                version: was.version + 1,
                updated_at: now,
                ..was.clone()
            };
            Ok(updated(&was, comment))
        }
        CommentCommand::Delete { id, if_version } => {
            let was = find(core, tx, place, *id).await?;
            was.deletable_by(by, role)?;
            check_version(&was, if_version.as_ref())?;
            Ok(deleted(was, now))
        }
        CommentCommand::Restore { id, body, mentions } => {
            let was = find(core, tx, place, *id).await?;
            let comment = Comment {
                body: body.clone(),
                mentions: mentions.clone(),
                version: was.version + 1,
                updated_at: now,
                deleted_at: None,
                ..was
            };
            comment.deletable_by(by, role)?;
            Ok(restored(comment))
        }
    }
}

/// 404 where there is no such item, 410 while it is in the trash: its comments wait for it there.
async fn living_item(core: &Core, tx: &mut Tx, (list, item): Place) -> Result<(), Attempt> {
    let list = list_of(list, &core.schema)?;
    let found = store::items::find(tx, core.id, list, &[item]).await?;
    let item = found.first().ok_or_else(AppError::not_found)?;
    match item.deleted_at {
        Some(_) => Err(AppError::gone("The item is in the trash").into()),
        None => Ok(()),
    }
}

async fn find(core: &Core, tx: &mut Tx, place: Place, id: CommentId) -> Result<Comment, Attempt> {
    let comment = store::comments::find(tx, core.id, id).await?;
    let comment = comment.filter(|comment| comment.list == place.0);
    let comment = comment.ok_or_else(AppError::not_found)?;
    if comment.item == place.1 {
        return Ok(comment);
    }
    let merged = store::past::with_merged(tx, core.id, place).await?;
    let here = merged.contains(&comment.item).then_some(comment);
    Ok(here.ok_or_else(AppError::not_found)?)
}

fn check_version(comment: &Comment, wanted: Option<&Versions>) -> Result<(), AppError> {
    if wanted.is_none_or(|wanted| wanted.accept(comment.version)) {
        return Ok(());
    }
    let stale = AppError::new(
        ErrorCode::PreconditionFailed,
        "The comment has changed since you read it",
    );
    Err(stale.with_current(json!(CommentOut::new(comment)).to_string()))
}

fn created(comment: Comment, location: &str) -> Effect {
    let out = json!(CommentOut::new(&comment));
    Effect::new("comment.created", json!({"comment": out}), 201, Some(out))
        .about((comment.list, comment.item))
        .keeps_shape()
        .at(format!("{location}/{}", comment.id))
        .at_version(comment.version)
        .with(Change::NewComment(Box::new(comment)))
}

fn updated(was: &Comment, comment: Comment) -> Effect {
    let out = json!(CommentOut::new(&comment));
    let data = json!({"comment": out, "was": {"body": was.body, "mentions": was.mentions}});
    Effect::new("comment.updated", data, 200, Some(out))
        .about((comment.list, comment.item))
        .keeps_shape()
        .at_version(comment.version)
        .with(Change::Comment(Box::new(comment)))
}

fn restored(comment: Comment) -> Effect {
    let out = json!(CommentOut::new(&comment));
    Effect::new("comment.restored", json!({"comment": out}), 200, Some(out))
        .about((comment.list, comment.item))
        .keeps_shape()
        .at_version(comment.version)
        .with(Change::Comment(Box::new(comment)))
}

fn deleted(was: Comment, now: DateTime<Utc>) -> Effect {
    let which =
        json!({"id": was.id, "list_id": was.list, "item_id": was.item, "author_id": was.author});
    let data = json!({"comment": which, "was": {"body": was.body, "mentions": was.mentions}});
    let comment = Comment {
        body: String::new(),
        mentions: Vec::new(),
        version: was.version + 1,
        updated_at: now,
        deleted_at: Some(now),
        ..was
    };
    Effect::new("comment.deleted", data, 204, None)
        .about((comment.list, comment.item))
        .keeps_shape()
        .with(Change::Comment(Box::new(comment)))
}
