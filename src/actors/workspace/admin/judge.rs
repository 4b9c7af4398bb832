//! Whether an administrative command may be, and what it comes to. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::super::command::{Answer, Request};
use super::super::core::Core;
use super::super::durable::Attempt;
use super::effect::{Change, Effect};
use super::{AdminCommand, INVITE_DAYS, comments, forms, jobs, views};
use crate::domain::columns::Column;
use crate::domain::computed::complete;
use crate::domain::edit::{list_of, moved};
use crate::domain::membership::{judge_removal, judge_role};
use crate::domain::relate::{Touched, inverse, relate, relation_of, restore_column, with};
use crate::domain::retype::{Retyped, other_rule, rerule, retype, swap_back};
use crate::domain::roles::{Action, Role};
use crate::domain::schema::{List, Schema};
use crate::domain::schema_change::{
    MAX_LISTS, add_columns, change_column, change_list, drop_column, new_list,
};
use crate::error::{AppError, ErrorCode};
use crate::ids::{ListId, UserId};
use crate::store::invites::Invite;
use crate::store::{self, Tx};
use crate::wire::lists::{ColumnOut, ListOut};
use crate::wire::people::InviteOut;
use crate::wire::undo::Undone;

/// Judges a command on what the lane knows, and, of invitations, on what `tx` reads.
pub(super) async fn judge(
    core: &Core,
    tx: &mut Tx,
    request: &Request,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    let crate::actors::workspace::command::Command::Admin(command) = &request.command else {
        return Err(AppError::internal(anyhow::anyhow!("not an administrative command")).into());
    };
    match command {
        AdminCommand::Compensate {
            after,
            undoes,
            command,
        } => {
            if core.seq != *after {
                return Err(moved().into());
            }
            let mut effect = judge_one(core, tx, command, request.user, now).await?;
            let told = Undone::new(core.seq + 1, Some(*undoes), 1);
            effect.answer = Answer::new(200, Some(&json!(told)));
            Ok(effect)
        }
        command => judge_one(core, tx, command, request.user, now).await,
    }
}

async fn judge_one(
    core: &Core,
    tx: &mut Tx,
    command: &AdminCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    Ok(match command {
        AdminCommand::RenameWorkspace { .. }
        | AdminCommand::DeleteWorkspace
        | AdminCommand::RestoreWorkspace => judge_workspace(core, command, by, now)?,
        AdminCommand::SetRole { user, role } => {
            core.authorize(by, Action::Leave)?;
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
            core.authorize(by, Action::Leave)?;
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
        | AdminCommand::RunImport { .. }
        | AdminCommand::RevertImport { .. }
        | AdminCommand::FailJob { .. }
        | AdminCommand::CancelJob { .. }
        | AdminCommand::QueueExport { .. }
        | AdminCommand::FinishExport { .. } => jobs::judge(core, command, by)?,
        AdminCommand::Comment { place, command } => {
            comments::judge(core, tx, *place, command, by, now).await?
        }
        AdminCommand::Form {
            list,
            view,
            command,
        } => forms::judge(core, tx, (*list, *view), command, by, now).await?,
        AdminCommand::View { list, command } => {
            views::judge(core, tx, *list, command, by, now).await?
        }
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
            core.authorize(by, Action::ManageWorkspace)?;
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
            core.authorize(by, Action::Own)?;
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
            core.authorize(by, Action::Own)?;
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
            let own = core.authorize(by, Action::ManageMembers)?;
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
            core.authorize(by, Action::ManageMembers)?;
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

fn judge_schema(
    core: &Core,
    command: &AdminCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, AppError> {
    core.authorize(by, Action::WriteSchema)?;
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
            let keys: Vec<&str> = columns.iter().map(|spec| spec.key.as_str()).collect();
            let path = |index| format!("/columns/{index}");
            let (list, others) = relate(&schema.lists, list, &keys, path, now)?;
            let list = complete(&beside(schema, &others), list, &keys, path, now)?;
            let out = json!(ListOut::new(&list));
            let columns = list.columns.iter_all().cloned().collect();
            let effect = Effect::new("list.created", out.clone(), 201, Some(out))
                .on(*id)
                .at(format!("{location}/{id}"))
                .with(Change::NewList(list))
                .with(Change::Columns(*id, columns));
            Ok(with_others(effect, others))
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
            let hidden = hidden_with(schema, *list);
            let data = json!({"id": list, "hides": hidden});
            Ok(Effect::new("list.deleted", data, 204, None)
                .on(*list)
                .with(Change::List(changed)))
        }
        AdminCommand::RestoreList { list } => {
            let old = schema.lists.get(list).ok_or_else(AppError::not_found)?;
            if old.deleted_at.is_none() {
                return Err(AppError::conflict("The list is not in the trash"));
            }
            let living = List {
                deleted_at: None,
                ..List::clone(old)
            };
            let mut effect = list_effect("list.restored", living.clone(), 200);
            let mut lists = schema.lists.clone();
            lists.insert(*list, Arc::new(living));
            let schema = Schema::new(lists);
            let relations: BTreeSet<_> =
                schema.ends(*list).iter().map(|end| end.relation).collect();
            if let Some(data) = effect.data.as_object_mut() {
                data.insert("shows".to_owned(), json!(hidden_with(&schema, *list)));
            }
            effect
                .changes
                .extend(relations.into_iter().map(Change::Awake));
            Ok(effect)
        }
        AdminCommand::CreateColumn {
            list,
            spec,
            location,
        } => {
            let old = list_of(*list, schema)?;
            let specs = std::slice::from_ref(spec.as_ref());
            let changed = add_columns(old, specs, |_| String::new(), now)?;
            let keys = [spec.key.as_str()];
            let path = |_| String::new();
            let (changed, others) = relate(&schema.lists, changed, &keys, path, now)?;
            let changed = complete(&beside(schema, &others), changed, &keys, path, now)?;
            let column = changed
                .columns
                .by_key(&spec.key)
                .cloned()
                .ok_or_else(AppError::not_found)?;
            let effect = column_effect("column.created", changed, vec![column], 201)
                .at(format!("{location}/{}", spec.key));
            Ok(with_others(effect, others))
        }
        AdminCommand::AddColumns { list, specs } => {
            let old = list_of(*list, schema)?;
            let path = |index| format!("/columns/{index}");
            let changed = add_columns(old, specs, path, now)?;
            let keys: Vec<&str> = specs.iter().map(|spec| spec.key.as_str()).collect();
            let (changed, others) = relate(&schema.lists, changed, &keys, path, now)?;
            let changed = complete(&beside(schema, &others), changed, &keys, path, now)?;
            let added = specs
                .iter()
                .filter_map(|spec| changed.columns.by_key(&spec.key).cloned())
                .collect();
            let effect = column_effect("column.created", changed, added, 201);
            Ok(with_others(effect, others))
        }
        AdminCommand::UpdateColumn { list, key, patch } => {
            let old = list_of(*list, schema)?;
            let stands = old.columns.by_key(key).ok_or_else(AppError::not_found)?;
            if let Some(rule) = other_rule(stands, patch)? {
                let ruled = rerule(old, key, rule, patch, now)?;
                let path = |_| String::new();
                let list = complete(&schema.lists, ruled.list, &[key], path, now)?;
                let to = list.columns.by_key(key).cloned();
                return Ok(retyped_effect(Retyped {
                    to: to.ok_or_else(AppError::not_found)?,
                    list,
                    from: ruled.from,
                }));
            }
            if patch
                .ty
                .as_deref()
                .is_some_and(|ty| ty != stands.type_name())
            {
                let retyped = retype(old, key, patch, now)?;
                let (from, to) = (retyped.from.clone(), retyped.to.clone());
                let mut effect = retyped_effect(retyped);
                effect.changes.push(Change::Fill {
                    list: *list,
                    pair: Box::new((from, to)),
                    on_loss: patch.on_loss.unwrap_or_default(),
                });
                return Ok(effect);
            }
            let (changed, column) = change_column(old, key, patch, now)?;
            let all = changed.columns.iter_all().cloned().collect();
            let mut effect = column_effect("column.updated", changed, vec![column.clone()], 200);
            mirror(&mut effect, schema, *list, &column);
            // A move numbers the others anew.
            if patch.position.is_some() {
                effect.changes.push(Change::Columns(*list, all));
            }
            Ok(effect)
        }
        AdminCommand::SwapColumn { list, back, gone } => {
            let retyped = swap_back(list_of(*list, schema)?, *back, *gone, now)?;
            Ok(retyped_effect(retyped))
        }
        AdminCommand::DeleteColumn { list, key } => {
            let (changed, dropped) = drop_column(list_of(*list, schema)?, key, now)?;
            let data = json!({"list": list, "key": key});
            let other = inverse(&schema.lists, &dropped);
            let other = other.map(|(other, column)| (other.id, column.clone()));
            let mut effect = Effect::new("column.deleted", data, 204, None)
                .on(*list)
                .with(Change::List(changed))
                .with(Change::Columns(*list, vec![dropped]));
            if let Some((other, mut column)) = other {
                if let Some(data) = effect.data.as_object_mut() {
                    let told = json!({"list": other, "key": column.key});
                    data.insert("inverse".to_owned(), told);
                }
                column.deleted = true;
                effect.changes.push(Change::Columns(other, vec![column]));
            }
            Ok(effect)
        }
        AdminCommand::RestoreColumn { list, key } => {
            let old = list_of(*list, schema)?;
            let (column, other) = restore_column(&schema.lists, old, key)?;
            let relation = relation_of(*list, &column);
            let changed = with(old, column.clone(), now);
            let mut effect = column_effect("column.restored", changed, vec![column], 200);
            if let Some((other, column)) = other {
                effect.tells_of(other, vec![column.clone()]);
                effect.changes.push(Change::Columns(other, vec![column]));
            }
            effect.changes.extend(relation.map(Change::Awake));
            Ok(effect)
        }
        _ => Err(AppError::internal(anyhow::anyhow!(
            "not a command on the schema"
        ))),
    }
}

/// The lists as they stand when these have changed too.
fn beside(schema: &Schema, others: &[Touched]) -> BTreeMap<ListId, Arc<List>> {
    let mut lists = schema.lists.clone();
    let touched = others.iter();
    lists.extend(touched.map(|other| (other.list.id, Arc::new(other.list.clone()))));
    lists
}

/// A column in the place of another. All are written: they may be numbered anew, and one key is free before
/// the other takes it.
fn retyped_effect(retyped: Retyped) -> Effect {
    let Retyped { list, from, to } = retyped;
    let out = ColumnOut::new(&to);
    let data = json!({"list": list.id, "columns": [out]});
    let others = list.columns.iter_all();
    let behind = from.id;
    let others = others.filter(|column| column.id != behind).cloned();
    let columns: Vec<Column> = std::iter::once(from).chain(others).collect();
    let id = list.id;
    Effect::new("column.updated", data, 200, Some(json!(out)))
        .on(id)
        .with(Change::List(list))
        .with(Change::Columns(id, columns))
}

/// Inverse columns, which come with the change.
fn with_others(mut effect: Effect, others: Vec<Touched>) -> Effect {
    for Touched { list, columns } in others {
        effect.tells_of(list.id, columns.clone());
        effect.changes.push(Change::Columns(list.id, columns));
    }
    effect
}

/// What the other end must say when a link column changes how many a cell holds.
fn mirror(effect: &mut Effect, schema: &Schema, list: ListId, column: &Column) {
    let before = schema
        .lists
        .get(&list)
        .and_then(|list| list.columns.by_id(&column.id));
    let same = before.is_none_or(|before| before.options.multiple == column.options.multiple);
    let Some(relation) = relation_of(list, column).filter(|_| !same) else {
        return;
    };
    let (mut one, mut other) = (!column.options.multiple, false);
    if let Some((there, inverse)) = inverse(&schema.lists, column) {
        let mut inverse = inverse.clone();
        other = !inverse.options.multiple;
        if let Some(link) = &mut inverse.options.link {
            link.inverse_multiple = column.options.multiple;
        }
        effect.tells_of(there.id, vec![inverse.clone()]);
        effect
            .changes
            .push(Change::Columns(there.id, vec![inverse]));
    }
    if column
        .options
        .link
        .as_ref()
        .is_some_and(|link| link.backward)
    {
        std::mem::swap(&mut one, &mut other);
    }
    effect.changes.push(Change::Single(relation, one, other));
}

/// The link columns of other lists that show nothing while this list is in the trash.
fn hidden_with(schema: &Schema, list: ListId) -> Vec<Value> {
    let others = schema
        .ends(list)
        .iter()
        .filter(|end| end.other_list != list);
    others
        .filter_map(|end| {
            let other = schema.live(end.other_list)?;
            let column = other.columns.by_id(&end.other_column?)?;
            Some(json!({"list": other.id, "key": column.key}))
        })
        .collect()
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
