//! `/auth/v1`: the built-in identity provider over HTTP, in the manner of Supabase Auth (its
//! errors too, which are no problem documents), so that its clients work unchanged. The rules are
//! `auth::provider`. To be mounted only where no Supabase project is configured.

mod json;

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};

use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, Resource, web};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use self::json::{SignUpBody, Style, TokenBody, UpdateBody};
use super::bearer::{NoBearer, bearer};
use crate::auth::provider::{Change, IdentityError, Provider, Scope, SignUp};

/// The largest body, in bytes; as in Supabase Auth.
const MAX_BODY: usize = 1024 * 1024;
const VERSION_HEADER: &str = "X-Supabase-Api-Version";
const CODE_HEADER: &str = "x-sb-error-code";

/// The address that limits count by, where proxies stand in between: put it into the request's
/// extensions. Without it the peer of the connection counts.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The routes. Needs a `web::Data<Provider>`.
pub fn configure(cfg: &mut web::ServiceConfig) {
    let json = web::JsonConfig::default()
        .limit(MAX_BODY)
        .error_handler(|error, request| {
            let refusal = Refusal::of_body(&error);
            refused(error, request, &refusal)
        });
    let query = web::QueryConfig::default().error_handler(|error: QueryPayloadError, request| {
        refused(
            error,
            request,
            &Refusal::new(400, "validation_failed", "The query can't be read"),
        )
    });
    cfg.service(
        web::scope("/auth/v1")
            .app_data(json)
            .app_data(query)
            .service(resource("/signup", "POST").post(sign_up))
            .service(resource("/token", "POST").post(token))
            .service(resource("/user", "GET, PUT").get(user).put(update_user))
            .service(resource("/logout", "POST").post(sign_out))
            .service(resource("/.well-known/jwks.json", "GET").get(jwks))
            .service(resource("/.well-known/openid-configuration", "GET").get(openid_configuration))
            .service(resource("/settings", "GET").get(settings))
            .service(resource("/health", "GET").get(health))
            .default_service(web::to(not_found)),
    );
}

async fn sign_up(
    request: HttpRequest,
    provider: web::Data<Provider>,
    body: web::Json<SignUpBody>,
) -> HttpResponse {
    let body = body.into_inner();
    let Some(password) = body.password else {
        let refusal = Refusal::new(400, "validation_failed", "Signup requires a valid password");
        return refusal.answer(&request);
    };
    let new = SignUp {
        email: body.email.unwrap_or_default(),
        password: SecretString::from(password),
        user_metadata: body.data.unwrap_or_default(),
    };
    let signed_in = provider.sign_up(new, client_address(&request)).await;
    answer(
        &request,
        signed_in.map(|signed_in| json::session(&signed_in)),
    )
}

#[derive(Deserialize)]
struct TokenQuery {
    grant_type: Option<String>,
}

async fn token(
    request: HttpRequest,
    provider: web::Data<Provider>,
    query: web::Query<TokenQuery>,
    body: web::Json<TokenBody>,
) -> HttpResponse {
    let body = body.into_inner();
    let signed_in = match (
        query.grant_type.as_deref(),
        body.password,
        body.refresh_token,
    ) {
        (Some("password"), Some(password), _) => {
            let email = body.email.unwrap_or_default();
            provider
                .sign_in(
                    &email,
                    SecretString::from(password),
                    client_address(&request),
                )
                .await
        }
        (Some("refresh_token"), _, Some(token)) => {
            provider.refresh(&SecretString::from(token)).await
        }
        (Some("password" | "refresh_token"), ..) => {
            let refusal = Refusal::new(400, "validation_failed", "The grant's secret is missing");
            return refusal.answer(&request);
        }
        _ => {
            let refusal = Refusal::new(400, "validation_failed", "unsupported_grant_type");
            return refusal.answer(&request);
        }
    };
    answer(
        &request,
        signed_in.map(|signed_in| json::session(&signed_in)),
    )
}

async fn user(request: HttpRequest, provider: web::Data<Provider>) -> HttpResponse {
    match access_token(&request) {
        Ok(token) => answer(
            &request,
            provider
                .account(token)
                .await
                .map(|account| json::user(&account)),
        ),
        Err(refusal) => refusal.answer(&request),
    }
}

async fn update_user(
    request: HttpRequest,
    provider: web::Data<Provider>,
    body: web::Json<UpdateBody>,
) -> HttpResponse {
    let body = body.into_inner();
    let change = Change {
        email: body.email,
        password: body.password.map(SecretString::from),
        current_password: body.current_password.map(SecretString::from),
        user_metadata: body.data.unwrap_or_default(),
    };
    match access_token(&request) {
        Ok(token) => {
            let account = provider.update(token, change).await;
            answer(&request, account.map(|account| json::user(&account)))
        }
        Err(refusal) => refusal.answer(&request),
    }
}

#[derive(Deserialize)]
struct SignOutQuery {
    scope: Option<String>,
}

async fn sign_out(
    request: HttpRequest,
    provider: web::Data<Provider>,
    query: web::Query<SignOutQuery>,
) -> HttpResponse {
    let scope = match query.scope.as_deref() {
        None | Some("global") => Scope::Global,
        Some("local") => Scope::Local,
        Some("others") => Scope::Others,
        Some(_) => {
            let refusal = Refusal::new(400, "validation_failed", "Unsupported logout scope");
            return refusal.answer(&request);
        }
    };
    let token = match access_token(&request) {
        Ok(token) => token,
        Err(refusal) => return refusal.answer(&request),
    };
    match provider.sign_out(token, scope).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => Refusal::of(&error).answer(&request),
    }
}

async fn jwks(provider: web::Data<Provider>) -> HttpResponse {
    public(provider.keys().jwks())
}

async fn openid_configuration(provider: web::Data<Provider>) -> HttpResponse {
    public(json::openid_configuration(provider.keys().issuer()))
}

async fn settings() -> HttpResponse {
    public(json::settings())
}

async fn health() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json::health())
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    Refusal::new(404, "not_found", "There is nothing here").answer(&request)
}

fn resource(path: &str, allow: &'static str) -> Resource {
    let wrong_method = move |request: HttpRequest| {
        let detail = "This path does not know that method";
        let mut answer = Refusal::new(405, "method_not_allowed", detail).answer(&request);
        let allow = HeaderValue::from_static(allow);
        answer.headers_mut().insert(ALLOW, allow);
        std::future::ready(answer)
    };
    web::resource(path).default_service(web::to(wrong_method))
}

fn client_address(request: &HttpRequest) -> IpAddr {
    let told = request
        .extensions()
        .get::<ClientAddress>()
        .map(|address| address.0);
    told.or_else(|| request.peer_addr().map(|peer| peer.ip()))
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn access_token(request: &HttpRequest) -> Result<&str, Refusal> {
    bearer(request.headers()).map_err(|reason| match reason {
        NoBearer::Missing => Refusal::new(401, "no_authorization", reason),
        NoBearer::Ambiguous => Refusal::new(400, "validation_failed", reason),
        NoBearer::Malformed => Refusal::new(401, "no_authorization", reason),
    })
}

/// Secrets and persons: never kept by a cache.
fn answer(request: &HttpRequest, result: Result<Value, IdentityError>) -> HttpResponse {
    match result {
        Ok(body) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(body),
        Err(error) => Refusal::of(&error).answer(request),
    }
}

/// The same for everybody, and rarely another.
fn public(body: Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=600"))
        .json(body)
}

fn refused(
    error: impl Display + std::fmt::Debug + 'static,
    request: &HttpRequest,
    refusal: &Refusal,
) -> actix_web::Error {
    actix_web::error::InternalError::from_response(error, refusal.answer(request)).into()
}

/// An error as it goes out.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// In seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Display) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code,
            message: message.to_string(),
            retry_after: None,
        }
    }

    /// The one table of the provider's errors. What is a fault of ours is logged and not told.
    fn of(error: &IdentityError) -> Self {
        use IdentityError as E;
        let (status, code) = match error {
            E::InvalidEmail | E::InvalidMetadata => (400, "validation_failed"),
            E::WeakPassword => (422, "weak_password"),
            E::UserExists => (422, "user_already_exists"),
            E::EmailTaken => (422, "email_exists"),
            E::SamePassword => (422, "same_password"),
            E::InvalidCredentials => (400, "invalid_credentials"),
            E::RefreshTokenNotFound => (400, "refresh_token_not_found"),
            E::RefreshTokenUsed => (400, "refresh_token_already_used"),
            E::SessionExpired => (400, "session_expired"),
            E::SessionNotFound => (403, "session_not_found"),
            E::BadToken(_) => (403, "bad_jwt"),
            E::TooManyAttempts { .. } => (429, "over_request_rate_limit"),
            E::Busy | E::Database(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => {
                (503, "unexpected_failure")
            }
            E::Database(_) | E::Key(_) | E::Password(_) | E::Tls(_) => (500, "unexpected_failure"),
        };
        let mut refusal = Self::new(status, code, error);
        if status >= 500 {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "the identity provider failed"
            );
            refusal.message = "Something went wrong on our side; try again".to_owned();
        }
        refusal.retry_after = match error {
            E::TooManyAttempts { retry_after } => Some(retry_after.as_secs() + 1),
            _ if status == 503 => Some(1),
            _ => None,
        };
        refusal
    }

    fn of_body(error: &JsonPayloadError) -> Self {
        match error {
            JsonPayloadError::ContentType => {
                Self::new(415, "unsupported_media_type", "Send application/json")
            }
            JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
                Self::new(413, "validation_failed", "The body is too large")
            }
            _ => Self::new(
                400,
                "bad_json",
                "The body is not the JSON that belongs here",
            ),
        }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let version = request
            .headers()
            .get(VERSION_HEADER)
            .and_then(|value| value.to_str().ok());
        let style = Style::of(version);
        let mut response = HttpResponse::build(self.status);
        response
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CODE_HEADER, self.code));
        if style == Style::Named {
            response.insert_header((VERSION_HEADER, Style::NAMED_FROM));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.json(style.error(self.status.as_u16(), self.code, &self.message))
    }
}
