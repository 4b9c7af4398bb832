//! What a socket says of where its person is, and what it hears of the others. Who speaks is never
//! read from a frame. Too much of it is not an error: the last word of a burst is told a little
//! later, and a socket that reads slowly goes without until it has caught up.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytestring::ByteString;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::session::{Context, Session};
use crate::actors::workspace::Subscription;
use crate::domain::edit::list_of;
use crate::domain::presence::{Doing, Whereabouts};
use crate::domain::schema::Schema;
use crate::error::AppError;
use crate::ids::WorkspaceId;
use crate::store;
use crate::wire::frames::{Presence, PresenceState};

/// Frames of one socket that are told at once.
const TOLD_A_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// Characters of a name that others see.
const NAME: usize = 100;

/// How one socket's person appears to others, wherever that is.
pub(super) struct Appearance {
    name: Option<Arc<str>>,
    asked: bool,
    pace: DefaultDirectRateLimiter,
}

/// One socket's presence in one workspace.
#[derive(Default)]
pub(super) struct InPlace {
    /// Where the person is, as last said.
    own: Option<Whereabouts>,
    told: bool,
    /// Something of the others was left out: only a full list makes it good.
    missed: bool,
}

impl Default for Appearance {
    fn default() -> Self {
        Appearance {
            name: None,
            asked: false,
            pace: RateLimiter::direct(Quota::per_second(TOLD_A_SECOND)),
        }
    }
}

impl InPlace {
    pub(super) fn is_untold(&self) -> bool {
        self.own.is_some() && !self.told
    }

    pub(super) fn has_missed(&self) -> bool {
        self.missed
    }

    /// The hub's end is another one, which knows nothing of this socket yet.
    pub(super) fn begin(&mut self, hub: &Subscription) {
        self.told = false;
        hub.ask_who_is_here();
    }

    fn say(&mut self, whereabouts: Whereabouts) {
        self.own = Some(whereabouts);
        self.told = false;
    }

    /// Tells the hub what it does not know yet, as far as it still holds.
    fn tell(&mut self, hub: &Subscription, name: &Arc<str>) {
        if let Some(own) = self.own.clone().filter(|_| !self.told) {
            self.told = true;
            if check(&own, &hub.handle().snapshot().schema).is_ok() {
                hub.appear(Arc::clone(name), own);
            }
        }
    }

    /// Whether a frame follows what this socket knows, given whether it has room for it.
    fn takes(&mut self, full: bool, room: bool) -> bool {
        self.missed = !room || self.missed && !full;
        !self.missed
    }
}

impl Session {
    /// Takes in where the person is.
    pub(super) fn presence(&mut self, frame: Presence, ctx: &mut Context) {
        let workspace = frame.workspace;
        match self.say(frame) {
            Err(error) => self.refuse(None, &error, ctx),
            Ok(()) if self.appearance.pace.check().is_ok() => self.appear(workspace, ctx),
            // The next tick tells the last of them.
            Ok(()) => {}
        }
    }

    fn say(&mut self, frame: Presence) -> Result<(), AppError> {
        let followed = self.subscriptions.presence(frame.workspace);
        let (place, hub) =
            followed.ok_or_else(|| AppError::conflict("Subscribe to the workspace first"))?;
        let whereabouts = Whereabouts {
            list: frame.list,
            item: frame.item,
            column: frame.column.map(Arc::from),
            doing: match frame.state {
                PresenceState::Viewing => Doing::Viewing,
                PresenceState::Editing => Doing::Editing,
            },
        };
        if let Some(hub) = hub {
            check(&whereabouts, &hub.handle().snapshot().schema)?;
        }
        place.say(whereabouts);
        Ok(())
    }

    /// Tells the others, once it is known what they call the person.
    pub(super) fn appear(&mut self, workspace: WorkspaceId, ctx: &mut Context) {
        let Some(name) = self.appearance.name.clone() else {
            return self.ask_name(ctx);
        };
        if let Some((place, Some(hub))) = self.subscriptions.presence(workspace) {
            place.tell(hub, &name);
        }
    }

    fn ask_name(&mut self, ctx: &mut Context) {
        let Some(user) = self.user() else { return };
        if std::mem::replace(&mut self.appearance.asked, true) {
            return;
        }
        let gateway = Arc::clone(&self.gateway);
        let name = async move { store::profiles::name_of(&gateway.db, user).await };
        Session::spawn(ctx, name, |session, name, ctx| {
            session.appearance.asked = false;
            // While the database is away the next tick asks again.
            if let Ok(name) = name {
                let name: String = name.unwrap_or_default().chars().take(NAME).collect();
                session.appearance.name = Some(name.into());
                session.appear_where_untold(ctx);
            }
        });
    }

    pub(super) fn appear_where_untold(&mut self, ctx: &mut Context) {
        for workspace in self.subscriptions.untold() {
            self.appear(workspace, ctx);
        }
    }

    /// Makes good what was put off: each second.
    pub(super) fn keep_presence(&mut self, ctx: &mut Context) {
        self.appear_where_untold(ctx);
        if self.has_room_for_presence(0) {
            self.subscriptions.ask_for_missed();
        }
    }

    /// Passes on who is where, unless the peer is behind with more important things.
    pub(super) fn others(
        &mut self,
        workspace: WorkspaceId,
        frame: ByteString,
        full: bool,
        ctx: &mut Context,
    ) {
        let room = self.has_room_for_presence(frame.len());
        let Some((place, _)) = self.subscriptions.presence(workspace) else {
            return;
        };
        if place.takes(full, room) {
            self.send(frame, ctx);
        } else {
            metrics::counter!(crate::telemetry::PRESENCE_SKIPPED).increment(1);
        }
    }
}

/// Whether there is such a place.
fn check(at: &Whereabouts, schema: &Schema) -> Result<(), AppError> {
    let list = list_of(at.list, schema)?;
    match &at.column {
        Some(key) if list.columns.by_key(key).is_none() => Err(AppError::field(
            "/column",
            "unknown_column",
            "the list has no such column",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_made_good_by_a_full_list_alone() {
        let mut place = InPlace::default();
        assert!(place.takes(true, true));
        assert!(place.takes(false, true));
        assert!(!place.takes(false, false), "no room");
        assert!(!place.takes(false, true), "it would not follow");
        assert!(!place.takes(true, false));
        assert!(place.has_missed());
        assert!(place.takes(true, true));
        assert!(place.takes(false, true));
    }
}
