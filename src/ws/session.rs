//! One socket: reads frames, runs them, and sends what its outbox holds. The only file that names
//! `actix-web-actors`. It keeps no backlog of its own: what the peer has not acknowledged bounds
//! what is taken out of the outbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    self, CloseCode, CloseReason, Message as WsMessage, ProtocolError, WebsocketContext,
};
use bytestring::ByteString;
use chrono::{TimeDelta, Utc};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Gateway;
use super::follow::Follow;
use super::replay::{Replay, replay};
use crate::actors::outbox::{Outbox, Outgoing};
use crate::actors::workspace::{
    Command, EventBatch, Lists, Remember, Reply, Request, Shape, Subscribed, WorkspaceHandle,
};
use crate::auth::Principal;
use crate::domain::edit::{ItemCommand, ItemPatch, NewItem, list_of};
use crate::domain::event::Audience;
use crate::domain::item::time;
use crate::domain::log::Actor as LogActor;
use crate::domain::roles::Role;
use crate::error::{AppError, ErrorCode};
use crate::ids::{ItemId, ListId, WorkspaceId};
use crate::wire::frames::{
    self, ClientFrame, Limits, MAX_FRAME, MAX_FRAME_ITEMS, MAX_SUBSCRIPTIONS, Position,
    ServerFrame, WantedLists,
};

/// How long a socket may stay without a `hello`.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(25);
const PONG_WITHIN: Duration = Duration::from_secs(8);
const TICK: Duration = Duration::from_secs(1);
/// What the peer may leave unacknowledged before nothing more is taken from the outbox.
const WINDOW: u64 = 512 * 1024;
/// A ping goes along so often, for its pong acknowledges what came before it.
const ACK_EVERY: u64 = 64 * 1024;
const MAX_BAD_FRAMES: u32 = 10;
/// Edits of one socket that may be under way.
const MAX_IN_FLIGHT: usize = 512;

/// The session's actor.
pub(super) struct Session {
    id: Uuid,
    gateway: Arc<Gateway>,
    principal: Option<Principal>,
    outbox: Outbox,
    follows: HashMap<WorkspaceId, Follow>,
    handles: HashMap<WorkspaceId, WorkspaceHandle>,
    subscriptions: HashMap<u64, WorkspaceId>,
    resume: HashMap<WorkspaceId, Position>,
    fragments: Vec<u8>,
    bad_frames: u32,
    in_flight: usize,
    started: Instant,
    /// Bytes sent, those of them that the peer acknowledged, and when the oldest ping went out.
    sent: u64,
    acknowledged: u64,
    pinged: u64,
    awaiting_pong: Option<Instant>,
    last_ping: Instant,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

type Context = WebsocketContext<Session>;

impl Session {
    /// Upgrades the request.
    pub(super) fn start(
        gateway: Arc<Gateway>,
        request: &HttpRequest,
        stream: web::Payload,
        subprotocol: &str,
    ) -> Result<HttpResponse, actix_web::Error> {
        let session = Session {
            id: Uuid::now_v7(),
            gateway,
            principal: None,
            outbox: Outbox::new(|| {}),
            follows: HashMap::new(),
            handles: HashMap::new(),
            subscriptions: HashMap::new(),
            resume: HashMap::new(),
            fragments: Vec::new(),
            bad_frames: 0,
            in_flight: 0,
            started: Instant::now(),
            sent: 0,
            acknowledged: 0,
            pinged: 0,
            awaiting_pong: None,
            last_ping: Instant::now(),
        };
        ws::WsResponseBuilder::new(session, request, stream)
            .protocols(&[subprotocol])
            .frame_size(MAX_FRAME)
            .start()
    }

    fn send(&mut self, text: impl Into<ByteString>, ctx: &mut Context) {
        let text = text.into();
        self.sent += u64::try_from(text.len()).unwrap_or(0);
        ctx.text(text);
        if self.sent - self.pinged >= ACK_EVERY {
            self.ping(ctx);
        }
    }

    fn ping(&mut self, ctx: &mut Context) {
        self.pinged = self.sent;
        self.last_ping = Instant::now();
        self.awaiting_pong.get_or_insert_with(Instant::now);
        ctx.ping(&self.sent.to_be_bytes());
    }

    fn close(&mut self, code: u16, reason: &str, ctx: &mut Context) {
        ctx.close(Some(CloseReason {
            code: CloseCode::Other(code),
            description: Some(reason.into()),
        }));
        ctx.stop();
    }

    fn refuse(&mut self, id: Option<u64>, error: &AppError, ctx: &mut Context) {
        let problem = problem(error, self.id);
        self.send(
            ServerFrame::Error {
                id,
                problem: &problem,
            }
            .to_text(),
            ctx,
        );
    }

    fn tick(&mut self, ctx: &mut Context) {
        let silent = self
            .awaiting_pong
            .is_some_and(|since| since.elapsed() > PONG_WITHIN);
        if silent {
            let stuck = self.sent - self.acknowledged > WINDOW;
            let (code, reason) = if stuck {
                (4008, "too slow")
            } else {
                (4000, "no answer to pings")
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
        if self.last_ping.elapsed() >= PING_EVERY {
            self.ping(ctx);
        }
        let dead: Vec<WorkspaceId> = self
            .handles
            .iter()
            .filter(|(id, handle)| {
                !handle.is_open() && self.follows.get(id).is_some_and(Follow::is_open)
            })
            .map(|(id, _)| *id)
            .collect();
        for workspace in dead {
            self.rejoin(workspace, ctx);
        }
    }

    /// Sends what waits, as far as the peer keeps up. Batches of one workspace that stand next to
    /// each other go out as one frame.
    fn drain(&mut self, ctx: &mut Context) {
        loop {
            let room = WINDOW.saturating_sub(self.sent - self.acknowledged);
            if room == 0 {
                return;
            }
            let taken = self
                .outbox
                .take(usize::try_from(room).unwrap_or(usize::MAX));
            if taken.is_empty() {
                return;
            }
            let mut run: Vec<Arc<EventBatch>> = Vec::new();
            for outgoing in taken {
                match outgoing {
                    Outgoing::Events(batch) => {
                        if run
                            .last()
                            .is_some_and(|last| last.workspace != batch.workspace)
                        {
                            self.send_run(std::mem::take(&mut run), ctx);
                        }
                        run.push(batch);
                    }
                    other => {
                        self.send_run(std::mem::take(&mut run), ctx);
                        self.send_other(other, ctx);
                    }
                }
            }
            self.send_run(run, ctx);
        }
    }

    fn send_run(&mut self, run: Vec<Arc<EventBatch>>, ctx: &mut Context) {
        let Some(workspace) = run.first().map(|batch| batch.workspace) else {
            return;
        };
        let frame = self
            .follows
            .get_mut(&workspace)
            .and_then(|follow| follow.advance(&run));
        if let Some(frame) = frame {
            self.send(frame, ctx);
        }
    }

    fn send_other(&mut self, outgoing: Outgoing, ctx: &mut Context) {
        match outgoing {
            Outgoing::Events(_) => {}
            Outgoing::Frame(frame) => self.send(frame, ctx),
            Outgoing::Beat {
                workspace,
                through,
                mark,
            } => {
                let news = self
                    .follows
                    .get_mut(&workspace)
                    .is_some_and(|f| f.beat(through, &mark));
                if news {
                    self.send(
                        ServerFrame::Beat {
                            workspace,
                            through,
                            mark: &mark,
                        }
                        .to_text(),
                        ctx,
                    );
                }
            }
            Outgoing::Access { workspace, role } => self.access(workspace, role, ctx),
            Outgoing::Rejoin { workspace } => self.rejoin(workspace, ctx),
            Outgoing::Close { code, reason } => self.close(code, reason, ctx),
        }
    }

    fn access(&mut self, workspace: WorkspaceId, role: Option<Role>, ctx: &mut Context) {
        self.send(ServerFrame::Access { workspace, role }.to_text(), ctx);
        let Some(role) = role else {
            self.follows.remove(&workspace);
            self.handles.remove(&workspace);
            self.subscriptions
                .retain(|_, followed| *followed != workspace);
            if self.follows.is_empty() {
                self.close(4403, "no longer a member", ctx);
            }
            return;
        };
        let class = Audience::of_role(role);
        let Some(follow) = self.follows.get_mut(&workspace) else {
            return;
        };
        if !follow.is_open() {
            follow.next_class = Some(class);
        } else if follow.class != class {
            follow.class = class;
            let (seq, mark) = (follow.seq, Arc::clone(&follow.mark));
            let reason = "changed_audience";
            self.send(
                ServerFrame::Reset {
                    workspace,
                    id: None,
                    reason,
                    seq,
                    mark: &mark,
                }
                .to_text(),
                ctx,
            );
        }
    }

    fn frame(&mut self, text: &str, ctx: &mut Context) {
        let frame = match ClientFrame::parse(text) {
            Ok(frame) => frame,
            Err(error) => return self.bad_frame(&error.to_string(), ctx),
        };
        match frame {
            ClientFrame::Ping(t) => self.send(ServerFrame::Pong { t: t.as_deref() }.to_text(), ctx),
            ClientFrame::Hello(hello) => {
                for resume in hello.resume {
                    let since = Position {
                        seq: resume.seq,
                        mark: resume.mark,
                        audience: resume.audience,
                    };
                    self.resume.insert(resume.workspace, since);
                }
                self.authenticate(hello.token, true, ctx);
            }
            ClientFrame::Auth(auth) => self.authenticate(auth.token, false, ctx),
            _ if self.principal.is_none() => self.close(4401, "say hello first", ctx),
            ClientFrame::Subscribe(subscribe) => self.subscribe(subscribe, ctx),
            ClientFrame::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe.id),
            ClientFrame::Presence(_) => self.bad_frame("presence is not built yet", ctx),
            ClientFrame::Edit(edit) => {
                let items = edit.items.into_iter().map(|item| ItemPatch {
                    id: item.id,
                    values: item.values,
                    if_version: item.if_version,
                    if_values: item.if_values,
                });
                let items = items.collect();
                let command = ItemCommand::Update {
                    list: edit.list,
                    items,
                    typecast: false,
                };
                self.command(edit.op, edit.workspace, command, text, ctx);
            }
            ClientFrame::Create(create) => {
                let items = create.items.into_iter().map(|item| NewItem {
                    fresh: item.id.is_none(),
                    id: item.id.unwrap_or_else(|| ItemId(Uuid::now_v7())),
                    values: item.values,
                });
                let items = items.collect();
                let command = ItemCommand::Create {
                    list: create.list,
                    items,
                    typecast: false,
                };
                self.command(create.op, create.workspace, command, text, ctx);
            }
            ClientFrame::Delete(delete) => {
                let command = ItemCommand::Delete {
                    list: delete.list,
                    ids: delete.ids,
                    if_version: None,
                };
                self.command(delete.op, delete.workspace, command, text, ctx);
            }
        }
    }

    fn bad_frame(&mut self, reason: &str, ctx: &mut Context) {
        self.bad_frames += 1;
        if self.bad_frames >= MAX_BAD_FRAMES {
            return self.close(4400, "too many bad frames", ctx);
        }
        self.refuse(None, &AppError::malformed(reason.to_owned()), ctx);
    }

    fn authenticate(&mut self, token: String, hello: bool, ctx: &mut Context) {
        let gateway = Arc::clone(&self.gateway);
        let verify = async move { gateway.verifier.verify(&token).await };
        // Nothing else of this socket is read before it is known who speaks.
        ctx.wait(
            verify
                .into_actor(self)
                .map(move |verified, session, ctx| match verified {
                    Ok(person) => session.welcome(person, hello, ctx),
                    Err(error) => session.close(4401, &error.to_string(), ctx),
                }),
        );
    }

    fn welcome(&mut self, person: Principal, hello: bool, ctx: &mut Context) {
        if self
            .principal
            .as_ref()
            .is_some_and(|known| known.user != person.user)
        {
            return self.close(4403, "another person's token", ctx);
        }
        let user = person.user;
        let known = self.principal.replace(person).is_some();
        if hello && !known {
            let welcome = ServerFrame::Welcome {
                session: self.id,
                user,
                server_time: time(Utc::now()),
                heartbeat_ms: u64::try_from(PING_EVERY.as_millis()).unwrap_or(0),
                limits: Limits {
                    frame_bytes: MAX_FRAME,
                    frame_items: MAX_FRAME_ITEMS,
                    subscriptions: MAX_SUBSCRIPTIONS,
                },
            };
            self.send(welcome.to_text(), ctx);
        }
    }

    fn subscribe(&mut self, subscribe: frames::Subscribe, ctx: &mut Context) {
        let id = subscribe.id;
        if let Err(error) = self.check_subscribe(&subscribe) {
            return self.refuse(Some(id), &error, ctx);
        }
        let lists = match subscribe.lists {
            Some(WantedLists::Ids(ids)) => Lists::Some(ids.into_iter().collect()),
            _ => Lists::All,
        };
        let workspace = subscribe.workspace;
        self.subscriptions.insert(id, workspace);
        let Some(follow) = self.follows.get_mut(&workspace) else {
            let since = subscribe.since.or_else(|| self.resume.remove(&workspace));
            self.follows
                .insert(workspace, Follow::opening(id, lists.clone()));
            return self.join(workspace, id, lists, since, ctx);
        };
        if !follow.is_open() {
            self.subscriptions.remove(&id);
            let error = AppError::unavailable("Another subscription of this workspace is opening");
            return self.refuse(Some(id), &error, ctx);
        }
        if subscribe.since.is_some_and(|since| since.seq < follow.seq) {
            self.subscriptions.remove(&id);
            let error = AppError::conflict("This socket is past that position; use another one");
            return self.refuse(Some(id), &error, ctx);
        }
        // More lists from the same position on.
        let known = self.handles.get(&workspace).map(WorkspaceHandle::snapshot);
        if let Some(error) = known.and_then(|snapshot| unknown_list(&lists, &snapshot.schema)) {
            self.subscriptions.remove(&id);
            return self.refuse(Some(id), &error, ctx);
        }
        follow.want(id, lists);
        let (seq, mark, class) = (follow.seq, Arc::clone(&follow.mark), follow.class);
        let frame = ServerFrame::Subscribed {
            id,
            workspace,
            seq,
            mark: &mark,
            audience: class.name(),
        };
        self.send(frame.to_text(), ctx);
    }

    fn check_subscribe(&self, subscribe: &frames::Subscribe) -> Result<(), AppError> {
        if subscribe.query.is_some() {
            return Err(AppError::field(
                "/query",
                "not_built",
                "live queries are not built yet",
            ));
        }
        if self.subscriptions.contains_key(&subscribe.id) {
            return Err(AppError::conflict("A subscription of this id exists"));
        }
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(AppError::new(
                ErrorCode::RateLimited,
                "Too many subscriptions",
            ));
        }
        match &subscribe.lists {
            Some(WantedLists::Word(word)) if word != "all" => {
                Err(AppError::field("/lists", "malformed", "\"all\" or ids"))
            }
            _ => Ok(()),
        }
    }

    /// Follows a workspace: registers with the hub first, so that nothing is missed, then replays.
    fn join(
        &mut self,
        workspace: WorkspaceId,
        id: u64,
        lists: Lists,
        since: Option<Position>,
        ctx: &mut Context,
    ) {
        let Some(user) = self.principal.as_ref().map(|person| person.user) else {
            return;
        };
        let (gateway, session, outbox) = (Arc::clone(&self.gateway), self.id, self.outbox.clone());
        let join = async move {
            let handle = gateway.registry.open(workspace).await?;
            let snapshot = handle.snapshot();
            if let Some(error) = snapshot
                .role_of(user)
                .and_then(|_| unknown_list(&lists, &snapshot.schema))
            {
                return Err(error);
            }
            if snapshot.is_deleted() {
                return Err(AppError::gone("The workspace is in the trash"));
            }
            let subscribed = handle
                .subscribe(session, user, outbox)
                .await?
                .ok_or_else(AppError::not_found)?;
            let past = match &since {
                None => None,
                Some(since) => {
                    let class = Audience::of_role(subscribed.role);
                    let oldest = snapshot.oldest_seq;
                    let seq = subscribed.seq;
                    Some(replay(&gateway.db, workspace, since, seq, class, oldest).await?)
                }
            };
            Ok((handle, subscribed, since.zip(past)))
        };
        ctx.spawn(
            join.into_actor(self)
                .map(move |joined, session, ctx| match joined {
                    Ok((handle, subscribed, past)) => {
                        session.joined(workspace, id, handle, &subscribed, past, ctx);
                    }
                    Err(error) => session.join_failed(workspace, id, &error, ctx),
                }),
        );
    }

    fn join_failed(
        &mut self,
        workspace: WorkspaceId,
        id: u64,
        error: &AppError,
        ctx: &mut Context,
    ) {
        self.follows.remove(&workspace);
        self.subscriptions
            .retain(|_, followed| *followed != workspace);
        if let Some(handle) = self.handles.remove(&workspace) {
            handle.unsubscribe(self.id);
        }
        self.refuse(Some(id), error, ctx);
    }

    fn joined(
        &mut self,
        workspace: WorkspaceId,
        id: u64,
        handle: WorkspaceHandle,
        subscribed: &Subscribed,
        past: Option<(Position, Replay)>,
        ctx: &mut Context,
    ) {
        self.handles.insert(workspace, handle);
        let (seq, mark) = (subscribed.seq, subscribed.mark.as_str());
        let Some(mut follow) = self.follows.remove(&workspace) else {
            return;
        };
        let joined_as = Audience::of_role(subscribed.role);
        let class = follow.next_class.take().unwrap_or(joined_as);
        let audience = class.name();
        let past = match past {
            // The role changed meanwhile: what was read is not what may be seen now.
            Some((since, _)) if class != joined_as => {
                Some((since, Replay::Reset("changed_audience")))
            }
            past => past,
        };
        match past {
            Some((since, Replay::Events(batch))) => {
                let from = ServerFrame::Subscribed {
                    id,
                    workspace,
                    seq: since.seq,
                    mark: &since.mark,
                    audience,
                };
                self.send(from.to_text(), ctx);
                let waited = follow.open(since.seq, &since.mark, class);
                if let Some(frame) = follow.advance(&[Arc::new(batch)]) {
                    self.send(frame, ctx);
                }
                if let Some(frame) = follow.advance(&waited) {
                    self.send(frame, ctx);
                }
            }
            other => {
                let now = ServerFrame::Subscribed {
                    id,
                    workspace,
                    seq,
                    mark,
                    audience,
                };
                self.send(now.to_text(), ctx);
                if let Some((_, Replay::Reset(reason))) = other {
                    let reset = ServerFrame::Reset {
                        workspace,
                        id: Some(id),
                        reason,
                        seq,
                        mark,
                    };
                    self.send(reset.to_text(), ctx);
                }
                let waited = follow.open(seq, mark, class);
                if let Some(frame) = follow.advance(&waited) {
                    self.send(frame, ctx);
                }
            }
        }
        self.follows.insert(workspace, follow);
    }

    /// The hub's end is gone: follow its successor from the same position.
    fn rejoin(&mut self, workspace: WorkspaceId, ctx: &mut Context) {
        let Some(follow) = self.follows.get_mut(&workspace) else {
            return;
        };
        if !follow.is_open() {
            return;
        }
        let since = Position {
            seq: follow.seq,
            mark: follow.mark.to_string(),
            audience: Some(follow.class.name().to_owned()),
        };
        let lists = follow.lists().clone();
        follow.reopen();
        let id = self
            .subscriptions
            .iter()
            .find(|(_, followed)| **followed == workspace);
        let Some(id) = id.map(|(id, _)| *id) else {
            return;
        };
        self.join(workspace, id, lists, Some(since), ctx);
    }

    fn unsubscribe(&mut self, id: u64) {
        let Some(workspace) = self.subscriptions.remove(&id) else {
            return;
        };
        if self
            .follows
            .get_mut(&workspace)
            .is_some_and(|follow| follow.unwant(id))
        {
            return;
        }
        self.follows.remove(&workspace);
        if let Some(handle) = self.handles.remove(&workspace) {
            handle.unsubscribe(self.id);
        }
    }

    /// Runs an edit; its answer is an `ack` or a `reject`.
    fn command(
        &mut self,
        op: Uuid,
        workspace: WorkspaceId,
        command: ItemCommand,
        text: &str,
        ctx: &mut Context,
    ) {
        let Some(user) = self.principal.as_ref().map(|person| person.user) else {
            return;
        };
        if command.len() > MAX_FRAME_ITEMS {
            let error = AppError::too_large("Larger writes go over REST");
            return self.reject(op, &error, ctx);
        }
        if self.in_flight >= MAX_IN_FLIGHT {
            let error = AppError::new(
                ErrorCode::RateLimited,
                "Wait for answers before you send more",
            );
            return self.reject(op, &error, ctx);
        }
        let request = Request {
            user,
            actor: LogActor::User(user),
            op: Some(op),
            remember: Some(Remember {
                key: op.to_string(),
                fingerprint: Sha256::digest(text.as_bytes()).into(),
            }),
            shape: Shape::Ack,
            command: Command::Items(command),
        };
        self.in_flight += 1;
        let known = self
            .handles
            .get(&workspace)
            .filter(|handle| handle.is_open())
            .cloned();
        let gateway = Arc::clone(&self.gateway);
        let work = async move {
            let handle = match known {
                Some(handle) => handle,
                None => gateway.registry.open(workspace).await?,
            };
            handle.submit(request).await
        };
        ctx.spawn(work.into_actor(self).map(move |result, session, ctx| {
            session.in_flight -= 1;
            match result {
                Ok(reply) => session.acknowledge(op, reply, ctx),
                Err(error) => session.reject(op, &error, ctx),
            }
        }));
    }

    fn acknowledge(&mut self, op: Uuid, reply: Reply, ctx: &mut Context) {
        match reply.into_answer(&Shape::Ack).body {
            Some(body) => self.send(frames::ack(op, &body), ctx),
            None => {
                let error = AppError::internal(anyhow::anyhow!("an answer without a body"));
                self.reject(op, &error, ctx);
            }
        }
    }

    fn reject(&mut self, op: Uuid, error: &AppError, ctx: &mut Context) {
        if let Some(source) = &error.source {
            tracing::error!(session = %self.id, source = format!("{source:#}"), "edit failed");
        }
        let problem = problem(error, self.id);
        let current = error
            .current
            .clone()
            .and_then(|json| RawValue::from_string(json).ok());
        let frame = ServerFrame::Reject {
            op,
            problem: &problem,
            current: current.as_deref(),
        };
        self.send(frame.to_text(), ctx);
    }

    /// Joins the fragments of a message (RFC 6455, 5.4); the limit is that of a whole frame.
    fn fragment(&mut self, part: &[u8], last: bool, ctx: &mut Context) {
        if self.fragments.len() + part.len() > MAX_FRAME {
            return self.protocol_error(CloseCode::Size, ctx);
        }
        self.fragments.extend_from_slice(part);
        if last {
            let whole = std::mem::take(&mut self.fragments);
            match String::from_utf8(whole) {
                Ok(text) => self.frame(&text, ctx),
                Err(_) => self.protocol_error(CloseCode::Invalid, ctx),
            }
        }
    }

    fn protocol_error(&mut self, code: CloseCode, ctx: &mut Context) {
        ctx.close(Some(CloseReason {
            code,
            description: None,
        }));
        ctx.stop();
    }
}

/// A list that the workspace does not have, as the error to answer.
fn unknown_list(lists: &Lists, schema: &crate::domain::schema::Schema) -> Option<AppError> {
    let Lists::Some(wanted) = lists else {
        return None;
    };
    wanted
        .iter()
        .find_map(|id: &ListId| list_of(*id, schema).err())
}

fn problem(error: &AppError, session: Uuid) -> Box<RawValue> {
    RawValue::from_string(error.problem(&session.to_string()))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
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
        ctx.run_interval(TICK, Self::tick);
        metrics::gauge!(crate::telemetry::SOCKETS).increment(1.0);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outbox.close();
        for handle in self.handles.values() {
            handle.unsubscribe(self.id);
        }
        metrics::gauge!(crate::telemetry::SOCKETS).decrement(1.0);
    }
}

impl Handler<Wake> for Session {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.drain(ctx);
    }
}

impl StreamHandler<Result<WsMessage, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<WsMessage, ProtocolError>, ctx: &mut Self::Context) {
        use actix_http::ws::Item;
        match message {
            Ok(WsMessage::Text(text)) => self.frame(&text, ctx),
            Ok(WsMessage::Continuation(Item::FirstText(part))) => self.fragment(&part, false, ctx),
            Ok(WsMessage::Continuation(Item::Continue(part))) => self.fragment(&part, false, ctx),
            Ok(WsMessage::Continuation(Item::Last(part))) => self.fragment(&part, true, ctx),
            Ok(WsMessage::Ping(payload)) => ctx.pong(&payload),
            Ok(WsMessage::Pong(payload)) => {
                self.awaiting_pong = None;
                if let Ok(bytes) = <[u8; 8]>::try_from(payload.as_ref()) {
                    let acknowledged = u64::from_be_bytes(bytes);
                    self.acknowledged = self.acknowledged.max(acknowledged.min(self.sent));
                }
                self.drain(ctx);
            }
            Ok(WsMessage::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(WsMessage::Binary(_) | WsMessage::Continuation(Item::FirstBinary(_))) => {
                self.protocol_error(CloseCode::Unsupported, ctx);
            }
            Ok(WsMessage::Nop) => {}
            Err(ProtocolError::Overflow) => self.protocol_error(CloseCode::Size, ctx),
            Err(_) => self.protocol_error(CloseCode::Protocol, ctx),
        }
    }
}
