//! The one place where the parts are wired together; the server from its first to its last request.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use secrecy::SecretString;

use crate::config::Config;
use crate::telemetry::Metrics;

/// What a server is made of.
pub struct Parts {
    /// Already checked.
    pub config: Config,
    /// Where it accepts connections; bound early, so that a taken port is said first.
    pub listener: TcpListener,
    /// The migrated database as the server's role.
    pub database_url: SecretString,
    pub metrics: Metrics,
    /// Whether to make and print a login to try it with.
    pub demo: bool,
}

/// Serves until it is told to stop (SIGINT, SIGTERM): requests under way may finish.
pub async fn run(parts: Parts) -> anyhow::Result<()> {
    if parts.demo {
        tracing::warn!("there is no login to try it with yet");
    }
    let upkeep = actix_web::rt::spawn(parts.metrics.keep_up());
    let served = HttpServer::new(|| App::new().route("/healthz", web::get().to(alive)))
        // Anything between 0 and half a second makes closing connections hang in actix-http.
        .client_disconnect_timeout(Duration::ZERO)
        .shutdown_timeout(20)
        .listen(parts.listener)
        .context("the server can't listen")?
        .run()
        .await;
    upkeep.abort();
    served.context("the server broke off")
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}
