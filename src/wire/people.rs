//! Workspaces, members, invitations and the caller as clients see them.

use serde::{Deserialize, Serialize};

use crate::domain::item::time;
use crate::domain::roles::Role;
use crate::ids::{InviteId, UserId, WorkspaceId};
use crate::store::invites::Invite;
use crate::store::members::{Member, Membership};

/// A workspace and the caller's role in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WorkspaceOut {
    #[schema(value_type = uuid::Uuid)]
    pub id: WorkspaceId,
    pub name: String,
    pub role: Role,
    /// The position of its log.
    pub seq: i64,
    pub oldest_seq: i64,
    pub created_at: String,
    #[schema(value_type = uuid::Uuid)]
    pub created_by: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
}

/// A workspace in the list of the caller's.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MembershipOut {
    /// The workspace's id; `workspace_id` is the same.
    #[schema(value_type = uuid::Uuid)]
    pub id: WorkspaceId,
    #[schema(value_type = uuid::Uuid)]
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub role: Role,
    pub joined_at: String,
}

impl MembershipOut {
    pub fn new(membership: &Membership) -> MembershipOut {
        MembershipOut {
            id: membership.workspace,
            workspace_id: membership.workspace,
            name: membership.name.clone(),
            role: membership.role,
            joined_at: time(membership.joined_at),
        }
    }
}

/// A member of a workspace.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MemberOut {
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    pub role: Role,
    pub email: Option<String>,
    pub display_name: String,
    pub joined_at: String,
}

impl MemberOut {
    pub fn new(member: &Member) -> MemberOut {
        MemberOut {
            user_id: member.user,
            role: member.role,
            email: member.email.clone(),
            display_name: member.display_name.clone(),
            joined_at: time(member.joined_at),
        }
    }
}

/// An invitation; its token is shown once, by the answer that makes it.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteOut {
    #[schema(value_type = uuid::Uuid)]
    pub id: InviteId,
    pub email: String,
    pub role: Role,
    pub created_at: String,
    #[schema(value_type = uuid::Uuid)]
    pub created_by: UserId,
    pub expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl InviteOut {
    pub fn new(invite: &Invite) -> InviteOut {
        InviteOut {
            id: invite.id,
            email: invite.email.clone(),
            role: Role::from_name(&invite.role).unwrap_or(Role::Viewer),
            created_at: time(invite.created_at),
            created_by: invite.created_by,
            expires_at: time(invite.expires_at),
            token: None,
        }
    }
}
