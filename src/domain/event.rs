//! An event of the log as clients see it. Pure. What it says was encoded when it was judged and is
//! spliced in unread, so a live event, a replayed one and a page of `W/events` have the same bytes.

use std::fmt::Write;

use super::item::time;
use super::log::EventHeader;
use super::roles::Role;
use crate::ids::ListId;

/// Above this many bytes an event goes out over sockets without its values.
pub const WIDE_BYTES: usize = 64 * 1024;

/// The command of a person on the items of a list.
pub const ITEMS_CHANGED: &str = "items.changed";
/// The command of a person on the links of one cell.
pub const LINKS_CHANGED: &str = "links.changed";
/// A batch of an import.
pub const ITEMS_IMPORTED: &str = "items.imported";

/// Which members may see an event.
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

    /// Whether a socket of this class sees events of class `needed`.
    pub fn sees(self, needed: Audience) -> bool {
        self >= needed
    }

    /// Its opaque name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Audience::Members => "m1",
            Audience::Admins => "a1",
        }
    }
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
    kind == ITEMS_CHANGED || kind == LINKS_CHANGED
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
