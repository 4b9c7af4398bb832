//! Errors as problem documents (RFC 9457), and remembered answers as responses.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::request_id;
use crate::actors::workspace::Answer;
use crate::error::{AppError, ErrorCode};

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Carries the position of the workspace's log.
pub const X_WORKSPACE_SEQ: HeaderName = HeaderName::from_static("x-workspace-seq");

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        log(self);
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(PROBLEM_JSON);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        response.body(self.problem(&request_id::current()).to_text())
    }
}

/// A fault of ours is logged once, here, with its internal half.
fn log(error: &AppError) {
    match &error.source {
        Some(source) if error.code.status() >= 500 => {
            tracing::error!(
                code = error.code.name(),
                source = format!("{source:#}"),
                "request failed"
            );
        }
        _ => tracing::debug!(code = error.code.name(), detail = %error.detail, "request refused"),
    }
}

/// A remembered or fresh answer as a response, with the position of the log.
pub fn respond(answer: Answer, seq: i64) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header((X_WORKSPACE_SEQ, HeaderValue::from(seq)));
    if let Some(version) = answer.etag {
        response.insert_header((header::ETAG, format!("\"{version}\"")));
    }
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    match answer.body {
        Some(body) => response
            .content_type("application/json")
            .body(body.get().to_owned()),
        None => response.finish(),
    }
}

/// JSON text about a workspace, with the position of its log.
pub fn json_at(seq: i64, body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((X_WORKSPACE_SEQ, HeaderValue::from(seq)))
        .content_type("application/json")
        .body(body)
}

/// The same of one thing that has a version, for `If-Match`.
pub fn version_at(seq: i64, version: i64, body: String) -> HttpResponse {
    let mut response = json_at(seq, body);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// What no route matched: 405 where another method is at home, else 404. OPTIONS that is no
/// browser's question beforehand is told the methods (RFC 9110, section 9.3.7).
pub async fn unmatched(request: HttpRequest) -> Result<HttpResponse, AppError> {
    let known = super::routes::methods_of(request.path());
    if known.is_empty() {
        return Err(AppError::not_found());
    }
    Ok(not_that_method(&request, known))
}

/// The answer at a path that knows these methods alone.
pub fn not_that_method(request: &HttpRequest, mut known: Vec<Method>) -> HttpResponse {
    let mut response = if request.method() == Method::OPTIONS {
        HttpResponse::NoContent().finish()
    } else {
        AppError::new(
            ErrorCode::MethodNotAllowed,
            "This path does not know that method",
        )
        .error_response()
    };
    if known.contains(&Method::GET) {
        known.push(Method::HEAD);
    }
    known.push(Method::OPTIONS);
    let names: Vec<&str> = known.iter().map(Method::as_str).collect();
    if let Ok(allow) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
