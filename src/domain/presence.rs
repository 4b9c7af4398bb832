//! Who is where in a workspace, what has changed since everybody was told, and what has grown old.
//! Pure: the time comes in as a duration since a moment of the caller's choice. Nothing here is
//! logged or kept: whoever is not told of again is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{ItemId, ListId, UserId};

/// Sockets of a workspace that others see; who comes when it is full is not shown.
pub const MAX_PRESENT: usize = 200;
/// How long somebody edits who does not say so again.
const EDITS_FOR: Duration = Duration::from_secs(30);
/// How long the people of another node stay without a word from it.
const LIVES_FOR: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    Viewing,
    Editing,
}

/// A place in a workspace, and what somebody does there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    pub list: ListId,
    pub item: Option<ItemId>,
    /// A column's key.
    pub column: Option<Arc<str>>,
    pub doing: Doing,
}

/// Somebody at one socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub session: Uuid,
    pub user: UserId,
    pub name: Arc<str>,
    #[serde(rename = "at")]
    pub whereabouts: Whereabouts,
}

/// Where a socket is: here, or at another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Here,
    Node(Uuid),
}

/// What the others have not heard yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub person: Person,
    pub home: Home,
    pub left: bool,
}

/// Everybody, as they are and as the others know them.
#[derive(Default)]
pub struct Roster {
    seats: BTreeMap<Uuid, Seat>,
    told: BTreeMap<Uuid, (Person, Home)>,
}

struct Seat {
    person: Person,
    home: Home,
    /// The position at which the person was known to be a member.
    seq: i64,
    heard_at: Duration,
}

impl Roster {
    /// Somebody is somewhere. Nobody speaks for a socket of another home.
    pub fn appear(&mut self, person: Person, home: Home, seq: i64, now: Duration) {
        let session = person.session;
        match self.seats.get(&session) {
            Some(seat) if seat.home != home => return,
            None if self.seats.len() >= MAX_PRESENT => return,
            _ => {}
        }
        let seat = Seat {
            person,
            home,
            seq,
            heard_at: now,
        };
        self.seats.insert(session, seat);
    }

    /// A socket is gone from its home.
    pub fn leave(&mut self, session: Uuid, home: Home) {
        self.seats
            .retain(|id, seat| *id != session || seat.home != home);
    }

    /// Of a node's people only these are left.
    pub fn keep(&mut self, home: Home, sessions: &[Uuid]) {
        self.seats
            .retain(|id, seat| seat.home != home || sessions.contains(id));
    }

    /// Whoever stopped typing only looks; whoever's node has fallen silent is gone. A socket of
    /// ours stays for as long as it lives.
    pub fn grow_old(&mut self, now: Duration) {
        let age = |seat: &Seat| now.saturating_sub(seat.heard_at);
        self.seats
            .retain(|_, seat| seat.home == Home::Here || age(seat) < LIVES_FOR);
        for seat in self.seats.values_mut() {
            if seat.home == Home::Here && age(seat) >= EDITS_FOR {
                seat.person.whereabouts.doing = Doing::Viewing;
            }
        }
    }

    /// What has changed since the last time, for those who may read the workspace as of `seq`.
    /// Whoever was let in later than that waits, whoever is no member any more is gone.
    pub fn changes(&mut self, seq: i64, is_member: impl Fn(UserId) -> bool) -> Vec<Change> {
        self.seats
            .retain(|_, seat| seat.seq > seq || is_member(seat.person.user));
        let known = &mut self.told;
        let mut changes = Vec::new();
        for (session, seat) in self.seats.iter().filter(|(_, seat)| seat.seq <= seq) {
            let now = (seat.person.clone(), seat.home);
            if known.get(session) != Some(&now) {
                known.insert(*session, now.clone());
                changes.push(Change {
                    person: now.0,
                    home: now.1,
                    left: false,
                });
            }
        }
        known.retain(|session, (person, home)| {
            let stays = self.seats.contains_key(session) && is_member(person.user);
            if !stays {
                changes.push(Change {
                    person: person.clone(),
                    home: *home,
                    left: true,
                });
            }
            stays
        });
        changes
    }

    /// Whether somebody waits for a later position than `seq`.
    pub fn waits_beyond(&self, seq: i64) -> bool {
        self.seats.values().any(|seat| seat.seq > seq)
    }

    /// Everybody whom the others know of: with the changes that follow, the same for all who listen.
    pub fn told(&self) -> impl Iterator<Item = &Person> {
        self.told.values().map(|(person, _)| person)
    }

    /// The same, of our own sockets.
    pub fn told_here(&self) -> impl Iterator<Item = &Person> {
        self.told
            .values()
            .filter(|(_, home)| *home == Home::Here)
            .map(|(person, _)| person)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: Home = Home::Node(Uuid::from_u128(99));

    fn person(n: u8, item: u8, doing: Doing) -> Person {
        let id = |n: u8| Uuid::from_u128(u128::from(n));
        Person {
            session: id(n),
            user: UserId(id(n)),
            name: "Ada".into(),
            whereabouts: Whereabouts {
                list: ListId(id(1)),
                item: Some(ItemId(id(item))),
                column: None,
                doing,
            },
        }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Who arrived where, and who left.
    fn told(changes: &[Change]) -> Vec<(u128, Option<Doing>)> {
        let doing = |change: &Change| (!change.left).then_some(change.person.whereabouts.doing);
        let told = changes
            .iter()
            .map(|it| (it.person.session.as_u128(), doing(it)));
        told.collect()
    }

    #[test]
    fn only_what_has_changed_is_told_and_once() {
        let mut roster = Roster::default();
        for item in 1..=9 {
            roster.appear(person(1, item, Doing::Viewing), Home::Here, 0, seconds(0));
        }
        let changes = roster.changes(0, |_| true);
        assert_eq!(told(&changes), [(1, Some(Doing::Viewing))]);
        assert_eq!(changes[0].person, person(1, 9, Doing::Viewing), "the last");
        roster.appear(person(1, 9, Doing::Viewing), Home::Here, 0, seconds(1));
        assert_eq!(roster.changes(0, |_| true), []);
        roster.leave(Uuid::from_u128(1), Home::Here);
        assert_eq!(told(&roster.changes(0, |_| true)), [(1, None)]);
        assert_eq!(roster.changes(0, |_| true), []);
    }

    #[test]
    fn who_sits_still_stays_and_who_stops_typing_only_looks() {
        let mut roster = Roster::default();
        roster.appear(person(1, 1, Doing::Editing), Home::Here, 0, seconds(0));
        roster.grow_old(seconds(29));
        assert_eq!(
            told(&roster.changes(0, |_| true)),
            [(1, Some(Doing::Editing))]
        );
        roster.grow_old(seconds(30));
        assert_eq!(
            told(&roster.changes(0, |_| true)),
            [(1, Some(Doing::Viewing))]
        );
        roster.grow_old(seconds(1_000_000));
        assert_eq!(roster.changes(0, |_| true), []);
        assert_eq!(roster.told().count(), 1);
    }

    #[test]
    fn the_people_of_a_node_that_fell_silent_go() {
        let mut roster = Roster::default();
        roster.appear(person(1, 1, Doing::Viewing), NODE, 0, seconds(0));
        roster.appear(person(2, 1, Doing::Viewing), NODE, 0, seconds(0));
        roster.changes(0, |_| true);
        roster.appear(person(2, 1, Doing::Viewing), NODE, 0, seconds(40));
        roster.grow_old(seconds(60));
        assert_eq!(told(&roster.changes(0, |_| true)), [(1, None)]);
        roster.keep(NODE, &[]);
        assert_eq!(told(&roster.changes(0, |_| true)), [(2, None)]);
    }

    #[test]
    fn nobody_speaks_for_a_socket_of_another_home() {
        let mut roster = Roster::default();
        roster.appear(person(1, 1, Doing::Viewing), Home::Here, 0, seconds(0));
        roster.appear(person(1, 2, Doing::Viewing), NODE, 0, seconds(0));
        roster.leave(Uuid::from_u128(1), NODE);
        roster.keep(NODE, &[]);
        let changes = roster.changes(0, |_| true);
        assert_eq!(changes[0].person, person(1, 1, Doing::Viewing));
    }

    #[test]
    fn who_is_no_member_goes_and_who_became_one_later_waits() {
        let mut roster = Roster::default();
        roster.appear(person(1, 1, Doing::Viewing), Home::Here, 5, seconds(0));
        roster.appear(person(2, 1, Doing::Viewing), NODE, 7, seconds(0));
        let old = |user: UserId| user == UserId(Uuid::from_u128(1));
        assert_eq!(
            told(&roster.changes(6, old)),
            [(1, Some(Doing::Viewing))],
            "7 is not known here yet"
        );
        assert!(roster.waits_beyond(6));
        assert_eq!(
            told(&roster.changes(7, |user| !old(user))),
            [(2, Some(Doing::Viewing)), (1, None)]
        );
        assert!(!roster.waits_beyond(7));
    }

    #[test]
    fn a_full_workspace_shows_no_more() {
        let mut roster = Roster::default();
        for n in 0..=u8::MAX {
            roster.appear(person(n, 1, Doing::Viewing), Home::Here, 0, seconds(0));
        }
        assert_eq!(roster.changes(0, |_| true).len(), MAX_PRESENT);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Appear(u8, u8, bool, i64),
        Leave(u8),
        Silence(u64),
        Remove(u8),
        Tell(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let n = 0..6_u8;
        prop_oneof![
            4 => (n.clone(), 0..4_u8, any::<bool>(), 0..10_i64)
                .prop_map(|(n, item, editing, seq)| Step::Appear(n, item, editing, seq)),
            2 => n.clone().prop_map(Step::Leave),
            1 => (0..40_u64).prop_map(Step::Silence),
            1 => n.prop_map(Step::Remove),
            3 => (0..10_i64).prop_map(Step::Tell),
        ]
    }

    proptest! {
        /// Whoever hears all changes, and whoever comes late and takes what is told so far, know
        /// the same people; none of them is no member.
        #[test]
        fn all_who_listen_know_the_same(steps in prop::collection::vec(step(), 0..60)) {
            let mut roster = Roster::default();
            let mut heard: BTreeMap<Uuid, Person> = BTreeMap::new();
            let (mut now, mut seq, mut removed) = (seconds(0), 0, Vec::new());
            let home = |n: u8| if n.is_multiple_of(2) { Home::Here } else { NODE };
            for step in steps {
                match step {
                    Step::Appear(n, item, editing, at) => {
                        let doing = if editing { Doing::Editing } else { Doing::Viewing };
                        roster.appear(person(n, item, doing), home(n), at, now);
                    }
                    Step::Leave(n) => roster.leave(person(n, 0, Doing::Viewing).session, home(n)),
                    Step::Silence(n) => {
                        now += seconds(n);
                        roster.grow_old(now);
                    }
                    Step::Remove(n) => removed.push(person(n, 0, Doing::Viewing).user),
                    Step::Tell(n) => {
                        seq = seq.max(n);
                        for change in roster.changes(seq, |user| !removed.contains(&user)) {
                            let session = change.person.session;
                            match change.left {
                                true => prop_assert!(heard.remove(&session).is_some()),
                                false => {
                                    let before = heard.insert(session, change.person.clone());
                                    prop_assert_ne!(before, Some(change.person));
                                }
                            }
                        }
                        prop_assert!(heard.values().all(|it| !removed.contains(&it.user)));
                    }
                }
                prop_assert!(heard.values().eq(roster.told()));
            }
        }
    }
}
