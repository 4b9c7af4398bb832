//! One clock for all simulated people, so that the time in an edit and the time of its arrival
//! elsewhere can be compared to the microsecond, whatever happens to the system's clock meanwhile.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, as this process reckons them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// How long ago `earlier` was, in microseconds; never below zero.
    pub fn micros_since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The system's time once, the monotonic clock from then on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    unix: Duration,
}

impl Clock {
    /// A clock that is right now.
    pub fn start() -> Self {
        Self {
            anchor: Instant::now(),
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// The moment of an instant.
    pub fn moment(&self, instant: Instant) -> Moment {
        let since = self.unix + instant.saturating_duration_since(self.anchor);
        Moment(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Now.
    pub fn now(&self) -> Moment {
        self.moment(Instant::now())
    }
}
