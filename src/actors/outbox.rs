//! The bounded queue between the hub and one socket. The hub never waits and never sends to a
//! socket directly: it puts things in here and wakes the session once; what has queued by the time
//! the session looks goes out together. A queue that overflows is closed, and the client resumes
//! from the log: a slow reader costs its bound and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;

use bytestring::ByteString;
use parking_lot::Mutex;

use super::workspace::EventBatch;
use crate::domain::roles::Role;
use crate::ids::WorkspaceId;

/// Bytes that one socket may cost: what waits here for it, and what its session took out that the
/// peer has not acknowledged.
pub const SOCKET_BYTES: usize = 1 << 20;

/// Bytes that may wait for one socket while presence is still told to it.
const PRESENCE_BYTES: usize = 64 * 1024;

/// Something for a socket, in order.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Events of a workspace that the socket follows.
    Events(Arc<EventBatch>),
    /// Events up to here were too many to be handed over: they are fetched in pieces.
    Moved {
        workspace: WorkspaceId,
        through: i64,
    },
    /// The position of a silent workspace.
    Beat {
        workspace: WorkspaceId,
        through: i64,
    },
    /// The member's role from here on; `None` ends the subscription.
    Access {
        workspace: WorkspaceId,
        role: Option<Role>,
    },
    /// The log is another one from here on (a restored backup): what was read must be read again.
    Reset {
        workspace: WorkspaceId,
        seq: i64,
        mark: Arc<str>,
    },
    /// The actor was let go of or died: subscribe anew from the position.
    Rejoin { workspace: WorkspaceId },
    /// A frame that is ready, e.g. progress of a job.
    Frame {
        workspace: WorkspaceId,
        frame: ByteString,
    },
    /// Who is where: everybody, or what has changed.
    Presence {
        workspace: WorkspaceId,
        frame: ByteString,
        full: bool,
    },
    /// The server goes away: so does the socket, after so long.
    Drain { after_ms: u64 },
    /// Nothing more; the close code and why.
    Close { code: u16, reason: &'static str },
}

impl Outgoing {
    fn bytes(&self) -> usize {
        match self {
            Outgoing::Events(batch) => batch.bytes(),
            Outgoing::Frame { frame, .. } | Outgoing::Presence { frame, .. } => frame.len(),
            _ => 64,
        }
    }

    /// Whether it says that a person may read no longer.
    fn shuts_out(&self) -> bool {
        matches!(self, Outgoing::Access { role: None, .. })
    }

    /// Whether it goes out though the peer reads nothing.
    fn waits_for_nobody(&self) -> bool {
        self.shuts_out() || matches!(self, Outgoing::Drain { .. } | Outgoing::Close { .. })
    }

    /// The workspace that it is about.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Outgoing::Events(batch) => Some(batch.workspace),
            Outgoing::Moved { workspace, .. }
            | Outgoing::Beat { workspace, .. }
            | Outgoing::Access { workspace, .. }
            | Outgoing::Reset { workspace, .. }
            | Outgoing::Rejoin { workspace }
            | Outgoing::Frame { workspace, .. }
            | Outgoing::Presence { workspace, .. } => Some(*workspace),
            Outgoing::Drain { .. } | Outgoing::Close { .. } => None,
        }
    }
}

/// The number of a join. A socket that leaves a workspace and joins it again has a new one, and
/// what the hub queued for an old one is known by it.
pub type Ticket = u64;

/// One socket's queue, as the holder of a ticket sees it. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    ticket: Ticket,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Ticket, Outgoing)>,
    bytes: usize,
    /// Of presence: they close nothing.
    presence_bytes: usize,
    /// Taken out and not acknowledged.
    owed: usize,
    woken: bool,
    closed: bool,
}

impl Outbox {
    /// `wake` is called once for all that queues until the next `take`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Outbox {
        Outbox {
            ticket: 0,
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                wake: Box::new(wake),
            }),
        }
    }

    /// The same queue for a join: all that is pushed through it carries the ticket.
    #[must_use]
    pub fn ticketed(&self, ticket: Ticket) -> Outbox {
        Outbox {
            ticket,
            shared: Arc::clone(&self.shared),
        }
    }

    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Queues it; beyond the bound the queue is replaced by a close (4008, too slow). That a person is
    /// shut out comes before all that was queued of the workspace, and in its place.
    pub fn push(&self, outgoing: Outgoing) {
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            return;
        }
        if outgoing.shuts_out() {
            queue.drop_all_of(self.ticket, outgoing.workspace());
        }
        queue.bytes += outgoing.bytes();
        if queue.bytes + queue.owed > SOCKET_BYTES {
            queue.closed = true;
            queue.waiting.clear();
            queue.presence_bytes = 0;
            let close = Outgoing::Close {
                code: 4008,
                reason: "too slow",
            };
            queue.waiting.push_back((self.ticket, close));
        } else if outgoing.shuts_out() {
            queue.waiting.push_front((self.ticket, outgoing));
            // Its reader may wait for the peer: this is not for the peer to delay.
            queue.woken = false;
        } else {
            queue.waiting.push_back((self.ticket, outgoing));
        }
        let wake = !std::mem::replace(&mut queue.woken, true);
        drop(queue);
        if wake {
            (self.shared.wake)();
        }
    }

    /// Queues presence, unless much waits already: it is the first that a slow socket goes without.
    /// Whether it was queued.
    pub fn offer(&self, presence: Outgoing) -> bool {
        let mut queue = self.shared.queue.lock();
        let bytes = queue.presence_bytes + presence.bytes();
        let waiting = queue.bytes + queue.presence_bytes;
        // A large one finds room where nothing waits.
        if queue.closed || waiting > 0 && queue.bytes + bytes > PRESENCE_BYTES {
            metrics::counter!(crate::telemetry::PRESENCE_SKIPPED).increment(1);
            return false;
        }
        queue.presence_bytes = bytes;
        queue.waiting.push_back((self.ticket, presence));
        let wake = !std::mem::replace(&mut queue.woken, true);
        drop(queue);
        if wake {
            (self.shared.wake)();
        }
        true
    }

    /// What waits, up to `budget` bytes (one thing at least, if there is any budget), and what costs
    /// the peer nothing. When nothing is left the next push wakes again; else the reader comes back
    /// by itself.
    pub fn take(
        &self,
        budget: usize,
        costs_nothing: impl Fn(Ticket, &Outgoing) -> bool,
    ) -> VecDeque<(Ticket, Outgoing)> {
        let mut queue = self.shared.queue.lock();
        let mut taken = VecDeque::new();
        let mut spent = 0;
        while let Some((ticket, next)) = queue.waiting.front() {
            let bytes = next.bytes();
            if !next.waits_for_nobody() && !costs_nothing(*ticket, next) {
                if budget == 0 || spent > 0 && spent + bytes > budget {
                    break;
                }
                spent += bytes;
            }
            if matches!(next, Outgoing::Presence { .. }) {
                queue.presence_bytes = queue.presence_bytes.saturating_sub(bytes);
            } else {
                queue.bytes = queue.bytes.saturating_sub(bytes);
            }
            taken.extend(queue.waiting.pop_front());
        }
        // Until the reader says what became of it.
        queue.owed += spent;
        queue.woken = !queue.waiting.is_empty();
        if queue.waiting.is_empty() {
            // A silent socket keeps no room.
            queue.waiting = VecDeque::new();
        }
        taken
    }

    /// What of all that was taken out the peer has not acknowledged.
    pub fn settle(&self, owed: usize) {
        self.shared.queue.lock().owed = owed;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.shared.queue.lock().waiting.is_empty()
    }

    /// Whether it overflowed or its session ended.
    pub fn is_closed(&self) -> bool {
        self.shared.queue.lock().closed
    }

    /// The session ended: nothing queues any more.
    pub fn close(&self) {
        let mut queue = self.shared.queue.lock();
        queue.closed = true;
        queue.waiting.clear();
    }
}

impl Queue {
    /// Forgets what was queued of a workspace under that ticket.
    fn drop_all_of(&mut self, ticket: Ticket, workspace: Option<WorkspaceId>) {
        let (mut bytes, mut presence_bytes) = (0, 0);
        self.waiting.retain(|(under, outgoing)| {
            let stays = *under != ticket || outgoing.workspace() != workspace;
            match outgoing {
                _ if !stays => {}
                Outgoing::Presence { .. } => presence_bytes += outgoing.bytes(),
                _ => bytes += outgoing.bytes(),
            }
            stays
        });
        (self.bytes, self.presence_bytes) = (bytes, presence_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn outbox() -> (Outbox, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        (
            Outbox::new(move || {
                let _ = counted.fetch_add(1, Ordering::SeqCst);
            }),
            wakes,
        )
    }

    fn costly(_: Ticket, _: &Outgoing) -> bool {
        false
    }

    fn frame(bytes: usize) -> Outgoing {
        Outgoing::Frame {
            workspace: WorkspaceId(uuid::Uuid::nil()),
            frame: "x".repeat(bytes).into(),
        }
    }

    #[test]
    fn what_queues_together_wakes_once_and_goes_out_in_order() {
        let (outbox, wakes) = outbox();
        for size in 1..=3 {
            outbox.push(frame(size));
        }
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        let sizes: Vec<usize> = outbox
            .take(usize::MAX, costly)
            .iter()
            .map(|(_, outgoing)| outgoing.bytes())
            .collect();
        assert_eq!(sizes, [1, 2, 3]);
        outbox.push(frame(4));
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_reader_takes_what_it_can_and_comes_back_for_the_rest() {
        let (outbox, wakes) = outbox();
        for _ in 0..5 {
            outbox.push(frame(10));
        }
        assert_eq!(outbox.take(25, costly).len(), 2);
        outbox.push(frame(10));
        assert_eq!(
            wakes.load(Ordering::SeqCst),
            1,
            "the reader knows that something is left"
        );
        assert_eq!(outbox.take(usize::MAX, costly).len(), 4);
    }

    #[test]
    fn what_was_queued_for_an_earlier_join_is_known_by_its_ticket() {
        let (outbox, _) = outbox();
        let (first, second) = (outbox.ticketed(1), outbox.ticketed(2));
        for lane in [&first, &second, &first] {
            lane.push(frame(1));
        }
        let taken = outbox.take(usize::MAX, costly);
        let tickets: Vec<Ticket> = taken.iter().map(|(ticket, _)| *ticket).collect();
        assert_eq!(tickets, [1, 2, 1]);
    }

    #[test]
    fn presence_is_what_a_slow_reader_goes_without_first_and_never_closes() {
        let (outbox, _) = outbox();
        let presence = |bytes: usize| Outgoing::Presence {
            workspace: WorkspaceId(uuid::Uuid::nil()),
            frame: "x".repeat(bytes).into(),
            full: false,
        };
        let queued = (0..2_000).filter(|_| outbox.offer(presence(1_000)));
        assert_eq!(queued.count(), PRESENCE_BYTES / 1_000);
        // All the room that it had without.
        for _ in 0..SOCKET_BYTES / 1_024 {
            outbox.push(frame(1_024));
        }
        assert!(!outbox.is_closed());
        assert!(!outbox.offer(presence(1)));
        while !outbox.take(100_000, costly).is_empty() {}
        assert!(outbox.offer(presence(2 * PRESENCE_BYTES)), "nothing waits");
        assert!(!outbox.offer(presence(1)));
        outbox.push(frame(SOCKET_BYTES + 1));
        assert!(outbox.is_closed());
        assert!(!outbox.offer(presence(1)));
    }

    #[test]
    fn a_reader_that_is_too_slow_costs_its_bound_and_is_closed() {
        let (outbox, _) = outbox();
        for _ in 0..2_000 {
            outbox.push(frame(1_000));
        }
        let waiting = outbox.take(usize::MAX, costly);
        assert!(matches!(
            waiting.front(),
            Some((_, Outgoing::Close { code: 4008, .. }))
        ));
        assert_eq!(waiting.len(), 1);
        assert!(outbox.is_closed());
        outbox.push(frame(1));
        assert!(outbox.take(usize::MAX, costly).is_empty());
    }

    #[test]
    fn what_is_on_its_way_counts_until_it_is_acknowledged() {
        let (outbox, _) = outbox();
        let half = SOCKET_BYTES / 2;
        outbox.push(frame(half));
        assert_eq!(outbox.take(usize::MAX, costly).len(), 1);
        outbox.push(frame(half));
        assert!(!outbox.is_closed(), "as much as it may cost");
        outbox.settle(0);
        outbox.push(frame(half));
        assert!(!outbox.is_closed(), "the peer read");
        outbox.settle(1);
        outbox.push(frame(0));
        assert!(outbox.is_closed());
    }

    #[test]
    fn who_has_no_room_takes_what_costs_nothing() {
        let (outbox, _) = outbox();
        for size in [1, 2, 30, 4] {
            outbox.push(frame(size));
        }
        outbox.push(Outgoing::Drain { after_ms: 1 });
        let small = |_: Ticket, outgoing: &Outgoing| outgoing.bytes() < 10;
        assert_eq!(outbox.take(0, small).len(), 2);
        assert!(outbox.take(0, small).is_empty());
        assert_eq!(outbox.take(1, small).len(), 3, "one at least");
        assert!(outbox.is_empty());
    }

    #[test]
    fn who_is_shut_out_hears_nothing_more_of_the_workspace_and_is_told_at_once() {
        let (outbox, wakes) = outbox();
        let (here, there) = (outbox.ticketed(1), outbox.ticketed(2));
        for size in [10, 20] {
            here.push(frame(size));
            there.push(frame(size));
        }
        here.push(Outgoing::Access {
            workspace: WorkspaceId(uuid::Uuid::nil()),
            role: None,
        });
        assert_eq!(
            wakes.load(Ordering::SeqCst),
            2,
            "also who waits for the peer"
        );
        let told = outbox.take(0, costly);
        assert!(matches!(
            told.front(),
            Some((1, Outgoing::Access { role: None, .. }))
        ));
        assert_eq!(told.len(), 1);
        let rest = outbox.take(usize::MAX, costly);
        assert!(rest.iter().all(|(ticket, _)| *ticket == 2));
        assert_eq!(rest.len(), 2);
    }
}
