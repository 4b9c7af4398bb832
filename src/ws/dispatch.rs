//! What a client's frame asks for, who may ask, and what becomes of one that asks for nothing.

use std::sync::Arc;

use chrono::Utc;

use super::limits::PING_EVERY;
use super::session::{Context, Session};
use super::subscriptions::MAX_SUBSCRIPTIONS;
use crate::auth::Principal;
use crate::domain::item::time;
use crate::error::AppError;
use crate::wire::frames::{
    ClientFrame, Hello, Limits, MAX_FRAME, MAX_FRAME_ITEMS, Resume, ServerFrame,
};

const MAX_BAD_FRAMES: u32 = 10;

impl Session {
    /// Runs a frame.
    pub(super) fn frame(&mut self, text: &str, ctx: &mut Context) {
        self.heard = text.len();
        if self.has_too_much_under_way()
            && self.principal.is_some()
            && let Some(op) = ClientFrame::glance(text)
        {
            return self.refuse_unread(op, ctx);
        }
        let frame = match ClientFrame::parse(text) {
            Ok(frame) => frame,
            Err(error) => return self.bad_frame(error.to_string(), ctx),
        };
        match frame {
            ClientFrame::Ping(t) => {
                self.answer(ServerFrame::Pong { t: t.as_deref() }.to_text(), ctx);
            }
            ClientFrame::Hello(hello) => self.hello(hello, ctx),
            _ if self.principal.is_none() => self.close(4401, "say hello first", ctx),
            ClientFrame::Auth(auth) => self.verify(auth.token, Session::renew, ctx),
            ClientFrame::Subscribe(subscribe) => self.subscribe(subscribe, ctx),
            ClientFrame::Unsubscribe(unsubscribe) => self.subscriptions.end(unsubscribe.id),
            ClientFrame::Edit(edit) => self.edit(edit, ctx),
            ClientFrame::Create(create) => self.create(create, ctx),
            ClientFrame::Delete(delete) => self.delete(delete, ctx),
            ClientFrame::Presence(presence) => self.presence(presence, ctx),
        }
    }

    fn bad_frame(&mut self, reason: String, ctx: &mut Context) {
        self.bad_frames += 1;
        if self.bad_frames >= MAX_BAD_FRAMES {
            return self.close(4400, "too many bad frames", ctx);
        }
        self.refuse(None, &AppError::malformed(reason), ctx);
    }

    fn hello(&mut self, hello: Hello, ctx: &mut Context) {
        let resume = hello.resume;
        let welcome = |session: &mut Session, person, ctx: &mut Context| {
            session.welcome(person, resume, ctx);
        };
        self.verify(hello.token, welcome, ctx);
    }

    /// Nothing else of this socket is read before it is known who speaks.
    fn verify(
        &mut self,
        token: String,
        then: impl FnOnce(&mut Session, Principal, &mut Context) + 'static,
        ctx: &mut Context,
    ) {
        let gateway = Arc::clone(&self.gateway);
        let verify = async move { gateway.verifier.verify(&token).await };
        Session::wait(ctx, verify, |session, verified, ctx| match verified {
            Ok(person) => then(session, person, ctx),
            Err(error) => session.close(4401, &error.to_string(), ctx),
        });
    }

    fn welcome(&mut self, person: Principal, resume: Vec<Resume>, ctx: &mut Context) {
        if self.principal.is_some() {
            self.renew(person, ctx);
            return self.bad_frame("hello: it was said before".to_owned(), ctx);
        }
        let user = person.user;
        if !self.seat.sit(user) {
            return self.close(4009, "too many sockets of yours", ctx);
        }
        self.principal = Some(person);
        self.subscriptions.resume_from(resume);
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

    /// A fresh token of the same person; nobody becomes another on an open socket.
    fn renew(&mut self, person: Principal, ctx: &mut Context) {
        if self.user().is_some_and(|known| known != person.user) {
            return self.close(4403, "another person's token", ctx);
        }
        self.principal = Some(person);
    }
}
