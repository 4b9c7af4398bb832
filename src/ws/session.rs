//! One socket's actor: reads what its client says, sends what its outbox holds, and ends it. The
//! only file that names `actix-web-actors`, of which it takes the way out alone: what comes in is
//! read by `codec`. What frames mean stands in `dispatch`, `subscriptions` and `commands`. It keeps
//! no backlog: what the peer has not acknowledged bounds what is taken out of the outbox.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::error::PayloadError;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, CloseReason, ProtocolError, WebsocketContext};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use chrono::{TimeDelta, Utc};
use futures::Stream;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Gateway;
use super::codec::{Broken, Decoder, Message as Said};
use super::limits::{Flow, Pace};
use super::presence::Appearance;
use super::seats::Seat;
use super::subscriptions::Subscriptions;
use crate::actors::outbox::{Outbox, Outgoing};
use crate::actors::workspace::EventBatch;
use crate::auth::Principal;
use crate::error::AppError;
use crate::ids::UserId;
use crate::wire::frames::ServerFrame;

/// How long a socket may stay without a `hello`.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);
/// How long the peer may take to answer our close. Until then what it sends is thrown away: a
/// connection that ends with octets unread is reset, and our last frames with it.
const LINGER: Duration = Duration::from_secs(1);

/// The session's actor.
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) gateway: Arc<Gateway>,
    pub(super) principal: Option<Principal>,
    pub(super) seat: Seat,
    pub(super) outbox: Outbox,
    pub(super) subscriptions: Subscriptions,
    pub(super) appearance: Appearance,
    pub(super) bad_frames: u32,
    /// Commands under way.
    pub(super) in_flight: usize,
    flow: Flow,
    pace: Pace,
    started: Instant,
    /// We closed: nothing more is said or heard.
    closing: bool,
    /// Until it starts.
    input: Option<Input>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

pub(super) type Context = WebsocketContext<Session>;

/// The error as a problem document, with the session as its request.
pub(super) fn problem(error: &AppError, session: Uuid) -> Box<RawValue> {
    RawValue::from_string(error.problem(&session.to_string()))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Session {
    /// Upgrades the request.
    pub(super) fn start(
        gateway: Arc<Gateway>,
        request: &HttpRequest,
        payload: web::Payload,
        address: IpAddr,
        subprotocol: &str,
    ) -> Result<HttpResponse, actix_web::Error> {
        let id = Uuid::now_v7();
        let session = Session {
            id,
            principal: None,
            seat: gateway.seats.take(id, address)?,
            outbox: Outbox::new(|| {}),
            subscriptions: Subscriptions::default(),
            appearance: Appearance::default(),
            bad_frames: 0,
            in_flight: 0,
            flow: Flow::new(),
            pace: Pace::new(gateway.seats.limited()),
            started: Instant::now(),
            closing: false,
            input: Some(Input::new(payload)),
            gateway,
        };
        // It reads nothing itself: `started` adds the stream that does.
        let nothing = futures::stream::pending::<Result<Bytes, PayloadError>>();
        ws::WsResponseBuilder::new(session, request, nothing)
            .protocols(&[subprotocol])
            .start()
    }

    pub(super) fn user(&self) -> Option<UserId> {
        self.principal.as_ref().map(|person| person.user)
    }

    /// Runs a future beside what comes in.
    pub(super) fn spawn<T: 'static>(
        ctx: &mut Context,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Session, T, &mut Context) + 'static,
    ) {
        ctx.spawn(
            actix::fut::wrap_future(work).map(move |result, session, ctx| {
                then(session, result, ctx);
            }),
        );
    }

    /// Runs a future before anything else comes in.
    pub(super) fn wait<T: 'static>(
        ctx: &mut Context,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Session, T, &mut Context) + 'static,
    ) {
        ctx.wait(
            actix::fut::wrap_future(work).map(move |result, session, ctx| {
                then(session, result, ctx);
            }),
        );
    }

    /// Sends a frame of ours.
    pub(super) fn send(&mut self, text: impl Into<ByteString>, ctx: &mut Context) {
        if self.closing {
            return;
        }
        let text = text.into();
        self.flow.send(text.len());
        ctx.text(text);
        self.ask_for_sign(ctx);
    }

    /// Sends a frame that the peer asked for; it may not ask without end and read nothing.
    pub(super) fn answer(&mut self, text: impl Into<ByteString>, ctx: &mut Context) {
        let text = text.into();
        if self.may_answer(text.len(), ctx) {
            ctx.text(text);
            self.ask_for_sign(ctx);
        }
    }

    fn may_answer(&mut self, bytes: usize, ctx: &mut Context) -> bool {
        if !self.closing && !self.flow.answer(bytes) {
            self.close(4009, "much is asked for and not read", ctx);
        }
        !self.closing
    }

    /// Answers a request that failed.
    pub(super) fn refuse(&mut self, id: Option<u64>, error: &AppError, ctx: &mut Context) {
        if let Some(source) = &error.source {
            tracing::error!(session = %self.id, source = format!("{source:#}"), "frame failed");
        }
        let problem = problem(error, self.id);
        let frame = ServerFrame::Error {
            id,
            problem: &problem,
        };
        self.answer(frame.to_text(), ctx);
    }

    /// Ends it: nothing more is said, and nothing heard but the peer's own close.
    pub(super) fn close(&mut self, code: u16, reason: &str, ctx: &mut Context) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        self.outbox.close();
        self.subscriptions.clear();
        ctx.close(Some(CloseReason {
            code: code.into(),
            description: Some(reason.into()),
        }));
        ctx.run_later(LINGER, |_, ctx| ctx.stop());
    }

    fn ping(&mut self, ctx: &mut Context) {
        let payload = self.flow.ping();
        ctx.ping(&payload);
    }

    pub(super) fn has_room_for_presence(&self, bytes: usize) -> bool {
        self.flow.spares(bytes)
    }

    fn ask_for_sign(&mut self, ctx: &mut Context) {
        if self.flow.wants_ping() {
            self.ping(ctx);
        }
    }

    fn pong(&mut self, payload: &[u8], ctx: &mut Context) {
        if self.may_answer(payload.len(), ctx) {
            ctx.pong(payload);
            self.ask_for_sign(ctx);
        }
    }

    fn tick(&mut self, ctx: &mut Context) {
        if self.closing {
            return;
        }
        if self.flow.is_silent() {
            let (code, reason) = match self.flow.room() {
                0 => (4008, "too slow"),
                _ => (4000, "no answer to pings"),
            };
            return self.close(code, reason, ctx);
        }
        match &self.principal {
            None if self.started.elapsed() >= HELLO_WITHIN => {
                return self.close(4401, "no hello", ctx);
            }
            Some(person) if person.expires_at + TimeDelta::seconds(30) <= Utc::now() => {
                return self.close(4001, "token expired", ctx);
            }
            _ => {}
        }
        if self.flow.wants_sign() {
            self.ping(ctx);
        }
        for workspace in self.subscriptions.orphans() {
            self.rejoin(workspace, ctx);
        }
        self.keep_presence(ctx);
    }

    /// Sends what waits, as far as the peer keeps up. Batches of one workspace that stand next to
    /// each other go out as one frame.
    fn drain(&mut self, ctx: &mut Context) {
        loop {
            let room = usize::try_from(self.flow.room()).unwrap_or(usize::MAX);
            // A queue that overflowed holds the close alone, and that needs no room.
            if room == 0 && !self.outbox.is_closed() {
                return;
            }
            let taken = self.outbox.take(room);
            if taken.is_empty() {
                return;
            }
            let mut run: Vec<Arc<EventBatch>> = Vec::new();
            for (ticket, outgoing) in taken {
                if !self.subscriptions.is_current(ticket, &outgoing) {
                    continue;
                }
                match outgoing {
                    Outgoing::Events(batch) => {
                        let other = |last: &Arc<EventBatch>| last.workspace != batch.workspace;
                        if run.last().is_some_and(other) {
                            self.events(std::mem::take(&mut run), ctx);
                        }
                        run.push(batch);
                    }
                    other => {
                        self.events(std::mem::take(&mut run), ctx);
                        self.outgoing(other, ctx);
                    }
                }
            }
            self.events(run, ctx);
        }
    }

    fn outgoing(&mut self, outgoing: Outgoing, ctx: &mut Context) {
        match outgoing {
            Outgoing::Events(batch) => self.events(vec![batch], ctx),
            Outgoing::Frame { frame, .. } => self.send(frame, ctx),
            Outgoing::Presence {
                workspace,
                frame,
                full,
            } => self.others(workspace, frame, full, ctx),
            Outgoing::Beat {
                workspace,
                through,
                mark,
            } => self.beat(workspace, through, &mark, ctx),
            Outgoing::Access { workspace, role } => self.access(workspace, role, ctx),
            Outgoing::Reset {
                workspace,
                seq,
                mark,
            } => self.reset(workspace, seq, &mark, ctx),
            Outgoing::Rejoin { workspace } => self.rejoin(workspace, ctx),
            Outgoing::Drain { after_ms } => {
                self.send(ServerFrame::Drain { after_ms }.to_text(), ctx);
                ctx.run_later(Duration::from_millis(after_ms), |session, ctx| {
                    session.close(4000, "this server goes away", ctx);
                });
            }
            Outgoing::Close { code, reason } => self.close(code, reason, ctx),
        }
    }

    /// Counts what was said; whether it is heard.
    fn hears(&mut self, said: &Said, ctx: &mut Context) -> bool {
        let counts = match said {
            Said::Text(_) | Said::Ping(_) => true,
            Said::Pong(payload) => !self.flow.pong(payload),
            Said::Close(_) => false,
        };
        if counts && !self.pace.allows() {
            self.close(4009, "too many frames", ctx);
            return false;
        }
        true
    }
}

impl Actor for Session {
    type Context = Context;

    fn started(&mut self, ctx: &mut Self::Context) {
        let address = ctx.address();
        self.outbox = Outbox::new(move || {
            #[expect(
                clippy::disallowed_methods,
                reason = "at most one wake is under way a session"
            )]
            address.do_send(Wake);
        });
        self.seat.open(self.outbox.clone());
        if let Some(input) = self.input.take() {
            ctx.add_stream(input);
        }
        ctx.run_interval(TICK, Self::tick);
        metrics::gauge!(crate::telemetry::SOCKETS).increment(1.0);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outbox.close();
        metrics::gauge!(crate::telemetry::SOCKETS).decrement(1.0);
    }
}

impl Handler<Wake> for Session {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.drain(ctx);
    }
}

impl StreamHandler<Result<Said, Broken>> for Session {
    fn handle(&mut self, said: Result<Said, Broken>, ctx: &mut Self::Context) {
        match said {
            Ok(Said::Close(_)) if self.closing => ctx.stop(),
            _ if self.closing => {}
            Ok(said) if !self.hears(&said, ctx) => {}
            Ok(Said::Text(text)) => self.frame(&text, ctx),
            Ok(Said::Ping(payload)) => self.pong(&payload, ctx),
            Ok(Said::Pong(_)) => self.drain(ctx),
            Ok(Said::Close(code)) => {
                ctx.close(code.map(|code| CloseReason {
                    code: code.into(),
                    description: None,
                }));
                ctx.stop();
            }
            Err(broken) => self.close(broken.code, broken.reason, ctx),
        }
    }
}

/// The library's own reader, which was given nothing to read.
impl StreamHandler<Result<ws::Message, ProtocolError>> for Session {
    fn handle(&mut self, _: Result<ws::Message, ProtocolError>, _: &mut Self::Context) {}
}

/// What comes in, decoded. Nothing more is taken from the connection before it is used.
struct Input {
    payload: web::Payload,
    decoder: Decoder,
    octets: BytesMut,
    broken: bool,
}

impl Input {
    fn new(payload: web::Payload) -> Input {
        Input {
            payload,
            decoder: Decoder::default(),
            octets: BytesMut::new(),
            broken: false,
        }
    }
}

impl Stream for Input {
    type Item = Result<Said, Broken>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let input = &mut *self;
        loop {
            if !input.broken
                && let Some(said) = input.decoder.next(&mut input.octets).transpose()
            {
                input.broken = said.is_err();
                return Poll::Ready(Some(said));
            }
            // After a broken rule nobody knows where a frame begins: the rest is thrown away.
            match ready!(Pin::new(&mut input.payload).poll_next(cx)) {
                Some(Ok(_)) if input.broken => input.octets.clear(),
                Some(Ok(octets)) => input.octets.extend_from_slice(&octets),
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}
