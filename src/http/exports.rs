//! Exports: a question about a list's items becomes a job, and its file is fetched once that has ended.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::extract::{Access, Body, Caller, access, path_id, state};
use super::items_query::Keys;
use super::jobs::{accepted, accepted_as, own};
use super::problem::X_WORKSPACE_SEQ;
use super::submit::admin_answer;
use crate::actors::export::result_of;
use crate::actors::workspace::AdminCommand;
use crate::domain::edit::list_of;
use crate::domain::export::{ExportPlan, Format, LinksAs, file_name};
use crate::domain::roles::Action;
use crate::error::AppError;
use crate::ids::{JobId, ListId, ViewId};
use crate::store::jobs::NewJob;
use crate::store::{self, Purpose, Tx};

/// Which items, in which order, and what of them, as a question about items has it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportIn {
    /// `csv xlsx json ndjson vcard`
    format: Format,
    /// Whose filter, sort and columns are taken where the request says none.
    #[schema(value_type = Option<Uuid>)]
    view: Option<ViewId>,
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    q: Option<String>,
    #[schema(value_type = Option<String>)]
    sort: Option<Keys>,
    /// In the order of the file.
    #[schema(value_type = Option<String>)]
    columns: Option<Keys>,
    /// `titles` or `ids`
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    links: LinksAs,
}

/// Queues an export of the list.
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    body: Body<ExportIn>,
) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::WriteItems).await?;
    let list = list_of(path_id(&request, "list_id")?, &access.snapshot.schema)?;
    let remember = body.remember(&request)?;
    let plan = planned(&request, &access, &caller, list.id, body.value).await?;
    let today = Utc::now().date_naive();
    plan.asked(list, caller.0.user, today)
        .map_err(AppError::fields)?;
    let job = JobId(Uuid::now_v7());
    let new = NewJob {
        id: job,
        kind: "export",
        list: Some(list.id),
        created_by: caller.0.user,
        file_name: Some(file_name(&list.name, plan.format)),
        params: serde_json::to_value(&plan).map_err(AppError::internal)?,
        file_size: 0,
        sha256: [0; 32],
        total_bytes: 0,
        data_start: 0,
        tried: None,
    };
    let command = AdminCommand::QueueExport { job: Box::new(new) };
    let (answer, seq) = admin_answer(&access.handle, &caller, remember, command).await?;
    state(&request)?.jobs.wake();
    accepted(&request, &access, accepted_as(&answer).unwrap_or(job), seq).await
}

async fn planned(
    request: &HttpRequest,
    access: &Access,
    caller: &Caller,
    list: ListId,
    sent: ExportIn,
) -> Result<ExportPlan, AppError> {
    let filter = sent.filter.map(|filter| serde_json::from_str(filter.get()));
    let filter = filter
        .transpose()
        .map_err(|_| AppError::malformed("filter: not JSON"))?;
    let keys = |keys: Keys| keys.iter().map(str::to_owned).collect::<Vec<_>>();
    let mut plan = ExportPlan {
        format: sent.format,
        filter,
        q: sent.q,
        sort: sent.sort.map(keys).unwrap_or_default(),
        columns: sent.columns.map(keys),
        links: sent.links,
    };
    let Some(id) = sent.view else {
        return Ok(plan);
    };
    let tx = Tx::begin(&state(request)?.db, access.snapshot.id, Purpose::Read).await?;
    let view = store::views::find(&tx, access.snapshot.id, id).await?;
    tx.commit().await?;
    let unknown = || AppError::field("/view", "unknown_view", "the list has no such view");
    let view = view.filter(|view| view.list == list).ok_or_else(unknown)?;
    view.shown_to(caller.0.user).map_err(|_| unknown())?;
    let said = |part: &str| view.config.get(part).filter(|value| !value.is_null());
    let keys = |part: &str| -> Option<Vec<String>> {
        let keys: Keys = serde_json::from_value(said(part)?.clone()).ok()?;
        Some(keys.iter().map(str::to_owned).collect())
    };
    plan.filter = plan.filter.or_else(|| said("filter").cloned());
    if plan.sort.is_empty() {
        plan.sort = keys("sort").unwrap_or_default();
    }
    plan.columns = plan.columns.or_else(|| keys("columns"));
    Ok(plan)
}

/// The file of an export that has ended; for whoever asked for it, and admins. It is kept for a week.
pub async fn result(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::WriteItems).await?;
    let job = own(&request, &access, &caller).await?;
    if job.kind != "export" {
        return Err(AppError::not_found());
    }
    if job.state != "succeeded" {
        return Err(AppError::conflict(format!(
            "The export is {}; its file comes with its end",
            job.state
        )));
    }
    let plan: ExportPlan = serde_json::from_value(job.params).map_err(AppError::internal)?;
    let path = result_of(state(&request)?.jobs.uploads(), job.id);
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|_| AppError::gone("The file of this export is not kept any more"))?;
    let name = job.file_name.unwrap_or_default();
    // RFC 6266: the plain name for whoever can't read the other.
    let plain: String = name
        .chars()
        .map(|char| if char.is_ascii() { char } else { '_' })
        .collect();
    let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let disposition = format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        encoded.replace('+', "%20")
    );
    Ok(HttpResponse::Ok()
        .insert_header((
            X_WORKSPACE_SEQ,
            header::HeaderValue::from(access.snapshot.seq),
        ))
        .content_type(plan.format.media_type())
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .no_chunking(job.file_size)
        .streaming(ReaderStream::with_capacity(file, 64 * 1024)))
}
