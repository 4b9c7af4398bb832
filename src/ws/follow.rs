//! A socket's place in one workspace: its position, what it wants to see, and what waits until its
//! past has been replayed. Pure; the session sends what comes out.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;

use crate::actors::workspace::{EventBatch, Lists, events_frame};
use crate::domain::event::Audience;

/// One socket in one workspace.
pub(super) struct Follow {
    /// Everything up to here was sent, or is not for this socket.
    pub(super) seq: i64,
    pub(super) mark: Arc<str>,
    pub(super) class: Audience,
    /// Lists wanted, by subscription.
    wanted: HashMap<u64, Lists>,
    lists: Lists,
    /// The class that a change of role brought while the past is replayed.
    pub(super) next_class: Option<Audience>,
    /// Live events that wait while the past is replayed; `None` when it is.
    waiting: Option<Vec<Arc<EventBatch>>>,
}

impl Follow {
    /// A place that is not open yet: live events wait.
    pub(super) fn opening(id: u64, lists: Lists) -> Follow {
        Follow {
            seq: 0,
            mark: Arc::from(""),
            class: Audience::Members,
            wanted: HashMap::from([(id, lists.clone())]),
            lists,
            next_class: None,
            waiting: Some(Vec::new()),
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

    /// The past was replayed up to this position: what waited follows.
    pub(super) fn open(&mut self, seq: i64, mark: &str, class: Audience) -> Vec<Arc<EventBatch>> {
        self.seq = seq;
        self.mark = Arc::from(mark);
        self.class = class;
        self.waiting.take().unwrap_or_default()
    }

    /// Takes in batches that follow each other: a frame, unless nothing in them is for this socket.
    pub(super) fn advance(&mut self, batches: &[Arc<EventBatch>]) -> Option<ByteString> {
        if let Some(waiting) = &mut self.waiting {
            waiting.extend(batches.iter().cloned());
            return None;
        }
        let news: Vec<&EventBatch> = batches
            .iter()
            .map(Arc::as_ref)
            .filter(|batch| batch.through > self.seq)
            .collect();
        let last = news.last()?;
        let (seq, mark) = (last.through, Arc::clone(&last.mark));
        let frame = events_frame(self.seq, &news, self.class, &self.lists);
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
                EncodedEvent::new(&header, &[Some("{}")])
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
        let mut follow = Follow::opening(1, Lists::All);
        assert!(follow.advance(&[batch(4, 5, 1)]).is_none());
        assert!(follow.advance(&[batch(5, 7, 1)]).is_none());
        let waited = follow.open(5, "m", Audience::Members);
        assert_eq!(seen(&follow.advance(&waited).unwrap()), (5, 7, vec![6, 7]));
        assert_eq!(
            seen(&follow.advance(&[batch(7, 8, 1)]).unwrap()),
            (7, 8, vec![8])
        );
    }

    #[test]
    fn silence_about_foreign_lists_is_made_up_for_by_the_next_frame() {
        let own = ListId(Uuid::from_u128(1));
        let mut follow = Follow::opening(1, Lists::Some([own].into()));
        follow.open(0, "m", Audience::Members);
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
}
