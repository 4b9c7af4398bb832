//! How often somebody may try to sign in. In this process only; what it counts is forgotten at a
//! restart. A limit on an account alone would let strangers lock its owner out, so an address from
//! which the account was opened before is not held up by what others try.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use lru::LruCache;
use parking_lot::Mutex;

/// Tries at one account from one address: ten, then one every six seconds.
const PAIR: (NonZeroU32, Duration) = (nonzero(10), Duration::from_secs(6));
/// Tries at one account from all unfamiliar addresses together.
const ACCOUNT: (NonZeroU32, Duration) = (nonzero(50), Duration::from_secs(6));
/// Tries from one address at whatever account: 150, then one every two seconds, as many as
/// Supabase Auth grants in five minutes.
const ADDRESS: (NonZeroU32, Duration) = (nonzero(150), Duration::from_secs(2));
/// How many account-and-address pairs are remembered as familiar.
const FAMILIAR: NonZeroU32 = nonzero(100_000);
/// Above so many keys those that are back at rest are dropped, to bound the memory.
const SWEEP_ABOVE: usize = 50_000;

/// Come back after so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    pub retry_after: Duration,
}

/// The counters. Keys are hashed, so that what strangers type is not kept.
pub struct Attempts {
    clock: DefaultClock,
    hasher: RandomState,
    by_pair: DefaultKeyedRateLimiter<u64>,
    by_account: DefaultKeyedRateLimiter<u64>,
    by_address: DefaultKeyedRateLimiter<u64>,
    familiar: Mutex<LruCache<u64, ()>>,
}

impl Default for Attempts {
    fn default() -> Self {
        let familiar = usize::try_from(FAMILIAR.get())
            .ok()
            .and_then(std::num::NonZeroUsize::new);
        Self {
            clock: DefaultClock::default(),
            hasher: RandomState::new(),
            by_pair: limiter(PAIR),
            by_account: limiter(ACCOUNT),
            by_address: limiter(ADDRESS),
            familiar: Mutex::new(familiar.map_or_else(LruCache::unbounded, LruCache::new)),
        }
    }
}

impl Attempts {
    /// Counts one try at `account` (a normalised e-mail) from `address`.
    pub fn sign_in(&self, account: &str, address: IpAddr) -> Result<(), TooMany> {
        self.from(address)?;
        let pair = self.pair(account, address);
        self.check(&self.by_pair, pair)?;
        if self.familiar.lock().get(&pair).is_some() {
            return Ok(());
        }
        self.check(&self.by_account, self.hasher.hash_one(account))
    }

    /// Counts one costly call from `address` that names no account yet.
    pub fn from(&self, address: IpAddr) -> Result<(), TooMany> {
        self.check(&self.by_address, self.hasher.hash_one(network(address)))
    }

    /// From now on `address` is familiar to `account`: call it after a right password.
    pub fn succeeded(&self, account: &str, address: IpAddr) {
        let pair = self.pair(account, address);
        self.familiar.lock().put(pair, ());
    }

    fn pair(&self, account: &str, address: IpAddr) -> u64 {
        self.hasher.hash_one((account, network(address)))
    }

    fn check(&self, limiter: &DefaultKeyedRateLimiter<u64>, key: u64) -> Result<(), TooMany> {
        if limiter.len() > SWEEP_ABOVE {
            limiter.retain_recent();
        }
        limiter.check_key(&key).map_err(|until| TooMany {
            retry_after: until.wait_time_from(self.clock.now()),
        })
    }
}

const fn nonzero(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

fn limiter((burst, every): (NonZeroU32, Duration)) -> DefaultKeyedRateLimiter<u64> {
    let quota = Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    RateLimiter::keyed(quota.allow_burst(burst))
}

/// What one household or server has: an IPv4 address, or the first 64 bits of an IPv6 one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, n])
    }

    fn tries_until_refused(mut attempt: impl FnMut(usize) -> Result<(), TooMany>) -> usize {
        (0..10_000).position(|n| attempt(n).is_err()).unwrap()
    }

    #[test]
    fn one_address_may_try_one_account_ten_times_in_a_row() {
        let attempts = Attempts::default();
        assert_eq!(
            tries_until_refused(|_| attempts.sign_in("ada@example.com", host(1))),
            10
        );
        let refused = attempts.sign_in("ada@example.com", host(1)).unwrap_err();
        assert!(refused.retry_after <= Duration::from_secs(6), "{refused:?}");
        assert_eq!(attempts.sign_in("bob@example.com", host(1)), Ok(()));
    }

    #[test]
    fn spraying_many_accounts_from_one_address_ends() {
        let attempts = Attempts::default();
        let tries =
            tries_until_refused(|n| attempts.sign_in(&format!("user{n}@example.com"), host(1)));
        assert_eq!(tries, 150);
    }

    #[test]
    fn many_addresses_at_one_account_end_but_do_not_lock_its_owner_out() {
        let attempts = Attempts::default();
        attempts.succeeded("ada@example.com", host(255));
        let strangers =
            |n: usize| attempts.sign_in("ada@example.com", host(u8::try_from(n % 250).unwrap()));
        assert_eq!(tries_until_refused(strangers), 50);
        assert_eq!(attempts.sign_in("ada@example.com", host(255)), Ok(()));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let attempts = Attempts::default();
        let host = |n: usize| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + n as u128));
        let tries = tries_until_refused(|n| attempts.sign_in("ada@example.com", host(n)));
        assert_eq!(tries, 10);
    }
}
