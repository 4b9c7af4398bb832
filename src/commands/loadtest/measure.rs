//! What is counted and timed while the load runs: HDR histograms of microseconds, and counters.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A minute and a half; what takes longer is counted as that.
const LONGEST_MICROS: u64 = 90_000_000;

/// Shared by all simulated people of a run.
#[derive(Debug, Default)]
pub struct Measures {
    /// Intended send → ack, over sockets.
    pub ack: Latencies,
    /// Intended send → answer, over REST.
    pub rest: Latencies,
    /// Intended send → arrival at a socket other than the author's.
    pub delivery: Latencies,
    pub sent: u64,
    /// Answered with a seq, at any time.
    pub acked: u64,
    /// Answered before the time was up: the base of acks/s.
    pub acked_in_time: u64,
    pub refused: u64,
    /// Events that arrived, at all sockets together.
    pub delivered: u64,
    pub delivered_in_time: u64,
    /// Of the frames that brought them to readers.
    pub read_bytes: u64,
    pub reconnects: u64,
    pub resets: u64,
}

/// A histogram of latencies in microseconds, to three digits.
#[derive(Debug, Default)]
pub struct Latencies(Option<Histogram<u64>>);

/// A latency's distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Latencies {
    /// Records one latency.
    pub fn record(&mut self, micros: u64) {
        if self.0.is_none() {
            self.0 = Histogram::new_with_bounds(1, LONGEST_MICROS, 3).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(micros.max(1));
        }
    }

    /// The distribution so far.
    pub fn summary(&self) -> Summary {
        let Some(histogram) = &self.0 else {
            return Summary::default();
        };
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        Summary {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e3,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: milliseconds(histogram.max()),
        }
    }
}

/// `count` a second.
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        float(count) / seconds
    } else {
        0.0
    }
}

/// A count as a floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run stay far below 2^53, where every integer is exact"
)]
pub fn float(count: u64) -> f64 {
    count as f64
}

fn milliseconds(micros: u64) -> f64 {
    float(micros) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_right_to_three_digits() {
        let mut latencies = Latencies::default();
        (1..=1000_u64).for_each(|ms| latencies.record(ms * 1000));
        let summary = latencies.summary();
        assert_eq!(summary.count, 1000);
        for (found, wanted) in [
            (summary.p50_ms, 500.0),
            (summary.p95_ms, 950.0),
            (summary.p99_ms, 990.0),
            (summary.max_ms, 1000.0),
            (summary.mean_ms, 500.5),
        ] {
            assert!(
                (found - wanted).abs() / wanted < 0.002,
                "{found} for {wanted}"
            );
        }
    }

    #[test]
    fn the_outrageous_is_counted_as_the_longest() {
        let mut latencies = Latencies::default();
        latencies.record(u64::MAX);
        latencies.record(0);
        let summary = latencies.summary();
        assert_eq!(summary.count, 2);
        assert!(summary.max_ms >= 90_000.0);
    }
}
