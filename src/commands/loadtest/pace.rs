//! When an editor sends its next edit. Pure: time is a duration since the start.

use std::time::Duration;

/// How edits are spaced.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Open loop: by the clock, whether or not answers have come. An edit that can't be sent in
    /// time keeps its intended time, so a stalled server can't hide behind a stalled client
    /// (coordinated omission).
    Steady { first: Duration, every: Duration },
    /// Closed loop: so many in flight, the next as soon as one is answered.
    Pipelined { depth: usize },
}

impl Pace {
    /// The pace of editor `editor` of `editors` who together make `rate` edits a second, evenly
    /// spread; a rate of zero is a closed loop of `depth`.
    pub fn of(editor: u16, editors: u16, rate: f64, depth: usize) -> Self {
        if rate <= 0.0 {
            return Self::Pipelined {
                depth: depth.max(1),
            };
        }
        Self::Steady {
            first: Duration::from_secs_f64(f64::from(editor) / rate),
            every: Duration::from_secs_f64(f64::from(editors.max(1)) / rate),
        }
    }

    /// The intended time of the next edit, after `issued` ones of which `in_flight` are
    /// unanswered; `None` while it is not due.
    pub fn due(&self, issued: u32, in_flight: usize, now: Duration) -> Option<Duration> {
        match *self {
            Self::Pipelined { depth } => (in_flight < depth).then_some(now),
            Self::Steady { .. } => self.wake(issued).filter(|intended| *intended <= now),
        }
    }

    /// When to look again if nothing arrives; `None`: only an answer makes the next edit due.
    pub fn wake(&self, issued: u32) -> Option<Duration> {
        match *self {
            Self::Pipelined { .. } => None,
            Self::Steady { first, every } => Some(first + every.saturating_mul(issued)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn together_the_editors_make_the_rate(editors in 1_u16..300, rate in 1.0..5000.0_f64) {
            let window = Duration::from_secs(20);
            let mut sent = 0_u32;
            for editor in 0..editors {
                let pace = Pace::of(editor, editors, rate, 1);
                let mut issued = 0;
                while pace.due(issued, 9999, window).is_some() {
                    issued += 1;
                }
                sent += issued;
            }
            let wanted = rate * 20.0;
            // Rounding an interval to a nanosecond may move an edit over the edge of the window.
            prop_assert!((f64::from(sent) - wanted).abs() <= f64::from(editors) + 1.0, "{sent} of {wanted}");
        }
    }

    #[test]
    fn a_late_edit_keeps_its_intended_time() {
        let pace = Pace::of(0, 1, 10.0, 1);
        let stalled = Duration::from_secs(1);
        assert_eq!(pace.due(3, 0, stalled), Some(Duration::from_millis(300)));
        assert_eq!(pace.due(11, 0, stalled), None);
        assert_eq!(pace.wake(11), Some(Duration::from_millis(1100)));
    }

    #[test]
    fn a_pipeline_is_never_deeper_than_asked() {
        let pace = Pace::of(0, 64, 0.0, 16);
        let now = Duration::from_secs(3);
        assert_eq!(pace.due(100, 15, now), Some(now));
        assert_eq!(pace.due(100, 16, now), None);
    }
}
