//! How much of the past is in memory, over all workspaces of the process. Beyond the bound the
//! workspaces that were used longest ago forget theirs: it can be read again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use lru::LruCache;
use parking_lot::Mutex;

use super::tail::Kept;

/// The bound of a server.
const TAILS_BYTES: usize = 64 << 20;

/// The account of all tails.
pub(in crate::actors) struct Tails {
    most_bytes: usize,
    last: AtomicU64,
    account: Mutex<Account>,
}

struct Account {
    /// By their last use; with what each weighed then.
    tails: LruCache<u64, (Weak<Mutex<Kept>>, usize)>,
    bytes: usize,
}

/// One tail's line in the account, taken out when dropped.
pub(super) struct Line {
    tails: Arc<Tails>,
    number: u64,
}

impl Tails {
    pub(in crate::actors) fn new() -> Arc<Tails> {
        Tails::bounded(TAILS_BYTES)
    }

    pub(super) fn bounded(most_bytes: usize) -> Arc<Tails> {
        Arc::new(Tails {
            most_bytes,
            last: AtomicU64::new(0),
            account: Mutex::new(Account {
                tails: LruCache::unbounded(),
                bytes: 0,
            }),
        })
    }

    pub(super) fn line(self: &Arc<Self>) -> Line {
        Line {
            tails: Arc::clone(self),
            number: self.last.fetch_add(1, Ordering::Relaxed),
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.account.lock().bytes
    }
}

impl Line {
    /// The tail was used, and weighs so much now. Others may have to forget: none of their locks may
    /// be held here.
    pub(super) fn used(&self, kept: &Arc<Mutex<Kept>>, bytes: usize) {
        let others = {
            let mut account = self.tails.account.lock();
            let line = (Arc::downgrade(kept), bytes);
            let before = account.tails.push(self.number, line);
            let before = before.map_or(0, |(_, (_, bytes))| bytes);
            account.bytes = account.bytes.saturating_sub(before) + bytes;
            account.beyond(self.tails.most_bytes)
        };
        for other in others.iter().filter_map(Weak::upgrade) {
            other.lock().forget();
        }
    }
}

impl Account {
    /// Takes out what was used longest ago, until the rest is within the bound; never the last.
    fn beyond(&mut self, most_bytes: usize) -> Vec<Weak<Mutex<Kept>>> {
        let mut taken = Vec::new();
        while self.bytes > most_bytes
            && self.tails.len() > 1
            && let Some((_, (kept, bytes))) = self.tails.pop_lru()
        {
            self.bytes = self.bytes.saturating_sub(bytes);
            taken.push(kept);
        }
        taken
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut account = self.tails.account.lock();
        if let Some((_, bytes)) = account.tails.pop(&self.number) {
            account.bytes = account.bytes.saturating_sub(bytes);
        }
    }
}
