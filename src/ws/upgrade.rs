//! From an HTTP request to a session: origin and subprotocol are judged before anything is opened.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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
    if let Some(refusal) = refuse_handshake(&request) {
        return Ok(refusal);
    }
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
    let address = (gateway.address)(&request);
    Session::start(gateway.into_inner(), &request, stream, address, SUBPROTOCOL)
}

/// The answer to a request that does not say what makes it a websocket (RFC 6455, 4.2.1).
fn refuse_handshake(request: &HttpRequest) -> Option<HttpResponse> {
    let says = |name, word: &str| {
        let values = request.headers().get_all(name);
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    let upgrades = says(header::UPGRADE, "websocket") && says(header::CONNECTION, "upgrade");
    if !upgrades || !says(header::SEC_WEBSOCKET_VERSION, "13") {
        let reason = "This path speaks websocket, version 13, and nothing else";
        let mut response = AppError::new(ErrorCode::UpgradeRequired, reason).error_response();
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return Some(response);
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let octets = key.and_then(|key| STANDARD.decode(key.as_bytes()).ok());
    if octets.is_none_or(|octets| octets.len() != 16) {
        let reason = "Sec-WebSocket-Key: 16 octets in base64";
        return Some(AppError::malformed(reason).error_response());
    }
    None
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
