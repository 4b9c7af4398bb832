//! The group commit: judge what has queued, write it as one transaction, and only then change
//! memory and encode what sockets will see. One bad command is answered alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use rand::RngCore;

use super::broadcast::{EncodedEvent, EventBatch};
use super::command::{Command, Job, Outcome, Remember, Reply, Request, answer_items};
use super::core::{Core, KeptOp};
use crate::domain::edit::{Bench, ItemCommand, Verdict, judge};
use crate::domain::event::ITEMS_CHANGED;
use crate::domain::item::{Item, Place};
use crate::domain::log::{EventHeader, Hash, digest, link, mark, row_digest};
use crate::domain::roles::{Action, Role};
use crate::error::{AppError, ErrorCode};
use crate::ids::{ItemId, ListId, UserId};
use crate::store::commit::{
    EventRow, GroupWrite, HeadMove, ItemRow, OpRow, PayloadRow, Written, is_logged, write_group,
};
use crate::store::{self, Db, Purpose, StoreError, Tx};
use crate::telemetry;

/// How often a group is judged anew when another node was faster.
const MAX_RACES: u32 = 8;
/// How long a lost commit answer is looked for before the caller is told that nobody knows.
const DOUBT: Duration = Duration::from_secs(8);

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
    let mut waiting = take_distinct(core, jobs, &mut done);
    let mut races = 0;
    while !waiting.is_empty() {
        let places: Vec<Place> = waiting
            .iter()
            .flat_map(|job| commands_places(&job.request))
            .collect();
        let known = match core.look_up(db, places).await {
            Ok(known) => known,
            Err(error) => return refuse_all(done, waiting, error),
        };
        let mut group = Group::new(core, known);
        let mut refused = Vec::new();
        for job in waiting {
            match group.take(core, job) {
                Ok(()) => {}
                Err(refusal) => refused.push(*refusal),
            }
        }
        // A refusal of a retried operation must not hide the answer that it got the first time.
        answer_refused(db, core, refused, &mut done).await;
        if group.members.is_empty() {
            return done;
        }
        match group.commit(db, core, races > 1).await {
            Ok(()) => {
                group.apply(core, &mut done);
                return done;
            }
            Err(Failure::LostRace) => {
                races += 1;
                waiting = group.into_jobs();
                if races > MAX_RACES {
                    return refuse_all_with(done, waiting, || {
                        AppError::unavailable("The workspace is written elsewhere; try again")
                    });
                }
                if let Err(error) = catch_up(db, core, &mut done).await {
                    return refuse_all_with(done, waiting, || {
                        AppError::unavailable(error.detail.clone())
                    });
                }
            }
            Err(Failure::KnownOp) => {
                waiting = answer_known(db, core, group.into_jobs(), &mut done).await;
            }
            Err(Failure::Store(StoreError::Retry(error))) if races < MAX_RACES => {
                tracing::debug!(%error, "the group is tried again");
                races += 1;
                waiting = group.into_jobs();
            }
            Err(Failure::Store(StoreError::Away(error))) => {
                let jobs = group.into_jobs();
                return refuse_all(done, jobs, StoreError::Away(error));
            }
            Err(Failure::Doubt) => {
                tracing::error!("a commit's answer was lost and could not be looked up");
                // Dropped unanswered: the caller learns that nobody knows, and asks again by key.
                drop(group.into_jobs());
                return done;
            }
            Err(Failure::Store(error)) => {
                let mut jobs = group.into_jobs();
                if jobs.len() == 1 {
                    return refuse_all(done, jobs, error);
                }
                // Not retryable: halve it until the bad one stands alone.
                let second = jobs.split_off(jobs.len() / 2);
                for half in [jobs, second] {
                    let part = Box::pin(run(db, core, half)).await;
                    done.absorb(part);
                }
                return done;
            }
        }
    }
    done
}

/// Answers those whose key is in memory, and defers those whose key stands in the group already.
fn take_distinct(core: &mut Core, jobs: Vec<Job>, done: &mut Done) -> Vec<Job> {
    let mut keys = HashSet::new();
    let mut waiting = Vec::with_capacity(jobs.len());
    for job in jobs {
        let Some(remember) = job.request.remember.clone() else {
            waiting.push(job);
            continue;
        };
        let key = (job.request.user, remember.key.clone());
        if let Some(kept) = core.ops.get(&key).cloned() {
            let answer = may(core, &job.request).and_then(|()| replay(&remember, &kept));
            done.answers.push((job, answer));
        } else if keys.insert(key) {
            waiting.push(job);
        } else {
            done.deferred.push(job);
        }
    }
    waiting
}

fn replay(remember: &Remember, kept: &KeptOp) -> Result<Reply, AppError> {
    if kept.fingerprint != remember.fingerprint {
        return Err(AppError::new(
            ErrorCode::IdempotencyMismatch,
            "This key was used for another request",
        ));
    }
    Ok(Reply {
        seq: kept.seq,
        outcome: Outcome::Ready(kept.answer.clone()),
    })
}

async fn answer_refused(db: &Db, core: &mut Core, refused: Vec<(Job, AppError)>, done: &mut Done) {
    let (keyed, plain): (Vec<_>, Vec<_>) = refused
        .into_iter()
        .partition(|(job, _)| job.request.remember.is_some());
    done.answers
        .extend(plain.into_iter().map(|(job, error)| (job, Err(error))));
    if keyed.is_empty() {
        return;
    }
    let (jobs, errors): (Vec<Job>, Vec<AppError>) = keyed.into_iter().unzip();
    let mut errors: HashMap<(UserId, String), AppError> =
        jobs.iter().filter_map(op_key).zip(errors).collect();
    for job in answer_known(db, core, jobs, done).await {
        let error = op_key(&job)
            .and_then(|key| errors.remove(&key))
            .unwrap_or_else(|| AppError::unavailable("Try again"));
        done.answers.push((job, Err(error)));
    }
}

/// Answers the jobs whose operation took effect before; gives back the others.
pub(super) async fn answer_known(
    db: &Db,
    core: &mut Core,
    jobs: Vec<Job>,
    done: &mut Done,
) -> Vec<Job> {
    let keys: Vec<(UserId, String)> = jobs.iter().filter_map(op_key).collect();
    let known = match remembered(db, core, &keys).await {
        Ok(known) => known,
        Err(error) => {
            let refused = refuse_all(std::mem::take(done), jobs, error);
            *done = refused;
            return Vec::new();
        }
    };
    let mut others = Vec::new();
    for job in jobs {
        match op_key(&job).and_then(|key| known.get(&key)) {
            Some(kept) => {
                let answer = match &job.request.remember {
                    Some(remember) => may(core, &job.request).and_then(|()| replay(remember, kept)),
                    None => Err(AppError::unavailable("Try again")),
                };
                done.answers.push((job, answer));
            }
            None => others.push(job),
        }
    }
    others
}

async fn remembered(
    db: &Db,
    core: &Core,
    keys: &[(UserId, String)],
) -> Result<HashMap<(UserId, String), KeptOp>, StoreError> {
    let mut tx = Tx::begin(db, core.id, Purpose::Read).await?;
    let rows = store::log::remembered(&mut tx, core.id, keys).await?;
    tx.commit().await?;
    rows.into_iter()
        .map(|row| {
            let kept = KeptOp {
                fingerprint: row
                    .fingerprint
                    .try_into()
                    .map_err(|_| StoreError::corrupt("an operation's fingerprint"))?,
                seq: row.seq,
                answer: serde_json::from_slice(&row.answer)
                    .map_err(|_| StoreError::corrupt("an operation's answer"))?,
            };
            Ok(((row.principal, row.key), kept))
        })
        .collect()
}

fn op_key(job: &Job) -> Option<(UserId, String)> {
    job.request
        .remember
        .as_ref()
        .map(|remember| (job.request.user, remember.key.clone()))
}

fn commands_places(request: &Request) -> Vec<Place> {
    match &request.command {
        Command::Items(command) => command.known_places(),
        _ => Vec::new(),
    }
}

/// Whether the caller may write items here, as the lane sees it now. What an administrative command
/// needs depends on itself: its answer, asked for again, is given to whoever is still a member.
fn may(core: &Core, request: &Request) -> Result<(), AppError> {
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

pub(super) enum Failure {
    LostRace,
    KnownOp,
    Doubt,
    Store(StoreError),
}

/// Why a command that is written alone came to nothing.
pub(super) enum Attempt {
    Refused(AppError),
    Failed(Failure),
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        Attempt::Failed(Failure::Store(error))
    }
}

impl From<AppError> for Attempt {
    fn from(error: AppError) -> Self {
        Attempt::Refused(error)
    }
}

/// The move of the head by one event, `reshaping` what is cached or not.
pub(super) fn head_move(core: &Core, hash: Hash, reshaping: bool) -> HeadMove {
    HeadMove {
        workspace: core.id,
        known_seq: core.seq,
        known_schema_version: core.schema_version,
        seq: core.seq + 1,
        hash,
        schema_version: core.schema_version + i64::from(reshaping),
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
    events: Vec<(EventHeader, EventRow)>,
    write: Option<GroupWrite>,
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
            events: Vec::new(),
            write: None,
            // Postgres keeps microseconds: what is hashed must be what is stored.
            now: Utc::now().trunc_subsecs(6),
            seq: core.seq,
        }
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

    /// Writes the group and makes it durable.
    async fn commit(&mut self, db: &Db, core: &Core, lock_first: bool) -> Result<(), Failure> {
        let write = self.assemble(core);
        let written = self.transact(db, core, &write, lock_first).await;
        self.write = Some(write);
        written
    }

    fn assemble(&mut self, core: &Core) -> GroupWrite {
        let mut hash = core.hash;
        let mut ops = Vec::new();
        self.events.clear();
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
            let (header, row) = event(
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
            );
            self.events.push((header, row));
            if let Some(remember) = &request.remember {
                ops.push(op_row(request.user, remember, member.seq, &member.answer()));
            }
        }
        GroupWrite {
            head: HeadMove {
                workspace: core.id,
                known_seq: core.seq,
                known_schema_version: core.schema_version,
                seq: self.seq,
                hash,
                schema_version: core.schema_version,
            },
            items: self.item_rows(),
            events: self.events.iter().map(|(_, row)| row.clone()).collect(),
            ops,
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

    async fn transact(
        &self,
        db: &Db,
        core: &Core,
        write: &GroupWrite,
        lock_first: bool,
    ) -> Result<(), Failure> {
        let mut tx = Tx::begin(db, core.id, Purpose::Commit)
            .await
            .map_err(Failure::Store)?;
        if lock_first {
            store::log::head(&mut tx, core.id, true)
                .await
                .map_err(Failure::Store)?;
        }
        match write_group(&mut tx, write, self.now).await {
            Ok(Written::Done) => {}
            Ok(Written::LostRace | Written::Stale) => return Err(Failure::LostRace),
            Err(StoreError::Conflict { constraint }) if constraint == "ops_pkey" => {
                return Err(Failure::KnownOp);
            }
            Err(error) => return Err(Failure::Store(error)),
        }
        if !self.next_numbers.is_empty() {
            store::schema::save_numbers(&mut tx, core.id, &self.next_numbers)
                .await
                .map_err(Failure::Store)?;
        }
        settle(db, core, tx, write).await
    }

    /// The commit stands: memory follows, and the events are encoded.
    fn apply(self, core: &mut Core, done: &mut Done) {
        let Some(write) = self.write else { return };
        let after = core.seq;
        core.seq = write.head.seq;
        core.hash = write.head.hash;
        for place in self.stored.keys() {
            if let Some(item) = self.overlay.get(place) {
                core.items.put(*place, Arc::clone(item));
            }
        }
        core.next_numbers.extend(self.next_numbers);
        let mut encoded = Vec::with_capacity(self.events.len());
        for ((header, _), member) in self.events.iter().zip(&self.members) {
            let rows: Vec<Option<&str>> = member
                .verdict
                .changes
                .iter()
                .map(|change| Some(change.as_str()))
                .collect();
            encoded.push(EncodedEvent::new(header, &rows));
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
                    core.ops.put(
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
    fn answer(&self) -> super::command::Answer {
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

/// The parts of an event that is about to be logged.
pub(super) struct NewEvent<'a> {
    pub(super) seq: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) kind: &'a str,
    pub(super) request: &'a Request,
    pub(super) list: Option<ListId>,
    pub(super) payloads: Vec<PayloadRow>,
}

/// Links an event behind `hash` and moves it on.
pub(super) fn event(core: &Core, hash: &mut Hash, new: NewEvent<'_>) -> (EventHeader, EventRow) {
    let header = EventHeader {
        workspace: core.id,
        seq: new.seq,
        at: new.at,
        kind: new.kind.to_owned(),
        actor: new.request.actor,
        op: new.request.op,
        change: None,
        undoes: None,
        list: new.list,
        rows: i32::try_from(new.payloads.len()).unwrap_or(i32::MAX),
    };
    let digest = digest(new.payloads.iter().map(|row| &row.digest));
    *hash = link(hash, &header, &digest);
    let row = EventRow {
        seq: header.seq,
        at: header.at,
        kind: header.kind.clone(),
        actor: header.actor,
        op: header.op,
        change: None,
        undoes: None,
        list: header.list,
        digest,
        hash: *hash,
        payloads: new.payloads,
    };
    (header, row)
}

/// A payload row with a salt of its own, so that an erased value can't be guessed from its digest.
pub(super) fn payload(
    list: Option<ListId>,
    item: Option<ItemId>,
    last_item: Option<ItemId>,
    bytes: Vec<u8>,
    packed: bool,
) -> PayloadRow {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let digest = row_digest(&salt, &bytes);
    PayloadRow {
        list,
        item,
        last_item,
        salt,
        payload: bytes,
        packed,
        digest,
    }
}

pub(super) fn op_row(
    principal: UserId,
    remember: &Remember,
    seq: i64,
    answer: &super::command::Answer,
) -> OpRow {
    OpRow {
        principal,
        key: remember.key.clone(),
        fingerprint: remember.fingerprint,
        seq,
        // An answer is made of plain text and numbers: writing it out can't fail.
        answer: serde_json::to_vec(answer).unwrap_or_default(),
    }
}

/// Commits; when the answer is lost, looks in the log whether it took effect.
pub(super) async fn settle(
    db: &Db,
    core: &Core,
    tx: Tx,
    write: &GroupWrite,
) -> Result<(), Failure> {
    let lost = match tx.commit().await {
        Ok(()) => return Ok(()),
        Err(StoreError::Away(error)) => error,
        Err(error) => return Err(Failure::Store(error)),
    };
    metrics::counter!(telemetry::COMMITS_IN_DOUBT).increment(1);
    tracing::warn!(error = %lost, seq = write.head.seq, "the answer of a commit was lost");
    let give_up = tokio::time::Instant::now() + DOUBT;
    loop {
        match was_logged(db, core, write).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(Failure::Store(StoreError::Away(lost))),
            Err(_) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(_) => return Err(Failure::Doubt),
        }
    }
}

/// The head is locked first: a commit still under way on a connection that we lost is waited for.
async fn was_logged(db: &Db, core: &Core, write: &GroupWrite) -> Result<bool, StoreError> {
    let mut tx = Tx::begin(db, core.id, Purpose::Write).await?;
    store::log::head(&mut tx, core.id, true).await?;
    let logged = is_logged(&mut tx, core.id, write.head.seq, &write.head.hash).await?;
    tx.commit().await?;
    Ok(logged)
}

/// Looks whether another node wrote, and if so catches up. A failure leaves it for the next time.
pub(super) async fn look(db: &Db, core: &mut Core) -> Done {
    let mut done = Done::default();
    let known = core.seq;
    let head = async {
        let mut tx = Tx::begin(db, core.id, Purpose::Read).await?;
        let head = store::log::head(&mut tx, core.id, false).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(head)
    };
    // A step of the schema's version alone: a reading after a change of ours failed.
    let moved = matches!(head.await, Ok(Some(head))
        if head.seq != known || head.hash != core.hash || head.schema_version != core.schema_version);
    if moved && let Err(error) = catch_up(db, core, &mut done).await {
        tracing::warn!(workspace = %core.id, %error, "could not catch up with another node");
    }
    done
}

/// Another node wrote: its events go to our sockets, and all that is cached is read again.
pub(super) async fn catch_up(db: &Db, core: &mut Core, done: &mut Done) -> Result<(), AppError> {
    const PAGE: i64 = 1_000;
    let mut after = core.seq;
    // Memory moves on only with all events at hand: what failed half-way is read again from here,
    // else the sockets would miss the rest without knowing.
    let fresh = Core::load(db, core.id).await?;
    if !continues(db, core, &fresh).await? {
        tracing::warn!(workspace = %core.id, from = core.seq, to = fresh.seq,
            "the log is another one: its readers begin anew");
        done.batches.clear();
        done.diverged = Some(Diverged {
            seq: fresh.seq,
            mark: mark(&fresh.hash),
        });
        *core = fresh;
        return Ok(());
    }
    let mut batches = Vec::new();
    while after < fresh.seq {
        let mut tx = Tx::begin(db, core.id, Purpose::Page).await?;
        let events =
            store::log::events_after(&mut tx, core.id, after, fresh.seq, PAGE, false).await?;
        tx.commit().await?;
        let Some(last) = events.last() else {
            return Err(AppError::internal(anyhow::anyhow!(
                "the log has a gap after {after}"
            )));
        };
        let (through, mark) = (last.header.seq, mark(&last.hash));
        let encoded = events.iter().map(EncodedEvent::logged).collect();
        batches.push(EventBatch::new(core.id, after, through, &mark, encoded));
        after = through;
    }
    *core = fresh;
    done.batches.extend(batches);
    Ok(())
}

/// Whether the log in Postgres still holds the head that memory knows.
async fn continues(db: &Db, core: &Core, fresh: &Core) -> Result<bool, StoreError> {
    if fresh.seq <= core.seq {
        return Ok(fresh.seq == core.seq && fresh.hash == core.hash);
    }
    if core.seq == 0 {
        return Ok(true);
    }
    let mut tx = Tx::begin(db, core.id, Purpose::Read).await?;
    let known = store::log::hash_at(&mut tx, core.id, core.seq).await?;
    tx.commit().await?;
    Ok(known == Some(core.hash))
}

fn refuse_all(done: Done, jobs: Vec<Job>, error: StoreError) -> Done {
    let error = AppError::from(error);
    if let Some(source) = &error.source {
        tracing::error!(%source, code = error.code.name(), "a group could not be written");
    }
    refuse_all_with(done, jobs, || {
        AppError::new(error.code, error.detail.clone())
    })
}

fn refuse_all_with(mut done: Done, jobs: Vec<Job>, error: impl Fn() -> AppError) -> Done {
    done.answers
        .extend(jobs.into_iter().map(|job| (job, Err(error()))));
    done
}
