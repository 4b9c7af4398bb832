//! Someone who is told of every event of a workspace, and knows whether each came once and in
//! order. What to do when the socket ends is for the caller: the view outlives the socket.

use uuid::Uuid;

use crate::commands::client::frames::{Access, Events, Frame};
use crate::commands::client::lean::LeanSocket;
use crate::commands::client::position::Position;
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::{PATIENCE, SocketError, parse};
use crate::commands::loadtest::event::Seen;
use crate::commands::loadtest::glance::glance;
use crate::ids::WorkspaceId;

/// What is known of the log, over any number of sockets.
#[derive(Debug, Default)]
pub struct View {
    /// Where it stands, once a socket was subscribed.
    pub position: Option<Position>,
    /// Where it stood first.
    since: u64,
    told: u64,
    /// What did not follow on: something is missing, or came twice.
    holes: u64,
    /// The server told it to read again.
    pub resets: u64,
    /// The last role that was told; `Some(None)` is none.
    pub access: Option<Option<String>>,
}

/// An open socket of a view.
pub struct Follower {
    socket: LeanSocket,
}

impl View {
    /// The last seq that was told.
    pub fn seq(&self) -> u64 {
        self.position.as_ref().map_or(0, |position| position.seq)
    }

    /// Events that never came, or came twice, or were left out by a reset. Whoever may see all is
    /// told all.
    pub fn faults(&self) -> u64 {
        let span = self.seq().saturating_sub(self.since);
        span.abs_diff(self.told).max(self.holes) + self.resets
    }

    /// Takes a frame; lends each event of it.
    fn take(&mut self, text: &str, mut on: impl FnMut(&Seen)) -> Result<(), SocketError> {
        let frame = match glance(text) {
            Some(events) => Frame::Events(events),
            None => parse::<Seen>(text)?,
        };
        match frame {
            Frame::Events(events) => {
                events.events.iter().for_each(&mut on);
                self.events(events);
            }
            Frame::Subscribed(subscribed) => self.subscribed(subscribed.position),
            Frame::Beat(beat) => {
                let position = self.position.as_ref();
                let fits = position.map(|position| position.check_beat(beat.through, &beat.mark));
                self.holes += u64::from(!matches!(fits, Some(Ok(()))));
            }
            Frame::Reset(reset) => {
                self.resets += 1;
                let position = self.position.get_or_insert_default();
                position.jump(reset.seq, reset.mark);
            }
            Frame::Access(Access { role }) => self.access = Some(role),
            Frame::Error(refusal) => return Err(SocketError::Refused(refusal.problem)),
            _ => {}
        }
        Ok(())
    }

    fn events(&mut self, frame: Events<Seen>) {
        let position = self.position.get_or_insert_default();
        self.told += u64::try_from(frame.events.len()).unwrap_or(0);
        let seqs = frame.events.iter().map(|event| event.seq);
        let follows = position.advance(frame.after, frame.through, frame.mark.clone(), seqs);
        if follows.is_err() {
            self.holes += 1;
            let further = frame.through.max(position.seq);
            position.jump(further, frame.mark);
        }
    }

    fn subscribed(&mut self, theirs: Position) {
        match &mut self.position {
            Some(ours) => self.holes += u64::from(ours.confirm(theirs).is_err()),
            None => {
                self.since = theirs.seq;
                self.position = Some(theirs);
            }
        }
    }
}

impl Follower {
    /// Connects and subscribes from where the view stands; from now on when it stands nowhere.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn open(
        rest: &Rest,
        workspace: WorkspaceId,
        view: &mut View,
    ) -> Result<Self, SocketError> {
        let opening = async {
            let mut socket = LeanSocket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
            socket.subscribe(workspace, view.position.as_ref()).await?;
            let mut confirmed = false;
            while !confirmed {
                let take = |text: &str| {
                    confirmed |= text.starts_with(r#"{"type":"subscribed""#)
                        || text.starts_with(r#"{"type":"reset""#);
                    view.take(text, |_| {})
                };
                socket.hear(take).await?;
            }
            Ok(Self { socket })
        };
        tokio::time::timeout(PATIENCE, opening)
            .await
            .unwrap_or(Err(SocketError::Silence))
    }

    /// Waits until something arrives and takes it in; lends each event of it. Cancel-safe.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn hear(
        &mut self,
        view: &mut View,
        mut on: impl FnMut(&Seen),
    ) -> Result<(), SocketError> {
        self.socket.hear(|text| view.take(text, &mut on)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "0190f7c4-5a4e-7000-8000-000000000001";

    fn subscribed(seq: u64) -> String {
        format!(
            r#"{{"type":"subscribed","id":1,"workspace":"{WORKSPACE}","seq":{seq},"mark":"m","audience":"a"}}"#
        )
    }

    fn events(after: u64, through: u64, seqs: &[u64]) -> String {
        let events: Vec<String> = seqs
            .iter()
            .map(|s| format!(r#"{{"seq":{s},"kind":"x"}}"#))
            .collect();
        format!(
            r#"{{"type":"events","workspace":"{WORKSPACE}","after":{after},"through":{through},"mark":"m","events":[{}]}}"#,
            events.join(",")
        )
    }

    fn faults(frames: &[String]) -> u64 {
        let mut view = View::default();
        for frame in frames {
            view.take(frame, |_| {}).unwrap();
        }
        view.faults()
    }

    #[test]
    fn what_is_told_once_and_in_order_is_no_fault_over_any_number_of_sockets() {
        let told = [
            subscribed(4),
            events(4, 6, &[5, 6]),
            subscribed(6),
            events(6, 7, &[7]),
        ];
        assert_eq!(faults(&told), 0);
    }

    #[test]
    fn what_is_left_out_or_told_twice_is_counted() {
        assert_eq!(
            faults(&[subscribed(4), events(4, 7, &[5, 7])]),
            1,
            "within a frame"
        );
        assert_eq!(
            faults(&[subscribed(4), events(6, 7, &[7])]),
            2,
            "between frames"
        );
        let twice = [subscribed(4), events(4, 5, &[5]), events(4, 5, &[5])];
        assert_eq!(faults(&twice), 1);
        let elsewhere = [subscribed(4), events(4, 5, &[5]), subscribed(6)];
        assert_eq!(faults(&elsewhere), 1, "a resume from another place");
    }

    #[test]
    fn a_reset_is_no_resume() {
        let reset = format!(
            r#"{{"type":"reset","workspace":"{WORKSPACE}","reason":"x","seq":9,"mark":"n"}}"#
        );
        assert!(faults(&[subscribed(4), reset]) > 0);
    }
}
