//! Judges access tokens (JWT, RFC 7519; advice of RFC 8725) of Supabase Auth and of the built-in
//! provider, offline. Knows nothing of sessions and rights.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::jwks::{JwksCache, NoKey, Patience, VerifyingKey};
use super::keys::{BuiltInKeys, issuer};
use super::principal::Principal;
use crate::domain::email;
use crate::ids::UserId;

/// A longer token is refused unread, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How long after `exp` a token still passes, for clocks that differ.
pub const LEEWAY_SECONDS: u64 = 30;
/// How far `iat` and `nbf` may lie ahead of our clock.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(60);
/// A longer key name is taken for an attack, in bytes.
const MAX_KID_BYTES: usize = 256;
/// A longer display name is cut, in characters.
const MAX_NAME_CHARS: usize = 100;
/// `aud` and `role` of a signed-in person.
const AUTHENTICATED: &str = "authenticated";
/// `iss` of a project's API keys, which are tokens too, but name no person.
const API_KEY_ISSUER: &str = "supabase";

/// Whose tokens are taken. With none of the three every token is refused.
#[derive(Default)]
pub struct VerifierConfig {
    /// The Supabase project: its key set is at `{supabase_url}/auth/v1/.well-known/jwks.json`
    /// (ES256, RS256), and `{supabase_url}/auth/v1` is the only issuer.
    pub supabase_url: Option<Url>,
    /// The project's shared secret (HS256). Alone, it leaves the issuer open.
    pub jwt_secret: Option<SecretString>,
    /// The built-in provider's keys; not looked at where `supabase_url` is given.
    pub built_in: Option<BuiltInKeys>,
    /// How the key set is cached.
    pub patience: Patience,
}

/// Why a token was refused. All mean 401 but [`TokenError::KeysUnavailable`], which means 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    #[error("this is no access token")]
    Malformed,
    #[error("the token is signed in a way that is not accepted here")]
    Algorithm,
    #[error("the token's key is unknown")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token comes from another issuer")]
    Issuer,
    #[error("the token is meant for another audience")]
    Audience,
    #[error("the token is not a signed-in person's")]
    Role,
    #[error("the token names nobody")]
    Subject,
    #[error("a claim of the token is missing or malformed")]
    Claims,
    #[error("the keys of the identity provider can't be had at the moment")]
    KeysUnavailable,
}

/// The judge of tokens. Made once, shared by all threads.
pub struct Verifier {
    secret: Option<VerifyingKey>,
    public: Option<PublicKeys>,
    issuer: Option<String>,
}

/// Where the key of an asymmetric signature comes from.
enum PublicKeys {
    Project(JwksCache),
    BuiltIn { kid: String, key: VerifyingKey },
}

impl Verifier {
    /// Fails only when the system's TLS roots can't be read. Nothing is fetched yet.
    pub fn new(config: VerifierConfig) -> Result<Self, reqwest::Error> {
        super::install_crypto();
        let secret = config.jwt_secret.map(|secret| {
            let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
            VerifyingKey::new(Algorithm::HS256, key)
        });
        let (public, issuer) = match (config.supabase_url, config.built_in) {
            (Some(base), _) => {
                let cache = JwksCache::new(key_set_address(&base), config.patience)?;
                (Some(PublicKeys::Project(cache)), Some(issuer(&base)))
            }
            (None, Some(keys)) => {
                let issuer = keys.issuer().to_owned();
                let (kid, key) = (keys.kid().to_owned(), keys.verifying().clone());
                (Some(PublicKeys::BuiltIn { kid, key }), Some(issuer))
            }
            (None, None) => (None, None),
        };
        Ok(Self {
            secret,
            public,
            issuer,
        })
    }

    /// The person that `token` names. Touches the network only where the token names a key that
    /// the project's cached key set lacks.
    pub async fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        let key = self.key_for(&header).await?;
        let claims = self.signed_claims(token, &key)?;
        claims.person(self.issuer.as_deref(), Utc::now())
    }

    /// Fetches the project's keys where that is due; for the start and for readiness checks.
    pub async fn warm(&self) {
        if let Some(PublicKeys::Project(cache)) = &self.public {
            cache.warm().await;
        }
    }

    /// Whether every kind of token that is configured can be read now.
    pub fn is_ready(&self) -> bool {
        match &self.public {
            Some(PublicKeys::Project(cache)) => cache.has_keys(),
            _ => true,
        }
    }

    /// The configured key that the header points at; its `jku`, `jwk` and `x5u` are not looked at.
    /// An HS256 token may name a key that is in no key set: there is only one secret.
    async fn key_for(&self, header: &Header) -> Result<VerifyingKey, TokenError> {
        if header.crit.is_some() {
            // RFC 7515, 4.1.11: extensions that must be understood, and none is.
            return Err(TokenError::Malformed);
        }
        if header.alg == Algorithm::HS256 {
            return self.secret.clone().ok_or(TokenError::Algorithm);
        }
        let kid = header
            .kid
            .as_deref()
            .filter(|kid| kid.len() <= MAX_KID_BYTES);
        let kid = kid.ok_or(TokenError::UnknownKey)?;
        let key = match &self.public {
            _ if !matches!(header.alg, Algorithm::ES256 | Algorithm::RS256) => {
                return Err(TokenError::Algorithm);
            }
            None => return Err(TokenError::Algorithm),
            Some(PublicKeys::BuiltIn { kid: ours, key }) if ours == kid => key.clone(),
            Some(PublicKeys::BuiltIn { .. }) => return Err(TokenError::UnknownKey),
            Some(PublicKeys::Project(cache)) => cache.key(kid).await?,
        };
        if key.algorithm() == header.alg {
            Ok(key)
        } else {
            Err(TokenError::Algorithm)
        }
    }

    fn signed_claims(&self, token: &str, key: &VerifyingKey) -> Result<Claims, TokenError> {
        let mut rules = Validation::new(key.algorithm());
        rules.leeway = LEEWAY_SECONDS;
        rules.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        rules.set_audience(&[AUTHENTICATED]);
        if let Some(issuer) = &self.issuer {
            rules.set_issuer(&[issuer]);
        }
        Ok(decode::<Claims>(token, key.key(), &rules)?.claims)
    }
}

fn key_set_address(base: &Url) -> Url {
    let mut address = base.clone();
    address.set_query(None);
    address.set_fragment(None);
    let path = format!(
        "{}/auth/v1/.well-known/jwks.json",
        base.path().trim_end_matches('/')
    );
    address.set_path(&path);
    address
}

/// The claims that are looked at beyond those the token library judges by itself. A claim given
/// twice is an error of the JSON reader; times are whole seconds, as both providers write them.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    role: String,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    email: Option<String>,
    session_id: Option<String>,
    user_metadata: Option<Value>,
}

impl Claims {
    fn person(self, issuer: Option<&str>, now: DateTime<Utc>) -> Result<Principal, TokenError> {
        if self.iss.is_empty()
            || self.iss == API_KEY_ISSUER
            || issuer.is_some_and(|issuer| issuer != self.iss)
        {
            return Err(TokenError::Issuer);
        }
        if self.role != AUTHENTICATED {
            return Err(TokenError::Role);
        }
        let latest = (now + MAX_AHEAD).timestamp();
        if [self.iat, self.nbf]
            .into_iter()
            .flatten()
            .any(|time| time > latest)
        {
            return Err(TokenError::NotYetValid);
        }
        Ok(Principal {
            user: UserId(hyphenated(&self.sub).ok_or(TokenError::Subject)?),
            email: self
                .email
                .map(|text| email::normalise(&text))
                .filter(|text| !text.is_empty()),
            session: self.session_id.as_deref().and_then(hyphenated),
            expires_at: DateTime::from_timestamp(self.exp, 0).ok_or(TokenError::Claims)?,
            name: self.user_metadata.as_ref().and_then(display_name),
        })
    }
}

/// The UUID in its one spelling of RFC 9562; not the nil one, and none of the other spellings
/// (braces, `urn:uuid:`, bare digits) that the parser would take.
fn hyphenated(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (text.len() == uuid::fmt::Hyphenated::LENGTH && !id.is_nil()).then_some(id)
}

fn display_name(metadata: &Value) -> Option<String> {
    let text = ["full_name", "name"]
        .iter()
        .find_map(|key| metadata.get(key)?.as_str())?;
    let name: String = text
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME_CHARS)
        .collect();
    (!name.is_empty()).then_some(name)
}

impl From<NoKey> for TokenError {
    fn from(reason: NoKey) -> Self {
        match reason {
            NoKey::Unknown => Self::UnknownKey,
            NoKey::Unavailable => Self::KeysUnavailable,
        }
    }
}

impl From<JwtError> for TokenError {
    fn from(error: JwtError) -> Self {
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Self::Claims,
            ErrorKind::InvalidSignature
            | ErrorKind::InvalidEcdsaKey
            | ErrorKind::InvalidRsaKey(_)
            | ErrorKind::InvalidKeyFormat
            | ErrorKind::Provider(_) => Self::Signature,
            // The claims were read only after the signature held.
            ErrorKind::Json(_) => Self::Claims,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
