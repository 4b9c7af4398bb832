//! Imports: the file comes in as the body itself, is kept on disk and planned, and becomes a job.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
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
    let (options, _) = options(&request)?;
    let action = if options.create_columns {
        Action::WriteSchema
    } else {
        Action::WriteItems
    };
    let access = access(&request, &caller, action).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    let received = receive(&request, payload).await?;
    let plan = accept::inspect(
        received.upload.path().to_owned(),
        options,
        list.columns.clone(),
    )
    .await?;
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
    let received = receive(&request, payload).await?;
    let columns = ColumnSet::new(Vec::new());
    let plan = accept::inspect(received.upload.path().to_owned(), options, columns).await?;
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
    remember: Option<Remember>,
}

async fn receive(request: &HttpRequest, payload: web::Payload) -> Result<Received, AppError> {
    check_type(request)?;
    let state = state(request)?;
    let job = JobId(Uuid::now_v7());
    let upload = accept::receive(payload, state.jobs.uploads(), job, MAX_FILE).await?;
    // The fingerprint of an upload is the SHA-256 of its bytes.
    let remember = remember(request, &upload.sha256)?;
    Ok(Received {
        job,
        upload,
        remember,
    })
}

fn check_type(request: &HttpRequest) -> Result<(), AppError> {
    let given = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case("text/csv") {
        return Ok(());
    }
    Err(AppError::new(
        ErrorCode::UnsupportedMediaType,
        "Send text/csv; other files are not built yet",
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
        remember,
    } = received;
    let new = NewJob {
        id: job,
        kind: "import",
        list: Some(list),
        created_by: caller.0.user,
        params: serde_json::to_value(plan).map_err(AppError::internal)?,
        file_name: None,
        file_size: upload.size,
        sha256: upload.sha256,
        data_start: plan.data_start,
    };
    // The file stays before the job is known: one without the other is swept, a job without its
    // file could never run.
    let path = upload.keep()?;
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
