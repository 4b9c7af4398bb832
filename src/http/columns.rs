//! Columns of a list.

use actix_web::{HttpRequest, HttpResponse};

use super::cursor::{PageQuery, small_page};
use super::extract::{Body, Caller, access, path_id, path_text, query, remember, state};
use super::problem::json_at;
use super::submit::admin;
use crate::actors::workspace::AdminCommand;
use crate::domain::edit::list_of;
use crate::domain::roles::Action;
use crate::domain::schema_change::{ColumnPatch, ColumnSpec};
use crate::error::AppError;
use crate::wire::lists::ColumnOut;

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    let data: Vec<ColumnOut> = list.columns.iter().map(ColumnOut::new).collect();
    let asked: PageQuery = query(&request)?;
    let body = small_page(&state(&request)?.settings, "columns", &asked, data)?;
    Ok(json_at(access.snapshot.seq, body))
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    let key = path_text(&request, "key")?;
    let column = list.columns.by_key(key).ok_or_else(AppError::not_found)?;
    Ok(json_at(
        access.snapshot.seq,
        serde_json::json!(ColumnOut::new(column)).to_string(),
    ))
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<ColumnSpec>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let command = AdminCommand::CreateColumn {
        list: path_id(&request, "list_id")?,
        spec: Box::new(body.value),
        location: request.path().to_owned(),
    };
    admin(&access, &caller, remember, command).await
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<ColumnPatch>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let command = AdminCommand::UpdateColumn {
        list: path_id(&request, "list_id")?,
        key: path_text(&request, "key")?.to_owned(),
        patch: Box::new(body.value),
    };
    admin(&access, &caller, remember, command).await
}

pub async fn restore(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let command = AdminCommand::RestoreColumn {
        list: path_id(&request, "list_id")?,
        key: path_text(&request, "key")?.to_owned(),
    };
    admin(&access, &caller, remember, command).await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let command = AdminCommand::DeleteColumn {
        list: path_id(&request, "list_id")?,
        key: path_text(&request, "key")?.to_owned(),
    };
    admin(&access, &caller, remember, command).await
}
