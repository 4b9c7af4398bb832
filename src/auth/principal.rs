//! The person behind a request, as far as a verified token says. Holds no rights: those follow
//! from the membership of a workspace.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::ids::UserId;

/// A person whose token was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `sub`: the person, for ever.
    pub user: UserId,
    /// The address the provider vouches for, normalised. With auto-confirm anybody may own any
    /// address: never grant anything by it alone.
    pub email: Option<String>,
    /// `session_id`, by which a sign-out can be told.
    pub session: Option<Uuid>,
    /// From here on the token is refused (plus [`super::tokens::LEEWAY_SECONDS`]).
    pub expires_at: DateTime<Utc>,
    /// For display only: it comes from `user_metadata`, which the person may write.
    pub name: Option<String>,
}
