//! From a request to who asks, for what, and with which body; every refusal before a handler runs.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bearer::{NoBearer, bearer};
use super::limits::Remaining;
use super::state::AppState;
use crate::actors::workspace::{Remember, Snapshot, WorkspaceHandle};
use crate::auth::principal::Principal;
use crate::auth::tokens::TokenError;
use crate::domain::edit::Versions;
use crate::domain::roles::{Action, Role};
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store::link_cache::Look;
use crate::wire::object::Object;

/// Bytes of a JSON body at most.
pub const MAX_BODY: usize = 16 << 20;
/// How deep JSON may nest.
const MAX_DEPTH: usize = 32;
/// How long a read waits for `X-Min-Seq`.
pub(super) const MIN_SEQ_PATIENCE: Duration = Duration::from_secs(2);

/// A signed-in person, counted against the limits.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

/// What the limits leave, kept for the answer's headers.
#[derive(Clone, Copy, Debug)]
pub struct Left(pub Remaining);

/// How far the workspace was when a member came to its door, for an answer that doesn't say.
#[derive(Clone, Copy, Debug)]
pub struct Seen(pub i64);

impl FromRequest for Caller {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Caller, AppError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = state(&request)?;
            let token = bearer(request.headers()).map_err(|error| match error {
                NoBearer::Ambiguous => AppError::malformed(error.to_string()),
                _ => AppError::unauthenticated(error.to_string()),
            })?;
            let principal = verify(&state, token).await?;
            if let Some(counted) = state.limits.count_user(principal.user) {
                request.extensions_mut().insert(Left(counted.remaining));
                counted.admit()?;
            }
            Ok(Caller(principal))
        })
    }
}

/// The person that a token names.
pub async fn verify(state: &AppState, token: &str) -> Result<Principal, AppError> {
    state
        .verifier
        .verify(token)
        .await
        .map_err(|error| match error {
            TokenError::KeysUnavailable => AppError::unavailable(error.to_string()),
            _ => AppError::unauthenticated(error.to_string()),
        })
}

/// The shared state; without it the server was wired wrongly.
pub fn state(request: &HttpRequest) -> Result<web::Data<AppState>, AppError> {
    request
        .app_data::<web::Data<AppState>>()
        .cloned()
        .ok_or_else(|| AppError::internal(anyhow::anyhow!("no application state")))
}

/// A member at the door of a workspace.
pub struct Access {
    pub handle: WorkspaceHandle,
    pub snapshot: Arc<Snapshot>,
    pub role: Role,
    /// What is known of links, as of before whatever is read from here on.
    pub links: Look,
}

/// Opens a workspace for an action: 404 to outsiders, 410 to members when it is in the trash, 403 to
/// members whose role is too low. An owner's actions are about the trash itself: they find the
/// workspace there too. A read with `X-Min-Seq` waits until the workspace is there.
pub async fn access(
    request: &HttpRequest,
    caller: &Caller,
    action: Action,
) -> Result<Access, AppError> {
    let state = state(request)?;
    let id: WorkspaceId = path_id(request, "workspace_id")?;
    // Before any waiting: how far a workspace is, and that it is at all, is no stranger's business.
    let handle = state.registry.open_for(id, caller.0.user).await?;
    if let Some(seq) = min_seq(request.headers())?
        && !handle.reach(seq, MIN_SEQ_PATIENCE).await
    {
        return Err(AppError::unavailable(
            "The workspace is not at that position yet",
        ));
    }
    let snapshot = handle.snapshot();
    let role = snapshot
        .role_of(caller.0.user)
        .ok_or_else(AppError::not_found)?;
    request.extensions_mut().insert(Seen(snapshot.seq));
    if snapshot.is_deleted() && action != Action::Own {
        return Err(AppError::gone("The workspace is in the trash"));
    }
    if !role.may(action) {
        return Err(AppError::forbidden());
    }
    Ok(Access {
        links: snapshot.links.look(),
        handle,
        snapshot,
        role,
    })
}

fn min_seq(headers: &HeaderMap) -> Result<Option<i64>, AppError> {
    let Some(value) = headers.get("x-min-seq") else {
        return Ok(None);
    };
    let seq = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    seq.map(Some)
        .ok_or_else(|| AppError::malformed("X-Min-Seq is a number"))
}

/// An id of the path; what is no id leads nowhere.
pub fn path_id<T: std::str::FromStr>(request: &HttpRequest, name: &str) -> Result<T, AppError> {
    path_text(request, name)?
        .parse()
        .map_err(|_| AppError::not_found())
}

/// A part of the path.
pub fn path_text<'a>(request: &'a HttpRequest, name: &str) -> Result<&'a str, AppError> {
    request
        .match_info()
        .get(name)
        .ok_or_else(AppError::not_found)
}

/// The id that the caller chose for a new thing, or a fresh one.
pub fn own_id(chosen: Option<Uuid>) -> Result<Uuid, AppError> {
    match chosen {
        Some(id) if id.is_nil() => {
            let message = "an id is a UUID, and not the nil one";
            Err(AppError::field("/id", "bad_id", message))
        }
        chosen => Ok(chosen.unwrap_or_else(Uuid::now_v7)),
    }
}

/// The query string; an unknown parameter is refused, never ignored.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, AppError> {
    web::Query::<T>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| {
            // Its own text begins with what it does, and ends with what was wrong.
            let text = error.to_string();
            let reason = text
                .rsplit_once("error: ")
                .map_or(&*text, |(_, reason)| reason);
            AppError::invalid(format!("The query: {reason}"))
        })
}

/// A JSON body with its exact bytes.
pub struct Body<T> {
    pub value: T,
    bytes: web::Bytes,
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Body<T>, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = is_json(request.headers());
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            if !typed {
                return Err(AppError::new(
                    crate::error::ErrorCode::UnsupportedMediaType,
                    "Send application/json",
                ));
            }
            let bytes = bytes.await.map_err(|error| unread(&error))?;
            parse(&bytes).map(|value| Body { value, bytes })
        })
    }
}

fn unread(error: &actix_web::Error) -> AppError {
    if error.as_response_error().status_code() == actix_web::http::StatusCode::PAYLOAD_TOO_LARGE {
        return AppError::too_large("A JSON body holds at most 16 MiB");
    }
    AppError::malformed("The body could not be read")
}

/// 400 for what is no JSON, 422 for JSON that is not as asked.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AppError> {
    check_depth(bytes)?;
    let read = serde_json::from_slice::<Object<T>>(bytes);
    read.map(|Object(value)| value).map_err(|error| {
        if error.is_data() {
            AppError::field("", "malformed", error.to_string())
        } else {
            AppError::malformed(format!("The body is not JSON: {error}"))
        }
    })
}

fn check_depth(bytes: &[u8]) -> Result<(), AppError> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(AppError::malformed("The body nests too deeply"));
        }
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        })
}

impl<T> Body<T> {
    /// The key under which a retry of this request finds its answer.
    pub fn remember(&self, request: &HttpRequest) -> Result<Option<Remember>, AppError> {
        remember(request, &self.bytes)
    }
}

/// The `Idempotency-Key` of a request with its fingerprint: method, path, query and body.
pub fn remember(request: &HttpRequest, body: &[u8]) -> Result<Option<Remember>, AppError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    // A structured field's string, or the bare text that many clients send.
    let key = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(text);
    if key.is_empty() || key.len() > 255 || key.contains(|c: char| c.is_control()) {
        return Err(AppError::malformed(
            "Idempotency-Key: 1 to 255 visible characters",
        ));
    }
    let mut hasher = Sha256::new();
    for part in [
        request.method().as_str(),
        request.path(),
        request.query_string(),
    ] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.update(body);
    Ok(Some(Remember {
        key: key.to_owned(),
        fingerprint: hasher.finalize().into(),
    }))
}

/// The key as an operation's id, when it is a UUID: the event carries it, so that the caller knows
/// its own echo.
pub fn op_of(remember: Option<&Remember>) -> Option<Uuid> {
    remember.and_then(|remember| Uuid::parse_str(&remember.key).ok())
}

/// `If-Match` (RFC 9110, section 13.1.1): the versions that the caller means. `*` is any. A weak tag
/// never matches, for the comparison is the strong one; neither does a tag that is none of ours.
pub fn if_match(headers: &HeaderMap) -> Result<Option<Versions>, AppError> {
    let mut lines = headers.get_all(header::IF_MATCH).peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let refused = || AppError::malformed("If-Match: * or entity tags, as in \"3\", \"4\"");
    let lines = lines.map(|line| line.to_str().map_err(|_| refused()));
    let text = lines.collect::<Result<Vec<_>, _>>()?.join(",");
    if text.trim() == "*" {
        return Ok(None);
    }
    let mut versions = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(Some(Versions::any_of(versions)));
        }
        let (weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let tag = tag.strip_prefix('"').and_then(|tag| tag.split_once('"'));
        let (tag, behind) = tag.ok_or_else(refused)?;
        let behind = behind.trim_start_matches([' ', '\t']);
        if !behind.is_empty() && !behind.starts_with(',') {
            return Err(refused());
        }
        versions.extend(tag.parse::<i64>().ok().filter(|_| !weak));
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn read(lines: &[&'static str]) -> Result<Option<Versions>, u16> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_static(line));
        }
        if_match(&headers).map_err(|error| error.code.status())
    }

    #[test]
    fn if_match_names_versions_by_strong_tags_alone() {
        let versions = |versions: &[i64]| Ok(Some(Versions::any_of(versions.to_vec())));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(None));
        assert_eq!(read(&["\"3\""]), versions(&[3]));
        assert_eq!(read(&["\"3\", \"4\""]), versions(&[3, 4]));
        assert_eq!(read(&["\"3\"", " \"4\" ,, \"5\""]), versions(&[3, 4, 5]));
        assert_eq!(read(&["W/\"3\", \"a,b\", \"4\""]), versions(&[4]));
        assert_eq!(read(&["W/\"3\""]), versions(&[]));
        for bad in ["3", "\"3", "\"3\" \"4\"", "\"3\", *", "w/\"3\""] {
            assert_eq!(read(&[bad]), Err(400), "{bad}");
        }
    }
}
