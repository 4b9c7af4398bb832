//! One simulated person at one socket: edits when edits are due, takes what arrives, and after a
//! lost connection comes back, resumes where it stood and sends again what had no answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use super::check::{Acked, Witness};
use super::clock::{Clock, Moment};
use super::event::{Cells, Seen};
use super::ground::Ground;
use super::measure::Measures;
use super::sight::Sight;
use super::stamp::Stamp;
use super::writer::{Edit, Route, Writer};
use crate::commands::client::frames::{self, Ack, Events, Frame, ItemEdit, Reset};
use crate::commands::client::reconnect;
use crate::commands::client::rest::{Item, Rest, RestError};
use crate::commands::client::socket::{Socket, SocketError, parse};

/// So many frames are taken in one go before edits that are due get their turn.
const FRAMES_IN_A_ROW: usize = 64;

/// How long a lost server is waited for.
const RECONNECTS: u32 = 12;

/// What all people of a run share.
pub struct Stage {
    pub rest: Rest,
    pub ground: Ground,
    pub clock: Clock,
    pub nonce: u16,
    pub start: Instant,
    pub duration: Duration,
    pub measures: Mutex<Measures>,
}

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Running,
    /// Every editor has its answers: wait until this seq is seen, then go.
    Until(u64),
    /// Time is up, whatever is missing.
    Over,
}

/// What one person has to say at the end.
#[derive(Debug, Default)]
pub struct Testimony {
    pub name: String,
    pub acks: Vec<Acked>,
    /// Markers of refused edits.
    pub refused: Vec<u64>,
    /// Markers of edits without an answer.
    pub unanswered: Vec<u64>,
    /// Only of those who watched.
    pub witness: Option<Witness>,
    /// Why it could not go on.
    pub failure: Option<String>,
}

/// The answer to an edit over REST.
struct RestAnswer {
    counter: u32,
    outcome: Result<Item<Cells>, RestError>,
}

impl Stage {
    /// Counts and times events as they arrive; `own` are those of the editor at that socket.
    pub fn delivered(&self, events: &[Seen], own: Option<u16>) {
        let now = self.clock.now();
        let in_time = Instant::now() < self.start + self.duration;
        let mut measures = self.measures.lock();
        for event in events {
            measures.delivered += 1;
            measures.delivered_in_time += u64::from(in_time);
            let stamp = event.op.and_then(|op| Stamp::read(op, self.nonce));
            if let Some(stamp) = stamp
                && Some(stamp.editor) != own
            {
                measures.delivery.record(now.micros_since(stamp.intended));
            }
        }
    }
}

/// A person at a socket.
pub struct Participant {
    name: String,
    /// Which editor, if any.
    editor: Option<u16>,
    socket: Socket,
    stage: Arc<Stage>,
    sight: Option<Sight>,
    writer: Option<Writer>,
    answers: (
        mpsc::UnboundedSender<RestAnswer>,
        mpsc::UnboundedReceiver<RestAnswer>,
    ),
    /// Told once when every edit has its answer.
    done: Option<mpsc::UnboundedSender<()>>,
}

impl Participant {
    /// Someone at an open socket who does nothing yet.
    pub fn new(name: String, socket: Socket, stage: Arc<Stage>) -> Self {
        Self {
            name,
            editor: None,
            socket,
            stage,
            sight: None,
            writer: None,
            answers: mpsc::unbounded_channel(),
            done: None,
        }
    }

    /// Watches every event from now on.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub async fn watching(mut self) -> Result<Self, SocketError> {
        let subscribed = self.socket.subscribe(self.stage.ground.workspace).await?;
        self.sight = Some(Sight::new(self.name.clone(), subscribed.position));
        Ok(self)
    }

    /// Edits as `writer` says; `done` hears when all has been answered.
    pub fn writing(mut self, editor: u16, writer: Writer, done: mpsc::UnboundedSender<()>) -> Self {
        self.editor = Some(editor);
        self.writer = Some(writer);
        self.done = Some(done);
        self
    }

    /// Takes part until the phase says that it is over.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Testimony {
        let failure = loop {
            let error = match self.live(&mut phase).await {
                Ok(()) => break None,
                Err(error) if error.may_retry() => error,
                Err(error) => break Some(error.to_string()),
            };
            tracing::debug!(%error, who = self.name, "connecting again");
            if let Err(error) = self.return_to_stage().await {
                break Some(error.to_string());
            }
        };
        if let Some(done) = self.done.take() {
            // Whoever gives up must not be waited for.
            let _ = done.send(());
        }
        self.testify(failure).await
    }

    /// The life of one connection.
    async fn live(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<(), SocketError> {
        loop {
            self.issue().await?;
            self.tell_when_done();
            if self.is_finished(*phase.borrow()) {
                return Ok(());
            }
            let (wake, end) = (self.wake(), self.end());
            tokio::select! {
                arrived = self.socket.next() => {
                    self.take(&arrived?).await?;
                    self.take_what_is_there().await?;
                }
                Some(answer) = self.answers.1.recv() => self.rest_answered(answer),
                () = tokio::time::sleep_until(wake.into()), if wake < end => {}
                changed = phase.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(end.into()), if Instant::now() < end => {}
            }
        }
    }

    /// Sends every edit that is due, as one write.
    async fn issue(&mut self) -> Result<(), SocketError> {
        let (start, clock) = (self.stage.start, self.stage.clock);
        let mut sent = 0_u64;
        loop {
            let now = Instant::now();
            let Some(writer) = &mut self.writer else {
                return Ok(());
            };
            if now < start || now >= start + self.stage.duration {
                break;
            }
            let moment_of = |since: Duration| clock.moment(start + since);
            let Some(edit) = writer.next(now - start, moment_of) else {
                break;
            };
            sent += 1;
            match edit.route {
                Route::Socket => self.feed(&edit).await?,
                Route::Rest => self.send_over_rest(&edit),
            }
        }
        if sent > 0 {
            self.stage.measures.lock().sent += sent;
            self.socket.flush().await?;
        }
        Ok(())
    }

    async fn feed(&mut self, edit: &Edit) -> Result<(), SocketError> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        let items = [ItemEdit {
            id: edit.item,
            values: cells(edit),
        }];
        let frame = frames::Edit {
            op: edit.stamp.op(),
            workspace: self.stage.ground.workspace,
            list: writer.field.list,
            items: &items,
        };
        self.socket.feed(&frame).await
    }

    /// REST requests run beside the socket, as a browser's would.
    fn send_over_rest(&self, edit: &Edit) {
        let Some(writer) = &self.writer else {
            return;
        };
        let (stage, answers) = (Arc::clone(&self.stage), self.answers.0.clone());
        let (list, edit) = (writer.field.list, *edit);
        tokio::spawn(async move {
            let workspace = stage.ground.workspace;
            let outcome = stage
                .rest
                .patch_item(workspace, list, edit.item, &cells(&edit), edit.stamp.op())
                .await;
            // Nobody listens any more when the run has been given up.
            let _ = answers.send(RestAnswer {
                counter: edit.stamp.counter,
                outcome,
            });
        });
    }

    async fn take_what_is_there(&mut self) -> Result<(), SocketError> {
        for _ in 0..FRAMES_IN_A_ROW {
            match self.socket.next_if_ready() {
                Some(arrived) => self.take(&arrived?).await?,
                None => break,
            }
        }
        Ok(())
    }

    async fn take(&mut self, text: &Utf8Bytes) -> Result<(), SocketError> {
        match parse::<Seen>(text)? {
            Frame::Events(events) => self.events(events),
            Frame::Ack(ack) => self.acked(&ack),
            Frame::Reject(reject) => {
                tracing::warn!(who = self.name, problem = %reject.problem, "an edit was refused");
                let counter = self.writer.as_ref().and_then(|w| w.counter_of(reject.op));
                self.refused(counter);
            }
            Frame::Beat(beat) => {
                if let Some(sight) = &mut self.sight {
                    sight.beat(&beat);
                }
            }
            Frame::Subscribed(subscribed) => {
                if let Some(sight) = &mut self.sight {
                    sight.resumed(subscribed.position);
                }
            }
            Frame::Reset(reset) => self.reset(reset).await?,
            Frame::Error(refusal) => return Err(SocketError::Refused(refusal.problem)),
            _ => {}
        }
        Ok(())
    }

    fn events(&mut self, events: Events<Seen>) {
        self.stage.delivered(&events.events, self.editor);
        if let Some(sight) = &mut self.sight {
            sight.events(events);
        }
    }

    fn acked(&mut self, ack: &Ack) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        let version = ack.items.first().map_or(0, |item| item.version);
        let intended = writer
            .counter_of(ack.op)
            .and_then(|counter| writer.acked(counter, ack.seq, version));
        if let Some(intended) = intended {
            self.count_ack(intended, Route::Socket);
        }
    }

    fn rest_answered(&mut self, answer: RestAnswer) {
        match answer.outcome {
            Ok(item) => {
                let intended = self
                    .writer
                    .as_mut()
                    .and_then(|writer| writer.acked(answer.counter, item.seq, item.version));
                if let Some(intended) = intended {
                    self.count_ack(intended, Route::Rest);
                }
            }
            // The server said no. What broke on the way may have been committed: no answer.
            Err(error @ RestError::Refused { .. }) if error.status() < Some(500) => {
                tracing::warn!(who = self.name, %error, "an edit was refused");
                self.refused(Some(answer.counter));
            }
            Err(error) => tracing::warn!(who = self.name, %error, "an edit got no answer"),
        }
    }

    fn count_ack(&self, intended: Moment, route: Route) {
        let micros = self.stage.clock.now().micros_since(intended);
        let in_time = self.is_in_time();
        let mut measures = self.stage.measures.lock();
        measures.acked += 1;
        measures.acked_in_time += u64::from(in_time);
        match route {
            Route::Socket => measures.ack.record(micros),
            Route::Rest => measures.rest.record(micros),
        }
    }

    fn refused(&mut self, counter: Option<u32>) {
        if let (Some(writer), Some(counter)) = (&mut self.writer, counter)
            && writer.refused(counter)
        {
            self.stage.measures.lock().refused += 1;
        }
    }

    /// Reads everything again, as the contract asks.
    async fn reset(&mut self, reset: Reset) -> Result<(), SocketError> {
        let seq = reset.seq;
        self.stage.measures.lock().resets += 1;
        let Some(sight) = &mut self.sight else {
            return Ok(());
        };
        sight.reset(reset);
        match self.stage.ground.read(&self.stage.rest, seq).await {
            Ok(items) => sight.reread(items),
            Err(error) => tracing::warn!(who = self.name, %error, "nothing to read after a reset"),
        }
        Ok(())
    }

    /// Connects again, resumes, and sends once more what had no answer: an op takes effect once.
    async fn return_to_stage(&mut self) -> Result<(), SocketError> {
        let mut attempt = 0;
        loop {
            reconnect::pause(attempt).await;
            match self.reopen().await {
                Ok(()) => break,
                Err(error) if error.may_retry() && attempt < RECONNECTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
        self.stage.measures.lock().reconnects += 1;
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), SocketError> {
        let rest = &self.stage.rest;
        self.socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        if let Some(sight) = &self.sight {
            let workspace = self.stage.ground.workspace;
            self.socket.resume(workspace, &sight.position).await?;
        }
        let in_flight: Vec<Edit> = self
            .writer
            .iter()
            .flat_map(Writer::in_flight)
            .filter(|edit| edit.route == Route::Socket)
            .copied()
            .collect();
        for edit in &in_flight {
            self.feed(edit).await?;
        }
        self.socket.flush().await
    }

    fn tell_when_done(&mut self) {
        if self.is_answered()
            && let Some(done) = self.done.take()
        {
            // The run may have stopped waiting.
            let _ = done.send(());
        }
    }

    fn is_answered(&self) -> bool {
        let waiting = self.writer.iter().flat_map(Writer::in_flight).next();
        Instant::now() >= self.end() && waiting.is_none()
    }

    fn is_finished(&self, phase: Phase) -> bool {
        match phase {
            Phase::Running => false,
            Phase::Over => true,
            Phase::Until(seq) => {
                let seen = self.sight.as_ref().is_none_or(|s| s.position.seq >= seq);
                seen && self.is_answered()
            }
        }
    }

    fn wake(&self) -> Instant {
        let start = self.stage.start;
        if Instant::now() < start {
            return start;
        }
        let wake = self.writer.as_ref().and_then(Writer::wake);
        wake.map_or(self.end(), |since| start + since)
    }

    fn end(&self) -> Instant {
        self.stage.start + self.stage.duration
    }

    fn is_in_time(&self) -> bool {
        Instant::now() < self.end()
    }

    async fn testify(self, failure: Option<String>) -> Testimony {
        let unanswered = self
            .writer
            .iter()
            .flat_map(Writer::in_flight)
            .map(|edit| edit.stamp.marker())
            .collect();
        let (acks, refused) = self.writer.map(|w| (w.acks, w.refused)).unwrap_or_default();
        self.socket.close().await;
        Testimony {
            name: self.name,
            acks,
            refused,
            unanswered,
            witness: self.sight.map(Sight::into_witness),
            failure,
        }
    }
}

fn cells(edit: &Edit) -> Cells {
    Cells {
        marker: Some(edit.stamp.marker()),
    }
}
