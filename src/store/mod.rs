//! All SQL, one file a subject. Every function takes the workspace's transaction (or the workspace
//! id), so that row-level security and a filter in the statement both hold. No rule of the product
//! is decided here.

pub mod aggregate;
pub mod comments;
pub mod commit;
pub mod computed;
pub mod duplicates;
mod error;
pub mod forms;
pub mod identity;
pub mod invites;
pub mod items;
pub mod items_query;
pub mod jobs;
pub mod link_cache;
pub mod links;
pub mod log;
pub mod members;
pub mod ops;
pub mod past;
pub mod profiles;
pub mod retype;
pub mod roles;
pub mod row_keys;
pub mod schema;
mod tx;
pub mod unique;
pub mod verify;
pub mod views;
pub mod workspaces;
mod writers;

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection, PgPool};

pub use error::StoreError;
pub use tx::{Purpose, Tx};

use self::writers::Writers;

/// How long a connection that came back may take to answer before it is left.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// How often the database is asked whether it is there, and how long each time.
const PINGS: u32 = 4;
const PINGED_WITHIN: Duration = Duration::from_millis(450);

/// Connections for what belongs to no workspace.
const OUTSIDE: u32 = 6;

/// The pool of connections, signed in as the app's role.
#[derive(Clone)]
pub struct Db {
    pool: PgPool,
    outside: PgPool,
    options: PgConnectOptions,
    writers: Writers,
}

impl Db {
    /// Opens a pool of at most `size` connections. Fails when the URL can't be read; that the
    /// database answers is `ping`'s to find out.
    pub fn open(url: &str, size: u32) -> Result<Db, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("estatebase")
            .statement_cache_capacity(256);
        Ok(Db::with(options, size))
    }

    /// A pool of its own on the same database, for a thread whose connections should live on its
    /// own reactor: an answer then wakes nobody else on its way.
    pub fn sibling(&self, size: u32) -> Db {
        Db::with(self.options.clone(), size)
    }

    fn with(options: PgConnectOptions, size: u32) -> Db {
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(Duration::from_secs(3))
            // A connection that waited is used as it is: a dead one shows at its first statement.
            .test_before_acquire(false)
            .idle_timeout(Duration::from_secs(300))
            // Who stopped waiting for an answer gives back a connection that may never give one.
            .after_release(|connection, _| Box::pin(alive(connection, ANSWERED_WITHIN)))
            .connect_lazy_with(options.clone());
        Db {
            pool,
            outside: PgPoolOptions::new()
                .max_connections(OUTSIDE.min(size))
                .acquire_timeout(Duration::from_secs(3))
                .idle_timeout(Duration::from_secs(300))
                .test_before_acquire(false)
                .before_acquire(|connection, _| Box::pin(alive(connection, PINGED_WITHIN)))
                .connect_lazy_with(options.clone()),
            writers: Writers::new(options.clone()),
            options,
        }
    }

    /// Whether the database answers. Connections that died unnoticed are left behind on the way.
    pub async fn ping(&self) -> Result<(), StoreError> {
        for _ in 0..PINGS {
            let answer = sqlx::query("SELECT 1").execute(&self.pool);
            match tokio::time::timeout(PINGED_WITHIN, answer).await {
                Err(_) | Ok(Err(sqlx::Error::Io(_))) => {}
                Ok(answer) => return Ok(answer.map(drop)?),
            }
        }
        Err(StoreError::silent())
    }

    /// For what belongs to no workspace: accounts, memberships, the claiming of jobs. These are single
    /// statements, with no start of a transaction at which a dead connection could be left behind: so
    /// each connection is asked whether it lives before it is used.
    pub fn outside(&self) -> &PgPool {
        &self.outside
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What reads or writes inside a transaction, for as long as it may take: a connection can die in
    /// the middle without a sign. `work` must be free to end anywhere, so it must not commit.
    ///
    /// Errors: `Away` when there is no end in time; then no idle connection is trusted either.
    pub async fn in_time<T, E: From<StoreError>>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::time::timeout(within, work)
            .await
            .unwrap_or_else(|_| {
                self.leave_idle_connections();
                Err(StoreError::silent().into())
            })
    }

    /// Closes the connections that wait to be used: new ones take their place.
    fn leave_idle_connections(&self) {
        self.writers.leave_idle();
        while let Some(connection) = self.pool.try_acquire() {
            drop(connection.detach());
        }
    }

    pub async fn close(&self) {
        self.pool.close().await;
        self.outside.close().await;
    }
}

/// Whether the connection answers in time. An error has it closed.
async fn alive(connection: &mut PgConnection, within: Duration) -> Result<bool, sqlx::Error> {
    let answer = tokio::time::timeout(within, connection.ping()).await;
    answer.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(true)
}
