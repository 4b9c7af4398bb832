//! When a lost connection is tried again, and when not: the close codes of the contract and a
//! full-jitter back-off.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);

/// Whether a close code leaves hope: 4400–4499 mean that the same would happen again.
pub fn may_retry(close_code: u16) -> bool {
    !(4400..4500).contains(&close_code)
}

/// How long to wait before attempt `attempt` (0 is the first): a random part, by `dice` in
/// `[0, 1]`, of a ceiling that doubles from 0.2 s to 15 s.
pub fn delay(attempt: u32, dice: f64) -> Duration {
    let ceiling = SHORTEST
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(LONGEST);
    ceiling.mul_f64(dice.clamp(0.0, 1.0))
}

/// Sleeps for [`delay`] with dice of its own.
pub async fn pause(attempt: u32) {
    tokio::time::sleep(delay(attempt, rand::random())).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_delay_stays_under_its_ceiling(attempt in 0_u32..1000, dice in 0.0..=1.0_f64) {
            let ceiling = delay(attempt, 1.0);
            prop_assert!(delay(attempt, dice) <= ceiling);
            prop_assert!((SHORTEST..=LONGEST).contains(&ceiling));
        }
    }

    #[test]
    fn only_hopeless_closes_are_not_retried() {
        for code in [1000, 1001, 1006, 1011, 4000, 4001, 4008, 4009] {
            assert!(may_retry(code), "{code}");
        }
        for code in [4400, 4401, 4403, 4404, 4426] {
            assert!(!may_retry(code), "{code}");
        }
    }
}
