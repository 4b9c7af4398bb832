//! The websocket: a cursor into the log of each workspace that a client follows. `session` is the
//! only file that names `actix-web-actors`; everything else speaks to its outbox.

mod follow;
mod replay;
mod session;
mod upgrade;

use std::sync::Arc;

pub use upgrade::upgrade;

use crate::actors::registry::Registry;
use crate::auth::Verifier;
use crate::store::Db;

/// What every session may reach.
pub struct Gateway {
    pub db: Db,
    pub registry: Arc<Registry>,
    pub verifier: Arc<Verifier>,
    /// Exact origins that a browser may connect from, beside our own.
    pub origins: Vec<String>,
}
