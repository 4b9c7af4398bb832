//! What people write over a socket: a command goes to its workspace's lane, and comes back as an
//! `ack` or a `reject`.

use std::fmt::Write;
use std::sync::Arc;

use chrono::Utc;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::session::{Context, Session};
use crate::actors::workspace::{Command, Remember, Reply, Request, Shape};
use crate::domain::edit::{ItemCommand, ItemPatch, NewItem, RawValues};
use crate::domain::log::{Actor, Hash};
use crate::domain::op::check;
use crate::error::{AppError, ErrorCode};
use crate::ids::{ItemId, WorkspaceId};
use crate::wire::canonical::write_canonical;
use crate::wire::frames::{self, Create, Delete, Edit, MAX_FRAME_ITEMS, ServerFrame};

/// Commands of one socket that may be under way; who sends more is told so at once: all sockets together
/// shall not wait for the lane longer than it makes sense to.
const MAX_IN_FLIGHT: usize = 64;
/// And the octets of their frames, for what waits for the lane is kept until it was its turn.
const MAX_OCTETS_IN_FLIGHT: usize = 512 * 1024;

impl Session {
    pub(super) fn edit(&mut self, edit: Edit, ctx: &mut Context) {
        let items = edit.items.into_iter().map(|item| ItemPatch {
            id: item.id,
            values: item.values,
            if_version: item.if_version,
            if_values: item.if_values,
        });
        let command = ItemCommand::Update {
            list: edit.list,
            items: items.collect(),
            typecast: false,
        };
        self.command(edit.op, edit.workspace, command, ctx);
    }

    pub(super) fn create(&mut self, create: Create, ctx: &mut Context) {
        let items = create.items.into_iter().map(|item| NewItem {
            fresh: item.id.is_none(),
            id: item.id.unwrap_or_else(|| ItemId(Uuid::now_v7())),
            values: item.values,
        });
        let command = ItemCommand::Create {
            list: create.list,
            items: items.collect(),
            typecast: false,
        };
        self.command(create.op, create.workspace, command, ctx);
    }

    pub(super) fn delete(&mut self, delete: Delete, ctx: &mut Context) {
        let command = ItemCommand::Delete {
            list: delete.list,
            ids: delete.ids,
            if_version: None,
        };
        self.command(delete.op, delete.workspace, command, ctx);
    }

    fn command(
        &mut self,
        op: Uuid,
        workspace: WorkspaceId,
        command: ItemCommand,
        ctx: &mut Context,
    ) {
        let Some(user) = self.user() else {
            return;
        };
        if command.len() > MAX_FRAME_ITEMS {
            let error = AppError::too_large("Larger writes go over REST");
            return self.reject(op, &error, ctx);
        }
        if let Err(error) = check(op, Utc::now()) {
            return self.reject(op, &error, ctx);
        }
        let octets = self.heard;
        if self.has_too_much_under_way() {
            return self.refuse_unread(op, ctx);
        }
        let request = Request {
            user,
            actor: Actor::User(user),
            op: Some(op),
            remember: Some(Remember {
                key: op.to_string(),
                fingerprint: fingerprint(workspace, &command),
            }),
            shape: Shape::Ack,
            command: Command::Items(command),
        };
        self.in_flight += 1;
        self.octets_in_flight += octets;
        let known = self.subscriptions.handle(workspace);
        let gateway = Arc::clone(&self.gateway);
        let work = async move {
            let handle = match known {
                Some(handle) => handle,
                None => gateway.registry.open_for(workspace, user).await?,
            };
            handle.submit(request).await
        };
        Session::apart(ctx, work, move |session, result, ctx| {
            session.in_flight -= 1;
            session.octets_in_flight -= octets;
            match result {
                Ok(reply) => session.acknowledge(op, reply, ctx),
                Err(error) => session.reject(op, &error, ctx),
            }
        });
    }

    /// Whether what was heard last is more than may be under way.
    pub(super) fn has_too_much_under_way(&self) -> bool {
        self.in_flight >= MAX_IN_FLIGHT || self.octets_in_flight + self.heard > MAX_OCTETS_IN_FLIGHT
    }

    /// Says so. Whoever sends many times what can be done costs little: the command is not read, and the
    /// refusal is written once.
    pub(super) fn refuse_unread(&mut self, op: Uuid, ctx: &mut Context) {
        let session = self.id;
        let (head, tail) = self.too_many.get_or_init(|| {
            let reason = "Wait for answers before you send more";
            let error = AppError::new(ErrorCode::RateLimited, reason);
            let session = session.to_string();
            let frame = ServerFrame::Reject {
                op: Uuid::nil(),
                current: None,
                problem: &error.problem(&session),
            };
            let text = frame.to_text();
            let split = text.split_once(&Uuid::nil().to_string());
            let split = split.map(|(head, tail)| (head.to_owned(), tail.to_owned()));
            split.unwrap_or_default()
        });
        let text = format!("{head}{op}{tail}");
        self.answer(text, ctx);
    }

    fn acknowledge(&mut self, op: Uuid, reply: Reply, ctx: &mut Context) {
        match reply.into_answer(&Shape::Ack).body {
            Some(body) => self.answer(frames::ack(op, &body), ctx),
            None => {
                let error = AppError::internal(anyhow::anyhow!("an answer without a body"));
                self.reject(op, &error, ctx);
            }
        }
    }

    fn reject(&mut self, op: Uuid, error: &AppError, ctx: &mut Context) {
        if let Some(source) = &error.source {
            tracing::error!(session = %self.id, source = format!("{source:#}"), "edit failed");
        }
        let session = self.id.to_string();
        let problem = error.problem(&session);
        let frame = ServerFrame::Reject {
            op,
            current: problem.current,
            problem: &problem,
        };
        self.answer(frame.to_text(), ctx);
    }
}

/// What the command says, whatever its frame looked like: the same `op` with the same command is a
/// retry, with another one it is refused.
fn fingerprint(workspace: WorkspaceId, command: &ItemCommand) -> Hash {
    let mut said = format!("{workspace} {} ", command.list());
    match command {
        ItemCommand::Create { items, .. } => {
            said.push_str("create");
            for item in items {
                // An id that was made here is another one at each retry.
                let id = (!item.fresh).then_some(item.id.uuid());
                let _ = write!(said, "\n{id:?} ");
                write_values(&item.values, &mut said);
            }
        }
        ItemCommand::Update { items, .. } => {
            said.push_str("update");
            for item in items {
                let _ = write!(said, "\n{} {:?} ", item.id, item.if_version);
                write_values(&item.values, &mut said);
                if let Some(guard) = &item.if_values {
                    said.push_str(" if ");
                    write_values(guard, &mut said);
                }
            }
        }
        ItemCommand::Delete { ids, .. } => write_ids("delete", ids, &mut said),
        ItemCommand::Restore { ids, .. } => write_ids("restore", ids, &mut said),
        ItemCommand::Links {
            item,
            column,
            how,
            ids,
            ..
        } => write_ids(&format!("{how:?} {item} {column}"), ids, &mut said),
        // No frame asks for these.
        ItemCommand::Merge { what, .. } => write_ids("merge", &what.merge, &mut said),
        ItemCommand::Compensate(what) => {
            let ids: Vec<_> = what.steps.iter().map(|step| step.item).collect();
            write_ids("compensate", &ids, &mut said);
        }
    }
    Sha256::digest(said.as_bytes()).into()
}

fn write_ids(verb: &str, ids: &[ItemId], out: &mut String) {
    out.push_str(verb);
    for id in ids {
        let _ = write!(out, "\n{id}");
    }
}

fn write_values(values: &RawValues, out: &mut String) {
    let mut cells: Vec<_> = values.0.iter().collect();
    cells.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (key, value) in cells {
        let _ = write!(out, "{key:?}:");
        write_canonical(value, out);
        out.push(',');
    }
}
