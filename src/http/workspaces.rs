//! Workspaces: the caller's, a new one, and the life of one.

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use uuid::Uuid;

use super::cursor::{PageQuery, small_page};
use super::extract::{Access, Body, Caller, access, query, remember, state};
use super::problem::{json_at, respond};
use super::submit::admin;
use crate::actors::workspace::{AdminCommand, NewWorkspace, create as create_workspace};
use crate::domain::item::time;
use crate::domain::roles::Action;
use crate::domain::template;
use crate::error::AppError;
use crate::ids::{ListId, WorkspaceId};
use crate::store;
use crate::wire::people::{MembershipOut, WorkspaceOut};

/// A workspace to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceIn {
    name: String,
    /// `real_estate`: Contacts, Properties, Deals and Showings.
    #[serde(default)]
    template: Option<String>,
}

/// A change of a workspace.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspacePatch {
    name: String,
}

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    let state = state(&request)?;
    let memberships = store::members::of_person(&state.db, caller.0.user).await?;
    let data: Vec<MembershipOut> = memberships.iter().map(MembershipOut::new).collect();
    let body = small_page(&state.settings, "workspaces", &asked, data)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(body))
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<WorkspaceIn>,
) -> Result<HttpResponse, AppError> {
    let state = state(&request)?;
    let person = &caller.0;
    let remember = body.remember(&request)?;
    let lists = match body.value.template.as_deref() {
        None => 0,
        Some(name) => template::by_name(name)
            .ok_or_else(|| {
                let message = format!("there is no template {name:?}");
                AppError::field("/template", "unknown_template", message)
            })?
            .len(),
    };
    store::profiles::visit(
        &state.db,
        person.user,
        person.email.as_deref(),
        person.name.as_deref(),
    )
    .await?;
    let new = NewWorkspace {
        id: WorkspaceId(Uuid::now_v7()),
        name: body.value.name,
        template: body.value.template,
        owner: person.user,
        remember,
        list_ids: (0..lists).map(|_| ListId(Uuid::now_v7())).collect(),
    };
    Ok(respond(create_workspace(&state.db, new).await?, 1))
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    Ok(json_at(
        access.snapshot.seq,
        serde_json::json!(resource(&access)).to_string(),
    ))
}

fn resource(access: &Access) -> WorkspaceOut {
    let snapshot = &access.snapshot;
    WorkspaceOut {
        id: snapshot.id,
        name: snapshot.name.clone(),
        role: access.role,
        seq: snapshot.seq,
        oldest_seq: snapshot.oldest_seq,
        created_at: time(snapshot.created_at),
        created_by: snapshot.created_by,
        deleted_at: snapshot.deleted_at.map(time),
    }
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<WorkspacePatch>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::ManageWorkspace).await?;
    let command = AdminCommand::RenameWorkspace {
        name: body.value.name,
    };
    admin(&access, &caller, remember, command).await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::Own).await?;
    admin(&access, &caller, remember, AdminCommand::DeleteWorkspace).await
}

pub async fn restore(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::Own).await?;
    admin(&access, &caller, remember, AdminCommand::RestoreWorkspace).await
}
