//! What one socket may cost: how many frames it may send, and how much may be on its way to it
//! without a sign that it reads. Pure, but for the clock.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Frames that a client may send a second for long, and at once after silence. Pings count.
const FRAMES_A_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
const FRAMES_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

pub(super) const PING_EVERY: Duration = Duration::from_secs(25);
/// With the seconds until the ping and the tick that sees it, under ten.
const PONG_WITHIN: Duration = Duration::from_secs(7);
/// What the peer may leave unacknowledged before nothing more is taken from the outbox. With the piece
/// that goes beyond it, it fits into what the kernel keeps for a peer (`app.rs`): so the session is never
/// held up by its own connection, and its timers see a peer that stalls.
const WINDOW: u64 = 128 * 1024;
/// Beyond so much unacknowledged, or with a ping open for so long, presence is left out: it shall not
/// stand before a ping whose pong is waited for.
const SPARED: u64 = 64 * 1024;
const PROMPT: Duration = Duration::from_secs(1);
/// Answers that the peer may ask for without acknowledging any.
const MAX_ANSWERS: u64 = 256 * 1024;
/// What even an empty answer takes while it waits.
const LEAST_ANSWER: usize = 64;
/// A ping goes along so often, for its pong acknowledges what came before it.
const ACK_EVERY: u64 = 64 * 1024;

/// How fast a client may speak.
pub(super) struct Pace(Option<DefaultDirectRateLimiter>);

impl Pace {
    /// Without a limit when it is off (for load tests).
    pub(super) fn new(limited: bool) -> Pace {
        let quota = Quota::per_second(FRAMES_A_SECOND).allow_burst(FRAMES_AT_ONCE);
        Pace(limited.then(|| RateLimiter::direct(quota)))
    }

    /// Counts a frame; whether it may be heard.
    pub(super) fn allows(&self) -> bool {
        self.0.as_ref().is_none_or(|limit| limit.check().is_ok())
    }
}

/// What went out, and what of it the peer is known to have read: a ping carries how much was sent
/// before it, and its pong brings the number back.
pub(super) struct Flow {
    sent: u64,
    acknowledged: u64,
    /// How much was sent when the last ping went out, and when that was.
    pinged: u64,
    last_ping: Instant,
    awaiting_pong: Option<Instant>,
    /// Bytes of answers since the peer last acknowledged something.
    answers: u64,
}

impl Flow {
    pub(super) fn new() -> Flow {
        Flow {
            sent: 0,
            acknowledged: 0,
            pinged: 0,
            last_ping: Instant::now(),
            awaiting_pong: None,
            answers: 0,
        }
    }

    /// Counts what goes out.
    pub(super) fn send(&mut self, bytes: usize) {
        self.sent += u64::try_from(bytes).unwrap_or(0);
    }

    /// Counts what goes out because the peer asked; whether it may ask for more.
    pub(super) fn answer(&mut self, bytes: usize) -> bool {
        let bytes = bytes.max(LEAST_ANSWER);
        self.send(bytes);
        self.answers += u64::try_from(bytes).unwrap_or(0);
        self.answers <= MAX_ANSWERS
    }

    /// Whether a ping should follow what was just sent.
    pub(super) fn wants_ping(&self) -> bool {
        self.sent - self.pinged >= ACK_EVERY
    }

    /// Whether it is time to ask if the peer lives.
    pub(super) fn wants_sign(&self) -> bool {
        self.last_ping.elapsed() >= PING_EVERY
    }

    /// The payload of a ping that goes out now.
    pub(super) fn ping(&mut self) -> [u8; 8] {
        self.pinged = self.sent;
        self.last_ping = Instant::now();
        self.awaiting_pong.get_or_insert_with(Instant::now);
        self.sent.to_be_bytes()
    }

    /// Takes a pong in; whether one of our pings asked for it.
    pub(super) fn pong(&mut self, payload: &[u8]) -> bool {
        let Ok(bytes) = <[u8; 8]>::try_from(payload) else {
            return false;
        };
        let reached = u64::from_be_bytes(bytes);
        if self.awaiting_pong.is_none() || reached > self.pinged || reached < self.acknowledged {
            return false;
        }
        self.acknowledged = reached;
        self.answers = 0;
        self.awaiting_pong = (reached < self.pinged).then(Instant::now);
        true
    }

    /// Bytes that went out and were not acknowledged.
    pub(super) fn owed(&self) -> usize {
        usize::try_from(self.sent - self.acknowledged).unwrap_or(usize::MAX)
    }

    /// Bytes that may go out before the peer acknowledges more.
    pub(super) fn room(&self) -> usize {
        let room = WINDOW.saturating_sub(self.sent - self.acknowledged);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Whether the peer keeps up well enough to be sent so much that matters little.
    pub(super) fn spares(&self, bytes: usize) -> bool {
        let on_its_way = self.sent - self.acknowledged;
        let prompt = self
            .awaiting_pong
            .is_none_or(|since| since.elapsed() < PROMPT);
        prompt && on_its_way.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)) <= SPARED
    }

    /// Whether a ping was left without an answer.
    pub(super) fn is_silent(&self) -> bool {
        self.awaiting_pong
            .is_some_and(|since| since.elapsed() > PONG_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_gives_room_for_what_came_before_its_ping() {
        let mut flow = Flow::new();
        flow.send(80_000);
        assert!(flow.wants_ping());
        let ping = flow.ping();
        flow.send(40_000);
        assert_eq!(flow.room(), 128 * 1024 - 120_000);
        assert_eq!(flow.owed(), 120_000);
        assert!(flow.pong(&ping));
        assert_eq!(flow.room(), 128 * 1024 - 40_000);
        assert!(!flow.wants_ping());
    }

    #[test]
    fn who_reads_slowly_is_spared_what_matters_little() {
        let mut flow = Flow::new();
        assert!(flow.spares(30_000));
        flow.send(50_000);
        assert!(flow.spares(10_000));
        assert!(!flow.spares(30_000));
        let ping = flow.ping();
        assert!(flow.pong(&ping));
        assert!(flow.spares(30_000));
    }

    #[test]
    fn a_pong_that_nobody_asked_for_gives_nothing() {
        let mut flow = Flow::new();
        flow.send(100_000);
        assert!(!flow.pong(&100_000_u64.to_be_bytes()), "before any ping");
        flow.ping();
        for lie in [&b""[..], b"hello", &200_000_u64.to_be_bytes()] {
            assert!(!flow.pong(lie));
        }
        assert_eq!(flow.room(), 128 * 1024 - 100_000);
        assert!(flow.pong(&100_000_u64.to_be_bytes()));
        assert!(!flow.pong(&100_000_u64.to_be_bytes()), "twice");
    }

    #[test]
    fn who_asks_and_never_acknowledges_is_stopped() {
        let mut flow = Flow::new();
        let answered = (0..).take_while(|_| flow.answer(1_024)).count();
        assert_eq!(answered, 256);
        let ping = flow.ping();
        assert!(flow.pong(&ping));
        assert!(flow.answer(1_024));
    }

    #[test]
    fn a_burst_is_heard_and_a_flood_is_not() {
        let pace = Pace::new(true);
        let heard = (0..2_000).filter(|_| pace.allows()).count();
        assert!((500..520).contains(&heard), "{heard}");
        let unlimited = Pace::new(false);
        assert!((0..2_000).all(|_| unlimited.allows()));
    }
}
