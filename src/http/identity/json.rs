//! The JSON of the built-in identity provider, in the shapes of Supabase Auth, so that its clients
//! work unchanged. Decides nothing.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::provider::{ACCESS_TOKEN_SECONDS, Account, SignedIn};

/// Body of `POST /signup`. Clients send more than is of use here (captcha, PKCE, phone).
#[derive(Deserialize)]
pub(super) struct SignUpBody {
    pub(super) email: Option<String>,
    pub(super) password: Option<String>,
    pub(super) data: Option<Map<String, Value>>,
}

/// Body of `POST /token`: the first two for the grant `password`, the last for `refresh_token`.
#[derive(Deserialize)]
pub(super) struct TokenBody {
    pub(super) email: Option<String>,
    pub(super) password: Option<String>,
    pub(super) refresh_token: Option<String>,
}

/// Body of `PUT /user`.
#[derive(Deserialize)]
pub(super) struct UpdateBody {
    pub(super) email: Option<String>,
    pub(super) password: Option<String>,
    pub(super) current_password: Option<String>,
    pub(super) data: Option<Map<String, Value>>,
}

/// A session: the answer to signing up, signing in and refreshing.
pub(super) fn session(signed_in: &SignedIn) -> Value {
    json!({
        "access_token": signed_in.access_token,
        "token_type": "bearer",
        "expires_in": ACCESS_TOKEN_SECONDS,
        "expires_at": signed_in.expires_at.timestamp(),
        "refresh_token": signed_in.refresh_token.expose_secret(),
        "user": user(&signed_in.account),
    })
}

/// A person's account.
pub(super) fn user(account: &Account) -> Value {
    let (created, updated) = (time(account.created_at), time(account.updated_at));
    let last_sign_in = account.last_sign_in_at.map(time);
    json!({
        "id": account.id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": account.email,
        "phone": "",
        "email_confirmed_at": created,
        "confirmed_at": created,
        "last_sign_in_at": last_sign_in,
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": account.user_metadata,
        "identities": [{
            "identity_id": account.id,
            "id": account.id,
            "user_id": account.id,
            "identity_data": {
                "sub": account.id, "email": account.email,
                "email_verified": false, "phone_verified": false,
            },
            "provider": "email",
            "email": account.email,
            "last_sign_in_at": last_sign_in,
            "created_at": created,
            "updated_at": updated,
        }],
        "created_at": created,
        "updated_at": updated,
        "is_anonymous": false,
    })
}

/// What may be done here, for clients that ask before they show a form.
pub(super) fn settings() -> Value {
    json!({
        "external": {"email": true, "phone": false, "anonymous_users": false},
        "disable_signup": false,
        "mailer_autoconfirm": true,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
    })
}

/// The discovery document, as far as there is something to discover.
pub(super) fn openid_configuration(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// That it is there.
pub(super) fn health() -> Value {
    json!({"name": "Estatebase identity", "version": env!("CARGO_PKG_VERSION")})
}

/// The two shapes of an error: clients name the version of the interface that they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `{"code": 400, "error_code": "…", "msg": "…"}`
    Numeric,
    /// `{"code": "…", "message": "…"}`, from version 2024-01-01 on.
    Named,
}

impl Style {
    /// The version from which on errors are [`Style::Named`].
    pub(super) const NAMED_FROM: &str = "2024-01-01";

    /// By the request's `X-Supabase-Api-Version`, a date; [`Style::Numeric`] where it is missing
    /// or no date.
    pub(super) fn of(version: Option<&str>) -> Self {
        let date = |text: &str| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        match version.and_then(date) {
            Some(version) if Some(version) >= date(Self::NAMED_FROM) => Self::Named,
            _ => Self::Numeric,
        }
    }

    /// The body of an error. Its code stands under `error_code` in both styles, for clients that
    /// can't see the response's headers.
    pub(super) fn error(self, status: u16, code: &str, message: &impl fmt::Display) -> Value {
        let message = message.to_string();
        let mut body = match self {
            Self::Numeric => json!({"code": status, "error_code": code, "msg": message}),
            Self::Named => json!({"code": code, "error_code": code, "message": message}),
        };
        if let (Some(body), "weak_password") = (body.as_object_mut(), code) {
            body.insert("weak_password".to_owned(), json!({"reasons": ["length"]}));
        }
        body
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_of_errors_follows_the_version_asked_for() {
        for (version, style) in [
            (None, Style::Numeric),
            (Some("2023-12-31"), Style::Numeric),
            (Some("2024-01-01"), Style::Named),
            (Some("2025-06-30"), Style::Named),
            (Some("9"), Style::Numeric),
            (Some("zzzz"), Style::Numeric),
        ] {
            assert_eq!(Style::of(version), style, "{version:?}");
        }
    }

    #[test]
    fn both_styles_carry_the_code_where_their_clients_look() {
        let old = Style::Numeric.error(422, "weak_password", &"too short");
        assert_eq!(old["code"], 422);
        assert_eq!(old["error_code"], "weak_password");
        assert_eq!(old["msg"], "too short");
        let new = Style::Named.error(422, "weak_password", &"too short");
        assert_eq!(new["code"], "weak_password");
        assert_eq!(new["message"], "too short");
        assert_eq!(new["weak_password"]["reasons"][0], "length");
    }
}
