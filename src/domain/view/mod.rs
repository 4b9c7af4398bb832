//! Saved views of a list: what one is, who may see and change it. Pure. What a view may be set to is
//! `config`'s.
//!
//! A private view is its owner's alone: to everybody else, whatever their role, it is not there. A
//! shared one is everybody's to see, its owner's to change, and an admin's too; that it is private
//! again only its owner can say.

mod config;

pub use config::{MAX_CONFIG_BYTES, check, may_be_asked};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::columns::check_name;
use super::edit::Versions;
use super::roles::{Action, Role};
use super::schema::List;
use crate::error::{AppError, ErrorCode, FieldError};
use crate::ids::{ListId, UserId, ViewId};

/// Views of one list at most, everybody's together.
pub const MAX_VIEWS: u64 = 500;

/// How a view shows its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    Grid,
    Kanban,
    Calendar,
    Gallery,
    Map,
    Form,
}

impl ViewKind {
    pub const ALL: [ViewKind; 6] = [
        ViewKind::Grid,
        ViewKind::Kanban,
        ViewKind::Calendar,
        ViewKind::Gallery,
        ViewKind::Map,
        ViewKind::Form,
    ];

    /// The name on the wire and in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            ViewKind::Grid => "grid",
            ViewKind::Kanban => "kanban",
            ViewKind::Calendar => "calendar",
            ViewKind::Gallery => "gallery",
            ViewKind::Map => "map",
            ViewKind::Form => "form",
        }
    }

    pub fn from_name(name: &str) -> Option<ViewKind> {
        ViewKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn from_request(name: &str) -> Result<ViewKind, FieldError> {
        ViewKind::from_name(name).ok_or_else(|| FieldError {
            path: "/kind".into(),
            code: "unknown_kind".into(),
            message: "grid, kanban, calendar, gallery, map or form".into(),
        })
    }
}

/// A saved view.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub id: ViewId,
    pub list: ListId,
    pub name: String,
    pub kind: ViewKind,
    /// As it was sent; see [`check`].
    pub config: Map<String, Value>,
    pub shared: bool,
    pub owner: UserId,
    /// Counts its changes, from 1.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub updated_by: UserId,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A view to be made.
#[derive(Clone, Debug)]
pub struct NewView {
    pub id: ViewId,
    pub name: String,
    pub kind: String,
    pub config: Map<String, Value>,
    pub shared: bool,
}

/// A change of a view; what is absent stays, a config is replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct ViewPatch {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub config: Option<Map<String, Value>>,
    pub shared: Option<bool>,
    /// Only at such a version, else 412.
    pub if_version: Option<Versions>,
}

impl View {
    /// A new view of `list`; every broken rule is named with its path.
    pub fn make(
        new: &NewView,
        list: &List,
        by: UserId,
        now: DateTime<Utc>,
    ) -> Result<View, AppError> {
        let mut errors = Vec::new();
        let name = name(&new.name, &mut errors);
        let kind = kind(&new.kind, &mut errors);
        if let Some(kind) = kind {
            errors.extend(check(kind, &new.config, &list.columns, by));
        }
        match kind {
            Some(kind) if errors.is_empty() => Ok(View {
                id: new.id,
                list: list.id,
                name,
                kind,
                config: new.config.clone(),
                shared: new.shared,
                owner: by,
                version: 1,
                created_at: now,
                updated_at: now,
                updated_by: by,
                deleted_at: None,
            }),
            _ => Err(AppError::fields(errors)),
        }
    }

    /// The view as `patch` leaves it. A config that is not sent anew is not judged anew, unless the kind
    /// changes.
    pub fn changed(
        &self,
        patch: &ViewPatch,
        list: &List,
        by: UserId,
        now: DateTime<Utc>,
    ) -> Result<View, AppError> {
        let mut errors = Vec::new();
        let mut changed = View {
            version: self.version + 1,
            updated_at: now,
            updated_by: by,
            ..self.clone()
        };
        if let Some(sent) = &patch.name {
            changed.name = name(sent, &mut errors);
        }
        if let Some(sent) = &patch.kind {
            changed.kind = kind(sent, &mut errors).unwrap_or(self.kind);
        }
        if let Some(config) = &patch.config {
            changed.config.clone_from(config);
        }
        if patch.config.is_some() || changed.kind != self.kind {
            errors.extend(check(changed.kind, &changed.config, &list.columns, by));
        }
        changed.shared = patch.shared.unwrap_or(self.shared);
        if !changed.shared && self.shared && by != self.owner {
            return Err(AppError::new(
                ErrorCode::Forbidden,
                "Only its owner makes a view private",
            ));
        }
        if errors.is_empty() {
            Ok(changed)
        } else {
            Err(AppError::fields(errors))
        }
    }

    /// Whether it is there for this person.
    pub fn is_visible_to(&self, user: UserId) -> bool {
        self.shared || self.owner == user
    }

    /// Whether the person may see it: 404 for another's private view, 410 for a deleted one.
    pub fn shown_to(&self, user: UserId) -> Result<(), AppError> {
        if !self.is_visible_to(user) {
            return Err(AppError::not_found());
        }
        match self.deleted_at {
            Some(_) => Err(AppError::gone("The view was deleted")),
            None => Ok(()),
        }
    }

    /// Whether the person, in that role, may change it: 403 for what others share, but for an admin.
    pub fn writable_by(&self, user: UserId, role: Role) -> Result<(), AppError> {
        self.shown_to(user)?;
        if self.owner == user && role.may(Action::WriteViews) || role.may(Action::ManageViews) {
            Ok(())
        } else {
            Err(AppError::forbidden())
        }
    }

    /// What has come of it since it was written: parts that name what the list no longer has.
    pub fn problems(&self, list: &List) -> Vec<FieldError> {
        check(self.kind, &self.config, &list.columns, self.owner)
    }
}

fn name(sent: &str, errors: &mut Vec<FieldError>) -> String {
    if let Err(wrong) = check_name(sent) {
        errors.push(FieldError {
            path: "/name".into(),
            code: wrong.code.into(),
            message: wrong.message,
        });
    }
    sent.trim().to_owned()
}

fn kind(sent: &str, errors: &mut Vec<FieldError>) -> Option<ViewKind> {
    ViewKind::from_request(sent)
        .map_err(|wrong| errors.push(wrong))
        .ok()
}

#[cfg(test)]
mod tests;
