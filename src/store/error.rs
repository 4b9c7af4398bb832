//! What can go wrong in storage, told apart by what the caller can do about it. Database texts stay
//! in here: an `AppError` made from this carries them as its internal half alone.

use std::fmt;

use crate::error::AppError;

/// A failed question to Postgres.
#[derive(Debug)]
pub enum StoreError {
    /// A constraint said no; by its name.
    Conflict { constraint: String },
    /// The same transaction may succeed when tried again (serialization, deadlock, lock timeout).
    Retry(sqlx::Error),
    /// The database is away, restarting or too slow: nothing is known about an open commit.
    Away(sqlx::Error),
    /// A fault of ours or of the data.
    Fault(anyhow::Error),
}

impl StoreError {
    /// The database did not answer in time.
    pub fn silent() -> Self {
        StoreError::Away(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// Stored data that the code can't read.
    pub fn corrupt(what: &str) -> Self {
        StoreError::Fault(anyhow::anyhow!("unreadable in the database: {what}"))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(answer) = error.as_database_error() else {
            return match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::BeginFailed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_) => StoreError::Away(error),
                other => StoreError::Fault(other.into()),
            };
        };
        // SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
        match answer.code().as_deref().unwrap_or_default() {
            "23505" | "23503" | "23514" if answer.constraint().is_some() => StoreError::Conflict {
                constraint: answer.constraint().unwrap_or_default().to_owned(),
            },
            "40001" | "40P01" | "55P03" => StoreError::Retry(error),
            code if code.starts_with("57") || code.starts_with("08") || code.starts_with("53") => {
                StoreError::Away(error)
            }
            // A standby or a full disk: reads go on, writes wait.
            "25006" => StoreError::Away(error),
            _ => StoreError::Fault(error.into()),
        }
    }
}

impl From<sea_orm::DbErr> for StoreError {
    fn from(error: sea_orm::DbErr) -> Self {
        use sea_orm::{DbErr, RuntimeErr};
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(cause))
            | DbErr::Exec(RuntimeErr::SqlxError(cause))
            | DbErr::Query(RuntimeErr::SqlxError(cause)) => match std::sync::Arc::try_unwrap(cause)
            {
                Ok(cause) => cause.into(),
                Err(shared) => StoreError::Fault(anyhow::anyhow!("{shared}")),
            },
            other => StoreError::Fault(other.into()),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Conflict { constraint } => write!(f, "constraint {constraint}"),
            StoreError::Retry(error) | StoreError::Away(error) => error.fmt(f),
            StoreError::Fault(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { constraint } => {
                AppError::conflict("It conflicts with something that exists")
                    .with_source(anyhow::anyhow!("constraint {constraint}"))
            }
            StoreError::Retry(error) | StoreError::Away(error) => {
                AppError::unavailable("The database is busy or away; try again").with_source(error)
            }
            StoreError::Fault(error) => AppError::internal(error),
        }
    }
}
