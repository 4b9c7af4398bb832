//! One editor's edits: which are due, which are in flight, what became of each. Pure but for the
//! dice that choose the items.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::check::Acked;
use super::clock::Moment;
use super::ground::Field;
use super::pace::Pace;
use super::stamp::{Stamp, marker};
use crate::ids::ItemId;

/// Which way an edit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Socket,
    Rest,
}

/// An edit of one cell.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    pub stamp: Stamp,
    pub item: ItemId,
    pub route: Route,
}

/// The edits of one editor.
#[derive(Debug)]
pub struct Writer {
    editor: u16,
    nonce: u16,
    pub field: Arc<Field>,
    pace: Pace,
    rest_share: f64,
    issued: u32,
    in_flight: BTreeMap<u32, Edit>,
    pub acks: Vec<Acked>,
    pub refused: Vec<u64>,
}

impl Writer {
    pub fn new(editor: u16, nonce: u16, field: Arc<Field>, pace: Pace, rest_share: f64) -> Self {
        Self {
            editor,
            nonce,
            field,
            pace,
            rest_share,
            issued: 0,
            in_flight: BTreeMap::new(),
            acks: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The next edit if one is due `now` (since the start); `moment_of` gives the moment of a time
    /// since the start. It is in flight from then on.
    pub fn next(&mut self, now: Duration, moment_of: impl Fn(Duration) -> Moment) -> Option<Edit> {
        let intended = self.pace.due(self.issued, self.in_flight.len(), now)?;
        let counter = self.issued;
        self.issued += 1;
        let edit = Edit {
            stamp: Stamp {
                intended: moment_of(intended),
                nonce: self.nonce,
                editor: self.editor,
                counter,
            },
            item: self.any_item()?,
            route: self.route(counter),
        };
        self.in_flight.insert(counter, edit);
        Some(edit)
    }

    /// When to look again if nothing arrives.
    pub fn wake(&self) -> Option<Duration> {
        self.pace.wake(self.issued)
    }

    /// The edit was committed. Returns when it was due, or `None` if it was answered before.
    pub fn acked(&mut self, counter: u32, seq: u64, version: u64) -> Option<Moment> {
        let edit = self.in_flight.remove(&counter)?;
        self.acks.push(Acked {
            marker: edit.stamp.marker(),
            seq,
            item: edit.item,
            version,
        });
        Some(edit.stamp.intended)
    }

    /// The edit was refused; whether it was in flight.
    pub fn refused(&mut self, counter: u32) -> bool {
        let known = self.in_flight.remove(&counter).is_some();
        if known {
            self.refused.push(marker(self.editor, counter));
        }
        known
    }

    /// Reads an op of this editor back to its counter.
    pub fn counter_of(&self, op: uuid::Uuid) -> Option<u32> {
        Stamp::read(op, self.nonce)
            .filter(|stamp| stamp.editor == self.editor)
            .map(|stamp| stamp.counter)
    }

    /// The edits without an answer, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = &Edit> {
        self.in_flight.values()
    }

    fn any_item(&self) -> Option<ItemId> {
        let items = &self.field.items;
        let at = rand::random_range(0..items.len().max(1));
        items.get(at).copied()
    }

    /// Spreads the REST edits evenly: those at which the running share passes a whole number.
    fn route(&self, counter: u32) -> Route {
        let share_before = (f64::from(counter) * self.rest_share).floor();
        let share_after = (f64::from(counter.saturating_add(1)) * self.rest_share).floor();
        if share_after > share_before {
            Route::Rest
        } else {
            Route::Socket
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn writer(pace: Pace, rest_share: f64) -> Writer {
        let field = Field {
            list: Uuid::nil().into(),
            items: vec![Uuid::from_u128(1).into(), Uuid::from_u128(2).into()],
        };
        Writer::new(3, 77, Arc::new(field), pace, rest_share)
    }

    fn moment(since_start: Duration) -> Moment {
        Moment(1_800_000_000_000_000 + u64::try_from(since_start.as_micros()).unwrap())
    }

    #[test]
    fn an_answer_makes_room_for_the_next_edit_and_counts_once() {
        let mut writer = writer(Pace::of(3, 4, 0.0, 2), 0.0);
        let now = Duration::from_secs(1);
        let first = writer.next(now, moment).unwrap();
        writer.next(now, moment).unwrap();
        assert!(writer.next(now, moment).is_none());
        let counter = writer.counter_of(first.stamp.op()).unwrap();
        assert_eq!(writer.acked(counter, 9, 2), Some(moment(now)));
        assert_eq!(writer.acked(counter, 9, 2), None);
        assert!(writer.next(now, moment).is_some());
        assert_eq!(writer.acks.len(), 1);
        assert_eq!(writer.in_flight().count(), 2);
    }

    #[test]
    fn the_rest_share_is_kept_to_the_edit() {
        let mut writer = writer(Pace::of(0, 1, 0.0, 5000), 0.1);
        let over_rest = std::iter::from_fn(|| writer.next(Duration::ZERO, moment))
            .filter(|edit| edit.route == Route::Rest)
            .count();
        assert_eq!(over_rest, 500);
    }
}
