//! The connections that group commits go over: a few a thread, each kept between commits as it is. A
//! pool asks a connection that it gets back whether it still lives, which is a round trip beside every
//! edit.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreError;

/// Commits under way at once over one set of connections.
const CONNECTIONS: usize = 4;
/// How long a commit waits for a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connections made on demand and never closed while they work.
#[derive(Clone)]
pub(super) struct Writers {
    options: PgConnectOptions,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<PgConnection>>>,
}

/// A connection on loan. Dropped, it is closed; `keep` gives it back.
pub(super) struct Writer {
    pub(super) connection: PgConnection,
    idle: Arc<Mutex<Vec<PgConnection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Writers {
    pub(super) fn new(options: PgConnectOptions) -> Writers {
        Writers {
            options,
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Arc::default(),
        }
    }

    /// Errors: `Away` when there is none in time.
    pub(super) async fn get(&self) -> Result<Writer, StoreError> {
        tokio::time::timeout(PATIENCE, self.wait())
            .await
            .map_err(|_| StoreError::Away(Error::PoolTimedOut))?
    }

    /// Closes the connections that wait for a commit.
    pub(super) fn leave_idle(&self) {
        self.idle.lock().clear();
    }

    async fn wait(&self) -> Result<Writer, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Away(Error::PoolClosed))?;
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(Writer {
            connection,
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }
}

impl Writer {
    /// For the next commit.
    pub(super) fn keep(self) {
        self.idle.lock().push(self.connection);
    }
}
