//! The sockets of this process: how many a person and an address may hold, and how all of them are
//! told that the server goes away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::actors::outbox::{Outbox, Outgoing};
use crate::error::{AppError, ErrorCode};
use crate::ids::UserId;

/// Sockets of one person: tabs and devices.
const PER_USER: usize = 20;
/// Sockets of one address, also before they say who they are: an office shares one.
const PER_ADDRESS: usize = 1_000;

/// Between two goodbyes, so that all who come back don't come at once; and for all of them together.
const APART: Duration = Duration::from_millis(2);
const SPREAD: Duration = Duration::from_secs(8);
/// The first goodbye leaves time for what is under way.
const AT_LEAST: Duration = Duration::from_millis(200);
/// How long sockets may take to close after the last goodbye.
const GRACE: Duration = Duration::from_secs(2);

/// All seats. Cheap to clone.
#[derive(Clone)]
pub struct Seats {
    limited: bool,
    taken: Arc<Mutex<Taken>>,
    empty: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    addresses: HashMap<IpAddr, usize>,
    users: HashMap<UserId, usize>,
    outboxes: HashMap<Uuid, Outbox>,
    draining: bool,
}

/// One socket's seat, given back when dropped.
pub(super) struct Seat {
    seats: Seats,
    session: Uuid,
    address: IpAddr,
    user: Option<UserId>,
}

impl Seats {
    /// Nobody is refused when limits are off (for load tests).
    pub fn new(limited: bool) -> Seats {
        Seats {
            limited,
            taken: Arc::default(),
            empty: Arc::default(),
        }
    }

    pub(super) fn limited(&self) -> bool {
        self.limited
    }

    /// A seat for a socket that is about to open.
    ///
    /// Errors: `rate_limited` when the address holds as many as it may, `unavailable` when the
    /// server goes away.
    pub(super) fn take(&self, session: Uuid, address: IpAddr) -> Result<Seat, AppError> {
        let mut taken = self.taken.lock();
        if taken.draining {
            return Err(AppError::unavailable("This server is going away"));
        }
        let held = taken.addresses.entry(address).or_default();
        if self.limited && *held >= PER_ADDRESS {
            let reason = "Too many sockets from this address";
            return Err(AppError::new(ErrorCode::RateLimited, reason).retry_after(10));
        }
        *held += 1;
        Ok(Seat {
            seats: self.clone(),
            session,
            address,
            user: None,
        })
    }

    /// Tells every socket that the server goes away, and waits until they have gone: no longer
    /// than ten seconds. New ones are refused from here on.
    pub async fn drain(&self) {
        let told: Vec<Outbox> = {
            let mut taken = self.taken.lock();
            taken.draining = true;
            taken.outboxes.values().cloned().collect()
        };
        let count = u32::try_from(told.len()).unwrap_or(u32::MAX).max(1);
        let apart = APART.min(SPREAD / count);
        let mut after = AT_LEAST;
        for outbox in told {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(0);
            outbox.push(Outgoing::Drain { after_ms });
            after += apart;
        }
        let gone = tokio::time::timeout(after + GRACE, self.emptied()).await;
        if gone.is_err() {
            tracing::warn!("some sockets did not close in time");
        }
    }

    async fn emptied(&self) {
        loop {
            let changed = self.empty.notified();
            if self.taken.lock().outboxes.is_empty() {
                return;
            }
            changed.await;
        }
    }
}

impl Seat {
    /// The socket runs: it hears of a drain through its outbox.
    pub(super) fn open(&self, outbox: Outbox) {
        let draining = {
            let mut taken = self.seats.taken.lock();
            taken.outboxes.insert(self.session, outbox.clone());
            taken.draining
        };
        if draining {
            outbox.push(Outgoing::Drain { after_ms: 0 });
        }
    }

    /// The socket said who it is; whether the person may hold one more.
    pub(super) fn sit(&mut self, user: UserId) -> bool {
        let mut taken = self.seats.taken.lock();
        let held = taken.users.entry(user).or_default();
        if self.seats.limited && *held >= PER_USER {
            return false;
        }
        *held += 1;
        self.user = Some(user);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        give_back(&mut taken.addresses, &self.address);
        if let Some(user) = &self.user {
            give_back(&mut taken.users, user);
        }
        taken.outboxes.remove(&self.session);
        if taken.outboxes.is_empty() {
            self.seats.empty.notify_waiters();
        }
    }
}

fn give_back<K: std::hash::Hash + Eq>(held: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = held.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            held.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn seat(seats: &Seats) -> Option<Seat> {
        seats.take(Uuid::now_v7(), HERE).ok()
    }

    #[test]
    fn an_address_and_a_person_hold_so_many_and_get_them_back() {
        let seats = Seats::new(true);
        let mut held: Vec<Seat> = (0..PER_ADDRESS).map(|_| seat(&seats).unwrap()).collect();
        assert!(seat(&seats).is_none());
        let user = UserId(Uuid::nil());
        let seated = held
            .iter_mut()
            .filter_map(|seat| seat.sit(user).then_some(()));
        assert_eq!(seated.count(), PER_USER);
        held.truncate(PER_USER - 1);
        assert!(seat(&seats).unwrap().sit(user));
        held.clear();
        assert!(seats.taken.lock().addresses.is_empty());
        assert!(seats.taken.lock().users.is_empty());
    }

    #[test]
    fn without_limits_nobody_is_refused() {
        let seats = Seats::new(false);
        let held: Vec<Seat> = (0..2 * PER_ADDRESS)
            .map(|_| seat(&seats).unwrap())
            .collect();
        assert_eq!(held.len(), 2 * PER_ADDRESS);
    }

    #[tokio::test]
    async fn a_drain_tells_everybody_at_times_of_their_own_and_waits_for_them() {
        let seats = Seats::new(true);
        let held: Vec<(Seat, Outbox)> = (0..50)
            .map(|_| {
                let (seat, outbox) = (seat(&seats).unwrap(), Outbox::new(|| {}));
                seat.open(outbox.clone());
                (seat, outbox)
            })
            .collect();
        let draining = seats.drain();
        tokio::pin!(draining);
        assert!(futures::poll!(&mut draining).is_pending());
        let mut times: Vec<u64> = held
            .iter()
            .flat_map(|(_, outbox)| outbox.take(usize::MAX, |_, _| false))
            .map(|(_, outgoing)| match outgoing {
                Outgoing::Drain { after_ms } => after_ms,
                other => panic!("{other:?}"),
            })
            .collect();
        times.sort_unstable();
        times.dedup();
        assert_eq!(times.len(), 50);
        assert!(seat(&seats).is_none(), "nobody new");
        drop(held);
        draining.await;
    }
}
