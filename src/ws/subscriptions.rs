//! Which workspaces a socket follows: joins, what the hub says, and ends. Each join has a ticket,
//! and what arrives under another one than the workspace's place holds is of an earlier join and
//! means nothing. A place that goes takes its join under way and the hub's end with it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::follow::{Follow, Reset};
use super::join::{Join, Joined, Start, check_lists};
use super::presence::InPlace;
use super::replay::Behind;
use super::session::{Context, Session};
use crate::actors::outbox::{Outgoing, Ticket};
use crate::actors::workspace::{EventBatch, Lists, Subscription, WorkspaceHandle};
use crate::domain::event::Audience;
use crate::domain::roles::Role;
use crate::error::{AppError, ErrorCode};
use crate::ids::WorkspaceId;
use crate::wire::frames::{Position, Resume, ServerFrame, Subscribe, WantedLists};

pub(super) const MAX_SUBSCRIPTIONS: usize = 100;

/// All of one socket.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// Boxed, for most sockets follow one workspace, and a map keeps room for four.
    places: HashMap<WorkspaceId, Box<Place>>,
    /// The client's numbers.
    ids: HashMap<u64, WorkspaceId>,
    /// Where the client stood before this socket.
    resume: HashMap<WorkspaceId, Position>,
    last_ticket: Ticket,
    /// Pieces of the past that were fetched, ever.
    fetched: u64,
}

/// The socket's place in one workspace.
pub(super) struct Place {
    ticket: Ticket,
    pub(super) follow: Follow,
    presence: InPlace,
    /// Ends the join under way.
    join: Option<DropGuard>,
    /// Ends the hub's subscription.
    hub: Option<Subscription>,
    /// The number of its last piece.
    fetched: u64,
}

impl Subscriptions {
    /// Ends a subscription of the client's; the last one of a workspace ends its place.
    pub(super) fn end(&mut self, id: u64) {
        let Some(workspace) = self.ids.remove(&id) else {
            return;
        };
        let wanted = |place: &mut Box<Place>| place.follow.unwant(id);
        if !self.places.get_mut(&workspace).is_some_and(wanted) {
            self.places.remove(&workspace);
        }
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.ids.clear();
    }

    /// The defaults of later subscriptions.
    pub(super) fn resume_from(&mut self, positions: Vec<Resume>) {
        self.resume = positions
            .into_iter()
            .map(|resume| {
                let position = Position {
                    seq: resume.seq,
                    mark: resume.mark,
                    audience: resume.audience,
                };
                (resume.workspace, position)
            })
            .collect();
    }

    /// The running actor of a workspace that the socket follows.
    pub(super) fn handle(&self, workspace: WorkspaceId) -> Option<WorkspaceHandle> {
        let hub = self.places.get(&workspace)?.hub.as_ref()?;
        Some(hub.handle().clone()).filter(WorkspaceHandle::is_open)
    }

    /// Workspaces whose actor went without a word.
    pub(super) fn orphans(&self) -> Vec<WorkspaceId> {
        let lost = |hub: &Subscription| !hub.handle().is_open();
        self.places
            .iter()
            .filter(|(_, place)| place.follow.is_open() && place.hub.as_ref().is_some_and(lost))
            .map(|(workspace, _)| *workspace)
            .collect()
    }

    /// Presence in a workspace that the socket follows, and the hub's end once it stands.
    pub(super) fn presence(
        &mut self,
        workspace: WorkspaceId,
    ) -> Option<(&mut InPlace, Option<&Subscription>)> {
        let place = self.places.get_mut(&workspace)?;
        Some((&mut place.presence, place.hub.as_ref()))
    }

    /// Workspaces that have not been told where the person is.
    pub(super) fn untold(&self) -> Vec<WorkspaceId> {
        let mut places: Vec<_> = self.places.iter().collect();
        places.retain(|(_, place)| place.presence.is_untold());
        places
            .into_iter()
            .map(|(workspace, _)| *workspace)
            .collect()
    }

    /// Asks who is there where presence was left out.
    pub(super) fn ask_for_missed(&self) {
        self.places
            .values()
            .filter(|place| place.presence.has_missed())
            .filter_map(|place| place.hub.as_ref())
            .for_each(Subscription::ask_who_is_here);
    }

    /// Whether it was said to the join that stands.
    pub(super) fn is_current(&self, ticket: Ticket, outgoing: &Outgoing) -> bool {
        outgoing.workspace().is_none_or(|workspace| {
            self.places
                .get(&workspace)
                .is_some_and(|place| place.ticket == ticket)
        })
    }

    /// Whether it is of no cost to take: what is known of it is how far the hub is, for the rest is
    /// fetched when its turn comes.
    pub(super) fn costs_nothing(&self, ticket: Ticket, outgoing: &Outgoing) -> bool {
        let place = outgoing.workspace().and_then(|id| self.places.get(&id));
        let waits = |place: &Place| !place.follow.is_open() || place.follow.behind().is_some();
        let is_events = matches!(outgoing, Outgoing::Events(_) | Outgoing::Moved { .. });
        is_events && place.is_none_or(|place| place.ticket != ticket || waits(place))
    }

    /// The place that has waited longest for a piece of its past.
    pub(super) fn behind(&mut self) -> Option<Behind> {
        let all = self.places.iter_mut();
        let (workspace, place) = all
            .filter(|(_, place)| place.follow.behind().is_some())
            .min_by_key(|(_, place)| place.fetched)?;
        let (since, through) = place.follow.behind()?;
        let handle = place.hub.as_ref()?.handle().clone();
        self.fetched += 1;
        place.fetched = self.fetched;
        Some(Behind {
            workspace: *workspace,
            ticket: place.ticket,
            handle,
            since,
            through,
        })
    }

    pub(super) fn place(&mut self, workspace: WorkspaceId, ticket: Ticket) -> Option<&mut Place> {
        let place = self.places.get_mut(&workspace)?.as_mut();
        Some(place).filter(|place| place.ticket == ticket)
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// One of the client's numbers for a workspace.
    fn id_of(&self, workspace: WorkspaceId) -> Option<u64> {
        let mut ids = self.ids.iter();
        ids.find(|(_, followed)| **followed == workspace)
            .map(|(id, _)| *id)
    }

    fn remove(&mut self, workspace: WorkspaceId) -> Option<Box<Place>> {
        self.ids.retain(|_, followed| *followed != workspace);
        self.places.remove(&workspace)
    }

    fn check(&self, subscribe: &Subscribe) -> Result<(), AppError> {
        if subscribe.query.is_some() {
            let message = "live queries are not built yet";
            return Err(AppError::field("/query", "not_built", message));
        }
        if self.ids.contains_key(&subscribe.id) {
            return Err(AppError::conflict("A subscription of this id exists"));
        }
        if self.ids.len() >= MAX_SUBSCRIPTIONS {
            let reason = "Too many subscriptions";
            return Err(AppError::new(ErrorCode::RateLimited, reason));
        }
        match &subscribe.lists {
            Some(WantedLists::Word(word)) if word != "all" => {
                Err(AppError::field("/lists", "malformed", "\"all\" or ids"))
            }
            _ => Ok(()),
        }
    }
}

impl Session {
    pub(super) fn subscribe(&mut self, subscribe: Subscribe, ctx: &mut Context) {
        let id = subscribe.id;
        if let Err(error) = self.try_subscribe(subscribe, ctx) {
            self.refuse(Some(id), &error, ctx);
        }
    }

    fn try_subscribe(&mut self, subscribe: Subscribe, ctx: &mut Context) -> Result<(), AppError> {
        self.subscriptions.check(&subscribe)?;
        let user = self.user();
        let user = user.ok_or_else(|| AppError::unauthenticated("Say hello first"))?;
        let (id, workspace) = (subscribe.id, subscribe.workspace);
        let lists = match subscribe.lists {
            Some(WantedLists::Ids(ids)) => Lists::Some(ids.into_iter().collect()),
            _ => Lists::All,
        };
        let known = &mut self.subscriptions;
        let Some(place) = known.places.get_mut(&workspace) else {
            let since = subscribe.since.or_else(|| known.resume.remove(&workspace));
            let place = Place {
                ticket: known.next_ticket(),
                follow: Follow::opening(id, lists, user),
                presence: InPlace::default(),
                join: None,
                hub: None,
                fetched: 0,
            };
            known.places.insert(workspace, Box::new(place));
            known.ids.insert(id, workspace);
            self.join(workspace, since, ctx);
            return Ok(());
        };
        let seq = place.want(id, lists, subscribe.since.as_ref())?;
        known.ids.insert(id, workspace);
        let frame = ServerFrame::Subscribed {
            id,
            workspace,
            seq,
            mark: &place.follow.mark,
            audience: &place.follow.reader.name(),
        };
        let frame = frame.to_text();
        place.hub.iter().for_each(Subscription::ask_who_is_here);
        self.answer(frame, ctx);
        Ok(())
    }

    /// Follows a workspace: registers with the hub first, so that nothing is missed, then replays.
    fn join(&mut self, workspace: WorkspaceId, since: Option<Position>, ctx: &mut Context) {
        let (Some(user), session, outbox) = (self.user(), self.id, self.outbox.clone()) else {
            return;
        };
        let Some(place) = self.subscriptions.places.get_mut(&workspace) else {
            return;
        };
        let (ticket, cancelled) = (place.ticket, CancellationToken::new());
        place.join = Some(cancelled.clone().drop_guard());
        let join = Join {
            session,
            user,
            workspace,
            lists: place.follow.lists().clone(),
            since,
            outbox: outbox.ticketed(ticket),
        };
        let gateway = Arc::clone(&self.gateway);
        let work = async move { cancelled.run_until_cancelled(join.run(&gateway)).await };
        Session::spawn(ctx, work, move |session, result, ctx| match result {
            None => {}
            Some(Ok(joined)) => session.joined(workspace, ticket, joined, ctx),
            Some(Err(error)) => session.not_joined(workspace, ticket, &error, ctx),
        });
    }

    fn not_joined(
        &mut self,
        workspace: WorkspaceId,
        ticket: Ticket,
        error: &AppError,
        ctx: &mut Context,
    ) {
        if self.subscriptions.place(workspace, ticket).is_none() {
            return;
        }
        let id = self.subscriptions.id_of(workspace);
        self.subscriptions.remove(workspace);
        self.refuse(id, error, ctx);
    }

    fn joined(
        &mut self,
        workspace: WorkspaceId,
        ticket: Ticket,
        joined: Joined,
        ctx: &mut Context,
    ) {
        let Some(id) = self.subscriptions.id_of(workspace) else {
            return;
        };
        // Else the piece is fetched again, when its turn comes.
        let has_room = self.has_room();
        let Some(place) = self.subscriptions.place(workspace, ticket) else {
            return;
        };
        place.join = None;
        place.hub = Some(joined.hub);
        let said = place.follow.open();
        let class = said
            .class
            .unwrap_or_else(|| Audience::of_role(joined.at.role));
        let hub = match &said.reset {
            Some(_) => said.through,
            None => said.through.max(joined.at.seq),
        };
        let start = Start::of(&joined.at, joined.past, &said, class);
        place.follow.stand(start.seq, &start.mark, class, hub);
        let replayed = start
            .replayed
            .filter(|_| has_room)
            .and_then(|piece| place.follow.advance(&[piece]));
        let reader = place.follow.reader;
        let subscribed = ServerFrame::Subscribed {
            id,
            workspace,
            seq: start.seq,
            mark: &start.mark,
            audience: &reader.name(),
        };
        self.send(subscribed.to_text(), ctx);
        if let Some(reason) = start.reset {
            let (seq, mark) = (start.seq, start.mark.as_str());
            self.send(reset_frame(workspace, Some(id), reason, seq, mark), ctx);
        }
        if let Some(frame) = replayed {
            self.send(frame, ctx);
        }
        if let Some((place, Some(hub))) = self.subscriptions.presence(workspace) {
            place.begin(hub);
        }
        self.appear_where_untold(ctx);
        self.deliver(ctx);
    }

    /// The hub's end is gone: follow its successor from the same position.
    pub(super) fn rejoin(&mut self, workspace: WorkspaceId, ctx: &mut Context) {
        let ticket = self.subscriptions.next_ticket();
        let Some(place) = self.subscriptions.places.get_mut(&workspace) else {
            return;
        };
        if !place.follow.is_open() {
            return;
        }
        let since = Position {
            seq: place.follow.seq,
            mark: place.follow.mark.to_string(),
            audience: Some(place.follow.reader.name()),
        };
        place.follow.reopen();
        place.ticket = ticket;
        place.hub = None;
        self.join(workspace, Some(since), ctx);
    }

    /// Batches of one workspace that follow each other.
    pub(super) fn events(&mut self, run: Vec<Arc<EventBatch>>, ctx: &mut Context) {
        let Some(workspace) = run.first().map(|batch| batch.workspace) else {
            return;
        };
        let frame = self
            .follow(workspace)
            .and_then(|follow| follow.advance(&run));
        if let Some(frame) = frame {
            self.send(frame, ctx);
        }
    }

    pub(super) fn beat(&mut self, workspace: WorkspaceId, through: i64, ctx: &mut Context) {
        let Some(follow) = self.follow(workspace) else {
            return;
        };
        if follow.beat(through) {
            let mark = Arc::clone(&follow.mark);
            let frame = ServerFrame::Beat {
                workspace,
                through,
                mark: &mark,
            };
            self.send(frame.to_text(), ctx);
        }
    }

    /// The hub went on, and what happened is to be fetched.
    pub(super) fn moved(&mut self, workspace: WorkspaceId, through: i64) {
        if let Some(follow) = self.follow(workspace) {
            follow.moved(through);
        }
    }

    pub(super) fn reset(&mut self, workspace: WorkspaceId, reset: Reset, ctx: &mut Context) {
        let (seq, mark, reason) = (reset.seq, Arc::clone(&reset.mark), reset.reason);
        if self.follow(workspace).is_some_and(|it| it.reset(reset)) {
            self.send(reset_frame(workspace, None, reason, seq, &mark), ctx);
        }
    }

    pub(super) fn access(&mut self, workspace: WorkspaceId, role: Option<Role>, ctx: &mut Context) {
        self.send(ServerFrame::Access { workspace, role }.to_text(), ctx);
        let Some(role) = role else {
            return self.shut_out(workspace, ctx);
        };
        let class = Audience::of_role(role);
        let Some(follow) = self.follow(workspace) else {
            return;
        };
        if follow.reclass(class) {
            let (seq, mark) = (follow.seq, Arc::clone(&follow.mark));
            let frame = reset_frame(workspace, None, "changed_audience", seq, &mark);
            self.send(frame, ctx);
        }
    }

    /// A socket that follows nothing more because it may not is of no use.
    fn shut_out(&mut self, workspace: WorkspaceId, ctx: &mut Context) {
        let place = self.subscriptions.remove(workspace);
        if !self.subscriptions.places.is_empty() {
            return;
        }
        let deleted = place
            .and_then(|place| Some(place.hub.as_ref()?.handle().snapshot().is_deleted()))
            .unwrap_or_default();
        let (code, reason) = match deleted {
            true => (4404, "the workspace is in the trash"),
            false => (4403, "no longer a member"),
        };
        self.close(code, reason, ctx);
    }

    fn follow(&mut self, workspace: WorkspaceId) -> Option<&mut Follow> {
        let place = self.subscriptions.places.get_mut(&workspace)?;
        Some(&mut place.follow)
    }
}

impl Place {
    /// More lists from the same position on, which is given back.
    fn want(&mut self, id: u64, lists: Lists, since: Option<&Position>) -> Result<i64, AppError> {
        if !self.follow.is_open() {
            let reason = "Another subscription of this workspace is opening";
            return Err(AppError::unavailable(reason));
        }
        if since.is_some_and(|since| since.seq < self.follow.seq) {
            let reason = "This socket is past that position; use another one";
            return Err(AppError::conflict(reason));
        }
        if let Some(hub) = &self.hub {
            check_lists(&lists, &hub.handle().snapshot().schema)?;
        }
        self.follow.want(id, lists);
        Ok(self.follow.seq)
    }
}

fn reset_frame(
    workspace: WorkspaceId,
    id: Option<u64>,
    reason: &str,
    seq: i64,
    mark: &str,
) -> String {
    let frame = ServerFrame::Reset {
        workspace,
        id,
        reason,
        seq,
        mark,
    };
    frame.to_text()
}
