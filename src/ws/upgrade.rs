//! From an HTTP request to a session: origin and subprotocol are judged before anything is opened.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Gateway;
use super::session::Session;
use crate::error::{AppError, ErrorCode};

/// The protocol of `realtime.md`.
const SUBPROTOCOL: &str = "estatebase.v1";

/// `GET /api/v1/ws`. A token is never looked for in the URL: it comes with the first frame.
pub async fn upgrade(
    request: HttpRequest,
    stream: web::Payload,
    gateway: web::Data<Gateway>,
) -> Result<HttpResponse, actix_web::Error> {
    check_origin(&request, &gateway)?;
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let speaks = offered.is_none_or(|offered| {
        offered
            .to_str()
            .unwrap_or_default()
            .split(',')
            .any(|one| one.trim() == SUBPROTOCOL)
    });
    if !speaks {
        return Err(AppError::malformed("The subprotocol is estatebase.v1").into());
    }
    Session::start(gateway.into_inner(), &request, stream, SUBPROTOCOL)
}

/// A browser always says where its page came from; other clients need not.
fn check_origin(request: &HttpRequest, gateway: &Gateway) -> Result<(), AppError> {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let own = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let same = own.is_some_and(|host| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority == host)
    });
    if same || gateway.origins.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    Err(AppError::new(
        ErrorCode::Forbidden,
        "Pages of this origin may not connect",
    ))
}
