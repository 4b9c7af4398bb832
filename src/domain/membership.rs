//! Who may change whose membership. Pure; the lane runs these one after the other, so two owners who
//! demote each other at once meet the rule in turn.

use std::collections::BTreeMap;

use super::roles::{Action, Role};
use crate::error::{AppError, ErrorCode};
use crate::ids::UserId;

/// The members of a workspace by person.
pub type Members = BTreeMap<UserId, Role>;

/// Judges giving `target` the role `new`; gives the old one.
pub fn judge_role(
    members: &Members,
    by: UserId,
    target: UserId,
    new: Role,
) -> Result<Role, AppError> {
    let (own, old) = both(members, by, target)?;
    let steps_down = by == target && new < old;
    let manages = own.may(Action::ManageMembers) && own.may_grant(old) && own.may_grant(new);
    if !steps_down && !manages {
        return Err(AppError::forbidden());
    }
    if old == Role::Owner && new != Role::Owner {
        keep_an_owner(members)?;
    }
    Ok(old)
}

/// Judges taking `target` out (leaving is taking oneself out); gives the old role.
pub fn judge_removal(members: &Members, by: UserId, target: UserId) -> Result<Role, AppError> {
    let (own, old) = both(members, by, target)?;
    if by != target && !(own.may(Action::ManageMembers) && own.may_grant(old)) {
        return Err(AppError::forbidden());
    }
    if old == Role::Owner {
        keep_an_owner(members)?;
    }
    Ok(old)
}

/// The caller's role and the target's: a stranger learns nothing, a viewer may not ask about others.
fn both(members: &Members, by: UserId, target: UserId) -> Result<(Role, Role), AppError> {
    let own = members.get(&by).copied().ok_or_else(AppError::not_found)?;
    if by != target && !own.may(Action::ManageMembers) {
        return Err(AppError::forbidden());
    }
    let old = members
        .get(&target)
        .copied()
        .ok_or_else(AppError::not_found)?;
    Ok((own, old))
}

fn keep_an_owner(members: &Members) -> Result<(), AppError> {
    let owners = members
        .values()
        .filter(|role| **role == Role::Owner)
        .count();
    if owners > 1 {
        return Ok(());
    }
    Err(AppError::new(
        ErrorCode::LastOwner,
        "Make someone else an owner first",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn user(n: u8) -> UserId {
        UserId(Uuid::from_u128(u128::from(n)))
    }

    fn any_role() -> impl Strategy<Value = Role> {
        (0usize..5).prop_map(|index| Role::ALL[index])
    }

    proptest! {
        /// Whatever is tried in whatever order: an owner is left, and nobody rises above the one
        /// who lifted them.
        #[test]
        fn an_owner_is_always_left(
            roles in proptest::collection::vec(any_role(), 1..6),
            steps in proptest::collection::vec((0u8..7, 0u8..7, proptest::option::of(any_role())), 0..60),
        ) {
            let mut members: Members = roles.into_iter().enumerate()
                .map(|(n, role)| (user(u8::try_from(n).unwrap()), role)).collect();
            members.insert(user(0), Role::Owner);
            for (by, target, new) in steps {
                let (by, target) = (user(by), user(target));
                let own = members.get(&by).copied();
                match new {
                    Some(new) => if judge_role(&members, by, target, new).is_ok() {
                        prop_assert!(new <= own.unwrap());
                        members.insert(target, new);
                    },
                    None => if judge_removal(&members, by, target).is_ok() {
                        members.remove(&target);
                    },
                }
                prop_assert!(members.values().any(|role| *role == Role::Owner));
            }
        }
    }

    #[test]
    fn two_owners_who_demote_each_other_leave_one() {
        let mut members = Members::from([(user(1), Role::Owner), (user(2), Role::Owner)]);
        assert!(judge_role(&members, user(1), user(2), Role::Editor).is_ok());
        members.insert(user(2), Role::Editor);
        assert_eq!(
            judge_role(&members, user(2), user(1), Role::Editor)
                .unwrap_err()
                .code,
            ErrorCode::Forbidden
        );
        assert_eq!(
            judge_removal(&members, user(1), user(1)).unwrap_err().code,
            ErrorCode::LastOwner
        );
    }
}
