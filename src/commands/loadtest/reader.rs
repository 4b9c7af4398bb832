//! Someone who only listens, on a socket so lean that a thousand of them leave the machine to the
//! server: every event is counted and timed, none is kept. Whoever is closed stays away: a reader
//! that has to come back has been failed.

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use super::event::Seen;
use super::glance::glance;
use super::participant::{Phase, Stage, Testimony};
use super::sight::Sight;
use crate::commands::client::frames::{Events, Frame};
use crate::commands::client::lean::LeanSocket;
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::{PATIENCE, SocketError, parse};
use crate::ids::WorkspaceId;

/// A reader at its socket.
pub struct Reader {
    socket: LeanSocket,
    view: View,
}

struct View {
    name: String,
    /// Once it is subscribed.
    sight: Option<Sight>,
}

impl Reader {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn open(
        name: String,
        rest: &Rest,
        workspace: WorkspaceId,
    ) -> Result<Self, SocketError> {
        let opening = async {
            let socket = LeanSocket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
            let view = View { name, sight: None };
            let mut reader = Self { socket, view };
            reader.socket.subscribe(workspace, None).await?;
            while reader.view.sight.is_none() {
                reader.hear(None).await?;
            }
            Ok(reader)
        };
        tokio::time::timeout(PATIENCE, opening)
            .await
            .unwrap_or(Err(SocketError::Silence))
    }

    /// Listens until the phase says that it is over.
    pub async fn run(mut self, stage: Arc<Stage>, mut phase: watch::Receiver<Phase>) -> Testimony {
        let failure = loop {
            if self.is_finished(*phase.borrow()) {
                break None;
            }
            tokio::select! {
                biased;
                heard = self.hear(Some(&stage)) => {
                    if let Err(error) = heard {
                        break Some(error.to_string());
                    }
                }
                changed = phase.changed() => {
                    if changed.is_err() {
                        break None;
                    }
                }
            }
        };
        // What a reader missed after it was closed is no fault of its own.
        let sight = self.view.sight.filter(|_| failure.is_none());
        Testimony {
            name: self.view.name,
            witness: sight.map(Sight::into_witness),
            failure,
            ..Testimony::default()
        }
    }

    async fn hear(&mut self, stage: Option<&Stage>) -> Result<(), SocketError> {
        let Self { socket, view } = self;
        socket.hear(|text| view.take(text, stage)).await
    }

    fn is_finished(&self, phase: Phase) -> bool {
        match phase {
            Phase::Running => false,
            Phase::Over => true,
            Phase::Until(seq) => {
                let sight = self.view.sight.as_ref();
                sight.is_none_or(|sight| sight.position.seq >= seq)
            }
        }
    }
}

impl View {
    fn take(&mut self, text: &str, stage: Option<&Stage>) -> Result<(), SocketError> {
        if let Some(events) = glance(text) {
            self.events(events, text.len(), stage);
            return Ok(());
        }
        match (parse::<Seen>(text)?, &mut self.sight) {
            (Frame::Events(events), _) => self.events(events, text.len(), stage),
            (Frame::Subscribed(subscribed), sight @ None) => {
                *sight = Some(Sight::counting(self.name.clone(), subscribed.position));
            }
            (Frame::Beat(beat), Some(sight)) => sight.beat(&beat),
            (Frame::Reset(reset), Some(sight)) => {
                if let Some(stage) = stage {
                    stage.measures.lock().resets += 1;
                }
                sight.reset(reset);
            }
            (Frame::Error(refusal), _) => return Err(SocketError::Refused(refusal.problem)),
            _ => {}
        }
        Ok(())
    }

    fn events(&mut self, events: Events<Seen>, bytes: usize, stage: Option<&Stage>) {
        if let Some(stage) = stage {
            stage.delivered(&events.events, None);
            stage.measures.lock().read_bytes += u64::try_from(bytes).unwrap_or(0);
        }
        if let Some(sight) = &mut self.sight {
            sight.events(events);
        }
    }
}
