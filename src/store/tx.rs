//! The transaction: the only way to a tenant's rows. Its first message starts it and says on whose
//! behalf, so that row-level security holds for every statement, also behind a transaction pooler.
//!
//! It is a SeaORM connection too: entities and raw SQL run in the same transaction.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tokio::sync::Mutex;

use super::{Db, StoreError};
use crate::ids::WorkspaceId;

/// A transaction's start waits for nothing but the pool and the way to the database and back.
const BEGUN_WITHIN: Duration = Duration::from_millis(3_500);
/// How often a start is tried on another connection.
const TRIES: u32 = 3;

/// In milliseconds. Who leaves a transaction open, a halted server or a cut connection, loses it: the
/// head of a log may hang on it.
const READ_LIMITS: &str = "SET LOCAL statement_timeout = 10000; \
    SET LOCAL idle_in_transaction_session_timeout = 10000;";
const WRITE_LIMITS: &str = "SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 3000; \
    SET LOCAL idle_in_transaction_session_timeout = 5000;";
/// The whole is wanted, not its first rows.
const EXPORT_LIMITS: &str = "SET LOCAL statement_timeout = 1800000; \
    SET LOCAL idle_in_transaction_session_timeout = 60000; \
    SET LOCAL cursor_tuple_fraction = 1;";
/// Pages follow their index, row by row.
const ALONG_THE_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_sort = off;";
/// Sets of rows are found by index, with a plan that is kept.
const BY_INDEX: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
    SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan;";

/// What a transaction is for: it decides its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reads only; ≤ 10 s a statement.
    Read,
    /// Several reads of one state; ≤ 10 s a statement.
    Snapshot,
    /// All of a list in one state, a page after the other; ≤ 30 min.
    Export,
    /// Pages by key: always along the index, whatever the statistics of a list that grew a moment
    /// ago say.
    Page,
    /// Changes by entities; ≤ 5 s a statement.
    Write,
    /// The set-based statements of the lane: always by index, whatever the statistics of a table
    /// that grew a moment ago say.
    Commit,
}

/// An open transaction bound to one workspace. Dropped without `commit`, it rolls back.
pub struct Tx {
    inner: Mutex<Transaction<'static, Postgres>>,
}

impl Tx {
    /// Starts a transaction and sets its context, in one round trip.
    pub async fn begin(
        db: &Db,
        workspace: WorkspaceId,
        purpose: Purpose,
    ) -> Result<Tx, StoreError> {
        let (start, limits, plan) = match purpose {
            Purpose::Read => ("BEGIN READ ONLY", READ_LIMITS, ""),
            Purpose::Snapshot => (
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                READ_LIMITS,
                ALONG_THE_INDEX,
            ),
            Purpose::Export => (
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                EXPORT_LIMITS,
                "",
            ),
            Purpose::Page => ("BEGIN READ ONLY", READ_LIMITS, ALONG_THE_INDEX),
            Purpose::Write => ("BEGIN", WRITE_LIMITS, ""),
            Purpose::Commit => ("BEGIN", WRITE_LIMITS, BY_INDEX),
        };
        // A UUID's text holds nothing but hex digits and hyphens: safe to write into the statement.
        let begin = format!("{start}; {limits} {plan} SET LOCAL app.workspace_id = '{workspace}'");
        // After a restart of the database every connection in the pool is dead and says so here, where
        // nothing has happened yet; those that a router forgot say nothing at all. Where one is dead the
        // others aren't trusted either: each would take its own time to show it.
        for _ in 0..TRIES {
            let begun = db.pool().begin_with(AssertSqlSafe(begin.clone()));
            match tokio::time::timeout(BEGUN_WITHIN, begun).await {
                Err(_) | Ok(Err(sqlx::Error::Io(_))) => db.leave_idle_connections(),
                Ok(Err(error)) if is_shutdown(&error) => db.leave_idle_connections(),
                Ok(begun) => return Ok(Tx::new(begun?)),
            }
        }
        Ok(Tx::new(db.pool().begin_with(AssertSqlSafe(begin)).await?))
    }

    fn new(transaction: Transaction<'static, Postgres>) -> Tx {
        Tx {
            inner: Mutex::new(transaction),
        }
    }

    /// Goes on in the name of another workspace: only for the birth of one.
    pub async fn turn_to(&mut self, workspace: WorkspaceId) -> Result<(), StoreError> {
        sqlx::query("SELECT set_config('app.workspace_id', $1, true)")
            .bind(workspace.to_string())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// From here on pages follow their index, whatever the transaction was begun for.
    pub async fn follow_the_index(&mut self) -> Result<(), StoreError> {
        sqlx::raw_sql(ALONG_THE_INDEX).execute(self.conn()).await?;
        Ok(())
    }

    /// The connection, for raw SQL.
    pub fn conn(&mut self) -> &mut sqlx::PgConnection {
        self.inner.get_mut()
    }

    /// Makes it durable. An `Away` error says nothing about whether it took effect.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.into_inner().commit().await?)
    }
}

/// What a connection was told by a server that shut down or restarted (class 57P).
fn is_shutdown(error: &sqlx::Error) -> bool {
    let answer = error.as_database_error();
    answer.is_some_and(|answer| answer.code().is_some_and(|code| code.starts_with("57P")))
}

fn refused(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn query(statement: Statement) -> sqlx::query::Query<'static, Postgres, SqlxValues> {
    let values = SqlxValues(
        statement
            .values
            .unwrap_or_else(|| sea_orm::Values(Vec::new())),
    );
    sqlx::query_with(AssertSqlSafe(statement.sql), values)
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut tx = self.inner.lock().await;
        let done = query(statement).execute(&mut **tx).await.map_err(refused)?;
        Ok(done.into())
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut tx = self.inner.lock().await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut **tx)
            .await
            .map_err(refused)?;
        Ok(done.into())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut tx = self.inner.lock().await;
        let row = query(statement)
            .fetch_optional(&mut **tx)
            .await
            .map_err(refused)?;
        Ok(row.map(Into::into))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut tx = self.inner.lock().await;
        let rows = query(statement)
            .fetch_all(&mut **tx)
            .await
            .map_err(refused)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
