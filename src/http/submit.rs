//! From a handler to the lane: who asks, under which key, and the answer as a response.

use actix_web::HttpResponse;

use super::extract::{Access, Caller, op_of};
use super::problem::respond;
use crate::actors::workspace::{
    AdminCommand, Answer, Command, Remember, Request, Shape, UndoCommand, WorkspaceHandle,
};
use crate::domain::edit::ItemCommand;
use crate::domain::log::Actor;
use crate::error::AppError;

/// Runs a change of the workspace, its people or its schema.
pub async fn admin(
    access: &Access,
    caller: &Caller,
    remember: Option<Remember>,
    command: AdminCommand,
) -> Result<HttpResponse, AppError> {
    admin_at(&access.handle, caller, remember, command).await
}

/// The same where the caller is no member yet.
pub async fn admin_at(
    handle: &WorkspaceHandle,
    caller: &Caller,
    remember: Option<Remember>,
    command: AdminCommand,
) -> Result<HttpResponse, AppError> {
    let (answer, seq) = admin_answer(handle, caller, remember, command).await?;
    Ok(respond(answer, seq))
}

/// The same where the answer is looked at first; with the position of the log.
pub async fn admin_answer(
    handle: &WorkspaceHandle,
    caller: &Caller,
    remember: Option<Remember>,
    command: AdminCommand,
) -> Result<(Answer, i64), AppError> {
    let command = Command::Admin(command);
    let request = request(caller, remember, Shape::One, command);
    let reply = handle.submit(request).await?;
    let seq = reply.seq;
    Ok((reply.into_answer(&Shape::One), seq))
}

/// Runs a command on items.
pub async fn items(
    access: &Access,
    caller: &Caller,
    remember: Option<Remember>,
    shape: Shape,
    command: ItemCommand,
) -> Result<HttpResponse, AppError> {
    let command = Command::Items(command);
    let reply = access
        .handle
        .submit(request(caller, remember, shape.clone(), command))
        .await?;
    let seq = reply.seq;
    Ok(respond(reply.into_answer(&shape), seq))
}

/// Has something taken back.
pub async fn undo(
    access: &Access,
    caller: &Caller,
    remember: Option<Remember>,
    command: UndoCommand,
) -> Result<HttpResponse, AppError> {
    let shape = Shape::Undone { undoes: None };
    let request = request(caller, remember, shape.clone(), Command::Undo(command));
    let reply = access.handle.submit(request).await?;
    let seq = reply.seq;
    Ok(respond(reply.into_answer(&shape), seq))
}

fn request(caller: &Caller, remember: Option<Remember>, shape: Shape, command: Command) -> Request {
    Request {
        user: caller.0.user,
        actor: Actor::User(caller.0.user),
        op: op_of(remember.as_ref()),
        remember,
        shape,
        command,
    }
}
