//! The group commit: judge what has queued, write it as one transaction, and only then change
//! memory and encode what sockets will see. One bad command is answered alone.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};

use super::broadcast::{EncodedEvent, EventBatch};
use super::catch_up::hold;
use super::command::{Answer, Command, Job, Outcome, Reply, Request, answer_items};
use super::core::{Core, KeptOp};
use super::durable::{Failure, commit, in_doubt};
use super::entry::{NewEvent, event, op_row, payload};
use super::known;
use crate::domain::edit::{Bench, ItemCommand, Verdict, judge};
use crate::domain::event::ITEMS_CHANGED;
use crate::domain::item::{Item, Place};
use crate::domain::log::mark;
use crate::domain::roles::{Action, Role};
use crate::error::AppError;
use crate::ids::{ListId, UserId};
use crate::store::commit::{GroupWrite, HeadMove, ItemRow};
use crate::store::{Db, Purpose, StoreError};
use crate::telemetry;

/// How often a group is judged anew when another node was faster.
const MAX_RACES: u32 = 8;

/// What a group came to: answers to give once its events are on their way.
#[derive(Default)]
pub(super) struct Done {
    pub(super) answers: Vec<(Job, Result<Reply, AppError>)>,
    pub(super) batches: Vec<EventBatch>,
    /// The log turned out to be another one; `batches` follow its head.
    pub(super) diverged: Option<Diverged>,
    /// Jobs that must wait for another of the same key in this group.
    pub(super) deferred: Vec<Job>,
}

/// The head of a log that does not continue the one in memory: a backup was restored.
pub(super) struct Diverged {
    pub(super) seq: i64,
    pub(super) mark: String,
}

impl Done {
    fn absorb(&mut self, part: Done) {
        self.answers.extend(part.answers);
        self.deferred.extend(part.deferred);
        if part.diverged.is_some() {
            self.batches.clear();
            self.diverged = part.diverged;
        }
        self.batches.extend(part.batches);
    }
}

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
        let places: Vec<Place> = waiting
            .iter()
            .flat_map(|job| commands_places(&job.request))
            .collect();
        let items = match core.look_up(db, held.as_mut(), places).await {
            Ok(items) => items,
            Err(error) => return refuse_all(done, waiting, error.into()),
        };
        let mut group = Group::new(core, items);
        let refused = group.take_all(core, waiting, &mut done);
        // A refusal of a retried operation must not hide the answer that it got the first time.
        known::answer_refused(db, core, refused, &mut done).await;
        if group.members.is_empty() {
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
            Failure::Stale if races <= MAX_RACES => core.items.clear(),
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

/// Whether the caller may write items here, as the lane sees it now. What an administrative command
/// needs depends on itself: its answer, asked for again, is given to whoever is still a member.
pub(super) fn may(core: &Core, request: &Request) -> Result<(), AppError> {
    if matches!(request.command, Command::Admin(_)) {
        return core
            .role_of(request.user)
            .map(drop)
            .ok_or_else(AppError::not_found);
    }
    authorize(core, request.user, Action::WriteItems).map(drop)
}

/// The caller's role if it allows `action`: 404 to a stranger, 403 to a member.
pub(super) fn authorize(core: &Core, user: UserId, action: Action) -> Result<Role, AppError> {
    let role = core.role_of(user).ok_or_else(AppError::not_found)?;
    if core.workspace.deleted_at.is_some() && action != Action::Own {
        return Err(AppError::gone("The workspace is in the trash"));
    }
    if role.may(action) {
        Ok(role)
    } else {
        Err(AppError::forbidden())
    }
}

struct Member {
    job: Job,
    seq: i64,
    verdict: Verdict,
}

/// A group under way: judged commands over an overlay of the items they touch.
struct Group {
    members: Vec<Member>,
    /// Items as the group's commands leave them.
    overlay: HashMap<Place, Arc<Item>>,
    /// Items before the group: the versions that must still stand.
    before: HashMap<Place, i64>,
    stored: BTreeMap<Place, String>,
    next_numbers: BTreeMap<ListId, i64>,
    now: DateTime<Utc>,
    seq: i64,
}

impl Group {
    fn new(core: &Core, known: HashMap<Place, Arc<Item>>) -> Group {
        Group {
            members: Vec::new(),
            before: known
                .iter()
                .map(|(place, item)| (*place, item.version))
                .collect(),
            overlay: known,
            stored: BTreeMap::new(),
            next_numbers: BTreeMap::new(),
            // Postgres keeps microseconds: what is hashed must be what is stored.
            now: Utc::now().trunc_subsecs(6),
            seq: core.seq,
        }
    }

    /// Judges all of them, and gives back the refused. From the first on that touches what another
    /// person makes in this very group they wait for the next one, in their order: a new row is
    /// written with one person, who is its maker.
    fn take_all(&mut self, core: &Core, jobs: Vec<Job>, done: &mut Done) -> Vec<(Job, AppError)> {
        let mut refused = Vec::new();
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            if self.makes_for_another(&job.request) {
                done.deferred.push(job);
                done.deferred.extend(jobs);
                break;
            }
            if let Err(refusal) = self.take(core, job) {
                refused.push(*refusal);
            }
        }
        refused
    }

    /// Whether the command names an item that somebody else makes in this group.
    fn makes_for_another(&self, request: &Request) -> bool {
        commands_places(request).iter().any(|place| {
            let item = self.overlay.get(place);
            let made_by = item.map(|item| item.created_by);
            !self.before.contains_key(place) && made_by.is_some_and(|maker| maker != request.user)
        })
    }

    /// Judges a job and takes it in, or gives it back with the reason. A panic is a refusal too.
    fn take(&mut self, core: &Core, job: Job) -> Result<(), Box<(Job, AppError)>> {
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge(core, &job.request)));
        let verdict = match judged {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => return Err(Box::new((job, error))),
            Err(_) => {
                metrics::counter!(telemetry::PANICS, "where" => "command").increment(1);
                let error = AppError::internal(anyhow::anyhow!("a command panicked"));
                return Err(Box::new((job, error)));
            }
        };
        self.seq += 1;
        for (item, stored) in verdict.items.iter().zip(&verdict.stored) {
            let place = (verdict.list.id, item.id);
            self.overlay.insert(place, Arc::clone(item));
            self.stored.insert(place, stored.clone());
        }
        if self.next_number(core, verdict.list.id) != verdict.next_number {
            self.next_numbers
                .insert(verdict.list.id, verdict.next_number);
        }
        self.members.push(Member {
            job,
            seq: self.seq,
            verdict,
        });
        Ok(())
    }

    fn judge(&self, core: &Core, request: &Request) -> Result<Verdict, AppError> {
        may(core, request)?;
        let Command::Items(command) = &request.command else {
            return Err(AppError::internal(anyhow::anyhow!(
                "not a command on items"
            )));
        };
        judge_items(
            command,
            core,
            &self.overlay,
            self.next_number(core, command.list()),
            self.seq + 1,
            self.now,
            request.user,
        )
    }

    fn next_number(&self, core: &Core, list: ListId) -> i64 {
        let given = self
            .next_numbers
            .get(&list)
            .or_else(|| core.next_numbers.get(&list));
        given.copied().unwrap_or(1)
    }

    fn assemble(&self, core: &Core) -> GroupWrite {
        let mut hash = core.hash;
        let mut ops = Vec::new();
        let mut events = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let request = &member.job.request;
            let payloads = member
                .verdict
                .items
                .iter()
                .zip(&member.verdict.changes)
                .map(|(item, change)| {
                    payload(
                        Some(member.verdict.list.id),
                        Some(item.id),
                        None,
                        change.as_bytes().to_vec(),
                        false,
                    )
                })
                .collect();
            events.push(event(
                core,
                &mut hash,
                NewEvent {
                    seq: member.seq,
                    at: self.now,
                    kind: ITEMS_CHANGED,
                    request,
                    list: Some(member.verdict.list.id),
                    payloads,
                },
            ));
            if let Some(remember) = &request.remember {
                ops.push(op_row(request.user, remember, member.seq, &member.answer()));
            }
        }
        GroupWrite {
            head: HeadMove {
                workspace: core.id,
                known_seq: core.seq,
                known_hash: core.hash,
                known_schema_version: core.schema_version,
                seq: self.seq,
                hash,
                schema_version: core.schema_version,
            },
            items: self.item_rows(),
            events,
            ops,
            numbers: self.next_numbers.clone(),
        }
    }

    /// One row an item, as the last command of the group leaves it.
    fn item_rows(&self) -> Vec<ItemRow> {
        self.stored
            .iter()
            .filter_map(|(place, stored)| {
                let item = self.overlay.get(place)?;
                Some(ItemRow {
                    list: place.0,
                    id: item.id,
                    known_version: self.before.get(place).copied().unwrap_or(0),
                    version: item.version,
                    seq: item.seq,
                    stored: stored.clone(),
                    at: item.updated_at,
                    by: item.updated_by,
                    deleted_at: item.deleted_at,
                })
            })
            .collect()
    }

    /// The commit stands: memory follows, and the events are encoded.
    fn apply(self, core: &mut Core, write: GroupWrite, done: &mut Done) {
        let after = core.seq;
        core.seq = write.head.seq;
        core.hash = write.head.hash;
        for place in self.stored.keys() {
            if let Some(item) = self.overlay.get(place) {
                core.items.put(*place, Arc::clone(item));
            }
        }
        core.next_numbers.extend(self.next_numbers);
        let mut encoded = Vec::with_capacity(write.events.len());
        for (event, member) in write.events.iter().zip(&self.members) {
            let rows: Vec<Option<&str>> = member
                .verdict
                .changes
                .iter()
                .map(|change| Some(change.as_str()))
                .collect();
            encoded.push(EncodedEvent::new(&event.header, &event.hash, &rows));
        }
        done.batches.push(EventBatch::new(
            core.id,
            after,
            core.seq,
            &mark(&core.hash),
            encoded,
        ));
        for member in self.members {
            let outcome = match &member.job.request.remember {
                Some(remember) => {
                    let answer = member.answer();
                    core.keep_op(
                        (member.job.request.user, remember.key.clone()),
                        KeptOp {
                            fingerprint: remember.fingerprint,
                            seq: member.seq,
                            answer: answer.clone(),
                        },
                    );
                    Outcome::Ready(answer)
                }
                None => Outcome::Items {
                    list: member.verdict.list,
                    items: member.verdict.items,
                },
            };
            done.answers.push((
                member.job,
                Ok(Reply {
                    seq: member.seq,
                    outcome,
                }),
            ));
        }
    }

    fn into_jobs(self) -> Vec<Job> {
        self.members.into_iter().map(|member| member.job).collect()
    }
}

impl Member {
    fn answer(&self) -> Answer {
        answer_items(
            &self.job.request.shape,
            self.seq,
            &self.verdict.list,
            &self.verdict.items,
        )
    }
}

fn judge_items(
    command: &ItemCommand,
    core: &Core,
    items: &HashMap<Place, Arc<Item>>,
    next_number: i64,
    seq: i64,
    now: DateTime<Utc>,
    by: UserId,
) -> Result<Verdict, AppError> {
    let members = |user: UserId| core.members.contains_key(&user);
    judge(
        command,
        &Bench {
            schema: &core.schema,
            items,
            members: &members,
            next_number,
            seq,
            now,
            by,
        },
    )
}

/// Gives all of them the same answer; what is behind it is logged once.
pub(super) fn refuse_all(mut done: Done, jobs: Vec<Job>, error: AppError) -> Done {
    if let Some(source) = &error.source {
        tracing::error!(%source, code = error.code.name(), "a group could not be written");
    }
    let each = || AppError::new(error.code, error.detail.clone());
    done.answers
        .extend(jobs.into_iter().map(|job| (job, Err(each()))));
    done
}

#[cfg(test)]
mod tests {
    use lru::LruCache;
    use std::num::NonZeroUsize;
    use tokio::sync::{Semaphore, oneshot};
    use uuid::Uuid;

    use super::super::command::{Remember, Shape};
    use super::*;
    use crate::domain::edit::{ItemPatch, NewItem, RawValues};
    use crate::domain::log::Actor;
    use crate::domain::schema::Schema;
    use crate::domain::schema_change::new_list;
    use crate::ids::{ItemId, WorkspaceId};
    use crate::store::workspaces::Workspace;

    /// A workspace with one list without columns.
    fn core(members: &[UserId]) -> (Core, ListId) {
        let now = Utc::now();
        let (id, list) = (Uuid::now_v7(), ListId(Uuid::now_v7()));
        let made = new_list(list, "List", &[], 0, members[0], now).unwrap();
        let lists = BTreeMap::from([(list, Arc::new(made))]);
        let few = NonZeroUsize::new(8).unwrap();
        let core = Core {
            workspace: Workspace {
                id: WorkspaceId(id),
                name: "Workspace".to_owned(),
                seq: 1,
                head_hash: vec![0; 32],
                schema_version: 1,
                oldest_seq: 1,
                created_at: now,
                created_by: members[0],
                updated_at: now,
                deleted_at: None,
            },
            id: WorkspaceId(id),
            seq: 1,
            hash: [0; 32],
            schema_version: 1,
            schema: Arc::new(Schema { lists }),
            members: Arc::new(members.iter().map(|user| (*user, Role::Editor)).collect()),
            next_numbers: BTreeMap::new(),
            items: LruCache::new(few),
            ops: LruCache::new(few),
        };
        (core, list)
    }

    fn job(user: UserId, command: ItemCommand) -> Job {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Job {
            request: Request {
                user,
                actor: Actor::User(user),
                op: None,
                remember: None::<Remember>,
                shape: Shape::Ack,
                command: Command::Items(command),
            },
            reply: oneshot::channel().0,
            _permit: permit,
        }
    }

    #[test]
    fn an_item_is_its_makers_whoever_edits_it_at_once() {
        let (maker, editor) = (UserId(Uuid::now_v7()), UserId(Uuid::now_v7()));
        let (core, list) = core(&[maker, editor]);
        let id = ItemId(Uuid::now_v7());
        let create = || ItemCommand::Create {
            list,
            items: vec![NewItem {
                id,
                fresh: false,
                values: RawValues::default(),
            }],
            typecast: false,
        };
        let edit = || ItemCommand::Update {
            list,
            items: vec![ItemPatch {
                id,
                values: RawValues::default(),
                if_version: None,
                if_values: None,
            }],
            typecast: false,
        };
        // A new row is stored with one person: its maker's own edits may stand in its group, those
        // of another wait for the next.
        let jobs = vec![
            job(maker, create()),
            job(maker, edit()),
            job(editor, edit()),
            job(maker, edit()),
        ];
        let mut group = Group::new(&core, HashMap::new());
        let mut done = Done::default();
        let refused = group.take_all(&core, jobs, &mut done);
        assert!(refused.is_empty());
        assert_eq!(group.members.len(), 2);
        assert_eq!(done.deferred.len(), 2);
        let rows = group.item_rows();
        assert_eq!((rows[0].known_version, rows[0].by), (0, maker));
    }
}
