//! Rate limits, in this process: per person and per address, told in the `RateLimit` headers
//! (draft-ietf-httpapi-ratelimit-headers-10).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::HttpRequest;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::error::{AppError, ErrorCode};
use crate::ids::UserId;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Requests of one person: a burst, refilled over ten seconds.
const PER_USER: u32 = 600;
/// Requests from one address, signed in or not: an office shares one.
const PER_ADDRESS: u32 = 2_000;
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The two limits; `None` when switched off for load tests.
pub struct Limits(Option<Both>);

struct Both {
    users: Keyed<UserId>,
    addresses: Keyed<IpAddr>,
}

/// What is left after a request, for the headers.
#[derive(Clone, Copy, Debug)]
pub struct Remaining {
    pub policy: &'static str,
    pub quota: u32,
    pub left: u32,
}

impl Limits {
    pub fn new(on: bool) -> Limits {
        Limits(on.then(|| Both {
            users: limiter(PER_USER),
            addresses: limiter(PER_ADDRESS),
        }))
    }

    /// Counts a request of an address.
    pub fn count_address(&self, address: IpAddr) -> Result<Option<Remaining>, AppError> {
        self.0
            .as_ref()
            .map(|both| count(&both.addresses, &address, "address", PER_ADDRESS))
            .transpose()
    }

    /// Counts a request of a person.
    pub fn count_user(&self, user: UserId) -> Result<Option<Remaining>, AppError> {
        self.0
            .as_ref()
            .map(|both| count(&both.users, &user, "user", PER_USER))
            .transpose()
    }

    /// Forgets those who have been silent for a window.
    pub fn sweep(&self) {
        if let Some(both) = &self.0 {
            both.users.retain_recent();
            both.addresses.retain_recent();
        }
    }
}

fn limiter<K: std::hash::Hash + Eq + Clone>(burst: u32) -> Keyed<K> {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let refill = WINDOW / burst.get();
    let quota = Quota::with_period(refill)
        .unwrap_or(Quota::per_second(burst))
        .allow_burst(burst);
    RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>()
}

fn count<K: std::hash::Hash + Eq + Clone>(
    limiter: &Keyed<K>,
    key: &K,
    policy: &'static str,
    quota: u32,
) -> Result<Remaining, AppError> {
    match limiter.check_key(key) {
        Ok(state) => Ok(Remaining {
            policy,
            quota,
            left: state.remaining_burst_capacity(),
        }),
        Err(not_until) => {
            metrics::counter!(crate::telemetry::RATE_LIMITED, "policy" => policy).increment(1);
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            Err(AppError::new(ErrorCode::RateLimited, "Slow down a little").retry_after(seconds))
        }
    }
}

/// The caller's address: the connection's own, or what the last trusted proxy saw.
pub fn address(request: &HttpRequest, trusted_hops: usize) -> IpAddr {
    let peer = request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    if trusted_hops == 0 {
        return peer;
    }
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect::<Vec<_>>();
    // Each proxy appends whom it saw: only the last `trusted_hops` entries were written by ours.
    forwarded
        .len()
        .checked_sub(trusted_hops)
        .and_then(|index| forwarded.get(index))
        .and_then(|entry| entry.parse().ok())
        .unwrap_or(peer)
}
