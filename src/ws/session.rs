//! One socket's actor: reads what its client says, sends what its outbox holds, and ends it. The
//! only file that names `actix-web-actors`, of which it takes the way out alone: what comes in is
//! read by `input`. What frames mean stands in `dispatch`, `subscriptions` and `commands`, and what goes
//! out when, in `delivery`.

use std::cell::OnceCell;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::error::PayloadError;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, CloseReason, ProtocolError, WebsocketContext};
use bytes::Bytes;
use bytestring::ByteString;
use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::Gateway;
use super::codec::{Broken, Message as Said};
use super::input::Input;
use super::limits::{Flow, Pace};
use super::presence::Appearance;
use super::seats::Seat;
use super::subscriptions::Subscriptions;
use crate::actors::outbox::Outbox;
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
    /// Octets of the frame that is read now.
    pub(super) heard: usize,
    /// Commands under way, and the octets that they came in.
    pub(super) in_flight: usize,
    pub(super) octets_in_flight: usize,
    /// The refusal of what is too much, around its operation.
    pub(super) too_many: OnceCell<(String, String)>,
    /// A piece of a past is being fetched.
    pub(super) fetching: bool,
    /// The next step of the delivery is under way.
    pub(super) stepping: bool,
    flow: Flow,
    pace: Pace,
    started: Instant,
    /// We closed: nothing more is said or heard.
    closing: bool,
    /// The client speaks another version of the protocol.
    outdated: bool,
    /// Until it starts.
    input: Option<Input>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

/// What follows from a future that ran apart.
#[derive(Message)]
#[rtype(result = "()")]
struct Then(Box<Sequel>);

type Sequel = dyn FnOnce(&mut Session, &mut Context) + Send;

pub(super) type Context = WebsocketContext<Session>;

impl Session {
    /// Upgrades the request.
    pub(super) fn start(
        gateway: Arc<Gateway>,
        request: &HttpRequest,
        payload: web::Payload,
        address: IpAddr,
        subprotocol: &str,
        outdated: bool,
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
            heard: 0,
            in_flight: 0,
            octets_in_flight: 0,
            too_many: OnceCell::new(),
            fetching: false,
            stepping: false,
            flow: Flow::new(),
            pace: Pace::new(gateway.seats.limited()),
            started: Instant::now(),
            closing: false,
            outdated,
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

    /// Runs a future beside what comes in. The session looks at all of them whenever it wakes: for what
    /// there may be many of, there is [`apart`](Self::apart).
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

    /// Runs a future as a task of its own, to its end also when the session is gone.
    pub(super) fn apart<T: Send + 'static>(
        ctx: &Context,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Session, T, &mut Context) + Send + 'static,
    ) {
        let session = ctx.address();
        actix::spawn(async move {
            let came_to = work.await;
            #[expect(
                clippy::disallowed_methods,
                reason = "as many as the session lets be under way"
            )]
            session.do_send(Then(Box::new(move |session, ctx| {
                then(session, came_to, ctx);
            })));
        });
    }

    /// Does something when that time has passed.
    pub(super) fn later(
        after: Duration,
        ctx: &mut Context,
        what: impl FnOnce(&mut Session, &mut Context) + 'static,
    ) {
        ctx.run_later(after, what);
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
        let session = self.id.to_string();
        let frame = ServerFrame::Error {
            id,
            problem: &error.problem(&session),
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

    /// Bytes that may go out before the peer acknowledges more.
    pub(super) fn room(&self) -> usize {
        self.flow.room()
    }

    pub(super) fn has_room(&self) -> bool {
        !self.closing && self.flow.room() > 0
    }

    /// Bytes that the peer has not acknowledged.
    pub(super) fn owed(&self) -> usize {
        self.flow.owed()
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
        self.deliver(ctx);
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
        if self.outdated {
            self.close(4426, "this server speaks estatebase.v1", ctx);
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outbox.close();
        metrics::gauge!(crate::telemetry::SOCKETS).decrement(1.0);
    }
}

impl Handler<Wake> for Session {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.deliver(ctx);
    }
}

impl Handler<Then> for Session {
    type Result = ();

    fn handle(&mut self, Then(then): Then, ctx: &mut Self::Context) {
        then(self, ctx);
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
            Ok(Said::Pong(_)) => self.deliver(ctx),
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
