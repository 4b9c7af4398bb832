//! The first write of a workspace: the row, its owner, the lists of its template, and the first
//! event of its log, in one transaction. There is no lane yet, so this is the one write beside it.

use std::collections::BTreeMap;

use chrono::{SubsecRound, Utc};
use serde_json::json;
use serde_json::value::RawValue;

use super::command::{Answer, Remember};
use super::entry::payload;
use crate::domain::columns::check_name;
use crate::domain::log::{Actor, EventHeader, GENESIS, digest, link};
use crate::domain::roles::Role;
use crate::domain::schema::List;
use crate::domain::schema_change::{from_template, link_templates};
use crate::domain::template;
use crate::error::{AppError, ErrorCode};
use crate::ids::{ListId, UserId, WorkspaceId};
use crate::store::commit::{EventRow, GroupWrite, HeadMove, OpRow, Written, write_group};
use crate::store::workspaces::Workspace;
use crate::store::{self, Db, Purpose, StoreError, Tx};
use crate::wire::lists::ListOut;
use crate::wire::people::WorkspaceOut;

/// A workspace to be made.
#[derive(Debug)]
pub struct NewWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    /// `real_estate`, or none.
    pub template: Option<String>,
    pub owner: UserId,
    pub remember: Option<Remember>,
    /// Ids for the template's lists, as many as it has.
    pub list_ids: Vec<ListId>,
}

/// Makes it; with a key, a retry gets the first answer.
pub async fn create(db: &Db, new: NewWorkspace) -> Result<Answer, AppError> {
    check_name(&new.name).map_err(|error| AppError::field("/name", error.code, error.message))?;
    match insert(db, &new).await {
        Err(StoreError::Conflict { constraint }) if constraint == "ops_pkey" => {
            first_answer(db, &new).await
        }
        other => Ok(other?),
    }
}

async fn insert(db: &Db, new: &NewWorkspace) -> Result<Answer, StoreError> {
    let now = Utc::now().trunc_subsecs(6);
    let lists = lists_of(new, now).map_err(|error| StoreError::Fault(error.into()))?;
    let answer = answer(new, now);

    // What belongs to no workspace yet is remembered under the caller's own id.
    if let Some(remember) = &new.remember {
        return insert_remembered(db, new, remember, &lists, answer, now).await;
    }
    let mut tx = Tx::begin(db, new.id, Purpose::Write).await?;
    write(&mut tx, new, &lists, now).await?;
    tx.commit().await?;
    Ok(answer)
}

async fn insert_remembered(
    db: &Db,
    new: &NewWorkspace,
    remember: &Remember,
    lists: &[List],
    answer: Answer,
    now: chrono::DateTime<Utc>,
) -> Result<Answer, StoreError> {
    let own = WorkspaceId(new.owner.uuid());
    let mut tx = Tx::begin(db, own, Purpose::Write).await?;
    let op = OpRow {
        principal: new.owner,
        key: remember.key.clone(),
        fingerprint: remember.fingerprint,
        seq: 0,
        answer: serde_json::to_vec(&answer).unwrap_or_default(),
    };
    store::commit::remember(&mut tx, own, &op, now).await?;
    tx.turn_to(new.id).await?;
    write(&mut tx, new, lists, now).await?;
    tx.commit().await?;
    Ok(answer)
}

async fn first_answer(db: &Db, new: &NewWorkspace) -> Result<Answer, AppError> {
    let Some(remember) = &new.remember else {
        return Err(AppError::unavailable("Try again"));
    };
    let own = WorkspaceId(new.owner.uuid());
    let mut tx = Tx::begin(db, own, Purpose::Read).await?;
    let found = store::log::remembered(&mut tx, own, &[(new.owner, remember.key.clone())]).await?;
    tx.commit().await?;
    let first = found
        .first()
        .ok_or_else(|| AppError::unavailable("Try again"))?;
    if first.fingerprint != remember.fingerprint {
        let detail = "This key was used for another request";
        return Err(AppError::new(ErrorCode::IdempotencyMismatch, detail));
    }
    serde_json::from_slice(&first.answer).map_err(AppError::internal)
}

fn lists_of(new: &NewWorkspace, now: chrono::DateTime<Utc>) -> Result<Vec<List>, AppError> {
    let (templates, links) = match new.template.as_deref() {
        None => (Vec::new(), Vec::new()),
        Some("real_estate") => (template::real_estate(), template::real_estate_links()),
        Some(_) => {
            return Err(AppError::field(
                "/template",
                "unknown_template",
                "there is no such template",
            ));
        }
    };
    let lists = (0..)
        .zip(templates.iter().zip(&new.list_ids))
        .map(|(position, (template, id))| from_template(*id, template, position, new.owner, now));
    link_templates(lists.collect::<Result<_, _>>()?, &links, now)
}

async fn write(
    tx: &mut Tx,
    new: &NewWorkspace,
    lists: &[List],
    now: chrono::DateTime<Utc>,
) -> Result<(), StoreError> {
    let workspace = Workspace {
        id: new.id,
        name: new.name.trim().to_owned(),
        seq: 0,
        head_hash: GENESIS.to_vec(),
        schema_version: 1,
        oldest_seq: 1,
        created_at: now,
        created_by: new.owner,
        updated_at: now,
        deleted_at: None,
    };
    store::workspaces::insert(tx, workspace).await?;
    store::members::upsert(tx, new.id, new.owner, Role::Owner, now).await?;
    for list in lists {
        store::schema::insert_list(tx, new.id, list).await?;
        let columns: Vec<_> = list.columns.iter_all().cloned().collect();
        store::schema::save_columns(tx, new.id, list.id, &columns, now).await?;
    }
    match write_group(tx, &first_event(new, lists, now), now).await? {
        Written::Done => Ok(()),
        _ => Err(StoreError::corrupt("the head of a new log")),
    }
}

fn first_event(new: &NewWorkspace, lists: &[List], now: chrono::DateTime<Utc>) -> GroupWrite {
    let lists: Vec<ListOut> = lists.iter().map(ListOut::new).collect();
    let data = json!({"name": new.name.trim(), "template": new.template, "lists": lists});
    let payloads = vec![payload(
        None,
        None,
        None,
        data.to_string().into_bytes(),
        false,
    )];
    let header = EventHeader {
        workspace: new.id,
        seq: 1,
        at: now,
        kind: "workspace.created".to_owned(),
        actor: Actor::User(new.owner),
        op: None,
        change: None,
        undoes: None,
        list: None,
        rows: 1,
    };
    let digest = digest(payloads.iter().map(|row| &row.digest));
    let hash = link(&GENESIS, &header, &digest);
    GroupWrite {
        head: HeadMove {
            workspace: new.id,
            known_seq: 0,
            known_hash: GENESIS,
            known_schema_version: 1,
            seq: 1,
            hash,
            schema_version: 1,
        },
        items: Vec::new(),
        events: vec![EventRow {
            header,
            digest,
            hash,
            payloads,
        }],
        ops: Vec::new(),
        numbers: BTreeMap::new(),
        links: Vec::new(),
        keys: Vec::new(),
    }
}

fn answer(new: &NewWorkspace, now: chrono::DateTime<Utc>) -> Answer {
    let out = WorkspaceOut {
        id: new.id,
        name: new.name.trim().to_owned(),
        role: Role::Owner,
        seq: 1,
        oldest_seq: 1,
        created_at: crate::domain::item::time(now),
        created_by: new.owner,
        deleted_at: None,
    };
    let body = serde_json::to_string(&out)
        .ok()
        .and_then(|body| RawValue::from_string(body).ok());
    Answer {
        status: 201,
        etag: None,
        location: Some(format!("/api/v1/workspaces/{}", new.id)),
        body,
    }
}
