//! People as others see them. A profile belongs to no workspace, so this is one of the named places
//! without one: only its owner writes it, and it is read beside a membership.

use chrono::{DateTime, Utc};

use super::{Db, StoreError};
use crate::ids::UserId;

/// A person's profile.
#[derive(Clone, Debug)]
pub struct Profile {
    pub email: Option<String>,
    pub display_name: String,
    pub created_at: DateTime<Utc>,
}

/// The caller's profile, made at the first visit; the address follows the token's claim.
pub async fn visit(
    db: &Db,
    user: UserId,
    email: Option<&str>,
    name: Option<&str>,
) -> Result<Profile, StoreError> {
    let (email, display_name, created_at) = sqlx::query_as(
        "INSERT INTO estatebase.profiles AS p (user_id, email, display_name)
         VALUES ($1, $2, coalesce($3, split_part($2, '@', 1), ''))
         ON CONFLICT (user_id) DO UPDATE
            SET email = coalesce(EXCLUDED.email, p.email), updated_at = now()
         RETURNING email, display_name, created_at",
    )
    .bind(user.uuid())
    .bind(email)
    .bind(name)
    .fetch_one(db.outside())
    .await?;
    Ok(Profile {
        email,
        display_name,
        created_at,
    })
}

/// What others call a person, once the person has a profile.
pub async fn name_of(db: &Db, user: UserId) -> Result<Option<String>, StoreError> {
    let name =
        sqlx::query_scalar("SELECT display_name FROM estatebase.profiles WHERE user_id = $1")
            .bind(user.uuid())
            .fetch_optional(db.outside())
            .await?;
    Ok(name)
}

/// Changes the caller's name.
pub async fn rename(db: &Db, user: UserId, display_name: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE estatebase.profiles SET display_name = $2, updated_at = now() WHERE user_id = $1",
    )
    .bind(user.uuid())
    .bind(display_name)
    .execute(db.outside())
    .await?;
    Ok(())
}
