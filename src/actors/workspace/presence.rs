//! Presence: hands what has changed of who is where to the sockets of the workspace and to the other
//! nodes, a few times a second at most. Lossy and never logged. A frame carries the position at
//! which its readers were known to be members; those who follow a workspace may read all its lists.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Workspace;
use crate::actors::outbox::{Outgoing, Ticket};
use crate::domain::presence::{Change, Doing, Home, Person, Roster, Whereabouts};
use crate::wire::frames::{Present, PresentState, ServerFrame};

/// Between two frames at least.
const APART: Duration = Duration::from_millis(250);
/// People told to sockets in a second, all together: beyond, frames are further apart.
const TOLD_A_SECOND: u32 = 20_000;
/// How often the other nodes hear of all our people, lest they take them for dead.
const NODES_EVERY: Duration = Duration::from_secs(20);

/// A workspace's presence.
pub(super) struct Presence {
    roster: Roster,
    began: Instant,
    /// Something may have to be told.
    stale: bool,
    /// A frame is due then, and is waited for.
    next: Duration,
    waiting: bool,
    nodes_told: Duration,
}

/// A socket says where its person is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Appear {
    pub(super) session: Uuid,
    pub(super) ticket: Ticket,
    pub(super) name: Arc<str>,
    pub(super) whereabouts: Whereabouts,
}

/// A socket wants to know everybody, and what changes from then on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WhoIsHere {
    pub(super) session: Uuid,
    pub(super) ticket: Ticket,
}

/// What another node says.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Heard {
    pub(super) node: Uuid,
    pub(super) word: Word,
}

/// What nodes say to each other.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(in crate::actors) enum Word {
    /// Who is at your sockets?
    Who,
    /// These are all at mine.
    All { seq: i64, people: Vec<Person> },
    /// These came or moved, those left.
    Changed {
        seq: i64,
        people: Vec<Person>,
        left: Vec<Uuid>,
    },
}

impl Default for Presence {
    fn default() -> Self {
        Presence {
            roster: Roster::default(),
            began: Instant::now(),
            stale: false,
            next: Duration::ZERO,
            waiting: false,
            nodes_told: Duration::ZERO,
        }
    }
}

impl Presence {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A socket follows no more.
    pub(super) fn leave(&mut self, session: Uuid) {
        self.roster.leave(session, Home::Here);
        self.stale = true;
    }

    /// Who may read has changed.
    pub(super) fn members_changed(&mut self) {
        self.stale = true;
    }

    fn hear(&mut self, node: Uuid, word: Word) {
        let (home, now) = (Home::Node(node), self.now());
        let (seq, people) = match word {
            Word::Who => return,
            Word::All { seq, people } => {
                let sessions: Vec<Uuid> = people.iter().map(|person| person.session).collect();
                self.roster.keep(home, &sessions);
                (seq, people)
            }
            Word::Changed { seq, people, left } => {
                for session in left {
                    self.roster.leave(session, home);
                }
                (seq, people)
            }
        };
        for person in people {
            self.roster.appear(person, home, seq, now);
        }
        self.stale = true;
    }
}

impl Workspace {
    /// Tells what has changed, now or as soon as it may.
    pub(super) fn spread_presence(&mut self, ctx: &mut Context<Self>) {
        let presence = &mut self.presence;
        if !presence.stale || presence.waiting {
            return;
        }
        let wait = presence.next.saturating_sub(presence.now());
        if wait.is_zero() {
            return self.tell_presence();
        }
        presence.waiting = true;
        ctx.run_later(wait, |actor, _| {
            actor.presence.waiting = false;
            actor.tell_presence();
        });
    }

    fn tell_presence(&mut self) {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let seq = snapshot.seq;
        let may_read = |user| !snapshot.is_deleted() && snapshot.role_of(user).is_some();
        let presence = &mut self.presence;
        let changes = presence.roster.changes(seq, may_read);
        presence.stale = presence.roster.waits_beyond(seq);
        presence.next = presence.now() + APART;
        if changes.is_empty() {
            return;
        }
        let users: Vec<Present<'_>> = changes
            .iter()
            .map(|change| present(&change.person, change.left))
            .collect();
        let frame = self.presence_frame(seq, &users, false);
        let mut told = 0;
        for subscriber in self.subscribers.values_mut() {
            if subscriber.knows_people {
                subscriber.knows_people = subscriber.outbox.offer(frame.clone());
                told += users.len();
            }
        }
        let cost = Duration::from_secs(1) * u32::try_from(told).unwrap_or(u32::MAX) / TOLD_A_SECOND;
        self.presence.next = self.presence.now() + APART.max(cost);
        self.tell_nodes(changed_here(seq, changes));
    }

    /// Looks after people that grew old, sockets that missed something, and the other nodes.
    pub(super) fn keep_presence(&mut self, ctx: &mut Context<Self>) {
        let now = self.presence.now();
        self.presence.roster.grow_old(now);
        self.presence.stale = true;
        self.spread_presence(ctx);
        let missing = |(id, it): (&Uuid, &super::Subscriber)| {
            (it.asked_for_people && !it.knows_people).then_some(*id)
        };
        let behind: Vec<Uuid> = self.subscribers.iter().filter_map(missing).collect();
        if !behind.is_empty() {
            self.tell_everybody_to(&behind);
        }
        if now.saturating_sub(self.presence.nodes_told) >= NODES_EVERY {
            self.tell_nodes_of_all();
        }
    }

    /// Tells these sockets of all who are here, in one frame that they share.
    fn tell_everybody_to(&mut self, sessions: &[Uuid]) {
        let seq = self.snapshot.borrow().seq;
        let people = self.presence.roster.told();
        let users: Vec<Present<'_>> = people.map(|person| present(person, false)).collect();
        let frame = self.presence_frame(seq, &users, true);
        for session in sessions {
            if let Some(subscriber) = self.subscribers.get_mut(session) {
                subscriber.asked_for_people = true;
                subscriber.knows_people = subscriber.outbox.offer(frame.clone());
            }
        }
    }

    fn presence_frame(&self, seq: i64, users: &[Present<'_>], full: bool) -> Outgoing {
        let frame = ServerFrame::Presence {
            workspace: self.id,
            seq,
            users,
            full,
        };
        Outgoing::Presence {
            workspace: self.id,
            frame: ByteString::from(frame.to_text()),
            full,
        }
    }

    /// Asks who is at other nodes' sockets.
    pub(super) fn ask_nodes(&self) {
        self.tell_nodes(Some(Word::Who));
    }

    fn tell_nodes_of_all(&mut self) {
        self.presence.nodes_told = self.presence.now();
        let people: Vec<Person> = self.presence.roster.told_here().cloned().collect();
        let seq = self.snapshot.borrow().seq;
        self.tell_nodes((!people.is_empty()).then_some(Word::All { seq, people }));
    }

    fn tell_nodes(&self, word: Option<Word>) {
        if let (Some(relay), Some(word)) = (&self.relay, word)
            && let Ok(text) = serde_json::to_string(&word)
        {
            relay.present(self.id, &text);
        }
    }

    /// The socket's subscription, unless it is of an earlier join.
    fn subscriber_of(&self, session: Uuid, ticket: Ticket) -> Option<&super::Subscriber> {
        self.subscribers
            .get(&session)
            .filter(|known| known.outbox.ticket() == ticket)
    }
}

fn present(person: &Person, left: bool) -> Present<'_> {
    let at = &person.whereabouts;
    Present {
        user: person.user,
        session: person.session,
        name: &person.name,
        list: at.list,
        item: at.item,
        column: at.column.as_deref(),
        state: match (left, at.doing) {
            (true, _) => PresentState::Left,
            (false, Doing::Viewing) => PresentState::Viewing,
            (false, Doing::Editing) => PresentState::Editing,
        },
    }
}

/// What other nodes should hear: of our sockets alone.
fn changed_here(seq: i64, changes: Vec<Change>) -> Option<Word> {
    let here = changes.into_iter().filter(|it| it.home == Home::Here);
    let (gone, people): (Vec<_>, Vec<_>) = here.partition(|it| it.left);
    let people: Vec<Person> = people.into_iter().map(|it| it.person).collect();
    let left: Vec<Uuid> = gone.iter().map(|it| it.person.session).collect();
    let any = !people.is_empty() || !left.is_empty();
    any.then_some(Word::Changed { seq, people, left })
}

impl Handler<Appear> for Workspace {
    type Result = ();

    fn handle(&mut self, appear: Appear, ctx: &mut Self::Context) {
        let Some(subscriber) = self.subscriber_of(appear.session, appear.ticket) else {
            return;
        };
        let person = Person {
            session: appear.session,
            user: subscriber.user,
            name: appear.name,
            whereabouts: appear.whereabouts,
        };
        let (seq, now) = (self.snapshot.borrow().seq, self.presence.now());
        self.presence.roster.appear(person, Home::Here, seq, now);
        self.presence.stale = true;
        self.spread_presence(ctx);
    }
}

impl Handler<WhoIsHere> for Workspace {
    type Result = ();

    fn handle(&mut self, who: WhoIsHere, _: &mut Self::Context) {
        if self.subscriber_of(who.session, who.ticket).is_some() {
            self.tell_everybody_to(&[who.session]);
        }
    }
}

impl Handler<Heard> for Workspace {
    type Result = ();

    fn handle(&mut self, heard: Heard, ctx: &mut Self::Context) {
        if heard.word == Word::Who {
            return self.tell_nodes_of_all();
        }
        self.presence.hear(heard.node, heard.word);
        self.spread_presence(ctx);
    }
}
