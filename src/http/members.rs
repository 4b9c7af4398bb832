//! Members of a workspace.

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::cursor::{PageQuery, small_page};
use super::extract::{Body, Caller, access, path_id, query, remember, state};
use super::problem::json_at;
use super::submit::admin;
use crate::actors::workspace::AdminCommand;
use crate::domain::roles::{Action, Role};
use crate::error::AppError;
use crate::store::{self, Purpose, Tx};
use crate::wire::people::MemberOut;

/// A change of a membership.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPatch {
    role: Role,
}

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    let access = access(&request, &caller, Action::Read).await?;
    let state = state(&request)?;
    let tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let members = store::members::list(&tx, access.snapshot.id).await?;
    tx.commit().await?;
    let data: Vec<MemberOut> = members.iter().map(MemberOut::new).collect();
    let body = small_page(&state.settings, "members", &asked, data)?;
    Ok(json_at(access.snapshot.seq, body))
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<MemberPatch>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::Leave).await?;
    let user = path_id(&request, "user_id")?;
    admin(
        &access,
        &caller,
        remember,
        AdminCommand::SetRole {
            user,
            role: body.value.role,
        },
    )
    .await
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::Leave).await?;
    let user = path_id(&request, "user_id")?;
    admin(
        &access,
        &caller,
        remember,
        AdminCommand::RemoveMember { user },
    )
    .await
}
