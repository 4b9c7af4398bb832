//! Changes of the workspace itself, its members, invitations, lists and columns: each judged by the
//! domain and written alone, as one event and one step of `schema_version`, so that every cache
//! that was read before it is known to be old.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::broadcast::{EncodedEvent, EventBatch};
use super::catch_up::{catch_up, hold};
use super::command::{Answer, Job, Outcome, Reply, Request};
use super::core::Core;
use super::durable::{Attempt, Failure, commit_in, in_doubt};
use super::entry::{NewEvent, event, head_move, op_row, payload};
use super::group::{Done, authorize};
use super::known;
use crate::domain::columns::Column;
use crate::domain::edit::list_of;
use crate::domain::log::mark;
use crate::domain::membership::{judge_removal, judge_role};
use crate::domain::roles::{Action, Role};
use crate::domain::schema::List;
use crate::domain::schema_change::{
    ColumnPatch, ColumnSpec, MAX_LISTS, add_columns, change_column, change_list, drop_column,
    new_list,
};
use crate::error::{AppError, ErrorCode};
use crate::ids::{InviteId, JobId, ListId, UserId};
use crate::store::commit::GroupWrite;
use crate::store::invites::Invite;
use crate::store::jobs::{NewJob, RowError};
use crate::store::{self, Db, Purpose, StoreError, Tx};
use crate::wire::lists::{ColumnOut, ListOut};
use crate::wire::people::InviteOut;

/// How long an invitation is good.
pub const INVITE_DAYS: i64 = 7;

/// A change of what a workspace is made of.
#[derive(Debug)]
pub enum AdminCommand {
    RenameWorkspace {
        name: String,
    },
    DeleteWorkspace,
    RestoreWorkspace,
    SetRole {
        user: UserId,
        role: Role,
    },
    RemoveMember {
        user: UserId,
    },
    /// `token_hash` is all that is kept of the secret.
    CreateInvite {
        id: InviteId,
        email: String,
        role: Role,
        token_hash: Vec<u8>,
    },
    RevokeInvite {
        id: InviteId,
    },
    /// By somebody who is no member yet; `email` is the caller's, normalised.
    AcceptInvite {
        id: InviteId,
        email: Option<String>,
    },
    CreateList {
        id: ListId,
        name: String,
        columns: Vec<ColumnSpec>,
        location: String,
    },
    UpdateList {
        list: ListId,
        name: Option<String>,
        position: Option<i32>,
    },
    DeleteList {
        list: ListId,
    },
    RestoreList {
        list: ListId,
    },
    CreateColumn {
        list: ListId,
        spec: Box<ColumnSpec>,
        location: String,
    },
    /// Several at once, as an import needs them.
    AddColumns {
        list: ListId,
        specs: Vec<ColumnSpec>,
    },
    UpdateColumn {
        list: ListId,
        key: String,
        patch: Box<ColumnPatch>,
    },
    DeleteColumn {
        list: ListId,
        key: String,
    },
    /// Queues an import whose file is on disk and planned.
    QueueImport {
        job: Box<NewJob>,
    },
    /// Ends an import that can't be done, with what was wrong.
    FailImport {
        job: JobId,
        error: Value,
        errors: Vec<RowError>,
    },
    /// Ends an import that nobody wants any more; what is committed stays.
    CancelImport {
        job: JobId,
    },
}

/// What a judged change writes.
enum Change {
    Workspace {
        name: String,
        deleted_at: Option<DateTime<Utc>>,
    },
    Member {
        user: UserId,
        role: Option<Role>,
    },
    NewInvite(Box<Invite>),
    Revoke(Box<Invite>),
    Accept(Box<Invite>, UserId),
    NewList(List),
    List(List),
    Columns(ListId, Vec<Column>),
    QueueJob(Box<NewJob>),
    FailJob(JobId, Value, Vec<RowError>),
    CancelJob(JobId),
}

/// What a judged change comes to.
struct Effect {
    kind: &'static str,
    list: Option<ListId>,
    data: Value,
    changes: Vec<Change>,
    answer: Answer,
    /// Whether what is cached of schema, members or workspace is old from here on.
    reshapes: bool,
}

impl Effect {
    fn new(kind: &'static str, data: Value, status: u16, body: Option<Value>) -> Effect {
        let body = body.and_then(|body| RawValue::from_string(body.to_string()).ok());
        Effect {
            kind,
            list: None,
            data,
            changes: Vec::new(),
            answer: Answer {
                status,
                etag: None,
                location: None,
                body,
            },
            reshapes: true,
        }
    }

    fn on(mut self, list: ListId) -> Effect {
        self.list = Some(list);
        self
    }

    fn with(mut self, change: Change) -> Effect {
        self.changes.push(change);
        self
    }

    fn keeps_shape(mut self) -> Effect {
        self.reshapes = false;
        self
    }

    fn at(mut self, location: String) -> Effect {
        self.answer.location = Some(location);
        self
    }
}

/// Runs one change alone.
pub(super) async fn run(db: &Db, core: &mut Core, job: Job) -> Done {
    let mut done = Done::default();
    let Some(mut job) = answer_retry(db, core, job, &mut done).await else {
        return done;
    };
    const MAX_TRIES: u32 = 8;
    for attempt in 1.. {
        // Another node is at it as well: the head is held before anything is judged again.
        let begun = match attempt {
            1 => Tx::begin(db, core.id, Purpose::Write)
                .await
                .map_err(AppError::from),
            _ => hold(db, core, &mut done, Purpose::Write).await,
        };
        let tried = match begun {
            Ok(tx) => attempt_once(db, core, tx, &job.request).await,
            Err(error) => Err(Attempt::Refused(error)),
        };
        let error = match tried {
            Ok((reply, batch, reshapes)) => {
                done.batches.push(batch);
                // It is committed whatever this says: where the reading fails, the next look finds
                // the head's version changed and reads again.
                if reshapes && let Err(error) = catch_up(db, core, &mut done).await {
                    tracing::warn!(workspace = %core.id, %error, "a change could not be read back");
                }
                done.answers.push((job, Ok(reply)));
                return done;
            }
            Err(Attempt::Failed(
                Failure::LostRace
                | Failure::Unwritten
                | Failure::Stale
                | Failure::Store(StoreError::Retry(_)),
            )) if attempt < MAX_TRIES => continue,
            Err(Attempt::Failed(Failure::Doubt)) => in_doubt(),
            Err(Attempt::Failed(Failure::KnownOp)) => {
                // Written by another node a moment ago: the look-up finds it now.
                let Some(unknown) = answer_retry(db, core, job, &mut done).await else {
                    return done;
                };
                job = unknown;
                AppError::unavailable("Try again")
            }
            Err(Attempt::Failed(Failure::LostRace | Failure::Unwritten | Failure::Stale)) => {
                AppError::unavailable("The workspace is written elsewhere; try again")
            }
            Err(Attempt::Failed(Failure::Store(error))) => error.into(),
            Err(Attempt::Refused(error)) => error,
        };
        done.answers.push((job, Err(error)));
        return done;
    }
    done
}

/// Gives the remembered answer to a retry; a job that is none comes back.
async fn answer_retry(db: &Db, core: &mut Core, job: Job, done: &mut Done) -> Option<Job> {
    if job.request.remember.is_none() {
        return Some(job);
    }
    known::answer_known(db, core, vec![job], done).await.pop()
}

async fn attempt_once(
    db: &Db,
    core: &mut Core,
    mut tx: Tx,
    request: &Request,
) -> Result<(Reply, EventBatch, bool), Attempt> {
    let now = Utc::now().trunc_subsecs(6);
    let effect = judge(core, &tx, request, now).await?;
    for change in &effect.changes {
        write(core, &mut tx, change, now).await?;
    }
    let text = effect.data.to_string();
    let mut hash = core.hash;
    let entry = event(
        core,
        &mut hash,
        NewEvent {
            seq: core.seq + 1,
            at: now,
            kind: effect.kind,
            request,
            list: effect.list,
            payloads: vec![payload(
                effect.list,
                None,
                None,
                text.clone().into_bytes(),
                false,
            )],
        },
    );
    let write = GroupWrite {
        head: head_move(core, hash, effect.reshapes),
        items: Vec::new(),
        events: vec![entry.clone()],
        ops: request
            .remember
            .iter()
            .map(|remember| op_row(request.user, remember, core.seq + 1, &effect.answer))
            .collect(),
        numbers: BTreeMap::new(),
    };
    commit_in(db, core, tx, &write, now).await?;

    let after = core.seq;
    let reply = Reply {
        seq: after + 1,
        outcome: Outcome::Ready(effect.answer),
    };
    let event = EncodedEvent::new(&entry.header, &entry.hash, &[Some(&text)]);
    let batch = EventBatch::new(core.id, after, after + 1, &mark(&hash), vec![event]);
    core.seq = write.head.seq;
    core.hash = write.head.hash;
    Ok((reply, batch, effect.reshapes))
}

async fn judge(
    core: &Core,
    tx: &Tx,
    request: &Request,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    let super::command::Command::Admin(command) = &request.command else {
        return Err(AppError::internal(anyhow::anyhow!("not an administrative command")).into());
    };
    let by = request.user;
    Ok(match command {
        AdminCommand::RenameWorkspace { .. }
        | AdminCommand::DeleteWorkspace
        | AdminCommand::RestoreWorkspace => judge_workspace(core, command, by, now)?,
        AdminCommand::SetRole { user, role } => {
            authorize(core, by, Action::Leave)?;
            let was = judge_role(&core.members, by, *user, *role)?;
            let data = json!({"user": user, "role": role, "was": was});
            Effect::new(
                "member.role_changed",
                data,
                200,
                Some(json!({"user_id": user, "role": role})),
            )
            .with(Change::Member {
                user: *user,
                role: Some(*role),
            })
        }
        AdminCommand::RemoveMember { user } => {
            authorize(core, by, Action::Leave)?;
            let was = judge_removal(&core.members, by, *user)?;
            Effect::new(
                "member.removed",
                json!({"user": user, "was": was}),
                204,
                None,
            )
            .with(Change::Member {
                user: *user,
                role: None,
            })
        }
        AdminCommand::CreateInvite { .. }
        | AdminCommand::RevokeInvite { .. }
        | AdminCommand::AcceptInvite { .. } => judge_invite(core, tx, command, by, now).await?,
        AdminCommand::QueueImport { .. }
        | AdminCommand::FailImport { .. }
        | AdminCommand::CancelImport { .. } => judge_import(core, command, by)?,
        _ => judge_schema(core, command, by, now)?,
    })
}

fn judge_workspace(
    core: &Core,
    command: &AdminCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, AppError> {
    let name = core.workspace.name.clone();
    match command {
        AdminCommand::RenameWorkspace { name } => {
            authorize(core, by, Action::ManageWorkspace)?;
            crate::domain::columns::check_name(name)
                .map_err(|error| AppError::field("/name", error.code, error.message))?;
            let name = name.trim().to_owned();
            let data = json!({"name": name, "was": core.workspace.name});
            Ok(Effect::new(
                "workspace.updated",
                data,
                200,
                Some(json!({"id": core.id, "name": name})),
            )
            .with(Change::Workspace {
                name,
                deleted_at: None,
            }))
        }
        AdminCommand::DeleteWorkspace => {
            authorize(core, by, Action::Own)?;
            if core.workspace.deleted_at.is_some() {
                return Err(AppError::gone("The workspace is in the trash"));
            }
            Ok(
                Effect::new("workspace.deleted", json!({}), 204, None).with(Change::Workspace {
                    name,
                    deleted_at: Some(now),
                }),
            )
        }
        _ => {
            authorize(core, by, Action::Own)?;
            if core.workspace.deleted_at.is_none() {
                return Err(AppError::conflict("The workspace is not in the trash"));
            }
            Ok(Effect::new(
                "workspace.restored",
                json!({}),
                200,
                Some(json!({"id": core.id, "name": name})),
            )
            .with(Change::Workspace {
                name,
                deleted_at: None,
            }))
        }
    }
}

async fn judge_invite(
    core: &Core,
    tx: &Tx,
    command: &AdminCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    match command {
        AdminCommand::CreateInvite {
            id,
            email,
            role,
            token_hash,
        } => {
            let own = authorize(core, by, Action::ManageMembers)?;
            if !own.may_grant(*role) {
                return Err(AppError::forbidden().into());
            }
            let invite = Invite {
                workspace_id: core.id,
                id: *id,
                email: email.clone(),
                role: role.as_str().to_owned(),
                token_hash: token_hash.clone(),
                created_by: by,
                created_at: now,
                expires_at: now + Duration::days(INVITE_DAYS),
                accepted_at: None,
                accepted_by: None,
                revoked_at: None,
            };
            let body = json!(InviteOut::new(&invite));
            let data = json!({"id": id, "email": email, "role": role});
            Ok(Effect::new("invite.created", data, 201, Some(body))
                .keeps_shape()
                .with(Change::NewInvite(Box::new(invite))))
        }
        AdminCommand::RevokeInvite { id } => {
            authorize(core, by, Action::ManageMembers)?;
            let invite = store::invites::find(tx, core.id, *id)
                .await?
                .ok_or_else(AppError::not_found)?;
            if invite.accepted_at.is_some() || invite.revoked_at.is_some() {
                return Err(AppError::gone("The invitation was used or taken back").into());
            }
            Ok(Effect::new("invite.revoked", json!({"id": id}), 204, None)
                .keeps_shape()
                .with(Change::Revoke(Box::new(invite))))
        }
        AdminCommand::AcceptInvite { id, email } => {
            let invite = store::invites::find(tx, core.id, *id)
                .await?
                .ok_or_else(AppError::not_found)?;
            let role = acceptable(core, &invite, email.as_deref(), by, now)?;
            let data = json!({"user": by, "role": role, "invite": id});
            let body = json!({
                "workspace_id": core.id, "name": core.workspace.name, "role": role,
                "joined_at": crate::domain::item::time(now),
            });
            Ok(Effect::new("member.joined", data, 200, Some(body))
                .with(Change::Member {
                    user: by,
                    role: Some(role),
                })
                .with(Change::Accept(Box::new(invite), by)))
        }
        _ => Err(AppError::internal(anyhow::anyhow!("not a command on invitations")).into()),
    }
}

/// The role that the invitation gives its holder, or why it gives none.
fn acceptable(
    core: &Core,
    invite: &Invite,
    email: Option<&str>,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Role, AppError> {
    let over =
        invite.accepted_at.is_some() || invite.revoked_at.is_some() || invite.expires_at <= now;
    if over || core.workspace.deleted_at.is_some() {
        return Err(AppError::gone(
            "The invitation was used, taken back, or is too old",
        ));
    }
    if email != Some(invite.email.as_str()) {
        return Err(AppError::new(
            ErrorCode::WrongRecipient,
            "Sign in with the address that the invitation was sent to",
        ));
    }
    let role = Role::from_name(&invite.role)
        .ok_or_else(|| AppError::internal(anyhow::anyhow!("an invitation's role")))?;
    // Who has left or fallen since can't lift anybody any more.
    if !core
        .role_of(invite.created_by)
        .is_some_and(|inviter| inviter.may_grant(role))
    {
        return Err(AppError::gone("Whoever invited you may not do so any more"));
    }
    if core.role_of(by).is_some() {
        return Err(AppError::conflict("You are a member already"));
    }
    Ok(role)
}

/// Whether the job may still be ended is the store's to see, in the same transaction.
fn judge_import(core: &Core, command: &AdminCommand, by: UserId) -> Result<Effect, AppError> {
    match command {
        AdminCommand::QueueImport { job } => {
            authorize(core, by, Action::WriteItems)?;
            let data = json!({
                "job": job.id, "list": job.list, "file_name": job.file_name, "file_size": job.file_size,
            });
            let body =
                json!({"id": job.id, "kind": job.kind, "state": "queued", "list_id": job.list});
            let mut effect = Effect::new("import.queued", data, 202, Some(body));
            effect.list = job.list;
            Ok(effect.keeps_shape().with(Change::QueueJob(job.clone())))
        }
        AdminCommand::FailImport { job, error, errors } => {
            let data = json!({"job": job, "error": error});
            Ok(Effect::new("import.failed", data, 204, None)
                .keeps_shape()
                .with(Change::FailJob(*job, error.clone(), errors.clone())))
        }
        AdminCommand::CancelImport { job } => {
            authorize(core, by, Action::WriteItems)?;
            let body = json!({"id": job, "state": "cancelled"});
            Ok(
                Effect::new("import.cancelled", json!({"job": job}), 200, Some(body))
                    .keeps_shape()
                    .with(Change::CancelJob(*job)),
            )
        }
        _ => Err(AppError::internal(anyhow::anyhow!(
            "not a command on imports"
        ))),
    }
}

fn judge_schema(
    core: &Core,
    command: &AdminCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, AppError> {
    authorize(core, by, Action::WriteSchema)?;
    let schema = &core.schema;
    match command {
        AdminCommand::CreateList {
            id,
            name,
            columns,
            location,
        } => {
            let living = schema.in_order();
            if living.len() >= MAX_LISTS {
                return Err(AppError::too_large(format!(
                    "A workspace has at most {MAX_LISTS} lists"
                )));
            }
            if schema.lists.contains_key(id) {
                return Err(
                    AppError::conflict("A list of this id exists already").at("/id", "taken")
                );
            }
            let position = living
                .last()
                .map_or(0, |list| list.position.saturating_add(1));
            let list = new_list(*id, name, columns, position, by, now)?;
            let out = json!(ListOut::new(&list));
            let columns = list.columns.iter_all().cloned().collect();
            Ok(Effect::new("list.created", out.clone(), 201, Some(out))
                .on(*id)
                .at(format!("{location}/{id}"))
                .with(Change::NewList(list))
                .with(Change::Columns(*id, columns)))
        }
        AdminCommand::UpdateList {
            list,
            name,
            position,
        } => {
            let changed = change_list(list_of(*list, schema)?, name.as_deref(), *position, now)?;
            Ok(list_effect("list.updated", changed, 200))
        }
        AdminCommand::DeleteList { list } => {
            let mut changed = List::clone(list_of(*list, schema)?);
            changed.deleted_at = Some(now);
            Ok(Effect::new("list.deleted", json!({"id": list}), 204, None)
                .on(*list)
                .with(Change::List(changed)))
        }
        AdminCommand::RestoreList { list } => {
            let old = schema.lists.get(list).ok_or_else(AppError::not_found)?;
            if old.deleted_at.is_none() {
                return Err(AppError::conflict("The list is not in the trash"));
            }
            Ok(list_effect(
                "list.restored",
                List {
                    deleted_at: None,
                    ..List::clone(old)
                },
                200,
            ))
        }
        AdminCommand::CreateColumn {
            list,
            spec,
            location,
        } => {
            let old = list_of(*list, schema)?;
            let specs = std::slice::from_ref(spec.as_ref());
            let changed = add_columns(old, specs, |_| String::new(), now)?;
            let column = changed
                .columns
                .by_key(&spec.key)
                .cloned()
                .ok_or_else(AppError::not_found)?;
            Ok(column_effect("column.created", changed, vec![column], 201)
                .at(format!("{location}/{}", spec.key)))
        }
        AdminCommand::AddColumns { list, specs } => {
            let old = list_of(*list, schema)?;
            let changed = add_columns(old, specs, |index| format!("/columns/{index}"), now)?;
            let added = specs
                .iter()
                .filter_map(|spec| changed.columns.by_key(&spec.key).cloned())
                .collect();
            Ok(column_effect("column.created", changed, added, 201))
        }
        AdminCommand::UpdateColumn { list, key, patch } => {
            let (changed, column) = change_column(list_of(*list, schema)?, key, patch, now)?;
            let all = changed.columns.iter_all().cloned().collect();
            let mut effect = column_effect("column.updated", changed, vec![column], 200);
            // A move numbers the others anew.
            if patch.position.is_some() {
                effect.changes.push(Change::Columns(*list, all));
            }
            Ok(effect)
        }
        AdminCommand::DeleteColumn { list, key } => {
            let (changed, dropped) = drop_column(list_of(*list, schema)?, key, now)?;
            let data = json!({"list": list, "key": key});
            Ok(Effect::new("column.deleted", data, 204, None)
                .on(*list)
                .with(Change::List(changed))
                .with(Change::Columns(*list, vec![dropped])))
        }
        _ => Err(AppError::internal(anyhow::anyhow!(
            "not a command on the schema"
        ))),
    }
}

fn list_effect(kind: &'static str, list: List, status: u16) -> Effect {
    let out = json!(ListOut::new(&list));
    Effect::new(kind, out.clone(), status, Some(out))
        .on(list.id)
        .with(Change::List(list))
}

fn column_effect(kind: &'static str, list: List, columns: Vec<Column>, status: u16) -> Effect {
    let out: Vec<Value> = columns
        .iter()
        .map(|column| json!(ColumnOut::new(column)))
        .collect();
    let body = match out.as_slice() {
        [one] => one.clone(),
        many => json!({"data": many}),
    };
    let id = list.id;
    Effect::new(
        kind,
        json!({"list": id, "columns": out}),
        status,
        Some(body),
    )
    .on(id)
    .with(Change::List(list))
    .with(Change::Columns(id, columns))
}

async fn write(
    core: &Core,
    tx: &mut Tx,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), Attempt> {
    let id = core.id;
    let ended = || Attempt::Refused(AppError::conflict("The job has ended already"));
    let written: Result<(), StoreError> = match change {
        Change::QueueJob(job) => store::jobs::create(tx.conn(), id, job)
            .await
            .map_err(StoreError::from),
        Change::FailJob(job, error, errors) => {
            let done = store::jobs::fail(tx.conn(), id, *job, error, errors).await;
            if !done.map_err(StoreError::from)? {
                return Err(ended());
            }
            Ok(())
        }
        Change::CancelJob(job) => {
            if !store::jobs::cancel(tx.conn(), id, *job)
                .await
                .map_err(StoreError::from)?
            {
                return Err(ended());
            }
            Ok(())
        }
        Change::Workspace { name, deleted_at } => {
            store::workspaces::update(tx, id, name, *deleted_at, now).await
        }
        Change::Member {
            user,
            role: Some(role),
        } => store::members::upsert(tx, id, *user, *role, now).await,
        Change::Member { user, role: None } => store::members::delete(tx, id, *user).await,
        Change::NewInvite(invite) => store::invites::insert(tx, Invite::clone(invite)).await,
        Change::Revoke(invite) => {
            store::invites::mark_revoked(tx, Invite::clone(invite), now).await
        }
        Change::Accept(invite, by) => {
            store::invites::mark_accepted(tx, Invite::clone(invite), *by, now).await
        }
        Change::NewList(list) => store::schema::insert_list(tx, id, list).await,
        Change::List(list) => store::schema::update_list(tx, id, list).await,
        Change::Columns(list, columns) => {
            store::schema::save_columns(tx, id, *list, columns, now).await
        }
    };
    Ok(written?)
}
