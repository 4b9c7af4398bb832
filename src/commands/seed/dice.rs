//! Reproducible chance: SplitMix64 (Steele, Lea and Flood, 2014), started anew for every row, so
//! that a row depends on the seed and its number alone and never on a library's version.

/// The chances of one row.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// For row `index` of the table `salt` under `seed`.
    pub fn of(seed: u64, salt: u64, index: u64) -> Self {
        let mut dice = Self(seed);
        dice.0 = dice.roll() ^ salt;
        dice.0 = dice.roll() ^ index;
        dice.roll();
        dice
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to `bound` - 1; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.roll()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// Evenly from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of a few.
    pub fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let bound = u64::try_from(from.len()).unwrap_or_default();
        let at = usize::try_from(self.below(bound)).unwrap_or_default();
        from.get(at).copied().unwrap_or_default()
    }

    /// One of a few, by their weights.
    pub fn weighted<T: Copy + Default>(&mut self, from: &[(T, u64)]) -> T {
        let mut left = self.below(from.iter().map(|(_, weight)| weight).sum());
        for (value, weight) in from {
            if left < *weight {
                return *value;
            }
            left -= weight;
        }
        T::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for the state 1234567, as the reference implementation gives them.
        let mut dice = Dice(1_234_567);
        assert_eq!(dice.roll(), 6_457_827_717_110_365_317);
        assert_eq!(dice.roll(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn rows_seeds_and_tables_have_chances_of_their_own() {
        let first = |seed, salt, index| Dice::of(seed, salt, index).roll();
        let all = [
            first(1, 1, 1),
            first(2, 1, 1),
            first(1, 2, 1),
            first(1, 1, 2),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one));
        }
    }

    #[test]
    fn weights_are_kept() {
        let mut dice = Dice(7);
        let hits = (0..10_000)
            .filter(|_| dice.weighted(&[("a", 3), ("b", 1)]) == "a")
            .count();
        assert!((7_300..7_700).contains(&hits), "{hits}");
        assert!((0..10_000).all(|_| (5..=9).contains(&dice.between(5, 9))));
    }
}
