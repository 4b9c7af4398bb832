//! What a load is: how many people do what, where, how fast and how long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use url::Url;

use crate::ids::{ListId, WorkspaceId};

/// A load on one workspace.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The server's root.
    pub server: Url,
    /// Of an editor at least; of the owner when the check is to cover every event.
    pub token: String,
    /// Where; `None` makes a workspace.
    pub workspace: Option<WorkspaceId>,
    /// Simulated people who edit; each works in one list.
    pub editors: u16,
    /// Edits a second of all editors together; 0 is a closed loop of `pipeline` edits in flight
    /// an editor.
    pub rate: f64,
    pub pipeline: usize,
    pub duration: Duration,
    /// Lists that are made for the run.
    pub lists: u16,
    /// Of `workspace`, to be edited instead: it gets one more column.
    pub list: Option<ListId>,
    /// Items a list; of a given list, at most so many of its first ones.
    pub items: usize,
    /// The part of all edits that goes over REST, from 0 to 1.
    pub rest_share: f64,
    pub audience: Audience,
    /// A line a second on standard error.
    pub progress: bool,
    /// Where it waits for other loads when all is prepared, so that they begin as one.
    pub together: Option<Arc<Barrier>>,
}

/// Who watches the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every editor, on the socket it edits through.
    Editors,
    /// So many other sockets, and no editor.
    Watchers(u16),
    /// So many other sockets of the leanest kind: they count and time every event, and keep no item.
    Readers(u16),
}

impl LoadPlan {
    /// A load of the usual shape: 20 editors, 20 edits/s, 10 s, one list of 100 items.
    pub fn new(server: Url, token: impl Into<String>) -> Self {
        Self {
            server,
            token: token.into(),
            workspace: None,
            editors: 20,
            rate: 20.0,
            pipeline: 1,
            duration: Duration::from_secs(10),
            lists: 1,
            list: None,
            items: 100,
            rest_share: 0.0,
            audience: Audience::Editors,
            progress: false,
            together: None,
        }
    }

    /// How many sockets are told of every event.
    pub fn sockets_watching(&self) -> u16 {
        match self.audience {
            Audience::Editors => self.editors,
            Audience::Watchers(others) | Audience::Readers(others) => others,
        }
    }
}
