//! Which sequence numbers arrived, in the order in which they did, kept as runs of neighbours: a
//! faultless stream of any length is one run. Pure.

/// Numbers seen, and what was wrong with their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Sorted, disjoint, inclusive.
    runs: Vec<(u64, u64)>,
    last: Option<u64>,
    pub doubled: u64,
    pub misordered: u64,
}

impl Runs {
    /// Takes the next number that arrived.
    pub fn push(&mut self, seq: u64) {
        if self.last.is_some_and(|last| seq <= last) {
            if self.contains(seq) {
                self.doubled += 1;
                return;
            }
            self.misordered += 1;
        }
        self.last = Some(self.last.unwrap_or(seq).max(seq));
        self.insert(seq, seq);
    }

    /// Counts a range as seen, in whatever order.
    pub fn excuse(&mut self, first: u64, last: u64) {
        for seq in first..=last {
            if !self.contains(seq) {
                self.insert(seq, seq);
            }
        }
        self.last = self.last.max(Some(last));
    }

    /// Whether the number was seen.
    pub fn contains(&self, seq: u64) -> bool {
        let before = self.runs.partition_point(|&(first, _)| first <= seq);
        before
            .checked_sub(1)
            .and_then(|at| self.runs.get(at))
            .is_some_and(|&(_, last)| seq <= last)
    }

    /// Those of `wanted` above `after` that were not seen.
    pub fn missing<'a>(&'a self, wanted: &'a Runs, after: u64) -> impl Iterator<Item = u64> + 'a {
        wanted
            .runs
            .iter()
            .filter(move |&&(first, last)| !self.covers(first.max(after + 1), last))
            .flat_map(|&(first, last)| first..=last)
            .filter(move |seq| *seq > after && !self.contains(*seq))
    }

    /// Those above `after`, up to and with `through`, that were seen without being in `wanted`.
    pub fn strangers<'a>(
        &'a self,
        wanted: &'a Runs,
        after: u64,
        through: u64,
    ) -> impl Iterator<Item = u64> + 'a {
        wanted
            .missing(self, after)
            .take_while(move |seq| *seq <= through)
    }

    /// The numbers between the runs: a log must have none.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs
            .iter()
            .zip(self.runs.iter().skip(1))
            .map(|(&(_, last), &(first, _))| (last + 1, first - 1))
    }

    fn covers(&self, first: u64, last: u64) -> bool {
        first > last
            || self
                .runs
                .iter()
                .any(|&(from, to)| from <= first && last <= to)
    }

    fn insert(&mut self, first: u64, last: u64) {
        let at = self.runs.partition_point(|&(start, _)| start < first);
        let mut merged = (first, last);
        let mut from = at;
        if let Some(&(start, end)) = at.checked_sub(1).and_then(|i| self.runs.get(i))
            && end + 1 == first
        {
            merged.0 = start;
            from = at - 1;
        }
        let mut to = at;
        if let Some(&(start, end)) = self.runs.get(at)
            && last + 1 == start
        {
            merged.1 = end;
            to = at + 1;
        }
        self.runs.splice(from..to, [merged]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of(seqs: impl IntoIterator<Item = u64>) -> Runs {
        let mut runs = Runs::default();
        seqs.into_iter().for_each(|seq| runs.push(seq));
        runs
    }

    #[test]
    fn a_faultless_stream_is_one_run() {
        let runs = of(5..10_000);
        assert_eq!(runs.runs, [(5, 9_999)]);
        assert_eq!((runs.doubled, runs.misordered), (0, 0));
    }

    proptest! {
        #[test]
        fn runs_know_what_a_set_knows(
            seqs in proptest::collection::vec(1_u64..60, 0..80),
            wanted in proptest::collection::btree_set(1_u64..60, 0..60),
            after in 0_u64..60,
        ) {
            let runs = of(seqs.clone());
            let set: BTreeSet<u64> = seqs.iter().copied().collect();
            for seq in 0..61 {
                prop_assert_eq!(runs.contains(seq), set.contains(&seq));
            }
            prop_assert_eq!(usize::try_from(runs.doubled).unwrap(), seqs.len() - set.len());
            let log = of(wanted.iter().copied());
            let missing: Vec<u64> = runs.missing(&log, after).collect();
            let expected: Vec<u64> =
                wanted.difference(&set).copied().filter(|seq| *seq > after).collect();
            prop_assert_eq!(missing, expected);
            let strangers: Vec<u64> = runs.strangers(&log, after, 50).collect();
            let expected: Vec<u64> =
                set.difference(&wanted).copied().filter(|s| *s > after && *s <= 50).collect();
            prop_assert_eq!(strangers, expected);
        }

        #[test]
        fn a_number_below_an_earlier_one_is_out_of_order(swap in 1_u64..50) {
            let mut seqs: Vec<u64> = (1..=50).collect();
            let at = usize::try_from(swap).unwrap() - 1;
            prop_assume!(at + 1 < seqs.len());
            seqs.swap(at, at + 1);
            let runs = of(seqs);
            prop_assert_eq!((runs.misordered, runs.doubled), (1, 0));
            prop_assert_eq!(runs.runs.len(), 1);
        }
    }

    #[test]
    fn gaps_are_named_and_excuses_close_them() {
        let mut runs = of([1, 2, 5, 6, 9]);
        assert_eq!(runs.gaps().collect::<Vec<_>>(), [(3, 4), (7, 8)]);
        runs.excuse(3, 8);
        assert_eq!(runs.gaps().count(), 0);
        assert_eq!((runs.doubled, runs.misordered), (0, 0));
    }
}
