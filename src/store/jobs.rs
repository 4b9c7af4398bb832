//! SQL of `jobs` and `job_errors`. Every function runs in the caller's transaction, which carries the
//! workspace for row-level security; `claim` and `unfinished` alone look across workspaces, through
//! definer functions that tell nothing but ids.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Db, StoreError};
use crate::ids::{JobId, ListId, UserId, WorkspaceId};

/// A job to be queued.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub id: JobId,
    /// `import` or `export`.
    pub kind: &'static str,
    pub list: Option<ListId>,
    pub created_by: UserId,
    /// What is to be done, by kind; of an import, its plan.
    pub params: Value,
    pub file_name: Option<String>,
    pub file_size: u64,
    pub sha256: [u8; 32],
    /// Bytes of its rows, as a worker reads them.
    pub total_bytes: u64,
    /// Where the data begin in the file: the first checkpoint.
    pub data_start: u64,
    /// It waits for a person (`needs_input`), who sees what would become of the rows; None: it is due.
    pub tried: Option<JobProgress>,
}

impl NewJob {
    /// The state in which it begins.
    pub fn state(&self) -> &'static str {
        if self.tried.is_some() {
            "needs_input"
        } else {
            "queued"
        }
    }
}

/// What has become of the rows read: `read` is the sum of the other five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
}

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    pub kind: String,
    /// `queued running paused needs_input succeeded failed cancelled reverted`.
    pub state: String,
    pub list: Option<ListId>,
    pub created_by: UserId,
    pub created_at: DateTime<Utc>,
    pub params: Value,
    pub file_name: Option<String>,
    pub file_size: u64,
    pub sha256: Option<Vec<u8>>,
    pub counts: Counts,
    pub total_bytes: u64,
    pub checkpoint_bytes: u64,
    pub checkpoint_record: u64,
    pub error: Option<Value>,
    pub lease_owner: Option<String>,
    pub attempts: i32,
    pub finished_at: Option<DateTime<Utc>>,
}

/// How far a job is, once a batch of it is committed. All but `errors` count from the job's start,
/// so that writing it twice would change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// `checkpoint_record` as it must be before the batch; else the batch is stale.
    pub from_record: u64,
    pub read: u64,
    pub created: u64,
    pub failed: u64,
    pub skipped: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Bytes of the file up to the next row.
    pub checkpoint_bytes: u64,
    /// Rows up to there.
    pub checkpoint_record: u64,
    /// The batch's own.
    pub errors: Vec<RowError>,
}

impl JobProgress {
    /// Rows that counted as created became something else.
    pub fn amend(&mut self, amended: Amended) {
        let Amended {
            updated,
            unchanged,
            skipped,
            failed,
        } = amended;
        let all = updated + unchanged + skipped + failed;
        self.created = self.created.saturating_sub(all);
        self.updated += updated;
        self.unchanged += unchanged;
        self.skipped += skipped;
        self.failed += failed;
    }
}

/// What rows became, beside the items that stand in the list now, that were taken for new ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amended {
    pub updated: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
}

impl Amended {
    /// So many rows failed.
    pub fn failed(rows: u64) -> Amended {
        Amended {
            failed: rows,
            ..Amended::default()
        }
    }
}

impl std::ops::AddAssign for Amended {
    fn add_assign(&mut self, other: Amended) {
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

/// A cell because of which a row was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Row of the data, from 1, the header and blank lines left out.
    pub row: u64,
    /// Which error of the row, from 0.
    pub ordinal: u32,
    pub column_key: Option<String>,
    /// At most 200 characters.
    pub value: Option<String>,
    pub code: String,
    pub message: String,
}

/// Stores a job: in the queue, unless it waits for a person.
pub async fn create(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: &NewJob,
) -> Result<(), sqlx::Error> {
    let tried = job.tried.clone().unwrap_or_default();
    sqlx::query(
        "INSERT INTO estatebase.jobs
             (workspace_id, id, kind, list_id, created_by, params, file_name, file_size, sha256,
              total_bytes, checkpoint_bytes, state, read, created, skipped, failed, updated)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(workspace.uuid())
    .bind(job.id.uuid())
    .bind(job.kind)
    .bind(job.list.map(ListId::uuid))
    .bind(job.created_by.uuid())
    .bind(&job.params)
    .bind(job.file_name.as_deref())
    .bind(signed(job.file_size)?)
    .bind(job.sha256.as_slice())
    .bind(signed(job.total_bytes)?)
    .bind(signed(job.data_start)?)
    .bind(job.state())
    .bind(signed(tried.read)?)
    .bind(signed(tried.created)?)
    .bind(signed(tried.skipped)?)
    .bind(signed(tried.failed)?)
    .bind(signed(tried.updated)?)
    .execute(&mut *connection)
    .await?;
    insert_errors(connection, workspace, job.id, &tried.errors).await
}

/// A job that waits for a person is planned anew, or (without `tried`) put into the queue. False: it
/// does not wait.
pub async fn replan(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: &NewJob,
) -> Result<bool, sqlx::Error> {
    let tried = job.tried.clone().unwrap_or_default();
    let done = sqlx::query(
        "UPDATE estatebase.jobs
         SET state = $3, list_id = $4, params = $5, total_bytes = $6, checkpoint_bytes = $7,
             read = $8, created = $9, skipped = $10, failed = $11, updated = $12, unchanged = 0
         WHERE workspace_id = $1 AND id = $2 AND state = 'needs_input'",
    )
    .bind(workspace.uuid())
    .bind(job.id.uuid())
    .bind(job.state())
    .bind(job.list.map(ListId::uuid))
    .bind(&job.params)
    .bind(signed(job.total_bytes)?)
    .bind(signed(job.data_start)?)
    .bind(signed(tried.read)?)
    .bind(signed(tried.created)?)
    .bind(signed(tried.skipped)?)
    .bind(signed(tried.failed)?)
    .bind(signed(tried.updated)?)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query("DELETE FROM estatebase.job_errors WHERE workspace_id = $1 AND job_id = $2")
        .bind(workspace.uuid())
        .bind(job.id.uuid())
        .execute(&mut *connection)
        .await?;
    insert_errors(connection, workspace, job.id, &tried.errors).await?;
    Ok(true)
}

/// One job.
pub async fn get(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
) -> Result<Option<Job>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM estatebase.jobs WHERE workspace_id = $1 AND id = $2")
        .bind(workspace.uuid())
        .bind(job.uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_job).transpose()
}

/// A page of jobs, newest first; `before`: the last one of the page before.
pub async fn page(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<Job>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM estatebase.jobs
         WHERE workspace_id = $1 AND ($2::uuid IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(workspace.uuid())
    .bind(before.map(JobId::uuid))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_job).collect()
}

/// Takes up to `most` due jobs of any workspace for `owner`: queued ones, and running ones whose
/// lease has passed. Two callers never get the same job.
pub async fn claim(
    connection: &mut PgConnection,
    owner: &str,
    lease: Duration,
    most: u16,
) -> Result<Vec<(WorkspaceId, JobId)>, sqlx::Error> {
    let rows = sqlx::query("SELECT workspace_id, id FROM estatebase.claim_jobs($1, $2, $3)")
        .bind(owner)
        .bind(interval(lease)?)
        .bind(i32::from(most))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                WorkspaceId(row.try_get("workspace_id")?),
                JobId(row.try_get("id")?),
            ))
        })
        .collect()
}

/// [`claim`] on a connection of its own: the one question that belongs to no workspace.
pub async fn claim_due(
    db: &Db,
    owner: &str,
    lease: Duration,
    most: u16,
) -> Result<Vec<(WorkspaceId, JobId)>, StoreError> {
    let mut connection = db.outside().acquire().await?;
    Ok(claim(&mut connection, owner, lease, most).await?)
}

/// Those of the jobs that have not ended, of whatever workspace.
pub async fn unfinished(db: &Db, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let unfinished = sqlx::query_scalar("SELECT estatebase.unfinished_jobs($1)")
        .bind(ids)
        .fetch_all(db.outside())
        .await?;
    Ok(unfinished.into_iter().map(JobId).collect())
}

/// A sign of life: the lease runs anew. False: the job is not this owner's any more, stop.
pub async fn renew(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    owner: &str,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs SET lease_until = clock_timestamp() + $4
         WHERE workspace_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(owner)
    .bind(interval(lease)?)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a job back to the queue (a clean stop), so that another takes it at once.
pub async fn release(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    owner: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs SET state = 'queued', lease_owner = NULL, lease_until = NULL
         WHERE workspace_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(owner)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes how far the job is; belongs into the transaction of the batch's rows. `last`: the job has
/// succeeded. False: the job runs no more or is already elsewhere (the batch was committed before,
/// or another works on it): roll back, the batch is stale.
pub async fn advance(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    progress: &JobProgress,
    last: bool,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs
         SET read = $4, created = $5, failed = $6, skipped = $7,
             checkpoint_bytes = $8, checkpoint_record = $9,
             updated = $11, unchanged = $12,
             state = CASE WHEN $10 THEN 'succeeded' ELSE state END,
             finished_at = CASE WHEN $10 THEN clock_timestamp() END,
             lease_owner = CASE WHEN $10 THEN NULL ELSE lease_owner END,
             lease_until = CASE WHEN $10 THEN NULL ELSE lease_until END
         WHERE workspace_id = $1 AND id = $2 AND checkpoint_record = $3 AND state = 'running'",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(signed(progress.from_record)?)
    .bind(signed(progress.read)?)
    .bind(signed(progress.created)?)
    .bind(signed(progress.failed)?)
    .bind(signed(progress.skipped)?)
    .bind(signed(progress.checkpoint_bytes)?)
    .bind(signed(progress.checkpoint_record)?)
    .bind(last)
    .bind(signed(progress.updated)?)
    .bind(signed(progress.unchanged)?)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    insert_errors(connection, workspace, job, &progress.errors).await?;
    Ok(true)
}

/// An export has its file: so many rows, so many bytes. False: it does not run (any more).
pub async fn finish(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    rows: u64,
    bytes: u64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs
         SET state = 'succeeded', read = $3, unchanged = $3, file_size = $4,
             total_bytes = $4, checkpoint_bytes = $4, finished_at = clock_timestamp(),
             lease_owner = NULL, lease_until = NULL
         WHERE workspace_id = $1 AND id = $2 AND state = 'running'",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(signed(rows)?)
    .bind(signed(bytes)?)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many rows of an export are written, as far as its owner runs it. It never goes back.
pub async fn tell(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    owner: &str,
    rows: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE estatebase.jobs SET read = greatest(read, $4), unchanged = greatest(unchanged, $4)
         WHERE workspace_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(owner)
    .bind(signed(rows)?)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Ends a job that can't be done. False: it has ended already.
pub async fn fail(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    error: &Value,
    errors: &[RowError],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs
         SET state = 'failed', error = $3, finished_at = clock_timestamp(),
             lease_owner = NULL, lease_until = NULL
         WHERE workspace_id = $1 AND id = $2 AND state IN ('queued', 'running', 'paused', 'needs_input')",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(error)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    insert_errors(connection, workspace, job, errors).await?;
    Ok(true)
}

/// Ends a job that nobody wants any more; a running one commits no further batch. False: it has
/// ended already.
pub async fn cancel(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs
         SET state = 'cancelled', finished_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL
         WHERE workspace_id = $1 AND id = $2 AND state IN ('queued', 'running', 'paused', 'needs_input')",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks a job whose rows were all taken back. False: it was never to be, or is marked already.
pub async fn revert(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE estatebase.jobs SET state = 'reverted'
         WHERE workspace_id = $1 AND id = $2 AND state IN ('succeeded', 'failed', 'cancelled')",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A page of a job's errors by (row, ordinal); `after`: the last of the page before.
pub async fn errors(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    after: Option<(u64, u32)>,
    limit: u32,
) -> Result<Vec<RowError>, sqlx::Error> {
    let (row, ordinal) = match after {
        Some((row, ordinal)) => (signed(row)?, i64::from(ordinal)),
        None => (-1, -1),
    };
    let rows = sqlx::query(
        "SELECT row, ordinal, column_key, value, code, message FROM estatebase.job_errors
         WHERE workspace_id = $1 AND job_id = $2 AND (row, ordinal) > ($3, $4)
         ORDER BY row, ordinal LIMIT $5",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(row)
    .bind(ordinal)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_error).collect()
}

async fn insert_errors(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    job: JobId,
    errors: &[RowError],
) -> Result<(), sqlx::Error> {
    if errors.is_empty() {
        return Ok(());
    }
    let rows = errors
        .iter()
        .map(|error| signed(error.row))
        .collect::<Result<Vec<i64>, _>>()?;
    let ordinals: Vec<i32> = errors
        .iter()
        .map(|error| i32::try_from(error.ordinal).unwrap_or(i32::MAX))
        .collect();
    let keys: Vec<Option<&str>> = errors
        .iter()
        .map(|error| error.column_key.as_deref())
        .collect();
    let values: Vec<Option<&str>> = errors.iter().map(|error| error.value.as_deref()).collect();
    let codes: Vec<&str> = errors.iter().map(|error| error.code.as_str()).collect();
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    sqlx::query(
        "INSERT INTO estatebase.job_errors
             (workspace_id, job_id, row, ordinal, column_key, value, code, message)
         SELECT $1, $2, * FROM unnest($3::bigint[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[])",
    )
    .bind(workspace.uuid())
    .bind(job.uuid())
    .bind(rows)
    .bind(ordinals)
    .bind(keys)
    .bind(values)
    .bind(codes)
    .bind(messages)
    .execute(connection)
    .await
    .map(|_| ())
}

fn read_job(row: &PgRow) -> Result<Job, sqlx::Error> {
    let count = |name: &str| unsigned(row, name);
    Ok(Job {
        id: JobId(row.try_get("id")?),
        kind: row.try_get("kind")?,
        state: row.try_get("state")?,
        list: row.try_get::<Option<_>, _>("list_id")?.map(ListId),
        created_by: UserId(row.try_get("created_by")?),
        created_at: row.try_get("created_at")?,
        params: row.try_get("params")?,
        file_name: row.try_get("file_name")?,
        file_size: count("file_size")?,
        sha256: row.try_get("sha256")?,
        counts: Counts {
            read: count("read")?,
            created: count("created")?,
            updated: count("updated")?,
            unchanged: count("unchanged")?,
            skipped: count("skipped")?,
            failed: count("failed")?,
        },
        total_bytes: count("total_bytes")?,
        checkpoint_bytes: count("checkpoint_bytes")?,
        checkpoint_record: count("checkpoint_record")?,
        error: row.try_get("error")?,
        lease_owner: row.try_get("lease_owner")?,
        attempts: row.try_get("attempts")?,
        finished_at: row.try_get("finished_at")?,
    })
}

fn read_error(row: &PgRow) -> Result<RowError, sqlx::Error> {
    Ok(RowError {
        row: unsigned(row, "row")?,
        ordinal: u32::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or_default(),
        column_key: row.try_get("column_key")?,
        value: row.try_get("value")?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
    })
}

fn unsigned(row: &PgRow, name: &str) -> Result<u64, sqlx::Error> {
    let value: i64 = row.try_get(name)?;
    u64::try_from(value).map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: Box::new(error),
    })
}

fn signed(value: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

fn interval(duration: Duration) -> Result<PgInterval, sqlx::Error> {
    PgInterval::try_from(duration).map_err(sqlx::Error::Encode)
}
