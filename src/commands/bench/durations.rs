//! What things took: the middle one, and how it is told.

use std::time::Duration;

use crate::commands::loadtest::float;

/// The median; none of none.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// In milliseconds, as text.
pub fn ms(time: Duration) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    format!("{:.2} ms", float(micros) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_ignores_the_outlier() {
        let ms = Duration::from_millis;
        assert_eq!(median(vec![ms(900), ms(2), ms(3)]), ms(3));
        assert_eq!(median(Vec::new()), ms(0));
    }
}
