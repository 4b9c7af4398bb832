//! A socket's place in one workspace: its position, what it wants to see, and how far it is behind.
//! What lies between is not kept here: it is fetched from the past in pieces. Pure; the session sends
//! what comes out.

use std::sync::Arc;

use bytestring::ByteString;

use crate::actors::workspace::{EventBatch, Lists, events_frame};
use crate::domain::event::{Audience, Reader};
use crate::ids::UserId;

/// One socket in one workspace.
pub(super) struct Follow {
    /// Everything up to here was sent, or is not for this socket.
    pub(super) seq: i64,
    pub(super) mark: Arc<str>,
    pub(super) reader: Reader,
    /// How far the log was looked through; what lies between `seq` and here is not for this socket.
    reached: (i64, Arc<str>),
    /// How far the hub is known to be. What lies beyond `reached` is to be fetched.
    hub: i64,
    /// Lists wanted, by subscription.
    wanted: Vec<(u64, Lists)>,
    lists: Lists,
    /// What was said before it is known where to begin; `None` from then on.
    opening: Option<Opening>,
}

/// What the hub said while it was not known where to begin.
#[derive(Default)]
pub(super) struct Opening {
    /// How far it went.
    pub(super) through: i64,
    /// The class that a change of role brought.
    pub(super) class: Option<Audience>,
    /// Where the socket begins anew instead of after its past.
    pub(super) reset: Option<Reset>,
}

/// A position that does not follow from the one before, and why.
pub(super) struct Reset {
    pub(super) seq: i64,
    pub(super) mark: Arc<str>,
    pub(super) reason: &'static str,
}

impl Follow {
    /// A place that is not open yet.
    pub(super) fn opening(id: u64, lists: Lists, user: UserId) -> Follow {
        Follow {
            seq: 0,
            mark: Arc::from(""),
            reader: Reader {
                class: Audience::Members,
                user,
            },
            reached: (0, Arc::from("")),
            hub: 0,
            wanted: vec![(id, lists.clone())],
            lists,
            opening: Some(Opening::default()),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.opening.is_none()
    }

    /// Back to not knowing where to begin: the hub's end was renewed.
    pub(super) fn reopen(&mut self) {
        self.opening.get_or_insert_default();
    }

    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(super) fn want(&mut self, id: u64, lists: Lists) {
        self.wanted.retain(|(known, _)| *known != id);
        self.wanted.push((id, lists));
        self.unite();
    }

    /// Ends a subscription; whether any is left.
    pub(super) fn unwant(&mut self, id: u64) -> bool {
        self.wanted.retain(|(known, _)| *known != id);
        self.unite();
        !self.wanted.is_empty()
    }

    fn unite(&mut self) {
        self.lists = self
            .wanted
            .iter()
            .fold(Lists::Some(Default::default()), |sum, (_, lists)| {
                match (sum, lists) {
                    (Lists::Some(mut sum), Lists::Some(more)) => {
                        sum.extend(more);
                        Lists::Some(sum)
                    }
                    _ => Lists::All,
                }
            });
    }

    /// It is known where to begin; what was said before.
    pub(super) fn open(&mut self) -> Opening {
        self.opening.take().unwrap_or_default()
    }

    /// Takes up a position, while the hub is at least at `hub`.
    pub(super) fn stand(&mut self, seq: i64, mark: &str, class: Audience, hub: i64) {
        self.seq = seq;
        self.mark = Arc::from(mark);
        self.reader.class = class;
        self.reached = (seq, Arc::clone(&self.mark));
        self.hub = hub.max(seq);
    }

    /// The role changed: whether the socket must read again what it may see now, from `seq` on.
    pub(super) fn reclass(&mut self, class: Audience) -> bool {
        if let Some(opening) = &mut self.opening {
            opening.class = Some(class);
            return false;
        }
        let changed = std::mem::replace(&mut self.reader.class, class) != class;
        if changed {
            // What was passed over as not for this socket would be now, and is not sent.
            (self.seq, self.mark) = self.reached.clone();
        }
        changed
    }

    /// The socket begins anew from here on; whether it must hear of it now.
    pub(super) fn reset(&mut self, reset: Reset) -> bool {
        if let Some(opening) = &mut self.opening {
            opening.through = reset.seq;
            opening.reset = Some(reset);
            return false;
        }
        self.stand(reset.seq, &reset.mark, self.reader.class, reset.seq);
        true
    }

    /// What is to be fetched: from where, and how far.
    pub(super) fn behind(&self) -> Option<((i64, Arc<str>), i64)> {
        let behind = self.is_open() && self.reached.0 < self.hub;
        behind.then(|| (self.reached.clone(), self.hub))
    }

    /// The hub is there, and what led there is to be fetched.
    pub(super) fn moved(&mut self, through: i64) {
        let known = match &mut self.opening {
            Some(opening) => &mut opening.through,
            None => &mut self.hub,
        };
        *known = through.max(*known);
    }

    /// Takes in batches that follow each other: a frame, unless nothing in them is for this socket. Those
    /// that do not follow what it has seen are fetched again when they do.
    pub(super) fn advance(&mut self, batches: &[Arc<EventBatch>]) -> Option<ByteString> {
        let mut news: Vec<&EventBatch> = Vec::with_capacity(batches.len());
        for batch in batches {
            self.moved(batch.through);
            if self.is_open() && batch.after <= self.reached.0 && batch.through > self.reached.0 {
                self.reached = (batch.through, Arc::clone(&batch.mark));
                news.push(batch);
            }
        }
        let frame = events_frame(self.seq, &news, self.reader, &self.lists);
        if frame.is_some() {
            (self.seq, self.mark) = self.reached.clone();
        }
        frame
    }

    /// A beat: whether the position, moved on silently, is news to tell.
    pub(super) fn beat(&mut self, through: i64) -> bool {
        if !self.is_open() || through != self.reached.0 {
            return false;
        }
        (self.seq, self.mark) = self.reached.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::actors::workspace::EncodedEvent;
    use crate::domain::log::{Actor, EventHeader};
    use crate::ids::{ListId, UserId, WorkspaceId};

    fn batch(after: i64, through: i64, list: u128) -> Arc<EventBatch> {
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let events = (after + 1..=through)
            .map(|seq| {
                let header = EventHeader {
                    workspace,
                    seq,
                    at: chrono::DateTime::UNIX_EPOCH,
                    kind: "items.changed".into(),
                    actor: Actor::User(UserId(Uuid::nil())),
                    op: None,
                    change: None,
                    undoes: None,
                    list: Some(ListId(Uuid::from_u128(list))),
                    rows: 1,
                };
                EncodedEvent::new(&header, &[0; 32], &[Some("{}")])
            })
            .collect();
        Arc::new(EventBatch::new(workspace, after, through, "mark", events))
    }

    fn seen(frame: &ByteString) -> (i64, i64, Vec<i64>) {
        let frame: serde_json::Value = serde_json::from_str(frame).unwrap();
        let seqs = frame["events"].as_array().unwrap().iter();
        let seqs = seqs.map(|event| event["seq"].as_i64().unwrap()).collect();
        (
            frame["after"].as_i64().unwrap(),
            frame["through"].as_i64().unwrap(),
            seqs,
        )
    }

    #[test]
    fn what_happens_during_the_replay_follows_it_without_a_hole_or_a_double() {
        let mut follow = Follow::opening(1, Lists::All, UserId(Uuid::nil()));
        assert!(follow.advance(&[batch(4, 5, 1)]).is_none());
        assert!(follow.advance(&[batch(5, 7, 1)]).is_none());
        let opening = follow.open();
        follow.stand(5, "m", Audience::Members, opening.through);
        // Live events wait in the log until the past is through.
        assert!(follow.advance(&[batch(7, 8, 1)]).is_none());
        assert_eq!(follow.behind().unwrap().0.0, 5);
        assert_eq!(follow.behind().unwrap().1, 8);
        assert!(!follow.beat(8), "it has not seen what led there");
        assert_eq!(
            seen(&follow.advance(&[batch(5, 6, 1)]).unwrap()),
            (5, 6, vec![6])
        );
        assert_eq!(
            seen(&follow.advance(&[batch(6, 8, 1)]).unwrap()),
            (6, 8, vec![7, 8])
        );
        assert!(follow.behind().is_none());
        assert_eq!(
            seen(&follow.advance(&[batch(8, 9, 1)]).unwrap()),
            (8, 9, vec![9])
        );
        follow.moved(10);
        assert_eq!(follow.behind().unwrap().1, 10);
        assert!(follow.advance(&[batch(3, 9, 1)]).is_none(), "seen before");
    }

    #[test]
    fn silence_about_foreign_lists_is_made_up_for_by_the_next_frame() {
        let own = ListId(Uuid::from_u128(1));
        let mut follow = Follow::opening(1, Lists::Some([own].into()), UserId(Uuid::nil()));
        follow.open();
        follow.stand(0, "m", Audience::Members, 0);
        assert!(follow.advance(&[batch(0, 3, 2)]).is_none());
        assert_eq!(
            seen(&follow.advance(&[batch(3, 4, 1)]).unwrap()),
            (0, 4, vec![4])
        );
        assert!(follow.advance(&[batch(4, 9, 2)]).is_none());
        assert!(follow.beat(9));
        assert_eq!((follow.seq, &*follow.mark), (9, "mark"));
        assert_eq!(
            seen(&follow.advance(&[batch(9, 10, 1)]).unwrap()),
            (9, 10, vec![10])
        );
    }

    #[test]
    fn a_change_of_what_may_be_seen_begins_behind_what_was_passed_over() {
        let own = ListId(Uuid::from_u128(1));
        let mut follow = Follow::opening(1, Lists::Some([own].into()), UserId(Uuid::nil()));
        follow.open();
        follow.stand(0, "m", Audience::Members, 0);
        assert!(follow.advance(&[batch(0, 3, 2)]).is_none());
        assert!(!follow.reclass(Audience::Members));
        assert!(follow.reclass(Audience::Admins));
        assert_eq!(follow.seq, 3);
    }

    #[test]
    fn a_log_that_turned_back_is_followed_from_where_it_stands() {
        let reset = || Reset {
            seq: 3,
            mark: Arc::from("other"),
            reason: "foreign_mark",
        };
        let mut open = Follow::opening(1, Lists::All, UserId(Uuid::nil()));
        open.open();
        open.stand(9, "m", Audience::Members, 20);
        assert!(open.reset(reset()), "it is told at once");
        assert!(open.behind().is_none());
        assert_eq!(
            seen(&open.advance(&[batch(3, 4, 1)]).unwrap()),
            (3, 4, vec![4])
        );

        let mut opening = Follow::opening(1, Lists::All, UserId(Uuid::nil()));
        opening.advance(&[batch(8, 9, 1)]);
        assert!(!opening.reset(reset()), "it is told when it opens");
        opening.advance(&[batch(3, 4, 1)]);
        let said = opening.open();
        assert_eq!(said.reset.as_ref().unwrap().seq, 3);
        opening.stand(3, "other", Audience::Members, said.through);
        assert_eq!(opening.behind().unwrap().1, 4);
    }
}
