//! Whether the product kept its promises under the load, judged from three sides that must agree:
//! what the editors were told, what the log says, and what every socket and the database show.
//! Pure, so that tests can plant each fault and see it found.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::event::Seen;
use super::runs::Runs;
use crate::ids::ItemId;

const EXAMPLES: usize = 12;

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Acknowledged, and not in the log.
    Lost,
    /// One edit, several events.
    LoggedTwice,
    /// Acknowledged under another seq or version than the log has.
    LoggedElsewhere,
    /// Refused, and in the log.
    RefusedButLogged,
    /// Neither acknowledged nor refused in all the time.
    Unanswered,
    /// A seq that is in no event.
    LogGap,
    /// The log goes back, or an item's version does not rise.
    LogOrder,
    /// An event of the log that a socket was never told, without a reset.
    NotDelivered,
    DeliveredTwice,
    DeliveredOutOfOrder,
    /// A socket was told of an event that the log does not have.
    DeliveredUnlogged,
    /// A frame that did not follow on where the socket stood.
    Hole,
    /// What a client shows for an item is not what the database has.
    ClientDiffers,
    /// What the database has for an item is not what the log says.
    DatabaseDiffers,
    /// A client could not go on.
    GaveUp,
}

/// An edit that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// The unique number that it wrote.
    pub marker: u64,
    pub seq: u64,
    pub item: ItemId,
    pub version: u64,
}

/// The cell of an item as somebody knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub version: u64,
    pub marker: Option<u64>,
}

/// What one subscribed socket saw.
#[derive(Debug, Default)]
pub struct Witness {
    pub name: String,
    /// Its first position: it must have seen everything after that.
    pub since: u64,
    pub runs: Runs,
    pub items: HashMap<ItemId, Known>,
    pub holes: Vec<String>,
    /// It counted events and kept no items.
    pub counts_only: bool,
}

/// What was looked at, and what was wrong with it.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    pub sound: bool,
    pub acks_checked: u64,
    pub events_checked: u64,
    pub sockets_checked: u64,
    pub items_checked: u64,
    pub faults: BTreeMap<Fault, u64>,
    /// The first few faults in words.
    pub examples: Vec<String>,
}

/// Judges a run. Feed it the log in order, then finish.
pub struct Check {
    through: u64,
    last: u64,
    acks: HashMap<u64, Acked>,
    refused: HashSet<u64>,
    logged: HashSet<u64>,
    log: Runs,
    /// What the log makes of each item, and the last seq that touched it.
    items: HashMap<ItemId, (Known, u64)>,
    verdict: Verdict,
}

impl Check {
    /// Of the log in `(after, through]`, with what the editors were told; `refused` are the
    /// markers of refused edits.
    pub fn new(
        after: u64,
        through: u64,
        acks: impl IntoIterator<Item = Acked>,
        refused: impl IntoIterator<Item = u64>,
    ) -> Self {
        let acks: HashMap<u64, Acked> = acks.into_iter().map(|ack| (ack.marker, ack)).collect();
        let acks_checked = u64::try_from(acks.len()).unwrap_or(u64::MAX);
        Self {
            through,
            last: after,
            acks,
            refused: refused.into_iter().collect(),
            logged: HashSet::new(),
            log: Runs::default(),
            items: HashMap::new(),
            verdict: Verdict {
                acks_checked,
                ..Verdict::default()
            },
        }
    }

    /// Takes the next event of the log.
    pub fn log(&mut self, event: &Seen) {
        if event.seq > self.through {
            return;
        }
        self.verdict.events_checked += 1;
        if event.seq <= self.last {
            self.verdict.add(
                Fault::LogOrder,
                format!("the log has {} after {}", event.seq, self.last),
            );
        } else {
            self.gap_before(event.seq);
            self.last = event.seq;
        }
        self.log.push(event.seq);
        for touch in &event.changes {
            let (known, touched) = self.items.entry(touch.item).or_default();
            *touched = event.seq;
            if touch.version <= known.version {
                self.verdict.add(
                    Fault::LogOrder,
                    format!(
                        "seq {}: item {} goes from version {} to {}",
                        event.seq, touch.item, known.version, touch.version
                    ),
                );
            }
            known.version = touch.version;
            known.marker = touch.set.marker.or(known.marker);
            if let Some(marker) = touch.set.marker {
                self.edit(event.seq, touch.item, touch.version, marker);
            }
        }
    }

    /// An edit that got no answer.
    pub fn unanswered(&mut self, marker: u64) {
        let fate = if self.logged.contains(&marker) {
            "is in the log"
        } else {
            "is not in the log"
        };
        self.verdict.add(
            Fault::Unanswered,
            format!("edit {marker} got no answer and {fate}"),
        );
    }

    /// A client that could not go on.
    pub fn gave_up(&mut self, who: &str, why: &str) {
        self.verdict.add(Fault::GaveUp, format!("{who}: {why}"));
    }

    /// Compares the log with every witness and with the database as it stands now.
    pub fn finish(mut self, witnesses: &[Witness], database: &HashMap<ItemId, Known>) -> Verdict {
        self.gap_before(self.through + 1);
        for ack in self.acks.values() {
            if !self.logged.contains(&ack.marker) {
                self.verdict.add(
                    Fault::Lost,
                    format!("edit {} was acknowledged as seq {}", ack.marker, ack.seq),
                );
            }
        }
        for (item, (known, _)) in &self.items {
            // Other lists of the workspace are not this test's to read.
            if let Some(stored) = database.get(item)
                && stored != known
            {
                self.verdict.add(
                    Fault::DatabaseDiffers,
                    format!("item {item}: log {known:?}, database {stored:?}"),
                );
            }
        }
        for witness in witnesses {
            self.hear(witness, database);
        }
        self.verdict.sockets_checked = u64::try_from(witnesses.len()).unwrap_or(u64::MAX);
        self.verdict.items_checked = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        self.verdict.sound = self.verdict.faults.is_empty();
        self.verdict
    }

    fn gap_before(&mut self, seq: u64) {
        if seq > self.last + 1 {
            self.verdict.add(
                Fault::LogGap,
                format!("the log has nothing from {} to {}", self.last + 1, seq - 1),
            );
        }
    }

    fn edit(&mut self, seq: u64, item: ItemId, version: u64, marker: u64) {
        if !self.logged.insert(marker) {
            self.verdict
                .add(Fault::LoggedTwice, format!("edit {marker} again at {seq}"));
            return;
        }
        if self.refused.contains(&marker) {
            self.verdict
                .add(Fault::RefusedButLogged, format!("edit {marker} at {seq}"));
        }
        if let Some(ack) = self.acks.get(&marker)
            && (ack.seq, ack.item, ack.version) != (seq, item, version)
        {
            self.verdict.add(
                Fault::LoggedElsewhere,
                format!("{ack:?} is in the log at {seq} as version {version} of {item}"),
            );
        }
    }

    fn hear(&mut self, witness: &Witness, database: &HashMap<ItemId, Known>) {
        let name = &witness.name;
        let verdict = &mut self.verdict;
        for seq in witness.runs.missing(&self.log, witness.since) {
            verdict.add(Fault::NotDelivered, format!("{name} never saw {seq}"));
        }
        for seq in witness
            .runs
            .strangers(&self.log, witness.since, self.through)
        {
            verdict.add(
                Fault::DeliveredUnlogged,
                format!("{name} saw {seq}, which is not in the log"),
            );
        }
        verdict.add_many(Fault::DeliveredTwice, witness.runs.doubled, name);
        verdict.add_many(Fault::DeliveredOutOfOrder, witness.runs.misordered, name);
        for hole in &witness.holes {
            verdict.add(Fault::Hole, format!("{name}: {hole}"));
        }
        for (item, (_, touched)) in &self.items {
            if witness.counts_only || *touched <= witness.since {
                continue;
            }
            let shown = witness.items.get(item);
            let stored = database.get(item);
            if stored.is_some() && shown != stored {
                verdict.add(
                    Fault::ClientDiffers,
                    format!("item {item}: {name} shows {shown:?}, the database has {stored:?}"),
                );
            }
        }
    }
}

impl Verdict {
    fn add(&mut self, fault: Fault, example: String) {
        *self.faults.entry(fault).or_default() += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }

    fn add_many(&mut self, fault: Fault, count: u64, name: &str) {
        if count > 0 {
            self.add(fault, format!("{name}: {fault:?}, {count} times"));
            *self.faults.entry(fault).or_default() += count - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::loadtest::event::{Cells, Touch};
    use proptest::prelude::*;
    use uuid::Uuid;

    /// A run without fault: ten items, edits 1 to `n` at seq 11 to `10 + n`, three sockets.
    struct Run {
        acks: Vec<Acked>,
        refused: Vec<u64>,
        log: Vec<Seen>,
        seen: Vec<Vec<u64>>,
        witnesses: Vec<Witness>,
        database: HashMap<ItemId, Known>,
        through: u64,
    }

    fn item(n: u64) -> ItemId {
        Uuid::from_u128(u128::from(n % 10)).into()
    }

    fn run(n: u64) -> Run {
        let mut database = HashMap::<ItemId, Known>::new();
        let (mut acks, mut log) = (Vec::new(), Vec::new());
        for marker in 1..=n {
            let item = item(marker);
            let known = database.entry(item).or_default();
            *known = Known {
                version: known.version + 1,
                marker: Some(marker),
            };
            let (seq, version) = (10 + marker, known.version);
            acks.push(Acked {
                marker,
                seq,
                item,
                version,
            });
            log.push(Seen {
                seq,
                op: None,
                changes: vec![Touch {
                    item,
                    version,
                    set: Cells {
                        marker: Some(marker),
                    },
                }],
            });
        }
        let witnesses = (0..3).map(|name| Witness {
            name: format!("socket {name}"),
            since: 10,
            items: database.clone(),
            ..Witness::default()
        });
        Run {
            refused: Vec::new(),
            seen: vec![(11..=10 + n).collect(); 3],
            witnesses: witnesses.collect(),
            through: 10 + n,
            acks,
            log,
            database,
        }
    }

    impl Run {
        fn judge(mut self) -> BTreeMap<Fault, u64> {
            let mut check = Check::new(10, self.through, self.acks, self.refused);
            self.log.iter().for_each(|event| check.log(event));
            for (witness, seen) in self.witnesses.iter_mut().zip(&self.seen) {
                seen.iter().for_each(|seq| witness.runs.push(*seq));
            }
            let verdict = check.finish(&self.witnesses, &self.database);
            assert_eq!(verdict.sound, verdict.faults.is_empty());
            assert_eq!(verdict.examples.is_empty(), verdict.sound);
            verdict.faults
        }
    }

    fn faults(found: BTreeMap<Fault, u64>) -> Vec<(Fault, u64)> {
        found.into_iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_faultless_run_is_sound(n in 0_u64..200) {
            prop_assert!(run(n).judge().is_empty());
        }

        #[test]
        fn each_planted_fault_is_found(n in 20_u64..100, at in 0_usize..19, socket in 0_usize..3) {
            // Gone from the log: whoever was told of it notices.
            let mut lost = run(n);
            lost.log.remove(at);
            let found = lost.judge();
            prop_assert_eq!(found[&Fault::Lost], 1);
            prop_assert_eq!(found[&Fault::LogGap], 1);
            prop_assert_eq!(found[&Fault::DeliveredUnlogged], 3);

            // A lost event that nobody but its editor ever heard of.
            let mut acked = run(n);
            acked.acks.push(Acked { marker: 7777, seq: 10 + n, item: item(1), version: 9 });
            prop_assert_eq!(faults(acked.judge()), [(Fault::Lost, 1)]);

            let mut missed = run(n);
            missed.seen[socket].remove(at);
            prop_assert_eq!(faults(missed.judge()), [(Fault::NotDelivered, 1)]);

            let mut twice = run(n);
            let seq = twice.seen[socket][at];
            twice.seen[socket].insert(at + 1, seq);
            prop_assert_eq!(faults(twice.judge()), [(Fault::DeliveredTwice, 1)]);

            let mut swapped = run(n);
            swapped.seen[socket].swap(at, at + 1);
            prop_assert_eq!(faults(swapped.judge()), [(Fault::DeliveredOutOfOrder, 1)]);

            let mut elsewhere = run(n);
            elsewhere.acks[at].seq += 1;
            prop_assert_eq!(faults(elsewhere.judge()), [(Fault::LoggedElsewhere, 1)]);

            let mut refused = run(n);
            refused.refused.push(refused.acks.remove(at).marker);
            prop_assert_eq!(faults(refused.judge()), [(Fault::RefusedButLogged, 1)]);

            let mut stale = run(n);
            let shown = stale.witnesses[socket].items.values_mut().next().unwrap();
            shown.marker = Some(9999);
            prop_assert_eq!(faults(stale.judge()), [(Fault::ClientDiffers, 1)]);

            let mut ignorant = run(n);
            ignorant.witnesses[socket].items.clear();
            prop_assert_eq!(faults(ignorant.judge()), [(Fault::ClientDiffers, 10)]);

            let mut counting = run(n);
            counting.witnesses[socket].items.clear();
            counting.witnesses[socket].counts_only = true;
            counting.seen[socket].remove(at);
            prop_assert_eq!(faults(counting.judge()), [(Fault::NotDelivered, 1)]);

            let mut torn = run(n);
            torn.database.get_mut(&item(3)).unwrap().version += 1;
            let found = torn.judge();
            prop_assert_eq!(found[&Fault::DatabaseDiffers], 1);
            prop_assert_eq!(found[&Fault::ClientDiffers], 3);
        }
    }

    #[test]
    fn an_edit_that_took_effect_twice_is_found() {
        let mut twice = run(30);
        let n = u64::try_from(twice.log.len()).unwrap();
        twice.through += 1;
        twice.log.push(Seen {
            seq: 10 + n + 1,
            op: None,
            changes: vec![Touch {
                item: item(5),
                version: 50,
                set: Cells { marker: Some(5) },
            }],
        });
        twice.seen.iter_mut().for_each(|seen| seen.push(10 + n + 1));
        let known = Known {
            version: 50,
            marker: Some(5),
        };
        twice.database.insert(item(5), known);
        for witness in &mut twice.witnesses {
            witness.items.insert(item(5), known);
        }
        assert_eq!(faults(twice.judge()), [(Fault::LoggedTwice, 1)]);
    }

    #[test]
    fn a_log_that_ends_early_or_turns_back_is_found() {
        let mut short = run(30);
        short.log.pop();
        assert_eq!(short.judge()[&Fault::LogGap], 1);
        let mut back = run(30);
        back.log.swap(4, 5);
        let found = back.judge();
        assert_eq!(found[&Fault::LogOrder], 1);
    }

    #[test]
    fn what_a_reset_covered_is_not_missed() {
        let mut reset = run(30);
        reset.seen[0].drain(5..20);
        reset.witnesses[0].runs.excuse(11, 40);
        reset.seen[0].clear();
        assert!(reset.judge().is_empty());
    }

    #[test]
    fn silence_and_surrender_are_faults() {
        let mut check = Check::new(0, 0, [], []);
        check.unanswered(4);
        check.gave_up("editor 3", "the server closed the socket");
        let verdict = check.finish(&[], &HashMap::new());
        assert!(!verdict.sound);
        assert_eq!(
            faults(verdict.faults),
            [(Fault::Unanswered, 1), (Fault::GaveUp, 1)]
        );
    }
}
