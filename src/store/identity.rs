//! SQL of the schema `identity`: accounts, sessions, refresh tokens of the built-in provider.
//! Stands outside any tenant. Which token is good and what follows is judged in `auth::provider`.
//!
//! Raw SQL, for most of it is conditional writes that must be one statement to be free of races.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, Row as _, Transaction};
use uuid::Uuid;

use crate::ids::UserId;

/// A person's account.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: UserId,
    /// Normalised.
    pub email: String,
    /// In PHC string format.
    pub password_hash: SecretString,
    /// What the person says about themselves.
    pub user_metadata: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

/// A device that is signed in.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    /// Of the last sign-in or refresh.
    pub refreshed_at: DateTime<Utc>,
}

/// A refresh token as stored: by its hash only.
#[derive(Clone, Copy, Debug)]
pub struct RefreshToken {
    pub id: Uuid,
    /// The token whose place it took.
    pub parent: Option<Uuid>,
    /// When its own place was taken; `None` in the active token of a session.
    pub used_at: Option<DateTime<Utc>>,
}

/// A refresh token about to be stored.
pub struct NewRefreshToken {
    pub id: Uuid,
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
}

/// An account about to be made.
pub struct NewAccount<'a> {
    pub id: UserId,
    pub email: &'a str,
    pub password_hash: &'a str,
    pub user_metadata: &'a Map<String, Value>,
}

/// What to change in an account; `None` and empty leave things as they are.
#[derive(Default)]
pub struct AccountChange {
    pub email: Option<String>,
    /// A new one ends all sessions but the one that is kept.
    pub password_hash: Option<String>,
    pub set_metadata: Map<String, Value>,
    pub remove_metadata: Vec<String>,
}

/// Why a write was not done.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the address belongs to another account")]
    EmailTaken,
    #[error("the metadata has become too large")]
    MetadataTooLarge,
    #[error(transparent)]
    Database(sqlx::Error),
}

/// Makes an account.
pub async fn insert_account(
    pool: &PgPool,
    new: &NewAccount<'_>,
    now: DateTime<Utc>,
) -> Result<Account, WriteError> {
    let row = sqlx::query(
        "INSERT INTO identity.users (id, email, password_hash, user_metadata, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         RETURNING *",
    )
    .bind(new.id.uuid())
    .bind(new.email)
    .bind(new.password_hash)
    .bind(sqlx::types::Json(new.user_metadata))
    .bind(now)
    .fetch_one(pool)
    .await?;
    Ok(account(&row)?)
}

/// The account of a normalised address.
pub async fn account_by_email(pool: &PgPool, email: &str) -> Result<Option<Account>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM identity.users WHERE email = $1")
        .bind(email)
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(account).transpose()
}

/// The account whose session this is; `None` once the session has ended.
pub async fn account_by_session(
    pool: &PgPool,
    session: Uuid,
    user: UserId,
) -> Result<Option<Account>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT u.* FROM identity.sessions s JOIN identity.users u ON u.id = s.user_id
         WHERE s.id = $1 AND s.user_id = $2",
    )
    .bind(session)
    .bind(user.uuid())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(account).transpose()
}

/// Changes an account, on behalf of the session `keep`.
pub async fn update_account(
    pool: &PgPool,
    user: UserId,
    keep: Uuid,
    change: &AccountChange,
    now: DateTime<Utc>,
) -> Result<Account, WriteError> {
    let mut transaction = pool.begin().await?;
    let row = sqlx::query(
        "UPDATE identity.users
         SET email = coalesce($2, email),
             password_hash = coalesce($3, password_hash),
             user_metadata = (user_metadata || $4) - $5::text[],
             updated_at = $6
         WHERE id = $1
         RETURNING *",
    )
    .bind(user.uuid())
    .bind(change.email.as_deref())
    .bind(change.password_hash.as_deref())
    .bind(sqlx::types::Json(&change.set_metadata))
    .bind(&change.remove_metadata)
    .bind(now)
    .fetch_one(&mut *transaction)
    .await?;
    if change.password_hash.is_some() {
        end_sessions(&mut *transaction, user, Some(keep)).await?;
    }
    transaction.commit().await?;
    Ok(account(&row)?)
}

/// Opens a session with its first refresh token, and notes the sign-in. `None` when the account
/// has gone meanwhile, or its password is no longer the one that was checked: a sign-in must not
/// slip through beside a change of password that ends all others.
pub async fn open_session(
    pool: &PgPool,
    checked: &Account,
    session: &Session,
    token: &NewRefreshToken,
) -> Result<Option<Account>, sqlx::Error> {
    use secrecy::ExposeSecret as _;
    let row = sqlx::query(
        "WITH person AS (
             UPDATE identity.users SET last_sign_in_at = $4
             WHERE id = $1 AND password_hash = $6
             RETURNING *
         ), opened AS (
             INSERT INTO identity.sessions (id, user_id, created_at, refreshed_at)
             SELECT $2, id, $4, $4 FROM person
         ), armed AS (
             INSERT INTO identity.refresh_tokens (id, session_id, hash, created_at)
             SELECT $3, $2, $5, $4 FROM person
         )
         SELECT * FROM person",
    )
    .bind(checked.id.uuid())
    .bind(session.id)
    .bind(token.id)
    .bind(session.created_at)
    .bind(&token.hash)
    .bind(checked.password_hash.expose_secret())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(account).transpose()
}

/// Whether the session has not been ended.
pub async fn session_is_live(pool: &PgPool, session: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM identity.sessions WHERE id = $1)")
        .bind(session)
        .fetch_one(pool)
        .await
}

/// Ends one session; its refresh tokens go with it.
pub async fn end_session(pool: &PgPool, session: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM identity.sessions WHERE id = $1")
        .bind(session)
        .execute(pool)
        .await?;
    Ok(())
}

/// Ends all sessions of a person, but for `keep`.
pub async fn end_sessions<'c>(
    database: impl sqlx::Executor<'c, Database = Postgres>,
    user: UserId,
    keep: Option<Uuid>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM identity.sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2")
        .bind(user.uuid())
        .bind(keep)
        .execute(database)
        .await?;
    Ok(())
}

/// A session held still while it is judged whether it may be refreshed. Ends with exactly one of
/// [`RefreshTurn::rotate`], [`RefreshTurn::end_session`] or being dropped (nothing changes).
pub struct RefreshTurn {
    transaction: Transaction<'static, Postgres>,
    pub account: Account,
    pub session: Session,
    /// The token that was shown.
    pub presented: RefreshToken,
    /// The session's one unused token; the same as `presented`, as a rule.
    pub active: Option<RefreshToken>,
}

impl RefreshTurn {
    /// Locks the session of the token with this hash; `None` where there is none.
    ///
    /// The lock comes first and alone: what is read after it is what the one before us left.
    pub async fn begin(pool: &PgPool, hash: &[u8]) -> Result<Option<Self>, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        let locked = sqlx::query(
            "SELECT id, created_at, refreshed_at, user_id FROM identity.sessions
             WHERE id = (SELECT session_id FROM identity.refresh_tokens WHERE hash = $1)
             FOR UPDATE",
        )
        .bind(hash)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(locked) = locked else {
            return Ok(None);
        };
        let session = Session {
            id: locked.try_get("id")?,
            created_at: locked.try_get("created_at")?,
            refreshed_at: locked.try_get("refreshed_at")?,
        };
        let person = sqlx::query("SELECT * FROM identity.users WHERE id = $1")
            .bind(locked.try_get::<Uuid, _>("user_id")?)
            .fetch_one(&mut *transaction)
            .await?;
        let tokens = sqlx::query(
            "SELECT id, parent, used_at, hash = $2 AS presented FROM identity.refresh_tokens
             WHERE session_id = $1 AND (hash = $2 OR used_at IS NULL)",
        )
        .bind(session.id)
        .bind(hash)
        .fetch_all(&mut *transaction)
        .await?;
        let (mut presented, mut active) = (None, None);
        for row in &tokens {
            let token = refresh_token(row)?;
            if row.try_get("presented")? {
                presented = Some(token);
            }
            if token.used_at.is_none() {
                active = Some(token);
            }
        }
        let account = account(&person)?;
        Ok(presented.map(|presented| Self {
            transaction,
            account,
            session,
            presented,
            active,
        }))
    }

    /// The presented token is used up and `next` takes its place. Used tokens that no session can
    /// be older than (`forget_before`) are forgotten on the way.
    pub async fn rotate(
        mut self,
        next: &NewRefreshToken,
        now: DateTime<Utc>,
        forget_before: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM identity.refresh_tokens WHERE session_id = $1 AND used_at < $2")
            .bind(self.session.id)
            .bind(forget_before)
            .execute(&mut *self.transaction)
            .await?;
        sqlx::query("UPDATE identity.refresh_tokens SET used_at = $2 WHERE id = $1")
            .bind(self.presented.id)
            .bind(now)
            .execute(&mut *self.transaction)
            .await?;
        // One statement more rather than one CTE: the old token must be used before the new one
        // is there, for only one may be active.
        sqlx::query(
            "WITH armed AS (
                 INSERT INTO identity.refresh_tokens (id, session_id, hash, parent, created_at)
                 VALUES ($2, $1, $3, $4, $5)
             )
             UPDATE identity.sessions SET refreshed_at = $5 WHERE id = $1",
        )
        .bind(self.session.id)
        .bind(next.id)
        .bind(&next.hash)
        .bind(self.presented.id)
        .bind(now)
        .execute(&mut *self.transaction)
        .await?;
        self.transaction.commit().await
    }

    /// Ends the session for good.
    pub async fn end_session(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM identity.sessions WHERE id = $1")
            .bind(self.session.id)
            .execute(&mut *self.transaction)
            .await?;
        self.transaction.commit().await
    }
}

fn account(row: &PgRow) -> Result<Account, sqlx::Error> {
    Ok(Account {
        id: UserId(row.try_get("id")?),
        email: row.try_get("email")?,
        password_hash: SecretString::from(row.try_get::<String, _>("password_hash")?),
        user_metadata: row.try_get("user_metadata")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        last_sign_in_at: row.try_get("last_sign_in_at")?,
    })
}

fn refresh_token(row: &PgRow) -> Result<RefreshToken, sqlx::Error> {
    Ok(RefreshToken {
        id: row.try_get("id")?,
        parent: row.try_get("parent")?,
        used_at: row.try_get("used_at")?,
    })
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        let broken = error
            .as_database_error()
            .and_then(|error| error.constraint());
        match broken {
            Some("users_email_key") => Self::EmailTaken,
            Some("users_metadata_size") => Self::MetadataTooLarge,
            _ => Self::Database(error),
        }
    }
}
