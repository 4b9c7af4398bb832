//! Columns of a list.

use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;

use super::cursor::{PageQuery, small_page};
use super::extract::{Body, Caller, access, path_id, path_text, query, remember, state};
use super::problem::json_at;
use super::submit::admin;
use crate::actors::workspace::AdminCommand;
use crate::domain::edit::list_of;
use crate::domain::retype::retype;
use crate::domain::roles::Action;
use crate::domain::schema_change::{ColumnPatch, ColumnSpec};
use crate::error::AppError;
use crate::store::retype::Pair;
use crate::store::{self, Purpose, Tx};
use crate::wire::lists::{ColumnOut, OutlookOut};

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

/// What another type would do to the values: nothing is changed.
pub async fn preview(
    request: HttpRequest,
    caller: Caller,
    body: Body<ColumnPatch>,
) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let snapshot = &access.snapshot;
    let list = list_of(path_id(&request, "list_id")?, &snapshot.schema)?;
    let key = path_text(&request, "key")?;
    if body.value.ty.is_none() {
        let message = "say which type the column should have";
        return Err(AppError::field("/type", "required", message));
    }
    let from = list.columns.by_key(key).ok_or_else(AppError::not_found)?;
    let retyped = retype(list, key, &body.value, Utc::now())?;
    let mut tx = Tx::begin(&state(&request)?.db, snapshot.id, Purpose::Page).await?;
    let pair = Pair {
        list: list.id,
        from,
        to: &retyped.to,
        people: &store::members::named(&tx, snapshot.id).await?,
    };
    let outlook = store::retype::outlook(&mut tx, snapshot.id, pair).await?;
    tx.commit().await?;
    let told = OutlookOut::new(from, &outlook);
    Ok(json_at(snapshot.seq, serde_json::json!(told).to_string()))
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
