//! From the outbox to the connection, as far as the peer keeps up: in steps, each of which the
//! connection takes before the next is made. So a peer that reads nothing makes us keep a step of
//! frames, and the rest stays where it is shared.

use std::sync::Arc;
use std::time::Duration;

use super::follow::Reset;
use super::session::{Context, Session};
use crate::actors::outbox::{Outgoing, Ticket};
use crate::actors::workspace::EventBatch;
use crate::wire::frames::ServerFrame;

/// Bytes of a step.
const STEP: usize = 64 * 1024;

impl Session {
    /// Sends what waits, then what is to be fetched. Batches of one workspace that stand next to each
    /// other go out as one frame.
    pub(super) fn deliver(&mut self, ctx: &mut Context) {
        if self.stepping {
            return;
        }
        let known = &self.subscriptions;
        let taken = self.outbox.take(self.room().min(STEP), |ticket, outgoing| {
            known.costs_nothing(ticket, outgoing)
        });
        let any = !taken.is_empty();
        self.pass_on(taken, ctx);
        self.outbox.settle(self.owed());
        if any && self.has_room() && !self.outbox.is_empty() {
            return self.step(ctx);
        }
        self.catch_up(ctx);
    }

    /// Goes on once the connection took what was said.
    fn step(&mut self, ctx: &mut Context) {
        self.stepping = true;
        Session::spawn(ctx, tokio::task::yield_now(), |session, (), ctx| {
            session.stepping = false;
            session.deliver(ctx);
        });
    }

    fn pass_on(&mut self, taken: impl IntoIterator<Item = (Ticket, Outgoing)>, ctx: &mut Context) {
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

    fn outgoing(&mut self, outgoing: Outgoing, ctx: &mut Context) {
        match outgoing {
            Outgoing::Events(batch) => self.events(vec![batch], ctx),
            Outgoing::Moved { workspace, through } => self.moved(workspace, through),
            Outgoing::Frame { frame, .. } => self.send(frame, ctx),
            Outgoing::Presence {
                workspace,
                frame,
                full,
            } => self.others(workspace, frame, full, ctx),
            Outgoing::Beat { workspace, through } => self.beat(workspace, through, ctx),
            Outgoing::Access { workspace, role } => self.access(workspace, role, ctx),
            Outgoing::Reset {
                workspace,
                seq,
                mark,
            } => {
                let reason = "foreign_mark";
                self.reset(workspace, Reset { seq, mark, reason }, ctx);
            }
            Outgoing::Rejoin { workspace } => self.rejoin(workspace, ctx),
            Outgoing::Drain { after_ms } => {
                self.send(ServerFrame::Drain { after_ms }.to_text(), ctx);
                Session::later(Duration::from_millis(after_ms), ctx, |session, ctx| {
                    session.close(4000, "this server goes away", ctx);
                });
            }
            Outgoing::Close { code, reason } => self.close(code, reason, ctx),
        }
    }
}
