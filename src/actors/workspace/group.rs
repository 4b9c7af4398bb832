//! A group under way: its commands judged in order over what it has changed so far, the one write that
//! makes them durable, and, once it is, what memory and sockets get. Asks the database for nothing.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};

use super::broadcast::{EncodedEvent, EventBatch};
use super::command::{Answer, Command, Job, Outcome, Reply, Request, Shape, answer_items};
use super::core::{Core, KeptOp};
use super::done::Done;
use super::entry::{By, NewEvent, event, op_row, payload};
use crate::domain::edit::{Bench, Verdict, judge};
use crate::domain::item::{Item, Place};
use crate::domain::links::Book;
use crate::domain::log::{Actor, mark};
use crate::domain::unique::Holders;
use crate::error::AppError;
use crate::ids::{ListId, UserId};
use crate::store::commit::{GroupWrite, HeadMove, ItemRow, LinkRow};
use crate::telemetry;

struct Member {
    job: Job,
    seq: i64,
    verdict: Verdict,
}

/// A group under way: judged commands over an overlay of the items they touch.
pub(super) struct Group {
    members: Vec<Member>,
    /// Items as the group's commands leave them.
    overlay: HashMap<Place, Arc<Item>>,
    links: Book,
    holders: Holders,
    /// Items before the group: the versions that must still stand.
    before: HashMap<Place, i64>,
    stored: BTreeMap<Place, String>,
    next_numbers: BTreeMap<ListId, i64>,
    pub(super) now: DateTime<Utc>,
    seq: i64,
}

impl Group {
    pub(super) fn new(
        core: &Core,
        known: HashMap<Place, Arc<Item>>,
        links: Book,
        holders: Holders,
    ) -> Group {
        Group {
            members: Vec::new(),
            before: known
                .iter()
                .map(|(place, item)| (*place, item.version))
                .collect(),
            overlay: known,
            links,
            holders,
            stored: BTreeMap::new(),
            next_numbers: BTreeMap::new(),
            // Postgres keeps microseconds: what is hashed must be what is stored.
            now: Utc::now().trunc_subsecs(6),
            seq: core.seq,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Judges a job and takes it in, or gives it back with the reason. A panic is a refusal too.
    pub(super) fn take(&mut self, core: &Core, job: Job) -> Result<(), Box<(Job, AppError)>> {
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge(core, &job.request)));
        let mut verdict = match judged {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => return Err(Box::new((job, error))),
            Err(_) => {
                metrics::counter!(telemetry::PANICS, "where" => "command").increment(1);
                let error = AppError::internal(anyhow::anyhow!("a command panicked"));
                return Err(Box::new((job, error)));
            }
        };
        self.seq += 1;
        for (place, item, stored) in verdict.written() {
            self.overlay.insert(place, Arc::clone(item));
            self.stored.insert(place, stored.to_owned());
        }
        self.links.take(std::mem::take(&mut verdict.links));
        self.holders.take(std::mem::take(&mut verdict.handed));
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
        core.may(request)?;
        let Command::Items(command) = &request.command else {
            return Err(AppError::internal(anyhow::anyhow!(
                "not a command on items"
            )));
        };
        if let Actor::Form(form) = request.actor {
            let (form, list) = core.open_form(form)?;
            form.judge(list, command)?;
        }
        let members = |user: UserId| core.members.contains_key(&user);
        let verdict = judge(
            command,
            &Bench {
                schema: &core.schema,
                items: &self.overlay,
                members: &members,
                links: &self.links,
                holders: &self.holders,
                show: request.shape.shows_items(),
                next_number: self.next_number(core, command.list()),
                seq: self.seq + 1,
                now: self.now,
                by: request.user,
            },
        );
        verdict.map_err(|mut refusal| {
            if matches!(request.actor, Actor::Form(_)) {
                // How things stand is for members to see.
                refusal.current = None;
            }
            refusal
        })
    }

    fn next_number(&self, core: &Core, list: ListId) -> i64 {
        let given = self
            .next_numbers
            .get(&list)
            .or_else(|| core.next_numbers.get(&list));
        given.copied().unwrap_or(1)
    }

    /// All that the group writes.
    pub(super) fn assemble(&self, core: &Core) -> GroupWrite {
        let mut hash = core.hash;
        let mut ops = Vec::new();
        let mut events = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let request = &member.job.request;
            let payloads = member
                .verdict
                .rows()
                .map(|((list, item), change)| {
                    payload(
                        Some(list),
                        Some(item),
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
                    kind: member.verdict.kind,
                    by: By::of(request),
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
            links: self.link_rows(),
            keys: self.holders.moved().collect(),
        }
    }

    fn link_rows(&self) -> Vec<LinkRow> {
        let changed = self.links.changed().iter();
        changed
            .map(|(pair, placed)| LinkRow {
                pair: *pair,
                to_list: placed.from.other_list,
                from_single: placed.from.single,
                to_single: placed.from.other_single,
                row: placed.row,
            })
            .collect()
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
                    made_by: item.created_by,
                })
            })
            .collect()
    }

    /// The commit stands: memory follows, and the events are encoded.
    pub(super) fn apply(self, core: &mut Core, write: GroupWrite, done: &mut Done) {
        let after = core.seq;
        core.seq = write.head.seq;
        core.hash = write.head.hash;
        for place in self.stored.keys() {
            if let Some(item) = self.overlay.get(place) {
                core.changed_item(*place, Arc::clone(item));
            }
        }
        core.next_numbers.extend(self.next_numbers);
        let mut encoded = Vec::with_capacity(write.events.len());
        for (event, member) in write.events.iter().zip(&self.members) {
            let rows: Vec<Option<&str>> = member
                .verdict
                .rows()
                .map(|(_, change)| Some(change))
                .collect();
            let lists = member.verdict.rows().map(|((list, _), _)| list);
            encoded.push(EncodedEvent::of_lists(
                &event.header,
                &event.hash,
                &rows,
                lists,
            ));
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
                // What it took back is known here alone.
                None if matches!(member.job.request.shape, Shape::Undone { .. }) => {
                    Outcome::Ready(member.answer())
                }
                None => Outcome::Items {
                    items: member.verdict.answered().to_vec(),
                    list: member.verdict.list,
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

    pub(super) fn into_jobs(self) -> Vec<Job> {
        self.members.into_iter().map(|member| member.job).collect()
    }
}

impl Member {
    fn answer(&self) -> Answer {
        answer_items(
            &self.job.request.shape,
            self.seq,
            &self.verdict.list,
            self.verdict.answered(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use uuid::Uuid;

    use super::super::command::Remember;
    use super::super::recent::Recent;
    use super::*;
    use crate::domain::edit::{ItemCommand, ItemPatch, NewItem, RawValues};
    use crate::domain::roles::Role;
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
            schema: Arc::new(Schema::new(lists)),
            members: Arc::new(members.iter().map(|user| (*user, Role::Editor)).collect()),
            forms: Arc::default(),
            next_numbers: BTreeMap::new(),
            refill: None,
            items: Recent::new(few, 1 << 20),
            ops: Recent::new(few, 1 << 20),
            links: Arc::default(),
        };
        (core, list)
    }

    fn job(user: UserId, command: ItemCommand) -> Job {
        Job::step(Request {
            user,
            actor: Actor::User(user),
            op: None,
            remember: None::<Remember>,
            shape: Shape::Ack,
            command: Command::Items(command),
        })
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
        let mut group = Group::new(&core, HashMap::new(), Book::default(), Holders::default());
        for job in [job(maker, create()), job(editor, edit())] {
            assert!(group.take(&core, job).is_ok());
        }
        let rows = group.item_rows();
        assert_eq!((rows[0].known_version, rows[0].version), (0, 2));
        assert_eq!((rows[0].made_by, rows[0].by), (maker, editor));
    }
}
