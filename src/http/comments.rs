//! Comments on an item.

use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::cursor::{self, PageQuery, cut, page_size};
use super::extract::{
    Access, Body, Caller, access, if_match, own_id, path_id, query, remember, state,
};
use super::items::find_living;
use super::problem::{json_at, version_at};
use super::submit::admin;
use crate::actors::workspace::{AdminCommand, CommentCommand};
use crate::domain::comment::{Comment, Said};
use crate::domain::item::Place;
use crate::domain::roles::Action;
use crate::error::AppError;
use crate::ids::CommentId;
use crate::store::comments::Position;
use crate::store::past::with_merged;
use crate::store::{self, Purpose, Tx};
use crate::wire::comments::{CommentIn, CommentOut, CommentPatchIn};

/// The comments of an item, oldest first.
pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    let (access, list, item) = find_living(&request, &caller, None).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let question = format!("comments {} {} {}", access.snapshot.id, list.id, item.id);
    let cursor = asked.cursor.as_deref();
    let after = cursor::after(&state.settings, &question, cursor, position)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Page).await?;
    let workspace = access.snapshot.id;
    let items = with_merged(&mut tx, workspace, (list.id, item.id)).await?;
    let page = store::comments::page(&mut tx, workspace, list.id, &items, after, limit + 1);
    let mut comments = page.await?;
    tx.commit().await?;
    let more = cut(&mut comments, limit);
    let next = comments
        .last()
        .filter(|_| more)
        .map(|last| cursor::seal(&state.settings, &question, &bytes_of(last)));
    let data: Vec<CommentOut> = comments.iter().map(CommentOut::new).collect();
    let body = json!({"data": data, "next_cursor": next}).to_string();
    Ok(json_at(access.snapshot.seq, body))
}

fn bytes_of(comment: &Comment) -> Vec<u8> {
    let mut bytes = comment.created_at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(comment.id.uuid().as_bytes());
    bytes
}

fn position(bytes: &[u8]) -> Result<Position, AppError> {
    let read = || {
        let (at, id) = bytes.split_first_chunk::<8>()?;
        let at = DateTime::<Utc>::from_timestamp_micros(i64::from_be_bytes(*at))?;
        Some((at, CommentId(Uuid::from_slice(id).ok()?)))
    };
    read().ok_or_else(|| AppError::malformed("This cursor does not belong to this question"))
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let (access, list, item) = find_living(&request, &caller, None).await?;
    let id: CommentId = path_id(&request, "comment_id")?;
    let state = state(&request)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let comment = store::comments::find(&mut tx, access.snapshot.id, id).await?;
    let items = with_merged(&mut tx, access.snapshot.id, (list.id, item.id)).await?;
    tx.commit().await?;
    let comment = comment
        .filter(|comment| comment.list == list.id && items.contains(&comment.item))
        .ok_or_else(AppError::not_found)?;
    comment.living()?;
    let body = json!(CommentOut::new(&comment)).to_string();
    Ok(version_at(access.snapshot.seq, comment.version, body))
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<CommentIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let (access, place) = at_item(&request, &caller).await?;
    let sent = body.value;
    let command = CommentCommand::Create {
        id: CommentId(own_id(sent.id.map(CommentId::uuid))?),
        said: Said {
            body: sent.body,
            mentions: sent.mentions,
        },
        location: request.path().to_owned(),
    };
    let command = AdminCommand::Comment { place, command };
    admin(&access, &caller, remember, command).await
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<CommentPatchIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let (access, place) = at_item(&request, &caller).await?;
    let command = CommentCommand::Update {
        id: path_id(&request, "comment_id")?,
        body: body.value.body,
        mentions: body.value.mentions,
        if_version: if_match(request.headers())?,
    };
    let command = AdminCommand::Comment { place, command };
    admin(&access, &caller, remember, command).await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let (access, place) = at_item(&request, &caller).await?;
    let command = CommentCommand::Delete {
        id: path_id(&request, "comment_id")?,
        if_version: if_match(request.headers())?,
    };
    let command = AdminCommand::Comment { place, command };
    admin(&access, &caller, remember, command).await
}

/// Whoever may comment, at the item of the path; that there is one is the lane's to see.
async fn at_item(request: &HttpRequest, caller: &Caller) -> Result<(Access, Place), AppError> {
    let access = access(request, caller, Action::Comment).await?;
    let place = (path_id(request, "list_id")?, path_id(request, "item_id")?);
    Ok((access, place))
}
