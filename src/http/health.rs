//! For those who watch over the server: alive, ready, and its figures.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::bearer::bearer;
use super::extract::{path_text, state};
use crate::error::{AppError, ErrorCode};

/// The process runs.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

/// Requests can be served: the database answers, the keys of tokens are known, and the server was not
/// told to stop. Whoever spreads requests over servers looks here.
pub async fn ready(request: HttpRequest) -> Result<HttpResponse, AppError> {
    let state = state(&request)?;
    if state.stopping.is_cancelled() {
        return Err(AppError::unavailable("This server is going away"));
    }
    let ping = tokio::time::timeout(Duration::from_secs(2), state.db.ping()).await;
    let database = matches!(ping, Ok(Ok(())));
    let identity = state.verifier.is_ready();
    if database && identity {
        return Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"})));
    }
    let missing = if database {
        "the identity provider's keys"
    } else {
        "the database"
    };
    Err(AppError::unavailable(format!("Waiting for {missing}")))
}

/// What a problem document's `type` leads to: the code, in words.
pub async fn problem(request: HttpRequest) -> Result<HttpResponse, AppError> {
    let name = path_text(&request, "code")?;
    let known = ErrorCode::ALL.iter().filter(|code| code.name() == name);
    let meanings: Vec<serde_json::Value> = known
        .map(|code| {
            serde_json::json!({
                "code": code.name(), "status": code.status(), "title": code.title(),
                "retryable": code.retryable(),
            })
        })
        .collect();
    if meanings.is_empty() {
        return Err(AppError::not_found());
    }
    Ok(HttpResponse::Ok().json(serde_json::json!({"data": meanings})))
}

/// The figures, for loopback or with the token; to all others there is nothing here.
pub async fn metrics(request: HttpRequest) -> Result<HttpResponse, AppError> {
    let state = state(&request)?;
    // Through a proxy every caller seems to be on loopback: then only the token counts.
    let near = request
        .peer_addr()
        .is_some_and(|peer| peer.ip().is_loopback())
        && state.settings.trusted_proxy_hops == 0
        && !request.headers().contains_key(header::FORWARDED)
        && !request.headers().contains_key("x-forwarded-for");
    let known = state.settings.metrics_token.as_ref().is_some_and(|token| {
        bearer(request.headers()).is_ok_and(|given| {
            given
                .as_bytes()
                .ct_eq(token.expose_secret().as_bytes())
                .into()
        })
    });
    if !near && !known {
        return Err(AppError::not_found());
    }
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body((state.metrics)()))
}
