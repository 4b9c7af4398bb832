//! Imports: the file comes in as the body itself, is kept on disk and planned, and becomes a job.

use actix_multipart::{Field, Multipart};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures::StreamExt as _;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::extract::{Access, Caller, access, path_id, remember, state};
use super::import_runs::{Proposed, Said, make_columns, make_list, parameters, propose};
use super::jobs::{accepted, accepted_as};
use super::submit::admin_answer;
use crate::actors::import::accept;
use crate::actors::workspace::{AdminCommand, Remember};
use crate::domain::edit::list_of;
use crate::domain::import::format::Format;
use crate::domain::import::options::Options;
use crate::error::{AppError, ErrorCode};
use crate::ids::{JobId, ListId};
use crate::store::jobs::NewJob;

/// Bytes of an uploaded file at most.
const MAX_FILE: u64 = 4 << 30;

/// Into a list that exists.
pub async fn into_list(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
) -> Result<HttpResponse, AppError> {
    let mut said = Said::read(parameters(&request), false)?;
    let access = access(&request, &caller, said.action()).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    let received = receive(&request, payload, &mut said.options).await?;
    let path = received.upload.path();
    let proposed = propose(&request, &access, &caller, path, said, Some(list)).await?;
    if let Some(plan) = proposed.due() {
        make_columns(&access, &caller, list.id, plan).await?;
    }
    queue(
        &request,
        &access,
        &caller,
        Some(list.id),
        received,
        proposed,
    )
    .await
}

/// Into a list made from the file.
pub async fn into_new_list(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
) -> Result<HttpResponse, AppError> {
    let mut said = Said::read(parameters(&request), true)?;
    let access = access(&request, &caller, said.action()).await?;
    let name = said.list_name.clone();
    let name =
        name.ok_or_else(|| AppError::field("/list_name", "required", "name the new list"))?;
    let received = receive(&request, payload, &mut said.options).await?;
    let path = received.upload.path();
    let proposed = propose(&request, &access, &caller, path, said, None).await?;
    let mut made = None;
    if let Some(plan) = proposed.due() {
        let list = list_for(&access, &caller, &received);
        make_list(&access, &caller, list, name, plan).await?;
        made = Some(list);
    }
    queue(&request, &access, &caller, made, received, proposed).await
}

/// The id of the list to be made: the same for each copy of a request with a key, so that they make
/// one list. (A UUIDv8: RFC 9562, section 5.8.)
fn list_for(access: &Access, caller: &Caller, received: &Received) -> ListId {
    let Some(remember) = &received.remember else {
        return ListId(Uuid::now_v7());
    };
    let digest = Sha256::new()
        .chain_update("the list of an import")
        .chain_update(access.snapshot.id.uuid())
        .chain_update(caller.0.user.uuid())
        .chain_update(remember.fingerprint)
        .chain_update(&remember.key)
        .finalize();
    let bytes = digest.first_chunk().copied().unwrap_or_default();
    ListId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// A file on disk that belongs to nobody until its job is queued.
struct Received {
    job: JobId,
    upload: accept::Upload,
    file_name: Option<String>,
    remember: Option<Remember>,
}

/// Takes the file in, as the body itself or as the part `file` of a form (RFC 7578).
async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    options: &mut Options,
) -> Result<Received, AppError> {
    let state = state(request)?;
    let job = JobId(Uuid::now_v7());
    let folder = state.jobs.uploads();
    let sent = media_type(request.headers().get(header::CONTENT_TYPE));
    let (upload, file_name) = if sent == "multipart/form-data" {
        let mut form = Multipart::new(request.headers(), payload);
        let (part, name) = file_part(&mut form).await?;
        options.declared = part
            .content_type()
            .and_then(|media| Format::of_media_type(media.essence_str()));
        (accept::receive(part, folder, job, MAX_FILE).await?, name)
    } else {
        options.declared = declared(&sent)?;
        (accept::receive(payload, folder, job, MAX_FILE).await?, None)
    };
    // The fingerprint of an upload is the SHA-256 of its bytes.
    let remember = remember(request, &upload.sha256)?;
    Ok(Received {
        job,
        upload,
        file_name,
        remember,
    })
}

/// The part of a form that is the file, and what it is called there.
async fn file_part(form: &mut Multipart) -> Result<(Field, Option<String>), AppError> {
    while let Some(part) = form.next().await {
        let part = part.map_err(|_| AppError::malformed("The form can't be read"))?;
        if part.name() == Some("file") {
            let name = part
                .content_disposition()
                .and_then(|disposition| disposition.get_filename())
                .map(|name| {
                    name.chars()
                        .filter(|char| !char.is_control())
                        .take(255)
                        .collect()
                });
            return Ok((part, name));
        }
    }
    Err(AppError::malformed("The form has no part `file`"))
}

fn media_type(value: Option<&header::HeaderValue>) -> String {
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// What a media type says of the file; 415 for one that is none of a table's. What the bytes are is
/// found out from them.
fn declared(essence: &str) -> Result<Option<Format>, AppError> {
    const UNTOLD: [&str; 10] = [
        "",
        "text/plain",
        "text/x-csv",
        "text/directory",
        "application/csv",
        "application/octet-stream",
        "application/vnd.ms-excel",
        "application/gzip",
        "application/x-gzip",
        "application/zip",
    ];
    let named = Format::of_media_type(essence);
    if named.is_some() || UNTOLD.contains(&essence) {
        return Ok(named);
    }
    Err(AppError::new(
        ErrorCode::UnsupportedMediaType,
        "Send CSV, a workbook (XLSX, XLS, ODS), JSON, JSON Lines or vCards, also in gzip or zip",
    ))
}

async fn queue(
    request: &HttpRequest,
    access: &Access,
    caller: &Caller,
    list: Option<ListId>,
    received: Received,
    proposed: Proposed,
) -> Result<HttpResponse, AppError> {
    let state = state(request)?;
    let Received {
        job,
        mut upload,
        file_name,
        remember,
    } = received;
    let Proposed {
        proposal,
        rows,
        tried,
    } = proposed;
    // One that waits keeps the file as it came: an answer may have it read otherwise.
    let waits = tried.is_some();
    upload.rewritten(rows.filter(|_| !waits));
    let (file_size, sha256) = (upload.size, upload.sha256);
    // The file stays before the job is known: one without the other is swept, a job without its
    // file could never run.
    let (path, total_bytes) = web::block(move || upload.keep())
        .await
        .map_err(AppError::internal)??;
    let new = NewJob {
        id: job,
        kind: "import",
        list,
        created_by: caller.0.user,
        params: serde_json::to_value(&proposal).map_err(AppError::internal)?,
        file_name,
        file_size,
        sha256,
        total_bytes,
        data_start: proposal.plan.map_or(0, |plan| plan.data_start),
        tried,
    };
    let command = AdminCommand::QueueImport { job: Box::new(new) };
    let queued = admin_answer(&access.handle, caller, remember, command).await;
    let answered = queued
        .as_ref()
        .ok()
        .and_then(|(answer, _)| accepted_as(answer));
    let ours = answered == Some(job);
    // Refused, or the answer to an earlier copy, which has its own file. Of a fault nobody knows yet
    // whether there is a job now: then the file is swept, or used.
    let fault = queued
        .as_ref()
        .is_err_and(|error| error.code.status() >= 500);
    if ours {
        state.jobs.wake();
    } else if !fault {
        accept::discard(path).await?;
    }
    let (_, seq) = queued?;
    accepted(request, access, answered.unwrap_or(job), seq).await
}
