//! The links of one cell: a page of them, and their changes. A cell of ten or fewer is written among its
//! item's values as well.

use std::fmt::Write;

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use uuid::Uuid;

use super::cursor::{self, PageQuery, cut, page_size};
use super::extract::{Body, Caller, if_match, path_id, path_text, query, state};
use super::items::at_list;
use super::problem::json_at;
use super::settled::{is_settled, settled};
use super::submit;
use crate::actors::workspace::Shape;
use crate::domain::columns::ColumnType;
use crate::domain::edit::ItemCommand;
use crate::domain::links::How;
use crate::domain::roles::Action;
use crate::error::AppError;
use crate::ids::ItemId;
use crate::store::{self, Purpose, Tx};

/// Items of the linked list.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinksIn {
    /// At most 10 000, none twice.
    #[schema(value_type = Vec<Uuid>)]
    ids: Vec<ItemId>,
}

/// `GET …/links/{column}`
pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    settled(async || index_once(&request, &caller, &asked).await).await
}

async fn index_once(
    request: &HttpRequest,
    caller: &Caller,
    asked: &PageQuery,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let state = state(request)?;
    let item: ItemId = path_id(request, "item_id")?;
    let column = list.columns.by_key(path_text(request, "column")?);
    let column = column.filter(|column| column.ty == ColumnType::Link);
    let column = column.ok_or_else(AppError::not_found)?;
    let limit = page_size(asked.limit)?;
    let workspace = access.snapshot.id;
    let question = format!("links {workspace} {} {item} {}", list.id, column.id);
    let cursor = asked.cursor.as_deref();
    let after = cursor::after(&state.settings, &question, cursor, position)?;
    let mut tx = Tx::begin(&state.db, workspace, Purpose::Page).await?;
    let found = store::items::find(&mut tx, workspace, &list, &[item]).await?;
    let found = found.first().ok_or_else(AppError::not_found)?;
    let mut links = Vec::new();
    if let Some(end) = access.snapshot.schema.end_of(list.id, column.id) {
        links = store::links::page(&mut tx, workspace, end, item, after, limit + 1).await?;
    }
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    if found.deleted_at.is_some() {
        return Err(AppError::gone("The item is in the trash"));
    }
    tx.commit().await?;
    let more = cut(&mut links, limit);
    let next = links.last().filter(|_| more).map(|last| {
        let mut place = last.position.to_be_bytes().to_vec();
        place.extend_from_slice(last.linked.id.uuid().as_bytes());
        cursor::seal(&state.settings, &question, &place)
    });
    let mut out = String::from(r#"{"data":["#);
    for (index, link) in links.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        link.linked.write_wire(&mut out);
    }
    let _ = write!(out, r#"],"next_cursor":{}}}"#, serde_json::json!(next));
    Ok(Some(json_at(access.snapshot.seq, out)))
}

/// The place at which a page ended.
fn position(bytes: &[u8]) -> Result<(i64, ItemId), AppError> {
    let place = bytes.split_first_chunk::<8>().and_then(|(position, id)| {
        let id = Uuid::from_slice(id).ok()?;
        Some((i64::from_be_bytes(*position), ItemId(id)))
    });
    place.ok_or_else(|| AppError::malformed("This cursor does not belong to this question"))
}

/// `POST …/links/{column}`
pub async fn add(
    request: HttpRequest,
    caller: Caller,
    body: Body<LinksIn>,
) -> Result<HttpResponse, AppError> {
    write(&request, &caller, body, How::Add, Shape::One).await
}

/// `PUT …/links/{column}`
pub async fn replace(
    request: HttpRequest,
    caller: Caller,
    body: Body<LinksIn>,
) -> Result<HttpResponse, AppError> {
    write(&request, &caller, body, How::Replace, Shape::One).await
}

/// `DELETE …/links/{column}`
pub async fn remove(
    request: HttpRequest,
    caller: Caller,
    body: Body<LinksIn>,
) -> Result<HttpResponse, AppError> {
    write(&request, &caller, body, How::Remove, Shape::Nothing).await
}

async fn write(
    request: &HttpRequest,
    caller: &Caller,
    body: Body<LinksIn>,
    how: How,
    shape: Shape,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(request)?;
    let (access, list) = at_list(request, caller, Action::WriteItems).await?;
    let command = ItemCommand::Links {
        list: list.id,
        item: path_id(request, "item_id")?,
        column: path_text(request, "column")?.to_owned(),
        how,
        ids: body.value.ids,
        if_version: if_match(request.headers())?,
    };
    submit::items(&access, caller, remember, shape, command).await
}
