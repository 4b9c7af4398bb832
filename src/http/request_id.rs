//! Around every request: an id that stands in each of its log lines and in its answer, one access
//! line, the security headers, the workspace's position, and the time it took.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use tracing::Instrument;
use uuid::Uuid;

use super::extract::Seen;
use super::limits::Remaining;
use super::problem::X_WORKSPACE_SEQ;
use super::state::AppState;
use crate::telemetry;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RefCell<String>;
}

/// The id of the request that this task works on; a fresh one outside any.
pub fn current() -> String {
    CURRENT
        .try_with(|id| id.borrow().clone())
        .unwrap_or_else(|_| Uuid::now_v7().to_string())
}

/// The middleware.
pub async fn trace<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = given(&request).unwrap_or_else(|| Uuid::now_v7().to_string());
    let span = tracing::info_span!("request", request_id = %id, method = %request.method());
    let started = Instant::now();
    let https = request
        .app_data::<web::Data<AppState>>()
        .is_some_and(|state| state.settings.https);
    let path = request.path().to_owned();
    let work: Pin<Box<dyn Future<Output = _>>> = Box::pin(next.call(request));
    let mut response = CURRENT
        .scope(RefCell::new(id.clone()), work.instrument(span.clone()))
        .await?;
    // The route's pattern, not the path: ids would make a series each.
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".into());
    // What opens a form for anybody is in no log.
    let path = match route.contains("{token}") {
        true => route.clone(),
        false => path,
    };
    let took = started.elapsed();
    let status = response.status().as_u16();
    metrics::histogram!(telemetry::HTTP_DURATION, "route" => route.clone(), "status" => class(status))
        .record(took);
    span.in_scope(|| tracing::info!(status, path, took_us = took.as_micros(), "answered"));
    let left = response
        .request()
        .extensions()
        .get::<super::extract::Left>()
        .map(|left| left.0);
    let left = left.or_else(|| response.request().extensions().get::<Remaining>().copied());
    let seen = response.request().extensions().get::<Seen>().copied();
    let headers = response.headers_mut();
    if let Some(left) = left {
        rate_limit(headers, left);
    }
    if let Some(Seen(seq)) = seen
        && !headers.contains_key(X_WORKSPACE_SEQ)
    {
        headers.insert(X_WORKSPACE_SEQ, HeaderValue::from(seq));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(X_REQUEST_ID, id);
    }
    for (name, value) in SECURITY_HEADERS {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if https {
        headers.insert(
            HeaderName::from_static("strict-transport-security"),
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    Ok(response)
}

fn rate_limit(headers: &mut HeaderMap, left: Remaining) {
    let Remaining {
        policy,
        quota,
        left,
    } = left;
    let window = super::limits::WINDOW.as_secs();
    for (name, value) in [
        ("ratelimit", format!("\"{policy}\";r={left}")),
        (
            "ratelimit-policy",
            format!("\"{policy}\";q={quota};w={window}"),
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

const SECURITY_HEADERS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; \
         object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    ),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=()",
    ),
];

/// The caller's id, when it is well formed: 8–64 letters, digits, `-`, `_` or `.`.
fn given(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
    let well_formed = (8..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    well_formed.then(|| id.to_owned())
}

fn class(status: u16) -> &'static str {
    match status {
        0..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
