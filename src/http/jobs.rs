//! Jobs: how they stand, what went wrong, and their end.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cursor::{self, page_size};
use super::extract::{Access, Caller, access, path_id, query, remember, state};
use super::problem::json_at;
use super::submit::admin;
use crate::actors::import::accept;
use crate::actors::workspace::AdminCommand;
use crate::domain::item::time;
use crate::domain::roles::{Action, Role};
use crate::error::AppError;
use crate::ids::{JobId, ListId, UserId};
use crate::store::jobs::{self, Counts, Job};
use crate::store::{Purpose, StoreError, Tx};

/// A job as it stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JobOut {
    #[schema(value_type = Uuid)]
    id: JobId,
    kind: String,
    /// `queued running paused needs_input succeeded failed cancelled reverted`
    state: String,
    #[schema(value_type = Option<Uuid>)]
    list_id: Option<ListId>,
    #[schema(value_type = Uuid)]
    created_by: UserId,
    created_at: String,
    finished_at: Option<String>,
    file_name: Option<String>,
    file_size: u64,
    /// Bytes of the file that are committed.
    done_bytes: u64,
    total_bytes: u64,
    counts: CountsOut,
    #[schema(value_type = Option<Object>)]
    error: Option<serde_json::Value>,
}

/// Rows: `read` is the sum of the others.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CountsOut {
    read: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
}

impl From<Job> for JobOut {
    fn from(job: Job) -> JobOut {
        let Counts {
            read,
            created,
            updated,
            unchanged,
            skipped,
            failed,
        } = job.counts;
        JobOut {
            id: job.id,
            kind: job.kind,
            state: job.state,
            list_id: job.list,
            created_by: job.created_by,
            created_at: time(job.created_at),
            finished_at: job.finished_at.map(time),
            file_name: job.file_name,
            file_size: job.file_size,
            done_bytes: job.checkpoint_bytes,
            total_bytes: job.total_bytes,
            counts: CountsOut {
                read,
                created,
                updated,
                unchanged,
                skipped,
                failed,
            },
            error: job.error,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    let access = access(&request, &caller, Action::Read).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let question = format!("jobs {}", access.snapshot.id);
    let before = match asked.cursor.as_deref() {
        None => None,
        Some(text) => {
            let bytes = cursor::open(&state.settings, &question, text)?;
            let id = Uuid::from_slice(&bytes);
            Some(JobId(id.map_err(|_| {
                AppError::malformed("This cursor can't be read")
            })?))
        }
    };
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let size = u32::try_from(limit).unwrap_or(100);
    let page = jobs::page(tx.conn(), access.snapshot.id, before, size)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await?;
    let next = page
        .last()
        .filter(|_| i64::try_from(page.len()).unwrap_or(0) >= limit)
        .map(|job| cursor::seal(&state.settings, &question, job.id.uuid().as_bytes()));
    let data: Vec<JobOut> = page.into_iter().map(JobOut::from).collect();
    let body = serde_json::json!({"data": data, "next_cursor": next}).to_string();
    Ok(json_at(access.snapshot.seq, body))
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let job = find(&request, &access).await?;
    Ok(json_at(
        access.snapshot.seq,
        serde_json::json!(JobOut::from(job)).to_string(),
    ))
}

async fn find(request: &HttpRequest, access: &Access) -> Result<Job, AppError> {
    let id: JobId = path_id(request, "job_id")?;
    let state = state(request)?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let job = jobs::get(tx.conn(), access.snapshot.id, id)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await?;
    job.ok_or_else(AppError::not_found)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorsQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    format: Option<String>,
}

/// The rows that could not be stored, as JSON or (`?format=csv`) as a file.
pub async fn errors(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: ErrorsQuery = query(&request)?;
    let access = access(&request, &caller, Action::Read).await?;
    let job = find(&request, &access).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let question = format!("errors {} {}", access.snapshot.id, job.id);
    let after = match asked.cursor.as_deref() {
        None => None,
        Some(text) => Some(row_position(&cursor::open(
            &state.settings,
            &question,
            text,
        )?)?),
    };
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let size = u32::try_from(limit).unwrap_or(100);
    let page = jobs::errors(tx.conn(), access.snapshot.id, job.id, after, size)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await?;
    match asked.format.as_deref() {
        None | Some("json") => {}
        Some("csv") => return errors_csv(&page),
        Some(_) => return Err(AppError::malformed("format: json or csv")),
    }
    let next = page
        .last()
        .filter(|_| i64::try_from(page.len()).unwrap_or(0) >= limit)
        .map(|error| {
            let mut position = error.row.to_be_bytes().to_vec();
            position.extend(error.ordinal.to_be_bytes());
            cursor::seal(&state.settings, &question, &position)
        });
    let data: Vec<serde_json::Value> = page
        .iter()
        .map(|error| {
            serde_json::json!({
                "row": error.row, "column": error.column_key, "value": error.value,
                "code": error.code, "message": error.message,
            })
        })
        .collect();
    let body = serde_json::json!({"data": data, "next_cursor": next}).to_string();
    Ok(json_at(access.snapshot.seq, body))
}

fn row_position(bytes: &[u8]) -> Result<(u64, u32), AppError> {
    let refused = || AppError::malformed("This cursor can't be read");
    let (row, ordinal) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
    let ordinal = <[u8; 4]>::try_from(ordinal).map_err(|_| refused())?;
    Ok((u64::from_be_bytes(*row), u32::from_be_bytes(ordinal)))
}

fn errors_csv(page: &[jobs::RowError]) -> Result<HttpResponse, AppError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = writer.write_record(["row", "column", "value", "code", "message"]);
    header.map_err(AppError::internal)?;
    for error in page {
        let row = error.row.to_string();
        let (column, value) = (error.column_key.as_deref(), error.value.as_deref());
        let guarded = guard(value.unwrap_or_default());
        let fields = [
            &row,
            column.unwrap_or_default(),
            &guarded,
            &error.code,
            &error.message,
        ];
        writer.write_record(fields).map_err(AppError::internal)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| AppError::internal(anyhow::anyhow!("{error}")))?;
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"errors.csv\"",
        ))
        .body(bytes))
}

/// A value that a spreadsheet would run as a formula stays a text.
fn guard(value: &str) -> String {
    match value.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{value}"),
        _ => value.to_owned(),
    }
}

/// Ends a job; whoever started it may, and admins.
pub async fn cancel(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteItems).await?;
    let job = find(&request, &access).await?;
    if job.created_by != caller.0.user && access.role < Role::Admin {
        return Err(AppError::forbidden());
    }
    let command = AdminCommand::CancelImport { job: job.id };
    let cancelled = admin(&access, &caller, remember, command).await?;
    // One that was still queued has no runner who would.
    let file = accept::path_of(state(&request)?.jobs.uploads(), job.id);
    if let Err(error) = accept::discard(file).await {
        tracing::warn!(%error, job = %job.id, "the file of a cancelled job stays until it is swept");
    }
    Ok(cancelled)
}
