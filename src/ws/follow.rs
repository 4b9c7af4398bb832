//! A socket's place in one workspace: its position, what it wants to see, and what waits until its
//! past has been replayed. Pure; the session sends what comes out.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;

use crate::actors::workspace::{EventBatch, Lists, events_frame};
use crate::domain::event::{Audience, Reader};
use crate::ids::UserId;

/// Bytes of live events that may wait while the past is read.
const MAX_WAITING: usize = 1 << 20;

/// One socket in one workspace.
pub(super) struct Follow {
    /// Everything up to here was sent, or is not for this socket.
    pub(super) seq: i64,
    pub(super) mark: Arc<str>,
    pub(super) reader: Reader,
    /// Lists wanted, by subscription.
    wanted: HashMap<u64, Lists>,
    lists: Lists,
    /// What came while the past is read; `None` when it is.
    waiting: Option<Waiting>,
}

/// What the hub said while the past is read.
#[derive(Default)]
pub(super) struct Waiting {
    batches: Vec<Arc<EventBatch>>,
    bytes: usize,
    /// The class that a change of role brought.
    pub(super) class: Option<Audience>,
    /// Where the socket begins anew instead of after its past; the batches follow it.
    pub(super) reset: Option<Reset>,
}

/// A position that does not follow from the one before, and why.
pub(super) struct Reset {
    pub(super) seq: i64,
    pub(super) mark: Arc<str>,
    pub(super) reason: &'static str,
}

impl Waiting {
    fn push(&mut self, batch: &Arc<EventBatch>) {
        self.bytes += batch.bytes();
        self.batches.push(Arc::clone(batch));
        if self.bytes > MAX_WAITING {
            self.reset(Reset {
                seq: batch.through,
                mark: Arc::clone(&batch.mark),
                reason: "too_far",
            });
        }
    }

    fn reset(&mut self, reset: Reset) {
        self.batches.clear();
        self.bytes = 0;
        self.reset = Some(reset);
    }
}

impl Follow {
    /// A place that is not open yet: live events wait.
    pub(super) fn opening(id: u64, lists: Lists, user: UserId) -> Follow {
        Follow {
            seq: 0,
            mark: Arc::from(""),
            reader: Reader {
                class: Audience::Members,
                user,
            },
            wanted: HashMap::from([(id, lists.clone())]),
            lists,
            waiting: Some(Waiting::default()),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.waiting.is_none()
    }

    /// Back to waiting, at the same position: the hub's end was renewed.
    pub(super) fn reopen(&mut self) {
        self.waiting.get_or_insert_default();
    }

    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(super) fn want(&mut self, id: u64, lists: Lists) {
        self.wanted.insert(id, lists);
        self.unite();
    }

    /// Ends a subscription; whether any is left.
    pub(super) fn unwant(&mut self, id: u64) -> bool {
        self.wanted.remove(&id);
        self.unite();
        !self.wanted.is_empty()
    }

    fn unite(&mut self) {
        self.lists =
            self.wanted
                .values()
                .fold(Lists::Some(Default::default()), |sum, lists| {
                    match (sum, lists) {
                        (Lists::Some(mut sum), Lists::Some(more)) => {
                            sum.extend(more);
                            Lists::Some(sum)
                        }
                        _ => Lists::All,
                    }
                });
    }

    /// The past is read; what was said meanwhile.
    pub(super) fn open(&mut self) -> Waiting {
        self.waiting.take().unwrap_or_default()
    }

    /// Takes up a position.
    pub(super) fn stand(&mut self, seq: i64, mark: &str, class: Audience) {
        self.seq = seq;
        self.mark = Arc::from(mark);
        self.reader.class = class;
    }

    /// The role changed: whether the socket must read again what it may see now.
    pub(super) fn reclass(&mut self, class: Audience) -> bool {
        if let Some(waiting) = &mut self.waiting {
            waiting.class = Some(class);
            return false;
        }
        std::mem::replace(&mut self.reader.class, class) != class
    }

    /// The log is another one from here on; whether the socket must hear of it now.
    pub(super) fn reset(&mut self, reset: Reset) -> bool {
        if let Some(waiting) = &mut self.waiting {
            waiting.reset(reset);
            return false;
        }
        self.seq = reset.seq;
        self.mark = reset.mark;
        true
    }

    /// Takes in what waited.
    pub(super) fn advance_over(&mut self, waited: &Waiting) -> Option<ByteString> {
        self.advance(&waited.batches)
    }

    /// Takes in batches that follow each other: a frame, unless nothing in them is for this socket.
    pub(super) fn advance(&mut self, batches: &[Arc<EventBatch>]) -> Option<ByteString> {
        if let Some(waiting) = &mut self.waiting {
            batches.iter().for_each(|batch| waiting.push(batch));
            return None;
        }
        let news: Vec<&EventBatch> = batches
            .iter()
            .map(Arc::as_ref)
            .filter(|batch| batch.through > self.seq)
            .collect();
        let last = news.last()?;
        let (seq, mark) = (last.through, Arc::clone(&last.mark));
        let frame = events_frame(self.seq, &news, self.reader, &self.lists);
        if frame.is_some() {
            self.seq = seq;
            self.mark = mark;
        }
        frame
    }

    /// A beat: whether the position, moved on silently, is news to tell.
    pub(super) fn beat(&mut self, through: i64, mark: &Arc<str>) -> bool {
        if !self.is_open() || through < self.seq {
            return false;
        }
        self.seq = through;
        self.mark = Arc::clone(mark);
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
        let waited = follow.open();
        follow.stand(5, "m", Audience::Members);
        assert_eq!(
            seen(&follow.advance_over(&waited).unwrap()),
            (5, 7, vec![6, 7])
        );
        assert_eq!(
            seen(&follow.advance(&[batch(7, 8, 1)]).unwrap()),
            (7, 8, vec![8])
        );
    }

    #[test]
    fn silence_about_foreign_lists_is_made_up_for_by_the_next_frame() {
        let own = ListId(Uuid::from_u128(1));
        let mut follow = Follow::opening(1, Lists::Some([own].into()), UserId(Uuid::nil()));
        follow.open();
        follow.stand(0, "m", Audience::Members);
        assert!(follow.advance(&[batch(0, 3, 2)]).is_none());
        assert_eq!(
            seen(&follow.advance(&[batch(3, 4, 1)]).unwrap()),
            (0, 4, vec![4])
        );
        assert!(follow.beat(9, &Arc::from("m")));
        assert_eq!(
            seen(&follow.advance(&[batch(9, 10, 1)]).unwrap()),
            (9, 10, vec![10])
        );
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
        open.stand(9, "m", Audience::Members);
        assert!(open.reset(reset()), "it is told at once");
        assert_eq!(
            seen(&open.advance(&[batch(3, 4, 1)]).unwrap()),
            (3, 4, vec![4])
        );

        let mut opening = Follow::opening(1, Lists::All, UserId(Uuid::nil()));
        opening.advance(&[batch(8, 9, 1)]);
        assert!(!opening.reset(reset()), "it is told when it opens");
        opening.advance(&[batch(3, 4, 1)]);
        let waited = opening.open();
        assert_eq!(waited.reset.as_ref().unwrap().seq, 3);
        opening.stand(3, "other", Audience::Members);
        assert_eq!(
            seen(&opening.advance_over(&waited).unwrap()),
            (3, 4, vec![4])
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut follow = Follow::opening(1, Lists::All, UserId(Uuid::nil()));
        let batches = 20_000;
        for seq in 0..batches {
            follow.advance(&[batch(seq, seq + 1, 1)]);
            assert!(follow.waiting.as_ref().unwrap().bytes <= MAX_WAITING);
        }
        let waited = follow.open();
        let reset = waited.reset.as_ref().unwrap();
        assert_eq!(reset.reason, "too_far");
        follow.stand(reset.seq, &reset.mark, Audience::Members);
        let (after, through, seqs) = seen(&follow.advance_over(&waited).unwrap());
        assert_eq!((after, through), (reset.seq, batches));
        assert_eq!(i64::try_from(seqs.len()).unwrap(), batches - reset.seq);
    }
}
