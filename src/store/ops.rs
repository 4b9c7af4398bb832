//! The end of remembered operations. They are written with their effect (`commit`) and read with the
//! log (`log::remembered`).

use std::time::Duration;

use super::{Db, StoreError};

/// So long an operation is remembered: a day longer than its id is accepted
/// ([`domain::op`](crate::domain::op)), for clocks differ.
const KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Rows of one statement, so that none of them locks for long.
const BATCH: i32 = 5_000;

/// Forgets the operations of all workspaces whose time is over: how many. Belongs to no workspace,
/// hence a definer function; the server's role can't delete them.
pub async fn forget(db: &Db) -> Result<i64, StoreError> {
    let mut forgotten = 0;
    loop {
        let some: i64 = sqlx::query_scalar("SELECT estatebase.forget_ops($1, $2)")
            .bind(KEPT)
            .bind(BATCH)
            .fetch_one(db.outside())
            .await?;
        forgotten += some;
        if some < i64::from(BATCH) {
            return Ok(forgotten);
        }
    }
}
