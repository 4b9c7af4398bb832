//! A cache of what was used last, bounded twice: by how many things it holds, and by their bytes. A
//! few large things push out as much as they weigh.

use std::hash::Hash;
use std::num::NonZeroUsize;

use lru::LruCache;

/// The things, by their last use.
pub(super) struct Recent<K: Hash + Eq, V> {
    kept: LruCache<K, (V, usize)>,
    most: NonZeroUsize,
    bytes: usize,
    most_bytes: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    pub(super) fn new(most: NonZeroUsize, most_bytes: usize) -> Recent<K, V> {
        Recent {
            // One with a bound of its own takes the memory of all that it may hold at once.
            kept: LruCache::unbounded(),
            most,
            bytes: 0,
            most_bytes,
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        self.kept.get(key).map(|(value, _)| value)
    }

    /// Keeps it, unless it alone is beyond the bound, in the place of what was used longest ago.
    pub(super) fn put(&mut self, key: K, value: V, bytes: usize) {
        if bytes > self.most_bytes {
            return self.pop(&key);
        }
        self.bytes += bytes;
        if let Some((_, (_, other))) = self.kept.push(key, (value, bytes)) {
            self.bytes = self.bytes.saturating_sub(other);
        }
        while (self.bytes > self.most_bytes || self.kept.len() > self.most.get())
            && let Some((_, (_, oldest))) = self.kept.pop_lru()
        {
            self.bytes = self.bytes.saturating_sub(oldest);
        }
    }

    pub(super) fn pop(&mut self, key: &K) {
        if let Some((_, bytes)) = self.kept.pop(key) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9);

    proptest! {
        #[test]
        fn neither_bound_is_ever_crossed_and_the_last_is_always_there(
            puts in prop::collection::vec((0_u8..30, 0_usize..130, any::<bool>()), 1..200),
        ) {
            let mut recent = Recent::new(MOST, 100);
            for (key, bytes, pop) in puts {
                recent.put(key, bytes, bytes);
                prop_assert_eq!(recent.get(&key).copied(), (bytes <= 100).then_some(bytes));
                if pop {
                    recent.pop(&key);
                    prop_assert!(recent.get(&key).is_none());
                }
                let held: usize = recent.kept.iter().map(|(_, (_, bytes))| bytes).sum();
                prop_assert_eq!(held, recent.bytes);
                prop_assert!(held <= 100 && recent.kept.len() <= MOST.get());
            }
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut recent = Recent::new(MOST, 100);
        for key in 0..4 {
            recent.put(key, (), 25);
        }
        recent.get(&0);
        recent.put(4, (), 30);
        let kept: Vec<i32> = (0..5).filter(|key| recent.get(key).is_some()).collect();
        assert_eq!(kept, [0, 3, 4]);
    }
}
