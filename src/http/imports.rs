//! Imports: the file comes in as the body itself, is kept on disk and planned, and becomes a job.

use actix_multipart::{Field, Multipart};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures::StreamExt as _;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::extract::{Access, Caller, access, path_id, remember, state};
use super::problem::respond;
use super::submit::{admin, admin_answer};
use crate::actors::import::{accept, refused};
use crate::actors::workspace::{AdminCommand, Remember};
use crate::domain::columns::ColumnSet;
use crate::domain::edit::list_of;
use crate::domain::import::format::Format;
use crate::domain::import::options::Options;
use crate::domain::import::plan::ImportPlan;
use crate::domain::roles::Action;
use crate::domain::schema_change::ColumnSpec;
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
    let (mut options, _) = options(&request)?;
    let action = if options.create_columns {
        Action::WriteSchema
    } else {
        Action::WriteItems
    };
    let access = access(&request, &caller, action).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    let mut received = receive(&request, payload, &mut options).await?;
    let plan = received.inspect(options, list.columns.clone()).await?;
    add_columns(&access, &caller, list.id, &plan).await?;
    queue(&request, &access, &caller, list.id, received, &plan).await
}

/// Into a list made from the file.
pub async fn into_new_list(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
) -> Result<HttpResponse, AppError> {
    let (mut options, name) = options(&request)?;
    options.create_columns = true;
    let access = access(&request, &caller, Action::WriteSchema).await?;
    let name =
        name.ok_or_else(|| AppError::field("/list_name", "required", "name the new list"))?;
    let mut received = receive(&request, payload, &mut options).await?;
    let plan = received.inspect(options, ColumnSet::default()).await?;
    let list = list_for(&access, &caller, &received);
    let known = || access.handle.snapshot().schema.lists.contains_key(&list);
    if !known() {
        let command = AdminCommand::CreateList {
            id: list,
            name,
            columns: specs(&plan),
            location: String::new(),
        };
        let made = admin(&access, &caller, None, command).await;
        // A copy of this request may have been faster.
        if let Err(error) = made
            && !known()
        {
            return Err(error);
        }
    }
    queue(&request, &access, &caller, list, received, &plan).await
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

impl Received {
    async fn inspect(
        &mut self,
        options: Options,
        columns: ColumnSet,
    ) -> Result<ImportPlan, AppError> {
        let inspected = accept::inspect(self.upload.path().to_owned(), options, columns).await?;
        self.upload.rewritten(inspected.rows);
        Ok(inspected.plan)
    }
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

/// The parameters, and the name of a list to be made.
fn options(request: &HttpRequest) -> Result<(Options, Option<String>), AppError> {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(request.query_string().as_bytes())
            .into_owned()
            .collect();
    let name = pairs
        .iter()
        .find(|(key, _)| key == "list_name")
        .map(|(_, name)| name.clone());
    let makes_list = request.match_info().get("list_id").is_none();
    if makes_list
        && pairs
            .iter()
            .any(|(key, value)| key == "create_columns" && value == "false")
    {
        let message = "a list that is made from the file has its columns from it too";
        return Err(AppError::field("/create_columns", "bad_value", message));
    }
    let rest = pairs
        .iter()
        .filter(|(key, _)| !(makes_list && key == "list_name"))
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let options = Options::parse(rest).map_err(refused)?;
    Ok((options, name))
}

async fn add_columns(
    access: &Access,
    caller: &Caller,
    list: ListId,
    plan: &ImportPlan,
) -> Result<(), AppError> {
    let specs = specs(plan);
    if specs.is_empty() {
        return Ok(());
    }
    admin(
        access,
        caller,
        None,
        AdminCommand::AddColumns { list, specs },
    )
    .await
    .map(drop)
}

fn specs(plan: &ImportPlan) -> Vec<ColumnSpec> {
    plan.new_columns()
        .map(|column| ColumnSpec {
            key: column.key.clone(),
            name: Some(column.name.clone()),
            ty: column.ty.as_str().to_owned(),
            options: Some(column.options.clone()),
            required: false,
            unique: false,
            default: None::<Box<RawValue>>,
        })
        .collect()
}

async fn queue(
    request: &HttpRequest,
    access: &Access,
    caller: &Caller,
    list: ListId,
    received: Received,
    plan: &ImportPlan,
) -> Result<HttpResponse, AppError> {
    let state = state(request)?;
    let Received {
        job,
        upload,
        file_name,
        remember,
    } = received;
    let (file_size, sha256) = (upload.size, upload.sha256);
    // The file stays before the job is known: one without the other is swept, a job without its
    // file could never run.
    let (path, total_bytes) = web::block(move || upload.keep())
        .await
        .map_err(AppError::internal)??;
    let new = NewJob {
        id: job,
        kind: "import",
        list: Some(list),
        created_by: caller.0.user,
        params: serde_json::to_value(plan).map_err(AppError::internal)?,
        file_name,
        file_size,
        sha256,
        total_bytes,
        data_start: plan.data_start,
    };
    let command = AdminCommand::QueueImport { job: Box::new(new) };
    let queued = admin_answer(&access.handle, caller, remember, command).await;
    let ours = queued.as_ref().is_ok_and(|(answer, _)| {
        let body = answer.body.as_ref();
        body.is_some_and(|body| body.get().contains(&job.to_string()))
    });
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
    queued.map(|(answer, seq)| respond(answer, seq))
}
