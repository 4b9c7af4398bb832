//! From an HTTP request to a session: origin and subprotocol are judged before anything is opened.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Gateway;
use super::session::Session;
use crate::error::{AppError, ErrorCode};

/// The protocol of `realtime.md`, and what all of its versions begin with.
const SUBPROTOCOL: &str = "estatebase.v1";
const FAMILY: &str = "estatebase.v";

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
    let subprotocol = subprotocol(&request)
        .ok_or_else(|| AppError::malformed("The subprotocol is estatebase.v1"))?;
    let outdated = subprotocol != SUBPROTOCOL;
    let (gateway, address) = (gateway.clone().into_inner(), (gateway.address)(&request));
    Session::start(gateway, &request, stream, address, &subprotocol, outdated)
}

/// The subprotocol to speak, which is ours unless the client offers others alone. One of another
/// version is taken up, to be closed with 4426: a page can't read why a handshake was refused, and
/// would try again for ever.
fn subprotocol(request: &HttpRequest) -> Option<String> {
    let mut lines = request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .peekable();
    if lines.peek().is_none() {
        return Some(SUBPROTOCOL.to_owned());
    }
    let offered: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(',').map(str::trim))
        .collect();
    let ours = offered.iter().find(|one| **one == SUBPROTOCOL);
    let relative = || offered.iter().find(|one| one.starts_with(FAMILY));
    ours.or_else(relative).map(|one| (*one).to_owned())
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
