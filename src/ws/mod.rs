//! The websocket: a cursor into the log of each workspace that a client follows. `session` is the
//! only file that names `actix-web-actors`; everything else speaks to its outbox.

mod codec;
mod commands;
mod delivery;
mod dispatch;
mod follow;
mod input;
mod join;
mod limits;
mod presence;
mod replay;
mod seats;
mod session;
mod subscriptions;
mod upgrade;

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;

pub use seats::Seats;
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
    pub seats: Seats,
    /// Whom a request comes from, where proxies stand in between.
    pub address: fn(&HttpRequest) -> IpAddr,
}
