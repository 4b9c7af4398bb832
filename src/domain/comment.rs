//! Comments on items: what one may say, who may change it. Pure.

use chrono::{DateTime, Utc};

use super::roles::{Action, Role};
use crate::error::{AppError, FieldError};
use crate::ids::{CommentId, ItemId, ListId, UserId};

/// Characters of a comment at most.
pub const MAX_BODY: usize = 10_000;
/// People named in one comment at most.
pub const MAX_MENTIONS: usize = 50;

/// A comment on an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub id: CommentId,
    pub list: ListId,
    pub item: ItemId,
    pub author: UserId,
    pub body: String,
    /// Each once, in the order in which they were named.
    pub mentions: Vec<UserId>,
    /// Counts its changes, from 1.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// What a comment says.
#[derive(Clone, Debug)]
pub struct Said {
    pub body: String,
    pub mentions: Vec<UserId>,
}

impl Said {
    /// What is said, if it may be: 1 to [`MAX_BODY`] characters that are more than space, and members
    /// alone among those who are named.
    pub fn checked(mut self, is_member: impl Fn(UserId) -> bool) -> Result<Said, AppError> {
        let mut errors = Vec::new();
        let mut refuse = |path: String, code: &'static str, message: String| {
            errors.push(FieldError {
                path,
                code: code.into(),
                message,
            });
        };
        if self.body.trim().is_empty() {
            refuse("/body".into(), "empty", "a comment says something".into());
        }
        if self.body.chars().count() > MAX_BODY {
            let message = format!("longer than {MAX_BODY} characters");
            refuse("/body".into(), "too_long", message);
        }
        if self.body.contains('\0') {
            let message = "text can't hold the NUL character";
            refuse("/body".into(), "bad_text", message.into());
        }
        if self.mentions.len() > MAX_MENTIONS {
            let message = format!("at most {MAX_MENTIONS} people in one comment");
            refuse("/mentions".into(), "too_many", message);
        } else {
            for (at, person) in self.mentions.iter().enumerate() {
                if !is_member(*person) {
                    let message = "no member of this workspace";
                    refuse(format!("/mentions/{at}"), "not_a_member", message.into());
                }
            }
        }
        if !errors.is_empty() {
            return Err(AppError::fields(errors));
        }
        let mut seen = Vec::new();
        for person in self.mentions {
            if !seen.contains(&person) {
                seen.push(person);
            }
        }
        self.mentions = seen;
        Ok(self)
    }
}

impl Comment {
    /// Its author alone changes what it says.
    pub fn editable_by(&self, user: UserId) -> Result<(), AppError> {
        self.living()?;
        if self.author == user {
            Ok(())
        } else {
            Err(AppError::forbidden())
        }
    }

    /// Its author and admins delete it.
    pub fn deletable_by(&self, user: UserId, role: Role) -> Result<(), AppError> {
        self.living()?;
        if self.author == user || role.may(Action::ManageComments) {
            Ok(())
        } else {
            Err(AppError::forbidden())
        }
    }

    /// 410 for a deleted one.
    pub fn living(&self) -> Result<(), AppError> {
        match self.deleted_at {
            Some(_) => Err(AppError::gone("The comment was deleted")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn said(body: &str, mentions: &[u128]) -> Result<Said, AppError> {
        let said = Said {
            body: body.into(),
            mentions: mentions.iter().map(|n| user(*n)).collect(),
        };
        said.checked(|person| person < user(10))
    }

    #[test]
    fn what_can_not_be_said_is_named_by_path() {
        let long = "ä".repeat(MAX_BODY + 1);
        for (body, mentions, path, code) in [
            ("", &[][..], "/body", "empty"),
            (" \n", &[], "/body", "empty"),
            ("a\0", &[], "/body", "bad_text"),
            (&long, &[], "/body", "too_long"),
            ("a", &[1, 11], "/mentions/1", "not_a_member"),
            ("a", &[1; 51], "/mentions", "too_many"),
        ] {
            let error = said(body, mentions).unwrap_err();
            assert_eq!(error.fields.len(), 1, "{code}");
            assert_eq!(
                (&*error.fields[0].path, &*error.fields[0].code),
                (path, code)
            );
        }
        assert!(said(&"ä".repeat(MAX_BODY), &[]).is_ok());
        let twice = said("a", &[2, 1, 2]).unwrap();
        assert_eq!(twice.mentions, [user(2), user(1)]);
    }

    proptest! {
        #[test]
        fn only_the_author_edits_and_only_author_and_admins_delete(own: bool, role in 0usize..5) {
            let comment = Comment {
                id: CommentId(Uuid::nil()),
                list: ListId(Uuid::nil()),
                item: ItemId(Uuid::nil()),
                author: user(1),
                body: "a".into(),
                mentions: Vec::new(),
                version: 1,
                created_at: DateTime::UNIX_EPOCH,
                updated_at: DateTime::UNIX_EPOCH,
                deleted_at: None,
            };
            let (person, role) = (user(if own { 1 } else { 2 }), Role::ALL[role]);
            prop_assert_eq!(comment.editable_by(person).is_ok(), own);
            let may = own || role >= Role::Admin;
            prop_assert_eq!(comment.deletable_by(person, role).is_ok(), may);
        }
    }
}
