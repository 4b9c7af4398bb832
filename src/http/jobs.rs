//! Jobs: how they stand, what went wrong, and their end.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cursor::{self, PageQuery, cut, page_size};
use super::extract::{Access, Caller, access, path_id, query, remember, state};
use super::problem::{X_WORKSPACE_SEQ, json_at};
use super::submit::admin;
use crate::actors::import::accept;
use crate::actors::workspace::{AdminCommand, Answer};
use crate::domain::import::format::Format;
use crate::domain::import::plan::{ImportPlan, PlannedColumn, PlannedTarget};
use crate::domain::import::proposal::Proposal;
use crate::domain::item::time;
use crate::domain::roles::{Action, Role};
use crate::domain::written::guarded;
use crate::error::AppError;
use crate::ids::{JobId, ListId, UserId, WorkspaceId};
use crate::store::jobs::{self, Counts, Job, RowError};
use crate::store::{Db, Purpose, StoreError, Tx};

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
    /// What was found in the file, and where its columns go; of an import.
    plan: Option<PlanOut>,
    /// What a person has to decide before it may run, each by the parameter at `path`.
    questions: Vec<QuestionOut>,
    #[schema(value_type = Option<Object>)]
    error: Option<serde_json::Value>,
}

/// A file as it is read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PlanOut {
    /// `delimited json xlsx xls ods vcard`
    #[schema(value_type = String)]
    format: Format,
    encoding: String,
    /// Which record is the header, from 1, blank lines counted; 0: none.
    header_row: u32,
    rows: u64,
    columns: Vec<PlannedOut>,
    warnings: Vec<WarningOut>,
}

/// A column of the file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PlannedOut {
    source: String,
    /// The column of the list; null: it is left out.
    key: Option<String>,
    /// The type that was found for it, and how sure that is, in percent; of a column that was made.
    #[serde(rename = "type")]
    ty: Option<&'static str>,
    confidence: Option<u8>,
    /// The first values that are not blank.
    samples: Vec<String>,
}

/// What a person has to decide.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct QuestionOut {
    path: String,
    code: String,
    message: String,
}

/// What a person should know about the file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WarningOut {
    code: String,
    message: String,
}

impl From<ImportPlan> for PlanOut {
    fn from(plan: ImportPlan) -> PlanOut {
        PlanOut {
            format: plan.format,
            encoding: plan.encoding,
            header_row: plan.header_record,
            rows: plan.rows,
            columns: plan.columns.into_iter().map(PlannedOut::from).collect(),
            warnings: plan
                .warnings
                .into_iter()
                .map(|warning| WarningOut {
                    code: warning.code.into_owned(),
                    message: warning.message,
                })
                .collect(),
        }
    }
}

impl From<PlannedColumn> for PlannedOut {
    fn from(column: PlannedColumn) -> PlannedOut {
        let (key, made) = match column.target {
            PlannedTarget::Skip => (None, None),
            PlannedTarget::Existing { key } => (Some(key), None),
            PlannedTarget::Create(new) => (Some(new.key), Some((new.ty, new.confidence))),
        };
        PlannedOut {
            source: column.source,
            samples: column.samples,
            key,
            ty: made.map(|(ty, _)| ty.as_str()),
            confidence: made.map(|(_, confidence)| confidence),
        }
    }
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
        // What is no plan (a job of another kind) has none to show.
        let proposal = serde_json::from_value::<Proposal>(job.params).unwrap_or_default();
        let plan = proposal.plan.map(PlanOut::from);
        let questions = proposal.questions.into_iter().map(|asked| QuestionOut {
            path: asked.path,
            code: asked.code,
            message: asked.message,
        });
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
            plan,
            questions: questions.collect(),
            error: job.error,
        }
    }
}

pub async fn index(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: PageQuery = query(&request)?;
    let access = access(&request, &caller, Action::Read).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let question = format!("jobs {}", access.snapshot.id);
    let before = cursor::after(
        &state.settings,
        &question,
        asked.cursor.as_deref(),
        |bytes| {
            let id = Uuid::from_slice(bytes).map(JobId);
            id.map_err(|_| AppError::malformed("This cursor can't be read"))
        },
    )?;
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let size = u32::try_from(limit + 1).unwrap_or(100);
    let mut page = jobs::page(tx.conn(), access.snapshot.id, before, size)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await?;
    let more = cut(&mut page, limit);
    let next = page
        .last()
        .filter(|_| more)
        .map(|job| cursor::seal(&state.settings, &question, job.id.uuid().as_bytes()));
    let data: Vec<JobOut> = page.into_iter().map(JobOut::from).collect();
    let body = serde_json::json!({"data": data, "next_cursor": next}).to_string();
    Ok(json_at(access.snapshot.seq, body))
}

/// 202 with the job, after the change at `seq`: one that waits for a person as it stands; any other as it
/// was queued, however far it is by now, so that copies of a request have one answer.
pub(super) async fn accepted(
    request: &HttpRequest,
    access: &Access,
    id: JobId,
    seq: i64,
) -> Result<HttpResponse, AppError> {
    let mut job = stored(request, access, id).await?;
    if job.state != "needs_input" {
        job.state = "queued".to_owned();
        job.counts = Counts::default();
        job.checkpoint_bytes = 0;
        job.finished_at = None;
        job.error = None;
    }
    let mut answer = json_at(seq, serde_json::json!(JobOut::from(job)).to_string());
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

/// The job that an answer tells of.
pub(super) fn accepted_as(answer: &Answer) -> Option<JobId> {
    #[derive(Deserialize)]
    struct Told {
        id: JobId,
    }
    let body = answer.body.as_ref()?;
    let told: Told = serde_json::from_str(body.get()).ok()?;
    Some(told.id)
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::Read).await?;
    let job = find(&request, &access).await?;
    Ok(json_at(
        access.snapshot.seq,
        serde_json::json!(JobOut::from(job)).to_string(),
    ))
}

/// The job, if the caller may decide about it: whoever started it, and admins.
pub(super) async fn own(
    request: &HttpRequest,
    access: &Access,
    caller: &Caller,
) -> Result<Job, AppError> {
    let job = find(request, access).await?;
    if job.created_by != caller.0.user && access.role < Role::Admin {
        return Err(AppError::forbidden());
    }
    Ok(job)
}

pub(super) async fn find(request: &HttpRequest, access: &Access) -> Result<Job, AppError> {
    stored(request, access, path_id(request, "job_id")?).await
}

async fn stored(request: &HttpRequest, access: &Access, id: JobId) -> Result<Job, AppError> {
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

/// The rows that could not be stored: a page of them as JSON, or (`?format=csv`) all as a file.
pub async fn errors(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: ErrorsQuery = query(&request)?;
    let access = access(&request, &caller, Action::Read).await?;
    let job = find(&request, &access).await?;
    let state = state(&request)?;
    match asked.format.as_deref() {
        None | Some("json") => {}
        Some("csv") if asked.limit.is_none() && asked.cursor.is_none() => {
            return Ok(errors_csv(state.db.clone(), &access, job.id));
        }
        Some("csv") => {
            let message = "a file holds all rows: it takes no limit and no cursor";
            return Err(AppError::field("/format", "bad_value", message));
        }
        Some(_) => return Err(AppError::malformed("format: json or csv")),
    }
    let limit = page_size(asked.limit)?;
    let question = format!("errors {} {}", access.snapshot.id, job.id);
    let cursor = asked.cursor.as_deref();
    let after = cursor::after(&state.settings, &question, cursor, row_position)?;
    let size = u32::try_from(limit + 1).unwrap_or(100);
    let mut page = errors_after(&state.db, access.snapshot.id, job.id, after, size).await?;
    let more = cut(&mut page, limit);
    let next = page.last().filter(|_| more).map(|error| {
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

async fn errors_after(
    db: &Db,
    workspace: WorkspaceId,
    job: JobId,
    after: Option<(u64, u32)>,
    size: u32,
) -> Result<Vec<RowError>, AppError> {
    let mut tx = Tx::begin(db, workspace, Purpose::Read).await?;
    let page = jobs::errors(tx.conn(), workspace, job, after, size)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await?;
    Ok(page)
}

fn row_position(bytes: &[u8]) -> Result<(u64, u32), AppError> {
    let refused = || AppError::malformed("This cursor can't be read");
    let (row, ordinal) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
    let ordinal = <[u8; 4]>::try_from(ordinal).map_err(|_| refused())?;
    Ok((u64::from_be_bytes(*row), u32::from_be_bytes(ordinal)))
}

/// All of them, read and sent a page at a time.
fn errors_csv(db: Db, access: &Access, job: JobId) -> HttpResponse {
    const PAGE: u32 = 1_000;
    let workspace = access.snapshot.id;
    let head = csv_rows([["row", "column", "value", "code", "message"].map(str::to_owned)]);
    let pages = stream::try_unfold(None, move |after| {
        let db = db.clone();
        async move {
            let page = errors_after(&db, workspace, job, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            let after = Some((last.row, last.ordinal));
            Ok(Some((csv_rows(page.iter().map(csv_row))?, after)))
        }
    });
    HttpResponse::Ok()
        .insert_header((
            X_WORKSPACE_SEQ,
            header::HeaderValue::from(access.snapshot.seq),
        ))
        .content_type("text/csv; charset=utf-8")
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"errors.csv\"",
        ))
        .streaming(stream::once(async { head }).chain(pages))
}

fn csv_row(error: &RowError) -> [String; 5] {
    let text = |text: Option<&str>| guarded(text.unwrap_or_default()).into_owned();
    [
        error.row.to_string(),
        text(error.column_key.as_deref()),
        text(error.value.as_deref()),
        error.code.clone(),
        text(Some(&error.message)),
    ]
}

fn csv_rows(rows: impl IntoIterator<Item = [String; 5]>) -> Result<web::Bytes, AppError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(AppError::internal)?;
    }
    let bytes = writer.into_inner();
    let bytes = bytes.map_err(|error| AppError::internal(anyhow::anyhow!("{error}")))?;
    Ok(bytes.into())
}

/// Ends a job; whoever started it may, and admins.
pub async fn cancel(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let remember = remember(&request, &[])?;
    let access = access(&request, &caller, Action::WriteItems).await?;
    let job = own(&request, &access, &caller).await?;
    let command = AdminCommand::CancelJob {
        job: job.id,
        export: job.kind == "export",
    };
    let cancelled = admin(&access, &caller, remember, command).await?;
    // One that was still queued has no runner who would.
    let uploads = state(&request)?.jobs.uploads().clone();
    if let Err(error) = accept::discard_all(&uploads, job.id).await {
        tracing::warn!(%error, job = %job.id, "the file of a cancelled job stays until it is swept");
    }
    Ok(cancelled)
}
