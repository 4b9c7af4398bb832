//! Rate limits, in this process: per person and per address, told in the `RateLimit` headers
//! (draft-ietf-httpapi-ratelimit-headers-10).

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::HttpRequest;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::auth::attempts::network;
use crate::error::{AppError, ErrorCode};
use crate::ids::{FormId, UserId};

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Requests of one person: a burst, refilled over ten seconds.
const PER_USER: u32 = 600;
/// Requests from one address, signed in or not: an office shares one.
const PER_ADDRESS: u32 = 2_000;
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Answers to one public form from one address, and from all: a burst, refilled over a minute.
const PER_FORM_AND_ADDRESS: u32 = 20;
const PER_FORM: u32 = 300;
const FORM_WINDOW: Duration = Duration::from_secs(60);

/// The limits; `None` when switched off for load tests.
pub struct Limits(Option<All>);

struct All {
    users: Keyed<UserId>,
    addresses: Keyed<IpAddr>,
    senders: Keyed<(FormId, IpAddr)>,
    forms: Keyed<FormId>,
}

/// What is left after a request, for the headers.
#[derive(Clone, Copy, Debug)]
pub struct Remaining {
    pub policy: &'static str,
    pub quota: u32,
    pub left: u32,
}

/// A request, counted; also one too many says what is left: nothing.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub remaining: Remaining,
    /// Seconds after which there is room again, when there was none.
    wait: Option<u32>,
}

impl Counted {
    /// 429 for one too many.
    pub fn admit(self) -> Result<(), AppError> {
        match self.wait {
            None => Ok(()),
            Some(seconds) => {
                Err(AppError::new(ErrorCode::RateLimited, "Slow down a little")
                    .retry_after(seconds))
            }
        }
    }
}

impl Limits {
    pub fn new(on: bool) -> Limits {
        Limits(on.then(|| All {
            users: limiter(PER_USER, WINDOW),
            addresses: limiter(PER_ADDRESS, WINDOW),
            senders: limiter(PER_FORM_AND_ADDRESS, FORM_WINDOW),
            forms: limiter(PER_FORM, FORM_WINDOW),
        }))
    }

    /// Counts a request of an address. Whoever has one IPv6 address has all of its /64.
    pub fn count_address(&self, address: IpAddr) -> Option<Counted> {
        let all = self.0.as_ref()?;
        let network = network(address);
        Some(count(&all.addresses, &network, "address", PER_ADDRESS))
    }

    /// Counts a request of a person.
    pub fn count_user(&self, user: UserId) -> Option<Counted> {
        let all = self.0.as_ref()?;
        Some(count(&all.users, &user, "user", PER_USER))
    }

    /// Counts answers to a public form: 429 for one too many from this address, or from all.
    pub fn admit_form(&self, form: FormId, address: IpAddr) -> Result<(), AppError> {
        let Some(all) = &self.0 else { return Ok(()) };
        let sender = (form, network(address));
        count(&all.senders, &sender, "form_address", PER_FORM_AND_ADDRESS).admit()?;
        count(&all.forms, &form, "form", PER_FORM).admit()
    }

    /// Forgets those who have been silent for a window.
    pub fn sweep(&self) {
        if let Some(all) = &self.0 {
            all.users.retain_recent();
            all.addresses.retain_recent();
            all.senders.retain_recent();
            all.forms.retain_recent();
        }
    }
}

fn limiter<K: std::hash::Hash + Eq + Clone>(burst: u32, window: Duration) -> Keyed<K> {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let refill = window / burst.get();
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
) -> Counted {
    let (left, wait) = match limiter.check_key(key) {
        Ok(state) => (state.remaining_burst_capacity(), None),
        Err(not_until) => {
            metrics::counter!(crate::telemetry::RATE_LIMITED, "policy" => policy).increment(1);
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
            (0, Some(seconds.saturating_add(1)))
        }
    };
    Counted {
        remaining: Remaining {
            policy,
            quota,
            left,
        },
        wait,
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
        .and_then(|entry| read_address(entry))
        .unwrap_or(peer)
}

/// Some proxies write the port too.
fn read_address(entry: &str) -> Option<IpAddr> {
    let plain = entry.parse().ok();
    plain.or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_may_write_the_port_too() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(read_address("192.0.2.1"), Some(address));
        assert_eq!(read_address("192.0.2.1:4711"), Some(address));
        assert_eq!(read_address("[2001:db8::1]:80"), "2001:db8::1".parse().ok());
        assert_eq!(read_address("unknown"), None);
    }

    #[test]
    fn a_network_counts_as_one_address() {
        let limits = Limits::new(true);
        let left = |address: &str| {
            let counted = limits.count_address(address.parse().unwrap());
            counted.unwrap().remaining.left
        };
        let first = left("2001:db8::1");
        assert!(left("2001:db8::ffff:1:2:3") < first);
        assert_eq!(left("2001:db8:0:1::1"), first);
    }

    #[test]
    fn one_too_many_is_refused_and_told_that_nothing_is_left() {
        let limits = Limits::new(true);
        let user = UserId(uuid::Uuid::nil());
        let counted: Vec<_> = (0..=PER_USER)
            .map(|_| limits.count_user(user).unwrap())
            .collect();
        let last = counted.last().unwrap();
        assert_eq!(last.remaining.left, 0);
        let refused = last.admit().unwrap_err();
        assert_eq!(refused.code.status(), 429);
        assert!(refused.retry_after.is_some_and(|seconds| seconds >= 1));
    }
}
