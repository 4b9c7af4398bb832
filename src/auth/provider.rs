//! The rules of the built-in identity provider, for installations without a Supabase project:
//! accounts by e-mail and password, sessions with rotating refresh tokens. Every account is
//! confirmed at once, so an address proves nothing. HTTP shapes are `wire::identity`.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::attempts::{Attempts, TooMany};
use super::keys::{BuiltInKeys, KeyError, hash_refresh_token};
use super::passwords::{self, PasswordError, Passwords};
use super::tokens::{TokenError, Verifier, VerifierConfig};
use crate::domain::email;
use crate::ids::UserId;
use crate::store::identity as store;
pub use crate::store::identity::Account;

/// The life of an access token, in seconds.
pub const ACCESS_TOKEN_SECONDS: i64 = 3600;
/// So long the token before the active one still brings the same answer: tabs that refresh at
/// once, an answer that got lost.
const REUSE_WINDOW: TimeDelta = TimeDelta::seconds(10);
/// A session that nobody refreshed for so long has ended.
const MAX_IDLE: TimeDelta = TimeDelta::days(30);

/// How the provider is set up.
pub struct ProviderConfig {
    pub pool: PgPool,
    pub keys: BuiltInKeys,
    /// Whether attempts to sign in are limited; off only for load tests.
    pub limit_attempts: bool,
}

/// The provider. Made once, shared by all threads.
pub struct Provider {
    pool: PgPool,
    keys: BuiltInKeys,
    verifier: Verifier,
    passwords: Passwords,
    attempts: Option<Attempts>,
}

/// A new account, as asked for.
pub struct SignUp {
    pub email: String,
    pub password: SecretString,
    pub user_metadata: Map<String, Value>,
}

/// What a person wants changed in their account; a metadata member of `null` is removed.
#[derive(Default)]
pub struct Change {
    pub email: Option<String>,
    pub password: Option<SecretString>,
    /// Checked where given.
    pub current_password: Option<SecretString>,
    pub user_metadata: Map<String, Value>,
}

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Global,
    Local,
    Others,
}

/// A session just opened or refreshed.
pub struct SignedIn {
    pub access_token: String,
    pub expires_at: DateTime<Utc>,
    pub refresh_token: SecretString,
    pub account: Account,
}

/// Why the provider refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("Unable to validate email address: invalid format")]
    InvalidEmail,
    #[error("User metadata can't hold that much, or a NUL character")]
    InvalidMetadata,
    #[error(
        "Password should have {} to {} characters",
        passwords::MIN_CHARS,
        passwords::MAX_CHARS
    )]
    WeakPassword,
    #[error("User already registered")]
    UserExists,
    #[error("A user with this email address has already been registered")]
    EmailTaken,
    #[error("New password should be different from the old password")]
    SamePassword,
    #[error("Invalid login credentials")]
    InvalidCredentials,
    #[error("Invalid Refresh Token: Refresh Token Not Found")]
    RefreshTokenNotFound,
    #[error("Invalid Refresh Token: Already Used")]
    RefreshTokenUsed,
    #[error("Invalid Refresh Token: Session Expired")]
    SessionExpired,
    #[error("Session from session_id claim in JWT does not exist")]
    SessionNotFound,
    #[error("invalid JWT: {0}")]
    BadToken(#[from] TokenError),
    #[error("Request rate limit reached")]
    TooManyAttempts { retry_after: Duration },
    #[error("Too busy; try again")]
    Busy,
    #[error("Database unavailable")]
    Database(#[from] sqlx::Error),
    #[error("a token could not be signed")]
    Key(#[from] KeyError),
    #[error("a password could not be hashed")]
    Password(#[source] PasswordError),
    #[error("the TLS roots can't be read")]
    Tls(#[from] reqwest::Error),
}

impl Provider {
    pub fn new(config: ProviderConfig) -> Result<Self, IdentityError> {
        let verifier = Verifier::new(VerifierConfig {
            built_in: Some(config.keys.clone()),
            ..VerifierConfig::default()
        })?;
        Ok(Self {
            pool: config.pool,
            keys: config.keys,
            verifier,
            passwords: Passwords::new()?,
            attempts: config.limit_attempts.then(Attempts::default),
        })
    }

    /// The keys that sign the provider's tokens.
    pub fn keys(&self) -> &BuiltInKeys {
        &self.keys
    }

    /// Makes an account and signs it in.
    pub async fn sign_up(&self, new: SignUp, address: IpAddr) -> Result<SignedIn, IdentityError> {
        self.limit(|attempts| attempts.from(address))?;
        let address_of = email::parse(&new.email).ok_or(IdentityError::InvalidEmail)?;
        let account = self
            .create(&address_of, new.password, new.user_metadata)
            .await?;
        self.open_session(&account).await
    }

    /// Signs in by password. An unknown address takes as long as a wrong password.
    pub async fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        address: IpAddr,
    ) -> Result<SignedIn, IdentityError> {
        let email = email::parse(email).ok_or(IdentityError::InvalidCredentials)?;
        self.limit(|attempts| attempts.sign_in(&email, address))?;
        let account = store::account_by_email(&self.pool, &email).await?;
        let stored = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let right = self.passwords.matches(password, stored).await?;
        match account.filter(|_| right) {
            Some(account) => {
                self.limit(|attempts| {
                    attempts.succeeded(&email, address);
                    Ok(())
                })?;
                self.open_session(&account).await
            }
            None => {
                tracing::warn!(target: "security", %address, "sign-in refused");
                Err(IdentityError::InvalidCredentials)
            }
        }
    }

    /// Trades a refresh token for a fresh session. A token that was used before ends its session,
    /// for one of its two holders stole it, unless [`REUSE_WINDOW`] explains it.
    pub async fn refresh(&self, token: &SecretString) -> Result<SignedIn, IdentityError> {
        use secrecy::ExposeSecret as _;
        let hash = hash_refresh_token(token.expose_secret());
        let turn = store::RefreshTurn::begin(&self.pool, &hash).await?;
        let turn = turn.ok_or(IdentityError::RefreshTokenNotFound)?;
        let now = Utc::now();
        let (account, session) = (turn.account.clone(), turn.session);
        let next = match judge(&turn, now) {
            Ruling::Rotate => {
                let next = self.new_refresh_token();
                turn.rotate(&next, now, now - MAX_IDLE).await?;
                next.id
            }
            Ruling::SameAgain(active) => active,
            Ruling::Expired => {
                turn.end_session().await?;
                return Err(IdentityError::SessionExpired);
            }
            Ruling::Stolen => {
                tracing::warn!(target: "security", user = %account.id, session = %session.id, "a used refresh token came again; its session was ended");
                turn.end_session().await?;
                return Err(IdentityError::RefreshTokenUsed);
            }
        };
        self.signed_in(account, &session, next, now)
    }

    /// The account of the person who sends this access token, while its session lives.
    pub async fn account(&self, access_token: &str) -> Result<Account, IdentityError> {
        self.caller(access_token).await.map(|caller| caller.account)
    }

    /// Changes the caller's account. A new password ends their other sessions.
    pub async fn update(
        &self,
        access_token: &str,
        change: Change,
    ) -> Result<Account, IdentityError> {
        let caller = self.caller(access_token).await?;
        let current = &caller.account.password_hash;
        if let Some(claimed) = change.current_password
            && !self
                .passwords
                .matches(claimed, Some(current.clone()))
                .await?
        {
            return Err(IdentityError::InvalidCredentials);
        }
        let password_hash = match change.password {
            Some(new) if !passwords::is_acceptable(&new) => {
                return Err(IdentityError::WeakPassword);
            }
            Some(new)
                if self
                    .passwords
                    .matches(new.clone(), Some(current.clone()))
                    .await? =>
            {
                return Err(IdentityError::SamePassword);
            }
            Some(new) => Some(self.passwords.hash(new).await?),
            None => None,
        };
        let email = match change.email {
            Some(text) => Some(email::parse(&text).ok_or(IdentityError::InvalidEmail)?),
            None => None,
        };
        refuse_nul(&change.user_metadata)?;
        let (removed, set): (Map<_, _>, Map<_, _>) = change
            .user_metadata
            .into_iter()
            .partition(|(_, value)| value.is_null());
        let change = store::AccountChange {
            email,
            password_hash,
            set_metadata: set,
            remove_metadata: removed.into_iter().map(|(name, _)| name).collect(),
        };
        let (user, keep) = (caller.account.id, caller.session);
        store::update_account(&self.pool, user, keep, &change, Utc::now())
            .await
            .map_err(|error| match error {
                store::WriteError::EmailTaken => IdentityError::EmailTaken,
                other => other.into(),
            })
    }

    /// Ends sessions of the caller. Their refresh tokens fail at once; access tokens live on until
    /// they expire, which is why [`Provider::session_is_live`] exists.
    pub async fn sign_out(&self, access_token: &str, scope: Scope) -> Result<(), IdentityError> {
        let caller = self.caller(access_token).await?;
        match scope {
            Scope::Local => store::end_session(&self.pool, caller.session).await?,
            Scope::Global => store::end_sessions(&self.pool, caller.account.id, None).await?,
            Scope::Others => {
                store::end_sessions(&self.pool, caller.account.id, Some(caller.session)).await?;
            }
        }
        Ok(())
    }

    /// Whether a token's session (`session_id`) has not been signed out.
    pub async fn session_is_live(&self, session: Uuid) -> Result<bool, IdentityError> {
        Ok(store::session_is_live(&self.pool, session).await?)
    }

    /// The account of that address, made where it is missing; one that is there keeps its
    /// password. For the demo login of development alone.
    pub async fn ensure_user(
        &self,
        email: &str,
        password: SecretString,
    ) -> Result<UserId, IdentityError> {
        let email = email::parse(email).ok_or(IdentityError::InvalidEmail)?;
        if let Some(account) = store::account_by_email(&self.pool, &email).await? {
            return Ok(account.id);
        }
        match self.create(&email, password, Map::new()).await {
            Ok(account) => Ok(account.id),
            // Another process was faster.
            Err(IdentityError::UserExists) => store::account_by_email(&self.pool, &email)
                .await?
                .map(|account| account.id)
                .ok_or(IdentityError::UserExists),
            Err(error) => Err(error),
        }
    }

    async fn create(
        &self,
        email: &str,
        password: SecretString,
        user_metadata: Map<String, Value>,
    ) -> Result<Account, IdentityError> {
        if !passwords::is_acceptable(&password) {
            return Err(IdentityError::WeakPassword);
        }
        refuse_nul(&user_metadata)?;
        let password_hash = self.passwords.hash(password).await?;
        let new = store::NewAccount {
            id: UserId(Uuid::now_v7()),
            email,
            password_hash: &password_hash,
            user_metadata: &user_metadata,
        };
        Ok(store::insert_account(&self.pool, &new, Utc::now()).await?)
    }

    async fn open_session(&self, account: &Account) -> Result<SignedIn, IdentityError> {
        let now = Utc::now();
        let session = store::Session {
            id: Uuid::new_v4(),
            created_at: now,
            refreshed_at: now,
        };
        let token = self.new_refresh_token();
        let account = store::open_session(&self.pool, account, &session, &token).await?;
        let account = account.ok_or(IdentityError::InvalidCredentials)?;
        self.signed_in(account, &session, token.id, now)
    }

    async fn caller(&self, access_token: &str) -> Result<Caller, IdentityError> {
        let principal = self.verifier.verify(access_token).await?;
        let session = principal.session.ok_or(IdentityError::SessionNotFound)?;
        let account = store::account_by_session(&self.pool, session, principal.user).await?;
        Ok(Caller {
            session,
            account: account.ok_or(IdentityError::SessionNotFound)?,
        })
    }

    fn new_refresh_token(&self) -> store::NewRefreshToken {
        let id = Uuid::new_v4();
        store::NewRefreshToken {
            id,
            hash: hash_refresh_token(&self.keys.refresh_token(id)),
        }
    }

    fn signed_in(
        &self,
        account: Account,
        session: &store::Session,
        refresh_token: Uuid,
        now: DateTime<Utc>,
    ) -> Result<SignedIn, IdentityError> {
        let expires_at = now + TimeDelta::seconds(ACCESS_TOKEN_SECONDS);
        let claims = json!({
            "iss": self.keys.issuer(),
            "sub": account.id,
            "aud": "authenticated",
            "exp": expires_at.timestamp(),
            "iat": now.timestamp(),
            "email": account.email,
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": account.user_metadata,
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": session.created_at.timestamp()}],
            "session_id": session.id,
            "is_anonymous": false,
        });
        Ok(SignedIn {
            access_token: self.keys.sign(&claims)?,
            expires_at,
            refresh_token: SecretString::from(self.keys.refresh_token(refresh_token)),
            account,
        })
    }

    fn limit(
        &self,
        check: impl FnOnce(&Attempts) -> Result<(), TooMany>,
    ) -> Result<(), IdentityError> {
        match &self.attempts {
            Some(attempts) => check(attempts).map_err(|TooMany { retry_after }| {
                tracing::warn!(target: "security", "too many attempts to sign in");
                IdentityError::TooManyAttempts { retry_after }
            }),
            None => Ok(()),
        }
    }
}

struct Caller {
    session: Uuid,
    account: Account,
}

/// What becomes of a refresh token that was shown.
#[derive(Debug, PartialEq, Eq)]
enum Ruling {
    Rotate,
    /// Give the active token (by id) once more.
    SameAgain(Uuid),
    Expired,
    Stolen,
}

fn judge(turn: &store::RefreshTurn, now: DateTime<Utc>) -> Ruling {
    rule(turn.presented, turn.active, turn.session.refreshed_at, now)
}

fn rule(
    presented: store::RefreshToken,
    active: Option<store::RefreshToken>,
    refreshed_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Ruling {
    if now - refreshed_at > MAX_IDLE {
        return Ruling::Expired;
    }
    match (presented.used_at, active) {
        (None, _) => Ruling::Rotate,
        (Some(used_at), Some(active))
            if active.parent == Some(presented.id) && now - used_at <= REUSE_WINDOW =>
        {
            Ruling::SameAgain(active.id)
        }
        _ => Ruling::Stolen,
    }
}

/// Postgres can't store NUL in JSONB; the answer should be a refusal, not a fault.
fn refuse_nul(metadata: &Map<String, Value>) -> Result<(), IdentityError> {
    fn clean(value: &Value) -> bool {
        match value {
            Value::String(text) => !text.contains('\0'),
            Value::Array(items) => items.iter().all(clean),
            Value::Object(members) => clean_members(members),
            _ => true,
        }
    }
    fn clean_members(members: &Map<String, Value>) -> bool {
        members
            .iter()
            .all(|(name, value)| !name.contains('\0') && clean(value))
    }
    if clean_members(metadata) {
        Ok(())
    } else {
        Err(IdentityError::InvalidMetadata)
    }
}

impl From<PasswordError> for IdentityError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            other => Self::Password(other),
        }
    }
}

impl From<store::WriteError> for IdentityError {
    fn from(error: store::WriteError) -> Self {
        match error {
            store::WriteError::EmailTaken => Self::UserExists,
            store::WriteError::MetadataTooLarge => Self::InvalidMetadata,
            store::WriteError::Database(error) => Self::Database(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::identity::RefreshToken;

    fn token(id: u128, parent: Option<u128>, used_at: Option<DateTime<Utc>>) -> RefreshToken {
        RefreshToken {
            id: Uuid::from_u128(id),
            parent: parent.map(Uuid::from_u128),
            used_at,
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_active_token_is_rotated() {
        let active = token(2, Some(1), None);
        assert_eq!(rule(active, Some(active), at(0), at(3000)), Ruling::Rotate);
    }

    #[test]
    fn the_one_before_brings_the_same_answer_for_ten_seconds() {
        let (parent, active) = (token(1, None, Some(at(0))), token(2, Some(1), None));
        assert_eq!(
            rule(parent, Some(active), at(0), at(10)),
            Ruling::SameAgain(active.id)
        );
        assert_eq!(rule(parent, Some(active), at(0), at(11)), Ruling::Stolen);
    }

    #[test]
    fn an_older_ancestor_is_stolen_however_soon_it_comes() {
        let (grandparent, active) = (token(1, None, Some(at(0))), token(3, Some(2), None));
        assert_eq!(
            rule(grandparent, Some(active), at(1), at(1)),
            Ruling::Stolen
        );
    }

    #[test]
    fn a_session_left_alone_for_thirty_days_has_ended() {
        let active = token(1, None, None);
        let day = 24 * 3600;
        assert_eq!(
            rule(active, Some(active), at(0), at(30 * day)),
            Ruling::Rotate
        );
        assert_eq!(
            rule(active, Some(active), at(0), at(30 * day + 1)),
            Ruling::Expired
        );
    }

    #[test]
    fn nul_is_found_however_deep() {
        let metadata = |value: Value| refuse_nul(value.as_object().unwrap()).is_ok();
        assert!(metadata(json!({"name": "Ada", "tags": ["a", {"b": 1}]})));
        assert!(!metadata(json!({"tags": [{"b": "\0"}]})));
        assert!(!metadata(json!({"\0": 1})));
    }
}
