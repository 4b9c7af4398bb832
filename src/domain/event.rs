//! An event of the log as clients see it. Pure. What it says was encoded when it was judged and is
//! spliced in unread, so a live event, a replayed one and a page of `W/events` have the same bytes.

use std::fmt::Write;

use serde::Deserialize;

use super::item::time;
use super::log::EventHeader;
use super::roles::Role;
use crate::ids::{ListId, UserId};

/// Above this many bytes an event goes out over sockets without its values.
pub const WIDE_BYTES: usize = 64 * 1024;

/// The command of a person on the items of a list.
pub const ITEMS_CHANGED: &str = "items.changed";
/// The command of a person on the links of one cell.
pub const LINKS_CHANGED: &str = "links.changed";
/// Several items became one: the first of its changes is the kept one's.
pub const ITEMS_MERGED: &str = "items.merged";
/// A batch of an import.
pub const ITEMS_IMPORTED: &str = "items.imported";
/// Computed cells of a list that were computed anew, a page of them.
pub const ITEMS_COMPUTED: &str = "items.computed";

/// A view that was everybody's is its owner's alone from here on: what all hear of it.
pub const VIEW_UNSHARED: &str = "view.unshared";

/// A class of members: those of one see the same events, but for what is one person's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// All members, whatever list it is about.
    Members,
    /// Admins and owners: tokens, invites, exports.
    Admins,
}

impl Audience {
    /// The class of a role: sockets of one class see the same events.
    pub fn of_role(role: Role) -> Audience {
        if role >= Role::Admin {
            Audience::Admins
        } else {
            Audience::Members
        }
    }

    /// The class that an event of this kind needs.
    pub fn of_kind(kind: &str) -> Audience {
        let family = kind.split('.').next().unwrap_or_default();
        match family {
            "token" | "invite" | "export" => Audience::Admins,
            _ => Audience::Members,
        }
    }

    /// The first part of a reader's opaque name.
    pub fn name(self) -> &'static str {
        match self {
            Audience::Members => "m1",
            Audience::Admins => "a1",
        }
    }
}

/// Who reads events: a member, and what class the member's role is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    pub class: Audience,
    pub user: UserId,
}

impl Reader {
    pub fn new(user: UserId, role: Role) -> Reader {
        Reader {
            class: Audience::of_role(role),
            user,
        }
    }

    /// The opaque name, on the wire, of all that the reader may see.
    pub fn name(self) -> String {
        format!("{}-{}", self.class.name(), self.user.uuid().simple())
    }
}

/// Whom an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Members of this class or a higher one.
    Class(Audience),
    /// This person alone, whatever anybody's role.
    Person(UserId),
}

impl Reach {
    /// Whom the event is for, by its kind and, of views, by what it says. A private view's events are
    /// its owner's alone; where it can't be read any more whose it is, whoever did it takes the owner's
    /// place, for nobody else may touch a private view.
    pub fn of(header: &EventHeader, rows: &[Option<&str>]) -> Reach {
        let is_of_a_view = header.kind.starts_with("view.") && header.kind != VIEW_UNSHARED;
        if !is_of_a_view {
            return Reach::Class(Audience::of_kind(&header.kind));
        }
        let said = rows.first().copied().flatten();
        match said.and_then(|said| serde_json::from_str(said).ok()) {
            Some(OfView { view }) if view.shared => Reach::Class(Audience::Members),
            Some(OfView { view }) => Reach::Person(view.owner_id),
            None => Reach::Person(UserId(header.actor.id())),
        }
    }

    pub fn includes(self, reader: Reader) -> bool {
        match self {
            Reach::Class(needed) => reader.class >= needed,
            Reach::Person(person) => reader.user == person,
        }
    }
}

/// What an event says of the view that it is about.
#[derive(Deserialize)]
struct OfView {
    view: OwnedView,
}

#[derive(Deserialize)]
struct OwnedView {
    owner_id: UserId,
    shared: bool,
}

/// Appends the event as JSON. `rows` are its payloads in order; an erased one is `None`.
pub fn write_event(header: &EventHeader, rows: &[Option<&str>], out: &mut String) {
    write_header(header, out);
    if is_about_items(&header.kind) {
        out.push_str(r#","changes":["#);
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(row.unwrap_or(r#"{"kind":"erased"}"#));
        }
        out.push(']');
    } else if let Some(Some(data)) = rows.first() {
        let _ = write!(out, r#","data":{data}"#);
    }
    out.push('}');
}

/// The same event without its values, for one that is too large for a socket.
pub fn write_wide_event(header: &EventHeader, lists: &[ListId], count: usize, out: &mut String) {
    write_header(header, out);
    out.push_str(r#","wide":true,"lists":["#);
    for (index, list) in lists.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(out, r#"{comma}"{list}""#);
    }
    let _ = write!(out, r#"],"count":{count}}}"#);
}

/// Whether the payload rows of this kind are changes of items.
pub fn is_about_items(kind: &str) -> bool {
    [ITEMS_CHANGED, LINKS_CHANGED, ITEMS_MERGED].contains(&kind)
}

fn write_header(header: &EventHeader, out: &mut String) {
    let _ = write!(
        out,
        r#"{{"seq":{},"at":"{}","actor":{{"{}":"{}"}}"#,
        header.seq,
        time(header.at),
        header.actor.kind(),
        header.actor.id()
    );
    if let Some(op) = header.op {
        let _ = write!(out, r#","op":"{op}""#);
    }
    if let Some(change) = header.change {
        let _ = write!(out, r#","change":"{change}""#);
    }
    if let Some(undoes) = header.undoes {
        let _ = write!(out, r#","undoes":{undoes}"#);
    }
    let _ = write!(out, r#","kind":"{}""#, header.kind);
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::log::Actor;
    use super::*;
    use crate::ids::WorkspaceId;

    const OWNER: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));

    fn reach(kind: &str, said: Option<&str>) -> Reach {
        let header = EventHeader {
            workspace: WorkspaceId(Uuid::nil()),
            seq: 1,
            at: DateTime::UNIX_EPOCH,
            kind: kind.into(),
            actor: Actor::User(OWNER),
            op: None,
            change: None,
            undoes: None,
            list: None,
            rows: 1,
        };
        Reach::of(&header, &[said])
    }

    fn view(shared: bool) -> String {
        let view = serde_json::json!({"view": {"owner_id": OWNER, "shared": shared, "more": 1}});
        view.to_string()
    }

    proptest! {
        #[test]
        fn a_private_view_reaches_its_owner_alone(role in 0usize..5, which in 0usize..5) {
            let kinds = ["created", "updated", "deleted", "link_created", "link_revoked"];
            let kind = format!("view.{}", kinds[which]);
            let role = Role::ALL[role];
            // Also when what it says was erased, or can't be read.
            for said in [Some(view(false)), Some("{}".into()), None] {
                let reach = reach(&kind, said.as_deref());
                prop_assert!(reach.includes(Reader::new(OWNER, role)));
                prop_assert!(!reach.includes(Reader::new(OTHER, role)));
            }
            let shared = reach(&kind, Some(&view(true)));
            prop_assert!(shared.includes(Reader::new(OTHER, role)));
            let hidden = reach(VIEW_UNSHARED, Some(&view(false)));
            prop_assert!(hidden.includes(Reader::new(OTHER, role)));
        }
    }

    #[test]
    fn two_people_and_two_classes_never_share_a_name() {
        let mut names = [OWNER, OTHER]
            .map(|user| [Role::Viewer, Role::Owner].map(|role| Reader::new(user, role).name()));
        names.iter_mut().for_each(|each| each.sort());
        assert_ne!(names[0], names[1]);
        assert_ne!(names[0][0], names[0][1]);
    }
}
