//! Forms that anybody with a link may send, and the links themselves. A link's token is derived from
//! the server's key and the link's id, shown once and stored as a hash. A stranger learns of the form
//! what it asks for, and of its workspace nothing: not even how far its log is.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cursor::{PageQuery, small_page};
use super::extract::{
    Access, Body, Caller, MIN_SEQ_PATIENCE, access, op_of, path_id, path_text, query, remember,
    state,
};
use super::items::plainly;
use super::limits::address;
use super::problem::{json_at, respond};
use super::state::{AppState, Settings};
use super::submit::{admin, admin_answer};
use super::views::find;
use crate::actors::workspace::{
    AdminCommand, Command, FormCommand, Request, Shape, WorkspaceHandle,
};
use crate::domain::edit::{ItemCommand, NewItem};
use crate::domain::form::Form;
use crate::domain::log::Actor;
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::error::AppError;
use crate::ids::{FormId, ItemId, ListId, UserId, ViewId};
use crate::store::{self, Purpose, Tx};
use crate::wire::forms::{FormAnswersIn, FormLinkOut, FormOut};

/// The links of a view's form, without their tokens.
pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    access(&request, &caller, Action::WriteViews).await?;
    let (access, _, view) = find(&request, &caller).await?;
    view.writable_by(caller.0.user, access.role)?;
    let state = state(&request)?;
    let tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let links = store::forms::of_view(&tx, access.snapshot.id, view.id).await?;
    tx.commit().await?;
    let data: Vec<FormLinkOut> = links
        .iter()
        .map(|link| FormLinkOut::new(link.id, link.view_id, link.created_by, link.created_at))
        .collect();
    let question = format!("form links {}", view.id);
    let body = small_page(&state.settings, &question, &asked, data)?;
    Ok(json_at(access.snapshot.seq, body))
}

pub async fn open(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let (access, list, view) = at_view(&request, &caller).await?;
    let state = state(&request)?;
    let id = FormId(Uuid::now_v7());
    let command = FormCommand::Open {
        id,
        token_hash: hash(&token(&state.settings, id)),
        location: request.path().to_owned(),
    };
    let command = AdminCommand::Form {
        list,
        view,
        command,
    };
    let (mut answer, seq) = admin_answer(&access.handle, &caller, remember, command).await?;
    // What is remembered holds no secret: the token is derived anew for every answer.
    let mut link: FormLinkOut = answer
        .body
        .as_deref()
        .and_then(|body| serde_json::from_str(body.get()).ok())
        .ok_or_else(|| AppError::internal(anyhow::anyhow!("a form link's answer")))?;
    let token = token(&state.settings, link.id);
    link.path = Some(format!("{}/forms/{token}", super::routes::BASE));
    link.token = Some(token);
    answer.body = serde_json::value::to_raw_value(&link).ok();
    Ok(respond(answer, seq))
}

pub async fn revoke(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let (access, list, view) = at_view(&request, &caller).await?;
    let command = FormCommand::Revoke {
        id: path_id(&request, "link_id")?,
    };
    let command = AdminCommand::Form {
        list,
        view,
        command,
    };
    admin(&access, &caller, remember, command).await
}

async fn at_view(
    request: &HttpRequest,
    caller: &Caller,
) -> Result<(Access, ListId, ViewId), AppError> {
    let access = access(request, caller, Action::WriteViews).await?;
    let (list, view) = (path_id(request, "list_id")?, path_id(request, "view_id")?);
    Ok((access, list, view))
}

/// The form behind a link, for strangers.
pub async fn show(request: HttpRequest) -> Result<HttpResponse, AppError> {
    let state = state(&request)?;
    let (_, form, list) = behind(&state, path_text(&request, "token")?).await?;
    let body = json!(FormOut::new(&form, &list));
    Ok(HttpResponse::Ok().json(body))
}

/// Makes one item of what a stranger sent.
pub async fn send(
    request: HttpRequest,
    body: Body<FormAnswersIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let state = state(&request)?;
    let (handle, form, list) = behind(&state, path_text(&request, "token")?).await?;
    let from = address(&request, state.settings.trusted_proxy_hops);
    state.limits.admit_form(form.id, from)?;
    let command = ItemCommand::Create {
        list: list.id,
        items: vec![NewItem {
            id: ItemId(Uuid::now_v7()),
            fresh: true,
            values: body.value.values,
        }],
        typecast: false,
    };
    let request = Request {
        // No person: retries are known by the form, and so is who made the item.
        user: UserId(form.id.uuid()),
        actor: Actor::Form(form.id),
        op: op_of(remember.as_ref()),
        remember,
        shape: Shape::Receipt,
        command: Command::Items(command),
    };
    let reply = handle.submit(request).await.map_err(plainly)?;
    let answer = reply.into_answer(&Shape::Receipt);
    let body = answer.body.map(|body| body.get().to_owned());
    Ok(HttpResponse::Created()
        .content_type("application/json")
        .body(body.unwrap_or_default()))
}

type Behind = (WorkspaceHandle, Arc<Form>, Arc<List>);

/// What a token leads to: 404 where the link is none, was revoked, its view is gone, or is private and its
/// owner may not write views any more; 410 while the
/// list is in the trash.
async fn behind(state: &web::Data<AppState>, token: &str) -> Result<Behind, AppError> {
    let found = store::forms::by_token(&state.db, &hash(token)).await?;
    let (workspace, id, seq) = found.ok_or_else(AppError::not_found)?;
    let handle = state.registry.open(workspace).await?;
    // Another node may have opened it a moment ago.
    if !handle.reach(seq, MIN_SEQ_PATIENCE).await {
        return Err(AppError::unavailable("Try again"));
    }
    let snapshot = handle.snapshot();
    let form = snapshot.forms.get(&id).map(Arc::clone);
    let form = form.filter(|form| form.is_open(snapshot.role_of(form.owner)));
    let form = form.ok_or_else(AppError::not_found)?;
    let list = snapshot.schema.live(form.list);
    let list = Arc::clone(list.ok_or_else(|| AppError::gone("This form is closed"))?);
    Ok((handle, form, list))
}

fn token(settings: &Settings, id: FormId) -> String {
    format!(
        "esf_{}",
        URL_SAFE_NO_PAD.encode(settings.keyed("form", id.uuid().as_bytes()))
    )
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
