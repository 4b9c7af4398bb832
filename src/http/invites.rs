//! Invitations. A token is derived from the server's key and the invitation's id, shown once and
//! stored as a hash, so that a retry of the same request shows the same token.

use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cursor::{PageQuery, small_page};
use super::extract::{Body, Caller, access, op_of, path_id, query, remember, state};
use super::problem::{json_at, respond};
use super::state::Settings;
use super::submit::{admin, admin_at};
use crate::actors::workspace::{AdminCommand, Command, Request, Shape};
use crate::domain::email;
use crate::domain::log::Actor;
use crate::domain::roles::{Action, Role};
use crate::error::AppError;
use crate::ids::InviteId;
use crate::store::{self, Purpose, Tx};
use crate::wire::people::InviteOut;

/// An invitation to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteIn {
    email: String,
    role: Role,
}

/// The token of an invitation.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptIn {
    token: String,
}

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    let access = access(&request, &caller, Action::ManageMembers).await?;
    let state = state(&request)?;
    let tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let invites = store::invites::open(&tx, access.snapshot.id, Utc::now()).await?;
    tx.commit().await?;
    let data: Vec<InviteOut> = invites.iter().map(InviteOut::new).collect();
    let body = small_page(&state.settings, "invites", &asked, data)?;
    Ok(json_at(access.snapshot.seq, body))
}

pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<InviteIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let access = access(&request, &caller, Action::ManageMembers).await?;
    let state = state(&request)?;
    let email = email::parse(&body.value.email)
        .ok_or_else(|| AppError::field("/email", "not_an_email", "this is no e-mail address"))?;
    let id = InviteId(Uuid::now_v7());
    let command = AdminCommand::CreateInvite {
        id,
        email,
        role: body.value.role,
        token_hash: hash(&token(&state.settings, id)),
    };
    let reply = access
        .handle
        .submit(Request {
            user: caller.0.user,
            actor: Actor::User(caller.0.user),
            op: op_of(remember.as_ref()),
            remember,
            shape: Shape::One,
            command: Command::Admin(command),
        })
        .await?;
    let seq = reply.seq;
    let mut answer = reply.into_answer(&Shape::One);
    // What is remembered holds no secret: the token is derived anew for every answer.
    let mut invite: InviteOut = answer
        .body
        .as_deref()
        .and_then(|body| serde_json::from_str(body.get()).ok())
        .ok_or_else(|| AppError::internal(anyhow::anyhow!("an invitation's answer")))?;
    invite.token = Some(token(&state.settings, invite.id));
    answer.body = serde_json::value::to_raw_value(&invite).ok();
    Ok(respond(answer, seq))
}

pub async fn delete(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::ManageMembers).await?;
    let id = path_id(&request, "invite_id")?;
    admin(
        &access,
        &caller,
        remember,
        AdminCommand::RevokeInvite { id },
    )
    .await
}

pub async fn accept(
    request: HttpRequest,
    caller: Caller,
    body: Body<AcceptIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let state = state(&request)?;
    let person = &caller.0;
    let found = store::invites::by_token(&state.db, &hash(&body.value.token)).await?;
    let (workspace, id) = found.ok_or_else(AppError::not_found)?;
    store::profiles::visit(
        &state.db,
        person.user,
        person.email.as_deref(),
        person.name.as_deref(),
    )
    .await?;
    let handle = state.registry.open(workspace).await?;
    let command = AdminCommand::AcceptInvite {
        id,
        email: person.email.clone(),
    };
    admin_at(&handle, &caller, remember, command).await
}

fn token(settings: &Settings, id: InviteId) -> String {
    format!(
        "esi_{}",
        URL_SAFE_NO_PAD.encode(settings.keyed("invite", id.uuid().as_bytes()))
    )
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
