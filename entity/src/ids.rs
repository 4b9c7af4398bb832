//! Newtype ids, so that a list's id can never stand where a workspace's belongs.
//! On the wire and in Postgres each is a UUID (RFC 9562); those made by the server are version 7.

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            DeriveValueType,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The bare UUID, for binding to SQL and for hashing.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

id!(
    /// A tenant: one ordered log with one writer.
    WorkspaceId
);
id!(
    /// A person, as the identity provider names them (`sub`).
    UserId
);
id!(
    /// A list of a workspace.
    ListId
);
id!(
    /// A row of a list.
    ItemId
);
id!(
    /// An invitation into a workspace.
    InviteId
);
id!(
    /// An import or another long-running piece of work.
    JobId
);
id!(
    /// A saved view of a list.
    ViewId
);
id!(
    /// A comment on an item.
    CommentId
);
id!(
    /// A public link to a form.
    FormId
);
