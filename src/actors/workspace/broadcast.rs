//! Events on their way to sockets: encoded once, shared by all, cut to what a socket may see only
//! where it sees less than everything.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use bytestring::ByteString;

use crate::domain::event::{
    Audience, Reach, Reader, WIDE_BYTES, is_about_items, write_event, write_wide_event,
};
use crate::domain::log::{EventHeader, Hash, mark};
use crate::ids::{ListId, UserId, WorkspaceId};
use crate::store::log::LoggedEvent;

/// What a socket wants to see of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lists {
    All,
    Some(BTreeSet<ListId>),
}

/// An event with its bytes.
#[derive(Clone, Debug)]
pub struct EncodedEvent {
    pub seq: i64,
    /// Of the log's hash here: what names a position, and no more of it.
    hash: [u8; 8],
    reach: Reach,
    /// The lists that a socket must want one of to see it; none: all do.
    lists: Box<[ListId]>,
    json: ByteString,
}

impl EncodedEvent {
    /// Encodes an event about at most one list.
    pub fn new(header: &EventHeader, hash: &Hash, rows: &[Option<&str>]) -> EncodedEvent {
        EncodedEvent::of_lists(header, hash, rows, header.list)
    }

    /// Encodes an event for sockets; a very large one without its values. `of_rows` are the lists that
    /// its rows are about, in any order.
    pub fn of_lists(
        header: &EventHeader,
        hash: &Hash,
        rows: &[Option<&str>],
        of_rows: impl IntoIterator<Item = ListId>,
    ) -> EncodedEvent {
        let mut lists: Vec<ListId> = header.list.into_iter().collect();
        for list in of_rows {
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
        let mut json =
            String::with_capacity(256 + rows.iter().flatten().map(|r| r.len()).sum::<usize>());
        write_event(header, rows, &mut json);
        if json.len() > WIDE_BYTES {
            json.clear();
            let count = if is_about_items(&header.kind) {
                rows.len()
            } else {
                1
            };
            write_wide_event(header, &lists, count, &mut json);
        }
        EncodedEvent {
            seq: header.seq,
            hash: hash.first_chunk().copied().unwrap_or_default(),
            reach: Reach::of(header, rows),
            lists: match is_within_a_list(&header.kind) {
                true => lists.into(),
                false => Box::default(),
            },
            json: json.into(),
        }
    }

    /// The same for an event read back from the log.
    pub fn logged(event: &LoggedEvent) -> EncodedEvent {
        let rows: Vec<Option<&str>> = event.rows.iter().map(|row| row.text()).collect();
        let lists = event.rows.iter().filter_map(|row| row.list);
        EncodedEvent::of_lists(&event.header, &event.hash, &rows, lists)
    }

    /// The log's mark at this event.
    pub fn mark(&self) -> String {
        mark(&self.hash)
    }

    pub fn len(&self) -> usize {
        self.json.len()
    }

    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    fn is_for(&self, reader: Reader, lists: &Lists) -> bool {
        let wanted = match lists {
            Lists::Some(wanted) if !self.lists.is_empty() => {
                self.lists.iter().any(|list| wanted.contains(list))
            }
            _ => true,
        };
        wanted && self.reach.includes(reader)
    }
}

/// Whether such events are of use to those alone who show the list.
fn is_within_a_list(kind: &str) -> bool {
    kind.starts_with("items.") || kind.starts_with("comment.")
}

/// The events of one commit: all of `(after, through]`.
#[derive(Debug)]
pub struct EventBatch {
    pub workspace: WorkspaceId,
    pub after: i64,
    pub through: i64,
    pub mark: Arc<str>,
    events: Vec<EncodedEvent>,
    /// For whom alone some of them are.
    persons: Vec<UserId>,
    for_members: OnceLock<ByteString>,
    for_admins: OnceLock<ByteString>,
}

impl EventBatch {
    pub fn new(
        workspace: WorkspaceId,
        after: i64,
        through: i64,
        mark: &str,
        events: Vec<EncodedEvent>,
    ) -> EventBatch {
        let persons = events.iter().filter_map(|event| match event.reach {
            Reach::Person(person) => Some(person),
            Reach::Class(_) => None,
        });
        EventBatch {
            persons: persons.collect(),
            workspace,
            after,
            through,
            mark: mark.into(),
            events,
            for_members: OnceLock::new(),
            for_admins: OnceLock::new(),
        }
    }

    /// How many events it holds.
    pub fn len(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn events(&self) -> &[EncodedEvent] {
        &self.events
    }

    pub fn bytes(&self) -> usize {
        self.events.iter().map(EncodedEvent::len).sum::<usize>() + 128
    }

    /// The frame that every socket of a class that follows all lists shares, but for those for whose
    /// person alone some of the events are.
    fn shared_frame(&self, class: Audience) -> ByteString {
        let frame = match class {
            Audience::Members => &self.for_members,
            Audience::Admins => &self.for_admins,
        };
        frame
            .get_or_init(|| {
                let batches = std::slice::from_ref(&self);
                let anybody = |event: &EncodedEvent| match event.reach {
                    Reach::Class(needed) => class >= needed,
                    Reach::Person(_) => false,
                };
                frame_of(self.after, batches, anybody).unwrap_or_default()
            })
            .clone()
    }
}

/// One `events` frame for a socket at `position` from batches that follow each other; `None` when
/// it may see nothing in them (its position moves on silently, and the next frame says so).
pub fn events_frame(
    position: i64,
    batches: &[&EventBatch],
    reader: Reader,
    lists: &Lists,
) -> Option<ByteString> {
    match batches {
        [batch]
            if *lists == Lists::All
                && batch.after == position
                && !batch.persons.contains(&reader.user) =>
        {
            let frame = batch.shared_frame(reader.class);
            (!frame.is_empty()).then_some(frame)
        }
        _ => frame_of(position, batches, |event| event.is_for(reader, lists)),
    }
}

fn frame_of(
    position: i64,
    batches: &[&EventBatch],
    is_for_it: impl Fn(&EncodedEvent) -> bool,
) -> Option<ByteString> {
    let last = batches.last()?;
    let mut out = String::with_capacity(batches.iter().map(|batch| batch.bytes()).sum());
    let _ = write!(
        out,
        r#"{{"type":"events","workspace":"{}","after":{position},"through":{},"mark":"{}","events":["#,
        last.workspace, last.through, last.mark
    );
    let mut any = false;
    for event in batches.iter().flat_map(|batch| &batch.events) {
        if event.seq > position && is_for_it(event) {
            if std::mem::replace(&mut any, true) {
                out.push(',');
            }
            out.push_str(&event.json);
        }
    }
    out.push_str("]}");
    any.then(|| out.into())
}
