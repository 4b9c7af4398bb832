//! From a file on disk to the job of its import: what it comes to, what a person is asked first, and the
//! answers that let it run. How the file came in is `imports`' business.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use serde_json::value::RawValue;
use tempfile::TempPath;
use uuid::Uuid;

use super::extract::{Access, Caller, remember, state};
use super::jobs::{accepted, own};
use super::submit::{admin, admin_answer};
use crate::actors::import::batch::Target;
use crate::actors::import::index::upsert;
use crate::actors::import::{accept, refused};
use crate::actors::workspace::AdminCommand;
use crate::domain::columns::ColumnSet;
use crate::domain::edit::list_of;
use crate::domain::import::options::Options;
use crate::domain::import::plan::ImportPlan;
use crate::domain::import::proposal::{Proposal, Question, asks};
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::schema_change::{ColumnSpec, add_columns, new_list};
use crate::error::{AppError, FieldError};
use crate::ids::{JobId, ListId, UserId};
use crate::store;
use crate::store::jobs::{Job, JobProgress, NewJob};
use crate::store::{Purpose, Tx};

/// What was said of an import, beside the file.
pub(super) struct Said {
    pub parameters: Vec<(String, String)>,
    pub options: Options,
    /// Of the list to be made.
    pub list_name: Option<String>,
}

impl Said {
    /// Reads the parameters. `makes_list`: the list is made from the file, with all of its columns.
    pub fn read(pairs: Vec<(String, String)>, makes_list: bool) -> Result<Said, AppError> {
        let (names, parameters): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .partition(|(name, _)| makes_list && name == "list_name");
        let mut options = options(&parameters)?;
        if makes_list {
            let refused =
                |(name, value): &(String, String)| name == "create_columns" && value == "false";
            if parameters.iter().any(refused) {
                let message = "a list that is made from the file has its columns from it too";
                return Err(AppError::field("/create_columns", "bad_value", message));
            }
            options.create_columns = true;
        }
        Ok(Said {
            parameters,
            options,
            list_name: names.into_iter().next().map(|(_, name)| name),
        })
    }

    /// What the caller must be allowed to.
    pub fn action(&self) -> Action {
        if self.options.create_columns {
            Action::WriteSchema
        } else {
            Action::WriteItems
        }
    }
}

fn options(parameters: &[(String, String)]) -> Result<Options, AppError> {
    let pairs = parameters.iter();
    Options::parse(pairs.map(|(name, value)| (name.as_str(), value.as_str()))).map_err(refused)
}

/// The parameters of a request.
pub(super) fn parameters(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .into_owned()
        .collect()
}

/// What a file comes to.
pub(super) struct Proposed {
    pub proposal: Proposal,
    /// The rows, where they were written anew.
    pub rows: Option<TempPath>,
    /// A person decides first: see [`NewJob::tried`].
    pub tried: Option<JobProgress>,
}

impl Proposed {
    /// The plan, if nobody is asked first.
    pub fn due(&self) -> Option<&ImportPlan> {
        self.proposal.plan.as_ref().filter(|_| self.tried.is_none())
    }
}

/// Reads the file, and tries it out if that is asked for. `list`: the one it goes into; None: it makes
/// one. A file that a person must decide about is no error here.
pub(super) async fn propose(
    request: &HttpRequest,
    access: &Access,
    caller: &Caller,
    path: &Path,
    said: Said,
    list: Option<&List>,
) -> Result<Proposed, AppError> {
    let columns = list.map_or_else(ColumnSet::default, |list| list.columns.clone());
    let inspected = accept::inspect(path.to_owned(), said.options.clone(), columns).await;
    let mut parameters = said.parameters;
    parameters.retain(|(name, _)| name != "dry_run");
    let mut proposal = Proposal {
        parameters,
        declared: said.options.declared,
        list_name: said.list_name,
        ..Proposal::default()
    };
    let inspected = match inspected {
        Ok(inspected) => inspected,
        Err(error) => {
            proposal.questions = questions(&error).ok_or(error)?;
            return Ok(Proposed {
                proposal,
                rows: None,
                tried: Some(JobProgress::default()),
            });
        }
    };
    let asked = inspected.questions.into_iter();
    proposal.questions = asked
        .map(|refusal| Question {
            path: refusal.path.into_owned(),
            code: refusal.code.to_owned(),
            message: refusal.message,
        })
        .collect();
    let mut tried = None;
    if said.options.dry_run {
        let rows = inspected.rows.as_deref().unwrap_or(path).to_owned();
        let fits = would_be(list, &proposal, &inspected.plan, caller.0.user)?;
        tried = Some(try_out(request, access, rows, &inspected.plan, &fits).await?);
    }
    proposal.plan = Some(inspected.plan);
    Ok(Proposed {
        proposal,
        rows: inspected.rows,
        tried,
    })
}

/// The error as questions, if it is nothing else.
fn questions(error: &AppError) -> Option<Vec<Question>> {
    let asked = || error.fields.iter();
    let all = !error.fields.is_empty() && asked().all(|field| asks(&field.code));
    all.then(|| {
        asked()
            .map(|field| Question {
                path: field.path.clone(),
                code: field.code.to_string(),
                message: field.message.clone(),
            })
            .collect()
    })
}

/// The list as it will be once the plan's columns are made.
fn would_be(
    list: Option<&List>,
    proposal: &Proposal,
    plan: &ImportPlan,
    by: UserId,
) -> Result<List, AppError> {
    let now = Utc::now();
    match (list, &proposal.list_name) {
        (Some(list), _) => add_columns(list, &specs(plan), |_| String::new(), now),
        (None, name) => {
            let id = ListId(Uuid::now_v7());
            let name = name.as_deref().unwrap_or_default();
            new_list(id, name, &specs(plan), 0, by, now)
        }
    }
}

async fn try_out(
    request: &HttpRequest,
    access: &Access,
    rows: PathBuf,
    plan: &ImportPlan,
    list: &List,
) -> Result<JobProgress, AppError> {
    let state = state(request)?;
    let tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let people = Arc::new(store::members::named(&tx, access.snapshot.id).await?);
    tx.commit().await?;
    let nobody = JobId(Uuid::nil());
    let upsert = upsert(&state.db, access.snapshot.id, list, plan).await?;
    let target = Target::new(nobody, list.id, 0, plan, &list.columns, people)?.upserting(upsert);
    accept::try_out(rows, plan.clone(), target).await
}

/// The columns that the plan makes.
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

/// Makes the columns of the plan that the list lacks.
pub(super) async fn make_columns(
    access: &Access,
    caller: &Caller,
    list: ListId,
    plan: &ImportPlan,
) -> Result<(), AppError> {
    let specs = specs(plan);
    if specs.is_empty() {
        return Ok(());
    }
    let command = AdminCommand::AddColumns { list, specs };
    admin(access, caller, None, command).await.map(drop)
}

/// Makes the list of a plan, once: a copy of the request may be faster.
pub(super) async fn make_list(
    access: &Access,
    caller: &Caller,
    id: ListId,
    name: String,
    plan: &ImportPlan,
) -> Result<(), AppError> {
    let known = || access.handle.snapshot().schema.lists.contains_key(&id);
    if known() {
        return Ok(());
    }
    let command = AdminCommand::CreateList {
        id,
        name,
        columns: specs(plan),
        location: String::new(),
    };
    match admin(access, caller, None, command).await {
        Err(error) if !known() => Err(error),
        _ => Ok(()),
    }
}

/// Answers a job that waits for a person, and lets it run; with `dry_run=true` it is planned anew.
pub async fn run(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = super::extract::access(&request, &caller, Action::WriteItems).await?;
    let job = own(&request, &access, &caller).await?;
    let proposal = serde_json::from_value::<Proposal>(job.params.clone()).unwrap_or_default();
    let id = job.id;
    let again = match job.state.as_str() {
        "needs_input" => planned_again(&request, &access, &caller, &job, proposal).await?,
        // Its lane answers: a retry as before, anything else that it waits for nobody.
        _ => new_job(job, None, proposal, None)?,
    };
    let (rows, waits) = (again.rows.clone(), again.job.tried.is_some());
    let remember = remember(&request, &[])?;
    let command = AdminCommand::RunImport {
        job: Box::new(again.job),
    };
    let answer = admin_answer(&access.handle, &caller, remember, command).await;
    let state = state(&request)?;
    match &answer {
        Ok(_) if !waits => state.jobs.wake(),
        // Of a fault nobody knows yet whether it runs: then the rows are swept, or used.
        Err(error) if error.code.status() < 500 => {
            if let Some(rows) = rows {
                let path = accept::rows_of(state.jobs.uploads(), id, Some(&rows));
                accept::discard(path).await?;
            }
        }
        _ => {}
    }
    let (_, seq) = answer?;
    accepted(&request, &access, id, seq).await
}

/// A job as it is to stand, and the file of its own that holds its rows.
struct Again {
    job: NewJob,
    rows: Option<String>,
}

async fn planned_again(
    request: &HttpRequest,
    access: &Access,
    caller: &Caller,
    job: &Job,
    stored: Proposal,
) -> Result<Again, AppError> {
    let uploads = state(request)?.jobs.uploads().clone();
    let path = accept::path_of(&uploads, job.id);
    let answers = parameters(request);
    let mut said = Said::read(stored.answered(&answers), job.list.is_none())?;
    said.options.declared = stored.declared;
    said.list_name.clone_from(&stored.list_name);
    if !access.role.may(said.action()) {
        return Err(AppError::forbidden());
    }
    let list = job.list.map(|id| list_of(id, &access.snapshot.schema));
    let list = list.transpose()?;
    let dry_run = said.options.dry_run;
    let proposed = if answers.is_empty() && stored.plan.is_some() && stored.questions.is_empty() {
        let rows = accept::rewrite(path, said.options).await?;
        Proposed {
            proposal: stored,
            rows,
            tried: None,
        }
    } else {
        propose(
            request,
            access,
            caller,
            &path,
            said,
            list.map(AsRef::as_ref),
        )
        .await?
    };
    let Proposed {
        mut proposal,
        rows,
        tried,
    } = proposed;
    if !dry_run && !proposal.questions.is_empty() {
        return Err(unanswered(proposal.questions));
    }
    let mut total_bytes = None;
    let mut target = job.list;
    proposal.rows_file = None;
    if tried.is_none()
        && let Some(plan) = &proposal.plan
    {
        if let Some(rows) = rows {
            let id = job.id;
            let kept = web::block(move || accept::keep_rows(&uploads, id, rows)).await;
            let (suffix, size) = kept.map_err(AppError::internal)??;
            (proposal.rows_file, total_bytes) = (Some(suffix), Some(size));
        }
        match (job.list, &proposal.list_name) {
            (Some(list), _) => make_columns(access, caller, list, plan).await?,
            (None, name) => {
                let list = list_of_job(job.id);
                let name = name.clone().unwrap_or_default();
                make_list(access, caller, list, name, plan).await?;
                target = Some(list);
            }
        }
    }
    let job = Job {
        list: target,
        total_bytes: total_bytes.unwrap_or(job.file_size),
        ..job.clone()
    };
    let rows = proposal.rows_file.clone();
    new_job(job, rows, proposal, tried)
}

/// 422 with all that is still asked.
fn unanswered(questions: Vec<Question>) -> AppError {
    let fields = questions.into_iter().map(|asked| FieldError {
        path: asked.path,
        code: asked.code.into(),
        message: asked.message,
    });
    AppError::fields(fields.collect())
}

fn new_job(
    job: Job,
    rows: Option<String>,
    proposal: Proposal,
    tried: Option<JobProgress>,
) -> Result<Again, AppError> {
    let data_start = proposal.plan.as_ref().map_or(0, |plan| plan.data_start);
    let job = NewJob {
        id: job.id,
        kind: "import",
        list: job.list,
        created_by: job.created_by,
        params: serde_json::to_value(&proposal).map_err(AppError::internal)?,
        file_name: job.file_name,
        file_size: job.file_size,
        sha256: [0; 32],
        total_bytes: job.total_bytes,
        data_start,
        tried,
    };
    Ok(Again { job, rows })
}

/// The id of the list that a job makes: the same however often it is told to run. (A UUIDv8: RFC 9562,
/// section 5.8.)
fn list_of_job(job: JobId) -> ListId {
    let mut bytes = job.uuid().into_bytes();
    if let Some(last) = bytes.last_mut() {
        *last = !*last;
    }
    ListId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
