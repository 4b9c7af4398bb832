//! Commands on items that queued together: committed as one group, judged anew when another node was
//! faster, halved when the database refuses. One bad command is answered alone.

use super::catch_up::hold;
use super::command::{Command, Job, Request};
use super::core::Core;
use super::done::{Done, refuse_all};
use super::durable::{Failure, commit, in_doubt};
use super::group::Group;
use super::known;
use super::reach::{self, Unread};
use super::{links, unique};
use crate::domain::item::Place;
use crate::error::AppError;
use crate::store::{Db, Purpose, StoreError};

/// How often a group is judged anew when another node was faster.
const MAX_RACES: u32 = 8;

/// Commits commands on items.
pub(super) async fn run(db: &Db, core: &mut Core, jobs: Vec<Job>) -> Done {
    let mut done = Done::default();
    let mut waiting = known::take_distinct(core, jobs, &mut done);
    let mut races = 0;
    while !waiting.is_empty() {
        // Another node is at it as well: from here on the head is held before anything is judged.
        let mut held = None;
        if races > 0 {
            match hold(db, core, &mut done, Purpose::Commit).await {
                Ok(tx) => held = Some(tx),
                Err(error) => return refuse_all(done, waiting, error),
            }
        }
        let (links, beyond) = match links::read(db, held.as_mut(), core, &waiting).await {
            Ok(read) => read,
            Err(error) => return refuse_all(done, waiting, error.into()),
        };
        let mut links = links;
        let reached = match reach::read(db, held.as_mut(), core, &waiting, &mut links).await {
            Ok(reached) => reached,
            Err(Unread::Beyond(_)) if waiting.len() > 1 => {
                return halve(db, core, waiting, done).await;
            }
            Err(error) => return refuse_all(done, waiting, error.into()),
        };
        let named = waiting.iter().flat_map(|job| commands_places(&job.request));
        let places: Vec<Place> = named.chain(beyond).chain(reached).collect();
        let items = match core.look_up(db, held.as_mut(), places).await {
            Ok(items) => items,
            Err(error) => return refuse_all(done, waiting, error.into()),
        };
        let holders = match unique::read(db, held.as_mut(), core, &waiting, &items).await {
            Ok(holders) => holders,
            Err(error) => return refuse_all(done, waiting, error.into()),
        };
        let mut group = Group::new(core, items, links, holders);
        let mut refused = Vec::new();
        for job in waiting {
            if let Err(refusal) = group.take(core, job) {
                refused.push(*refusal);
            }
        }
        // A refusal of a retried operation must not hide the answer that it got the first time.
        known::answer_refused(db, core, refused, &mut done).await;
        if group.is_empty() {
            return done;
        }
        let write = group.assemble(core);
        let Err(failure) = commit(db, core, held, &write, group.now).await else {
            group.apply(core, write, &mut done);
            return done;
        };
        races += 1;
        waiting = group.into_jobs();
        match failure {
            Failure::LostRace | Failure::Unwritten | Failure::Store(StoreError::Retry(_))
                if races <= MAX_RACES =>
            {
                tracing::debug!(workspace = %core.id, races, "the group is judged anew");
            }
            Failure::Stale if races <= MAX_RACES => core.forget_items(),
            Failure::KnownOp if races <= MAX_RACES => {
                waiting = known::answer_known(db, core, waiting, &mut done).await;
            }
            Failure::LostRace | Failure::Unwritten | Failure::Stale | Failure::KnownOp => {
                let busy = AppError::unavailable("The workspace is written elsewhere; try again");
                return refuse_all(done, waiting, busy);
            }
            Failure::Doubt => return refuse_all(done, waiting, in_doubt()),
            Failure::Store(error @ StoreError::Away(_)) => {
                return refuse_all(done, waiting, error.into());
            }
            Failure::Store(error) if waiting.len() == 1 => {
                return refuse_all(done, waiting, error.into());
            }
            Failure::Store(_) => return halve(db, core, waiting, done).await,
        }
    }
    done
}

/// Nothing to be tried again: the group is halved until the bad one stands alone.
async fn halve(db: &Db, core: &mut Core, mut jobs: Vec<Job>, mut done: Done) -> Done {
    let second = jobs.split_off(jobs.len() / 2);
    for half in [jobs, second] {
        let part = Box::pin(run(db, core, half)).await;
        done.absorb(part);
    }
    done
}

fn commands_places(request: &Request) -> Vec<Place> {
    match &request.command {
        Command::Items(command) => command.known_places(),
        _ => Vec::new(),
    }
}
