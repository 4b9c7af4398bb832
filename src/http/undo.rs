//! Undo and redo, a list brought back to how it stood, and an import taken back.

use actix_web::{HttpRequest, HttpResponse};

use super::extract::{Access, Body, Caller, access, remember, state};
use super::items::at_list;
use super::jobs::own;
use super::submit;
use crate::actors::workspace::{AdminCommand, UndoCommand};
use crate::domain::roles::Action;
use crate::domain::undo::{changed_since, refused};
use crate::error::AppError;
use crate::ids::JobId;
use crate::store::past::{batches, entries_of, touched_rows};
use crate::store::{Purpose, Tx};
use crate::wire::undo::{RestoreToIn, UndoIn};

/// Batches of an import looked for in one go.
const PAGE: i64 = 1_000;
/// Rows looked at for who has changed them since.
const TOUCHED: i64 = 1_000;

/// `POST W/undo`
pub async fn undo(
    request: HttpRequest,
    caller: Caller,
    body: Body<UndoIn>,
) -> Result<HttpResponse, AppError> {
    step(&request, &caller, body, |seq| UndoCommand::Undo { seq }).await
}

/// `POST W/redo`
pub async fn redo(
    request: HttpRequest,
    caller: Caller,
    body: Body<UndoIn>,
) -> Result<HttpResponse, AppError> {
    step(&request, &caller, body, |seq| UndoCommand::Redo { seq }).await
}

/// What it takes to write such a change is judged by the lane, which knows what it was.
async fn step(
    request: &HttpRequest,
    caller: &Caller,
    body: Body<UndoIn>,
    command: fn(Option<i64>) -> UndoCommand,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(request)?;
    let access = access(request, caller, Action::Comment).await?;
    submit::undo(&access, caller, remember, command(body.value.seq)).await
}

/// `POST L/restore-to`
pub async fn restore_to(
    request: HttpRequest,
    caller: Caller,
    body: Body<RestoreToIn>,
) -> Result<HttpResponse, AppError> {
    let remember = body.remember(&request)?;
    let (access, list) = at_list(&request, &caller, Action::WriteItems).await?;
    let command = UndoCommand::RestoreTo {
        list: list.id,
        seq: body.value.seq,
    };
    submit::undo(&access, &caller, remember, command).await
}

/// `POST W/jobs/{job_id}/revert`: the rows of an import go into the trash, a batch at a time, each a change of
/// its own under one `change`. Nothing where one of them has been changed since; asked again after an end in
/// the middle, it goes on.
pub async fn revert(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteItems).await?;
    let job = own(&request, &access, &caller).await?;
    if job.kind != "import" {
        let detail = "Only an import can be taken back";
        return Err(AppError::conflict(detail).at("", "not_an_import"));
    }
    // What stood before is in the log, change by change: each can be undone by itself.
    if job.params.get("mode").is_some_and(|mode| mode != "create") {
        let detail = "An import that changed items can't be taken back as a whole yet";
        return Err(AppError::conflict(detail).at("", "not_built"));
    }
    if job.finished_at.is_none() {
        let detail = "The job has not ended: cancel it first";
        return Err(AppError::conflict(detail).at("", "not_ended"));
    }
    if job.state != "reverted" {
        let committed = committed(&request, &access, job.id).await?;
        take_back(&access, &caller, job.id, &committed).await?;
    }
    let command = AdminCommand::RevertImport {
        job: job.id,
        change: job.id.uuid(),
    };
    submit::admin(&access, &caller, remember, command).await
}

/// Where its batches stand, none of whose rows has been changed since.
async fn committed(
    request: &HttpRequest,
    access: &Access,
    job: JobId,
) -> Result<Vec<i64>, AppError> {
    let state = state(request)?;
    let workspace = access.snapshot.id;
    let mut tx = Tx::begin(&state.db, workspace, Purpose::Read).await?;
    let mut committed: Vec<i64> = Vec::new();
    loop {
        let after = committed.last().copied().unwrap_or(0);
        let page = batches(&mut tx, workspace, job, after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        let touched = touched_rows(&mut tx, workspace, &page, TOUCHED).await?;
        let since = entries_of(&mut tx, workspace, &touched, after).await?;
        let obstacles = changed_since(since.whole()?, after);
        if !obstacles.is_empty() {
            return Err(refused(&obstacles));
        }
        committed.extend(page);
    }
    tx.commit().await?;
    Ok(committed)
}

async fn take_back(
    access: &Access,
    caller: &Caller,
    job: JobId,
    committed: &[i64],
) -> Result<(), AppError> {
    for seq in committed {
        let command = UndoCommand::RevertBatch {
            job,
            seq: *seq,
            change: job.uuid(),
        };
        // A step needs no key: done once more, it finds nothing left to do.
        match submit::undo(access, caller, None, command).await {
            Ok(_) => {}
            Err(error) if is_done(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// All rows of that batch were taken back before.
fn is_done(error: &AppError) -> bool {
    let nothing = |field: &crate::error::FieldError| field.code == "nothing_to_change";
    error.fields.iter().any(nothing)
}
