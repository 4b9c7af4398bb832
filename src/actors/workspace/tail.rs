//! The recent past of a workspace, for sockets that come back or are behind: the last events as they
//! were encoded for live sockets, bounded, and shared by all that ask. What lies before is read from
//! the log a page at a time, by one reader for all that wait, so that a storm of reconnects costs a
//! handful of queries. It is handed out in pieces: whoever has not taken the rest yet holds a position
//! and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::broadcast::{EncodedEvent, EventBatch};
use super::tails::{Line, Tails};
use crate::domain::log::{GENESIS, mark};
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store::{self, Db, Purpose, Tx};
use crate::telemetry;

/// Beyond these a client rereads what it shows: it is faster for both. So nothing older is kept.
const MAX_EVENTS: i64 = 5_000;
const MAX_BYTES: usize = 4 << 20;
/// Bytes of a piece, unless its first event alone is larger.
const PIECE: usize = 64 * 1024;
/// What an event takes in memory beside its bytes.
const BESIDE: usize = 160;
/// Events read in one go.
const PAGE: i64 = 500;
/// Ranges that are kept whole while somebody still sends them.
const SHARED: usize = 64;

/// What became of a position.
#[derive(Clone, Debug)]
pub enum Past {
    /// What happened since: all of it, or as much as goes out at once.
    Events(Arc<EventBatch>),
    /// It can't be continued, and why.
    Reset(&'static str),
}

/// The past of one workspace.
pub(super) struct Tail {
    workspace: WorkspaceId,
    kept: Arc<Mutex<Kept>>,
    line: Line,
    /// Held by whoever reads the log; the others find what it read.
    reading: tokio::sync::Mutex<()>,
}

/// Events that follow each other from `(base, base_mark]` on.
pub(super) struct Kept {
    base: i64,
    base_mark: String,
    events: VecDeque<EncodedEvent>,
    bytes: usize,
    /// What lies before the base would go beyond the bounds.
    full: bool,
    shared: VecDeque<Weak<EventBatch>>,
}

/// What is kept about a position, if that is enough to answer.
enum Found {
    Past(Past),
    /// The log must be read below here.
    Below {
        base: i64,
        mark: String,
    },
}

impl Tail {
    pub(super) fn new(tails: &Arc<Tails>, workspace: WorkspaceId, seq: i64, mark: &str) -> Tail {
        Tail {
            workspace,
            kept: Arc::new(Mutex::new(Kept::at(seq, mark))),
            line: tails.line(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The log is another one: what is kept is not its past.
    pub(super) fn restart(&self, seq: i64, mark: &str) {
        *self.kept.lock() = Kept::at(seq, mark);
    }

    /// Takes a committed batch.
    pub(super) fn push(&self, batch: &EventBatch) {
        let weight = {
            let mut kept = self.kept.lock();
            if batch.after == kept.head() {
                kept.append(batch.events());
            } else {
                *kept = Kept::at(batch.through, &batch.mark);
            }
            kept.weight()
        };
        self.line.used(&self.kept, weight);
    }

    /// The first piece of the events in `(since, through]`, for someone who knows the log by `known`
    /// at `since`. `through` was reached here; `oldest` is the first event that the log still has.
    ///
    /// Errors: those of the database.
    pub(super) async fn since(
        &self,
        db: &Db,
        (since, known): (i64, &str),
        through: i64,
        oldest: i64,
    ) -> Result<Past, AppError> {
        let floor = if oldest <= 1 { 0 } else { oldest };
        if since < floor {
            return Ok(Past::Reset("too_old"));
        }
        if through - since > MAX_EVENTS {
            return Ok(Past::Reset("too_far"));
        }
        if let Found::Past(past) = self.find(since, known, through) {
            return Ok(past);
        }
        let _one_reads = self.reading.lock().await;
        loop {
            let (base, mark) = match self.find(since, known, through) {
                Found::Past(past) => return Ok(past),
                Found::Below { base, mark } => (base, mark),
            };
            let from = (base - PAGE).max(floor);
            let Some(page) = self.read(db, from, (base, &mark)).await? else {
                // The log is not the one that the hub knows; it will notice, and say more.
                return Ok(Past::Reset("foreign_mark"));
            };
            self.prepend((base, &mark), page);
        }
    }

    fn find(&self, since: i64, known: &str, through: i64) -> Found {
        let (found, weight) = {
            let mut kept = self.kept.lock();
            if since < kept.base && !kept.full {
                return Found::Below {
                    base: kept.base,
                    mark: kept.base_mark.clone(),
                };
            }
            let past = kept.since(self.workspace, (since, known), through);
            (Found::Past(past), kept.weight())
        };
        self.line.used(&self.kept, weight);
        found
    }

    fn prepend(&self, below: (i64, &str), page: Page) {
        let weight = {
            let mut kept = self.kept.lock();
            kept.prepend(below, page);
            kept.weight()
        };
        self.line.used(&self.kept, weight);
    }

    /// The events from `from` to the base; `None` when the log has others.
    async fn read(
        &self,
        db: &Db,
        from: i64,
        (base, base_mark): (i64, &str),
    ) -> Result<Option<Page>, AppError> {
        metrics::counter!(telemetry::REPLAY_READS).increment(1);
        let mut tx = Tx::begin(db, self.workspace, Purpose::Page).await?;
        // With the event at `from`, whose mark tells those who stand there from strangers.
        let after = (from - 1).max(0);
        let mut events =
            store::log::events_after(&mut tx, self.workspace, after, base, PAGE + 1, false).await?;
        tx.commit().await?;
        let whole = events.len() == usize::try_from(base - after).unwrap_or(usize::MAX)
            && events.last().map(|last| mark(&last.hash)).as_deref() == Some(base_mark);
        if !whole {
            return Ok(None);
        }
        let mark = match from {
            0 => mark(&GENESIS),
            _ => mark(&events.remove(0).hash),
        };
        let events = events.iter().map(EncodedEvent::logged).collect();
        Ok(Some(Page { from, mark, events }))
    }
}

/// Events read from the log, and the position that they follow.
struct Page {
    from: i64,
    mark: String,
    events: Vec<EncodedEvent>,
}

impl Kept {
    fn at(seq: i64, mark: &str) -> Kept {
        Kept {
            base: seq,
            base_mark: mark.to_owned(),
            events: VecDeque::new(),
            bytes: 0,
            full: false,
            shared: VecDeque::new(),
        }
    }

    fn head(&self) -> i64 {
        self.events.back().map_or(self.base, |event| event.seq)
    }

    fn weight(&self) -> usize {
        self.bytes + self.events.len() * BESIDE
    }

    /// Keeps nothing but where the log stands: the rest can be read again.
    pub(super) fn forget(&mut self) {
        if let Some(last) = self.events.back() {
            *self = Kept::at(last.seq, &last.mark());
        }
    }

    fn is_beyond(&self, more: usize) -> bool {
        let count = i64::try_from(self.events.len()).unwrap_or(i64::MAX);
        count >= MAX_EVENTS || self.bytes + more > MAX_BYTES
    }

    fn append(&mut self, events: &[EncodedEvent]) {
        for event in events {
            while self.is_beyond(event.len())
                && let Some(oldest) = self.events.pop_front()
            {
                self.bytes -= oldest.len();
                self.base = oldest.seq;
                self.base_mark = oldest.mark();
                self.full = true;
            }
            self.bytes += event.len();
            self.events.push_back(event.clone());
        }
    }

    /// Takes a page that was read below the base, unless the base moved meanwhile.
    fn prepend(&mut self, (base, mark): (i64, &str), page: Page) {
        if self.base != base || self.base_mark != mark {
            return;
        }
        for event in page.events.into_iter().rev() {
            if self.is_beyond(event.len()) {
                self.full = true;
                self.base = event.seq;
                self.base_mark = event.mark();
                return;
            }
            self.bytes += event.len();
            self.events.push_front(event);
        }
        self.base = page.from;
        self.base_mark = page.mark;
    }

    fn mark_at(&self, seq: i64) -> Option<String> {
        if seq == self.base {
            return Some(self.base_mark.clone());
        }
        let index = usize::try_from(seq - self.base - 1).ok()?;
        self.events.get(index).map(EncodedEvent::mark)
    }

    fn since(&mut self, workspace: WorkspaceId, (since, known): (i64, &str), through: i64) -> Past {
        if since < self.base {
            return Past::Reset("too_far");
        }
        let here = self.mark_at(since);
        if here.is_none_or(|here| !here.eq_ignore_ascii_case(known)) {
            return Past::Reset("foreign_mark");
        }
        let Some(end) = self.mark_at(through) else {
            // The log was exchanged between the join and now.
            return Past::Reset("foreign_mark");
        };
        let (events, all) = self.piece(since, through);
        let last = events.last().filter(|_| !all);
        let (to, end) = last.map_or((through, end), |last| (last.seq, last.mark()));
        self.shared.retain(|batch| batch.strong_count() > 0);
        let same = |batch: &Arc<EventBatch>| batch.after == since && batch.through == to;
        if let Some(batch) = self.shared.iter().filter_map(Weak::upgrade).find(same) {
            return Past::Events(batch);
        }
        let batch = Arc::new(EventBatch::new(workspace, since, to, &end, events));
        self.shared.truncate(SHARED - 1);
        self.shared.push_front(Arc::downgrade(&batch));
        Past::Events(batch)
    }

    /// As many of the events in `(since, through]` as go out at once; whether these are all.
    fn piece(&self, since: i64, through: i64) -> (Vec<EncodedEvent>, bool) {
        let skipped = usize::try_from(since - self.base).unwrap_or(usize::MAX);
        let count = usize::try_from(through - since).unwrap_or(0);
        let (mut piece, mut bytes) = (Vec::new(), 0);
        for event in self.events.iter().skip(skipped).take(count) {
            bytes += event.len();
            if bytes > PIECE && !piece.is_empty() {
                return (piece, false);
            }
            piece.push(event.clone());
        }
        (piece, true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::log::{Actor, EventHeader, Hash};
    use crate::ids::UserId;

    const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::nil());

    fn hash(seq: i64) -> Hash {
        let mut hash = GENESIS;
        hash[..8].copy_from_slice(&seq.to_be_bytes());
        hash
    }

    fn event(seq: i64, bytes: usize) -> EncodedEvent {
        let header = EventHeader {
            workspace: WORKSPACE,
            seq,
            at: chrono::DateTime::UNIX_EPOCH,
            kind: "items.changed".into(),
            actor: Actor::User(UserId(Uuid::nil())),
            op: None,
            change: None,
            undoes: None,
            list: None,
            rows: 1,
        };
        EncodedEvent::new(&header, &hash(seq), &[Some(&"x".repeat(bytes))])
    }

    fn batch(after: i64, through: i64, bytes: usize) -> EventBatch {
        let events = (after + 1..=through).map(|seq| event(seq, bytes)).collect();
        EventBatch::new(WORKSPACE, after, through, &mark(&hash(through)), events)
    }

    fn tail(base: i64) -> Tail {
        Tail::new(&Tails::new(), WORKSPACE, base, &mark(&hash(base)))
    }

    fn ask(tail: &Tail, since: i64, through: i64) -> Found {
        tail.find(since, &mark(&hash(since)), through)
    }

    /// All that somebody gets who comes back for the rest of each piece.
    fn all(tail: &Tail, mut since: i64, through: i64) -> Vec<i64> {
        let mut all = Vec::new();
        loop {
            let Found::Past(Past::Events(piece)) = ask(tail, since, through) else {
                panic!("not there: {since}");
            };
            assert_eq!(piece.after, since);
            assert_eq!(*piece.mark, *mark(&hash(piece.through)));
            let bytes: usize = piece.events().iter().map(EncodedEvent::len).sum();
            assert!(bytes <= PIECE || piece.events().len() == 1, "{bytes}");
            all.extend(piece.events().iter().map(|event| event.seq));
            if piece.through == through {
                return all;
            }
            assert!(piece.through > since);
            since = piece.through;
        }
    }

    fn seqs(found: &Found) -> Vec<i64> {
        match found {
            Found::Past(Past::Events(batch)) => batch.events().iter().map(|e| e.seq).collect(),
            _ => Vec::new(),
        }
    }

    fn reason(found: &Found) -> &'static str {
        match found {
            Found::Past(Past::Reset(reason)) => reason,
            _ => "",
        }
    }

    fn page(from: i64, base: i64, bytes: usize) -> Page {
        Page {
            from,
            mark: mark(&hash(from)),
            events: (from + 1..=base).map(|seq| event(seq, bytes)).collect(),
        }
    }

    proptest! {
        #[test]
        fn whoever_asks_gets_all_since_and_nothing_more(
            base in 0_i64..50, sizes in prop::collection::vec(1_i64..9, 1..20), read in 0_i64..50,
            cuts in (0_i64..=1_000, 0_i64..=1_000), bytes in prop::sample::select(vec![1, 3_000, 40_000]),
        ) {
            let tail = tail(base);
            let mut head = base;
            for size in sizes {
                tail.push(&batch(head, head + size, bytes));
                head += size;
            }
            let lowest = (base - read).max(0);
            let at = (base, mark(&hash(base)));
            tail.kept.lock().prepend((at.0, &at.1), page(lowest, base, 1));
            let lowest = tail.kept.lock().base;
            let span = head - lowest;
            let cut = |part: i64| lowest + span * part / 1_000;
            let (since, through) = (cut(cuts.0.min(cuts.1)), cut(cuts.0.max(cuts.1)));
            prop_assert_eq!(all(&tail, since, through), (since + 1..=through).collect::<Vec<_>>());
            let strange = tail.find(since, "0123456789abcdef", through);
            prop_assert_eq!(reason(&strange), "foreign_mark");
            let below = ask(&tail, lowest - 1, head);
            let full = tail.kept.lock().full;
            let reads_on = matches!(below, Found::Below { base, .. } if base == lowest);
            prop_assert!(reads_on || full && reason(&below) == "too_far");
        }
    }

    #[test]
    fn what_goes_beyond_the_bounds_is_forgotten_and_reset_without_a_read() {
        let tail = tail(0);
        for n in 0..6 {
            tail.push(&batch(n * 1_000, (n + 1) * 1_000, 1));
        }
        assert_eq!(reason(&ask(&tail, 999, 6_000)), "too_far");
        assert_eq!(all(&tail, 1_000, 6_000).len(), 5_000);

        tail.push(&batch(6_000, 6_100, 60_000));
        let kept = tail.kept.lock().bytes;
        assert!((MAX_BYTES - 61_000..=MAX_BYTES).contains(&kept), "{kept}");
        assert_eq!(reason(&ask(&tail, 6_000, 6_100)), "too_far");
    }

    #[test]
    fn a_page_is_taken_as_far_as_the_bounds_go() {
        let tail = tail(500);
        tail.push(&batch(500, 560, 60_000));
        let at = mark(&hash(500));
        tail.kept.lock().prepend((500, &at), page(0, 500, 60_000));
        assert!(tail.kept.lock().bytes <= MAX_BYTES);
        let base = tail.kept.lock().base;
        assert_eq!(seqs(&ask(&tail, base, 560)).first(), Some(&(base + 1)));
        assert_eq!(reason(&ask(&tail, base - 1, 560)), "too_far");
    }

    #[test]
    fn a_page_of_a_log_that_was_exchanged_meanwhile_is_thrown_away() {
        let tail = tail(500);
        let at = mark(&hash(500));
        tail.restart(500, "another log");
        tail.kept.lock().prepend((500, &at), page(0, 500, 1));
        assert_eq!(reason(&ask(&tail, 500, 500)), "foreign_mark");
        assert!(matches!(
            ask(&tail, 499, 500),
            Found::Below { base: 500, .. }
        ));
    }

    #[test]
    fn those_who_ask_for_the_same_share_it() {
        let tail = tail(0);
        tail.push(&batch(0, 9, 1));
        let (one, other) = (ask(&tail, 3, 9), ask(&tail, 3, 9));
        let (Found::Past(Past::Events(one)), Found::Past(Past::Events(other))) = (one, other)
        else {
            panic!("not there");
        };
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn all_tails_together_are_bounded_and_idle_workspaces_forget_first() {
        let tails = Tails::bounded(1 << 20);
        let of = |n: u128| {
            let workspace = WorkspaceId(Uuid::from_u128(n));
            Tail::new(&tails, workspace, 0, &mark(&GENESIS))
        };
        let (busy, idle): (Tail, Vec<Tail>) = (of(0), (1..30).map(of).collect());
        busy.push(&batch(0, 100, 1_000));
        for tail in &idle {
            tail.push(&batch(0, 100, 1_000));
            assert_eq!(all(&busy, 0, 100).len(), 100, "it is in use");
            assert!(tails.bytes() <= 1 << 20);
        }
        let weight = |tail: &Tail| tail.kept.lock().weight();
        let held: usize = idle.iter().chain([&busy]).map(weight).sum();
        assert_eq!(held, tails.bytes());
        assert!(held > 1 << 19, "{held}");
        // The last used still have theirs; the others know where they stand, and read what lies below.
        let (forgot, kept): (Vec<&Tail>, Vec<&Tail>) =
            idle.iter().partition(|tail| weight(tail) == 0);
        assert!(std::ptr::eq(*kept.last().unwrap(), idle.last().unwrap()));
        assert!(std::ptr::eq(forgot[0], &idle[0]));
        for tail in forgot {
            assert!(matches!(ask(tail, 0, 100), Found::Below { base: 100, .. }));
            assert_eq!(all(tail, 100, 100), [0_i64; 0]);
            tail.push(&batch(100, 101, 1));
            assert_eq!(all(tail, 100, 101), [101]);
        }
        drop(idle);
        drop(busy);
        assert_eq!(tails.bytes(), 0, "what is let go of is not counted");
    }
}
