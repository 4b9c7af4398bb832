//! Who may do what: the only table of it. Pure; knows nothing of people or workspaces.

use serde::{Deserialize, Serialize};

/// A member's role. Each includes all that the ones before it may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Commenter,
    Editor,
    Admin,
    Owner,
}

/// What a caller asks to do in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read the workspace, its lists, items, members, events.
    Read,
    /// Leave, or change one's own membership downwards.
    Leave,
    /// Write comments, change and delete one's own.
    Comment,
    /// Write items; import into existing columns; export.
    WriteItems,
    /// Make views, change and delete one's own.
    WriteViews,
    /// Change and delete the views that others share.
    ManageViews,
    /// Delete the comments of others.
    ManageComments,
    /// Change lists and columns.
    WriteSchema,
    /// Invite, change and remove members up to admin.
    ManageMembers,
    /// Read the audit log and verify its chain.
    ReadAudit,
    /// Rename the workspace.
    ManageWorkspace,
    /// Make, change and remove owners; delete and restore the workspace.
    Own,
}

impl Action {
    /// The lowest role that may do this.
    pub fn needs(self) -> Role {
        match self {
            Action::Read | Action::Leave => Role::Viewer,
            Action::Comment => Role::Commenter,
            Action::WriteItems | Action::WriteViews => Role::Editor,
            Action::WriteSchema
            | Action::ManageViews
            | Action::ManageComments
            | Action::ManageMembers
            | Action::ReadAudit
            | Action::ManageWorkspace => Role::Admin,
            Action::Own => Role::Owner,
        }
    }
}

impl Role {
    /// All roles, lowest first.
    pub const ALL: [Role; 5] = [
        Role::Viewer,
        Role::Commenter,
        Role::Editor,
        Role::Admin,
        Role::Owner,
    ];

    /// Whether this role may do `action`.
    pub fn may(self, action: Action) -> bool {
        self >= action.needs()
    }

    /// Whether this role may give, change or take away `other`: owners handle every role, admins
    /// all but owner, the rest none.
    pub fn may_grant(self, other: Role) -> bool {
        match self {
            Role::Owner => true,
            Role::Admin => other <= Role::Admin,
            Role::Viewer | Role::Commenter | Role::Editor => false,
        }
    }

    /// The role's name on the wire and in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Commenter => "commenter",
            Role::Editor => "editor",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_one_below_it_may() {
        for pair in Role::ALL.windows(2) {
            for action in [
                Action::Read,
                Action::Leave,
                Action::Comment,
                Action::WriteItems,
                Action::WriteViews,
                Action::ManageViews,
                Action::ManageComments,
                Action::WriteSchema,
                Action::ManageMembers,
                Action::ReadAudit,
                Action::ManageWorkspace,
                Action::Own,
            ] {
                assert!(!pair[0].may(action) || pair[1].may(action));
            }
        }
    }

    #[test]
    fn nobody_grants_above_themselves() {
        for giver in Role::ALL {
            for given in Role::ALL {
                assert!(!giver.may_grant(given) || given <= giver);
            }
        }
    }

    #[test]
    fn names_go_there_and_back() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_name("root"), None);
    }
}
