//! Lists of a workspace, and what of it is in the trash.

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::cursor::{PageQuery, small_page};
use super::extract::{Access, Body, Caller, access, own_id, path_id, query, remember, state};
use super::problem::json_at;
use super::submit::admin;
use crate::actors::workspace::AdminCommand;
use crate::domain::edit::list_of;
use crate::domain::roles::Action;
use crate::domain::schema_change::ColumnSpec;
use crate::error::AppError;
use crate::ids::ListId;
use crate::wire::lists::ListOut;
use crate::wire::object::objects;

/// A list to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    id: Option<ListId>,
    name: String,
    #[serde(default, deserialize_with = "objects")]
    columns: Vec<ColumnSpec>,
}

/// A change of a list.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPatch {
    name: Option<String>,
    position: Option<i32>,
}

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let lists = access.snapshot.schema.in_order();
    page(
        &request,
        &access,
        "lists",
        lists.iter().map(|list| ListOut::new(list)).collect(),
    )
}

/// The lists in the trash.
pub async fn trash(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let lists = access.snapshot.schema.lists.values();
    let trashed = lists
        .filter(|list| list.deleted_at.is_some())
        .map(|list| ListOut::new(list));
    let trashed = trashed.collect();
    page(&request, &access, "trashed lists", trashed)
}

fn page(
    request: &HttpRequest,
    access: &Access,
    question: &str,
    lists: Vec<ListOut>,
) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(request)?;
    let body = small_page(&state(request)?.settings, question, &asked, lists)?;
    Ok(json_at(access.snapshot.seq, body))
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    Ok(json_at(
        access.snapshot.seq,
        serde_json::json!(ListOut::new(list)).to_string(),
    ))
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<ListIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let command = AdminCommand::CreateList {
        id: ListId(own_id(body.value.id.map(ListId::uuid))?),
        name: body.value.name,
        columns: body.value.columns,
        location: request.path().to_owned(),
    };
    admin(&access, &caller, remember, command).await
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<ListPatch>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let command = AdminCommand::UpdateList {
        list: path_id(&request, "list_id")?,
        name: body.value.name,
        position: body.value.position,
    };
    admin(&access, &caller, remember, command).await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let list = path_id(&request, "list_id")?;
    admin(
        &access,
        &caller,
        remember,
        AdminCommand::DeleteList { list },
    )
    .await
}

pub async fn restore(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let list = path_id(&request, "list_id")?;
    admin(
        &access,
        &caller,
        remember,
        AdminCommand::RestoreList { list },
    )
    .await
}
