//! Which items are compared at all: those that share two rare words, or a word and the initial of another.
//! All with all would be ten thousand million pairs of a hundred thousand items.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::words::{Word, Words};

/// The rarest words of a cell that are looked by.
const RARE: usize = 5;
/// In a crowd that shares a key each is compared with so many behind it, in the order of their words.
const NEIGHBOURS: usize = 6;

/// What an item is found by.
type Key = (u64, u32);

/// Keys of all items, collected and then gone through.
#[derive(Default)]
pub(super) struct Candidates {
    keys: Vec<Key>,
}

impl Candidates {
    /// An item by its number, with the words of the cells that are compared.
    pub(super) fn take(&mut self, item: u32, cells: &[&[Word]], words: &Words) {
        let mut rare: Vec<Word> = cells.iter().flat_map(|cell| cell.iter().copied()).collect();
        // A word that nobody else has leads nowhere.
        rare.retain(|word| words.used(*word) > 1);
        rare.sort_unstable_by_key(|word| (words.used(*word), *word));
        rare.dedup();
        rare.truncate(RARE);
        for (at, a) in rare.iter().enumerate() {
            for b in rare.iter().skip(at + 1) {
                self.push(item, (a.min(b), a.max(b)));
            }
        }
        // The first cell is mostly a name, which is two words: a slip in one leaves one.
        let name = cells.first().copied().unwrap_or(&[]);
        for (at, word) in name.iter().enumerate() {
            let others = name.iter().enumerate().filter(|(other, _)| *other != at);
            for (_, other) in others.take(RARE) {
                self.push(item, (word, words.text(*other).chars().next()));
            }
        }
    }

    /// Items that share something that must be the same.
    pub(super) fn take_by(&mut self, item: u32, shared: &[u32]) {
        self.push(item, shared);
    }

    fn push(&mut self, item: u32, key: impl Hash) {
        // Of fixed keys: the same in every run.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.keys.push((hasher.finish(), item));
    }

    /// Goes through the pairs, each at least once, by numbers that `order` gives to items.
    pub(super) fn each(mut self, order: &[u32], mut pair: impl FnMut(u32, u32)) {
        self.keys.sort_unstable();
        self.keys.dedup();
        for crowd in self.keys.chunk_by_mut(|a, b| a.0 == b.0) {
            if crowd.len() < 2 {
                continue;
            }
            crowd.sort_unstable_by_key(|(_, item)| {
                usize::try_from(*item).ok().and_then(|item| order.get(item))
            });
            for (at, (_, a)) in crowd.iter().enumerate() {
                for (_, b) in crowd.iter().skip(at + 1).take(NEIGHBOURS) {
                    pair(*a, *b);
                }
            }
        }
    }
}
