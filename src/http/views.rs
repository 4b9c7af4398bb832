//! Saved views of a list.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::cursor::{PageQuery, small_page};
use super::extract::{
    Access, Body, Caller, access, if_match, own_id, path_id, query, remember, state,
};
use super::items::at_list;
use super::problem::{json_at, version_at};
use super::settled::{is_settled, settled};
use super::submit::admin;
use crate::actors::workspace::{AdminCommand, ViewCommand};
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::view::{NewView, View, ViewPatch};
use crate::error::AppError;
use crate::ids::ViewId;
use crate::store::{self, Purpose, Tx};
use crate::wire::views::{ViewIn, ViewOut, ViewPatchIn};

/// The views that the caller may see, by age.
pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    settled(async || {
        let (access, list) = at_list(&request, &caller, Action::Read).await?;
        let state = state(&request)?;
        let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
        let views = store::views::of_list(&tx, access.snapshot.id, list.id, caller.0.user).await?;
        if !is_settled(&mut tx, &access).await? {
            return Ok(None);
        }
        tx.commit().await?;
        let data: Vec<ViewOut> = views
            .iter()
            .map(|view| ViewOut::read(view, &list))
            .collect();
        let question = format!("views {} {}", list.id, caller.0.user);
        let body = small_page(&state.settings, &question, &asked, data)?;
        Ok(Some(json_at(access.snapshot.seq, body)))
    })
    .await
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let (access, list, view) = find(&request, &caller).await?;
    let body = json!(ViewOut::read(&view, &list)).to_string();
    Ok(version_at(access.snapshot.seq, view.version, body))
}

/// The view of the path, if the caller may see it.
pub(super) async fn find(
    request: &HttpRequest,
    caller: &Caller,
) -> Result<(Access, Arc<List>, View), AppError> {
    settled(async || {
        let (access, list) = at_list(request, caller, Action::Read).await?;
        let id: ViewId = path_id(request, "view_id")?;
        let state = state(request)?;
        let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
        let view = store::views::find(&tx, access.snapshot.id, id).await?;
        if !is_settled(&mut tx, &access).await? {
            return Ok(None);
        }
        tx.commit().await?;
        let view = view
            .filter(|view| view.list == list.id)
            .ok_or_else(AppError::not_found)?;
        view.shown_to(caller.0.user)?;
        Ok(Some((access, list, view)))
    })
    .await
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<ViewIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteViews).await?;
    let sent = body.value;
    let view = NewView {
        id: ViewId(own_id(sent.id.map(ViewId::uuid))?),
        name: sent.name,
        kind: sent.kind,
        config: sent.config.unwrap_or_default(),
        shared: sent.shared,
    };
    let command = ViewCommand::Create {
        view: Box::new(view),
        location: request.path().to_owned(),
    };
    let command = AdminCommand::View {
        list: list.id,
        command,
    };
    admin(&access, &caller, remember, command).await
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<ViewPatchIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::WriteViews).await?;
    let (list, id) = (path_id(&request, "list_id")?, path_id(&request, "view_id")?);
    let patch = ViewPatch {
        name: body.value.name,
        kind: body.value.kind,
        config: body.value.config,
        shared: body.value.shared,
        if_version: if_match(request.headers())?,
    };
    let command = ViewCommand::Update {
        id,
        patch: Box::new(patch),
    };
    let command = AdminCommand::View { list, command };
    admin(&access, &caller, remember, command).await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteViews).await?;
    let (list, id) = (path_id(&request, "list_id")?, path_id(&request, "view_id")?);
    let command = ViewCommand::Delete {
        id,
        if_version: if_match(request.headers())?,
    };
    let command = AdminCommand::View { list, command };
    admin(&access, &caller, remember, command).await
}
