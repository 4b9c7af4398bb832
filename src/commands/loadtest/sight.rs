//! What a subscribed client knows: its position, the items as its events left them, and every
//! seq it was told, to be held against the log at the end. Pure.

use std::collections::HashMap;

use super::check::{Known, Witness};
use super::event::Seen;
use crate::commands::client::frames::{Beat, Events, Reset};
use crate::commands::client::position::Position;
use crate::ids::ItemId;

/// The view of one socket.
#[derive(Debug)]
pub struct Sight {
    pub position: Position,
    witness: Witness,
}

impl Sight {
    /// Of a socket that starts at `position`.
    pub fn new(name: String, position: Position) -> Self {
        let since = position.seq;
        Self {
            position,
            witness: Witness {
                name,
                since,
                ..Witness::default()
            },
        }
    }

    /// Of a socket that counts and keeps no items.
    pub fn counting(name: String, position: Position) -> Self {
        let mut sight = Self::new(name, position);
        sight.witness.counts_only = true;
        sight
    }

    /// Takes a frame of events. A hole is noted, and the client goes on behind it, so that the
    /// rest is judged as well.
    pub fn events(&mut self, frame: Events<Seen>) {
        let follows = self.position.advance(
            frame.after,
            frame.through,
            frame.mark.clone(),
            frame.events.iter().map(|event| event.seq),
        );
        if let Err(hole) = follows {
            self.witness.holes.push(hole.to_string());
            let further = frame.through.max(self.position.seq);
            self.position.jump(further, frame.mark);
        }
        for event in &frame.events {
            self.witness.runs.push(event.seq);
            for touch in &event.changes {
                self.apply(touch.item, touch.version, touch.set.marker);
            }
        }
    }

    /// Takes a beat.
    pub fn beat(&mut self, beat: &Beat) {
        if let Err(hole) = self.position.check_beat(beat.through, &beat.mark) {
            self.witness.holes.push(format!("at a beat, {hole}"));
        }
    }

    /// Takes the confirmation of a resume.
    pub fn resumed(&mut self, theirs: Position) {
        if let Err(hole) = self.position.confirm(theirs) {
            self.witness.holes.push(format!("at a resume, {hole}"));
        }
    }

    /// Takes a reset; [`reread`](Self::reread) must follow.
    pub fn reset(&mut self, reset: Reset) {
        self.witness.runs.excuse(self.position.seq + 1, reset.seq);
        self.position.jump(reset.seq, reset.mark);
    }

    /// Takes the items as they were read after a reset.
    pub fn reread(&mut self, items: HashMap<ItemId, Known>) {
        for (item, known) in items {
            self.apply(item, known.version, known.marker);
        }
    }

    /// What the socket saw, for the check.
    pub fn into_witness(self) -> Witness {
        self.witness
    }

    /// The contract's merge: a change counts only if its version is above the local one.
    fn apply(&mut self, item: ItemId, version: u64, marker: Option<u64>) {
        let known = self.witness.items.entry(item).or_default();
        if version > known.version {
            known.version = version;
            known.marker = marker.or(known.marker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::loadtest::event::{Cells, Touch};
    use uuid::Uuid;

    fn sight(seq: u64) -> Sight {
        Sight::new(
            "socket".into(),
            Position {
                seq,
                mark: "m".into(),
                audience: None,
            },
        )
    }

    fn events(after: u64, through: u64, edits: &[(u64, u64, u64)]) -> Events<Seen> {
        Events {
            workspace: Uuid::nil().into(),
            after,
            through,
            mark: "m".into(),
            events: edits
                .iter()
                .map(|&(seq, version, marker)| Seen {
                    seq,
                    op: None,
                    changes: vec![Touch {
                        item: Uuid::nil().into(),
                        version,
                        set: Cells {
                            marker: Some(marker),
                        },
                    }],
                })
                .collect(),
        }
    }

    #[test]
    fn a_hole_is_noted_once_and_what_follows_is_still_seen() {
        let mut sight = sight(5);
        sight.events(events(5, 6, &[(6, 1, 100)]));
        sight.events(events(8, 9, &[(9, 3, 102)]));
        sight.events(events(9, 10, &[(10, 4, 103)]));
        assert_eq!(sight.position.seq, 10);
        let witness = sight.into_witness();
        assert_eq!(witness.holes.len(), 1);
        assert!(witness.runs.contains(10) && !witness.runs.contains(8));
        let known = witness.items[&ItemId::from(Uuid::nil())];
        assert_eq!((known.version, known.marker), (4, Some(103)));
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let mut sight = sight(5);
        sight.reread(HashMap::from([(
            Uuid::nil().into(),
            Known {
                version: 7,
                marker: Some(9),
            },
        )]));
        sight.events(events(5, 6, &[(6, 3, 8)]));
        let known = sight.into_witness().items[&ItemId::from(Uuid::nil())];
        assert_eq!((known.version, known.marker), (7, Some(9)));
    }

    #[test]
    fn a_reset_excuses_what_it_skipped_and_a_wrong_resume_is_a_hole() {
        let mut sight = sight(5);
        sight.reset(Reset {
            workspace: Uuid::nil().into(),
            reason: "too_far".into(),
            seq: 900,
            mark: "z".into(),
        });
        assert_eq!(sight.position.seq, 900);
        sight.resumed(Position {
            seq: 901,
            ..sight.position.clone()
        });
        let witness = sight.into_witness();
        assert!(witness.runs.contains(700));
        assert_eq!(witness.holes.len(), 1);
    }
}
