//! The group commit: the head of the log by compare-and-set, the rows of every command, their
//! events and the remembered operations, in ONE set-based statement of one transaction.
//!
//! Raw SQL, for this is the path that every edit takes: as single statements the same work is
//! three to six times slower, as one transaction an edit thirty times.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{StoreError, Tx};
use crate::domain::log::{Actor, Hash};
use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

/// The move of the log's head that this transaction makes.
#[derive(Clone, Debug)]
pub struct HeadMove {
    pub workspace: WorkspaceId,
    pub known_seq: i64,
    pub known_schema_version: i64,
    pub seq: i64,
    pub hash: Hash,
    pub schema_version: i64,
}

/// An item as it stands after the group: one row an item, however often the group touched it.
#[derive(Clone, Debug)]
pub struct ItemRow {
    pub list: ListId,
    pub id: ItemId,
    /// The version that the row must still have; 0 for a new one.
    pub known_version: i64,
    pub version: i64,
    pub seq: i64,
    pub stored: String,
    pub at: DateTime<Utc>,
    pub by: UserId,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// An event of the group.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub kind: String,
    pub actor: Actor,
    pub op: Option<Uuid>,
    pub change: Option<Uuid>,
    pub undoes: Option<i64>,
    pub list: Option<ListId>,
    pub digest: Hash,
    pub hash: Hash,
    pub payloads: Vec<PayloadRow>,
}

/// A part of what an event says.
#[derive(Clone, Debug)]
pub struct PayloadRow {
    pub list: Option<ListId>,
    pub item: Option<ItemId>,
    /// The end of a batch's range of ids, which begins at `item`.
    pub last_item: Option<ItemId>,
    pub salt: [u8; 16],
    pub payload: Vec<u8>,
    /// Whether the payload is compressed (zstd).
    pub packed: bool,
    pub digest: Hash,
}

/// An operation to remember with its answer.
#[derive(Clone, Debug)]
pub struct OpRow {
    pub principal: UserId,
    pub key: String,
    pub fingerprint: Hash,
    pub seq: i64,
    pub answer: Vec<u8>,
}

/// All that one group writes.
#[derive(Clone, Debug)]
pub struct GroupWrite {
    pub head: HeadMove,
    pub items: Vec<ItemRow>,
    pub events: Vec<EventRow>,
    pub ops: Vec<OpRow>,
}

/// What became of it. Only after `Done` may the transaction be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// Another writer moved the head first.
    LostRace,
    /// The head was as known, an item was not: what is cached can't be trusted.
    Stale,
}

const STATEMENT: &str = r#"
WITH head AS (
    UPDATE estatebase.workspaces SET seq = $2, head_hash = $3, schema_version = $4
    WHERE id = $1 AND seq = $5 AND schema_version = $6
    RETURNING id
), rows AS (
    SELECT * FROM unnest($7::uuid[], $8::uuid[], $9::int8[], $10::int8[], $11::int8[], $12::text[],
                         $13::timestamptz[], $14::uuid[], $15::timestamptz[])
        AS r(list_id, id, known, version, seq, stored, at, by, deleted_at)
), changed AS (
    UPDATE estatebase.items i
    SET version = r.version, seq = r.seq, "values" = r.stored::jsonb, updated_at = r.at,
        updated_by = r.by, deleted_at = r.deleted_at
    FROM rows r
    WHERE i.workspace_id = $1 AND i.list_id = r.list_id AND i.id = r.id AND i.version = r.known
        AND r.known > 0 AND EXISTS (SELECT FROM head)
    RETURNING 1
), created AS (
    INSERT INTO estatebase.items
        (workspace_id, list_id, id, version, seq, "values", created_at, created_by, updated_at,
         updated_by, deleted_at)
    SELECT $1, r.list_id, r.id, r.version, r.seq, r.stored::jsonb, r.at, r.by, r.at, r.by, r.deleted_at
    FROM rows r WHERE r.known = 0 AND EXISTS (SELECT FROM head)
    RETURNING 1
), logged AS (
    INSERT INTO estatebase.events
        (workspace_id, seq, at, kind, actor_kind, actor_id, op, change, undoes, list_id, rows, digest, hash)
    SELECT $1, e.* FROM unnest($16::int8[], $17::timestamptz[], $18::text[], $19::text[], $20::uuid[],
                               $21::uuid[], $22::uuid[], $23::int8[], $24::uuid[], $25::int4[],
                               $26::bytea[], $27::bytea[]) AS e
    WHERE EXISTS (SELECT FROM head)
), said AS (
    INSERT INTO estatebase.event_payloads
        (workspace_id, seq, ordinal, list_id, item_id, last_item_id, salt, payload, packed, digest)
    SELECT $1, p.* FROM unnest($28::int8[], $29::int4[], $30::uuid[], $31::uuid[], $32::uuid[],
                               $33::bytea[], $34::bytea[], $35::bool[], $36::bytea[]) AS p
    WHERE EXISTS (SELECT FROM head)
), remembered AS (
    INSERT INTO estatebase.ops (workspace_id, principal, key, fingerprint, seq, answer, at)
    SELECT $1, o.*, $42 FROM unnest($37::uuid[], $38::text[], $39::bytea[], $40::int8[], $41::bytea[]) AS o
    WHERE EXISTS (SELECT FROM head)
)
SELECT (SELECT count(*) FROM head), (SELECT count(*) FROM changed), (SELECT count(*) FROM created)
"#;

/// Writes the group inside `tx`. The caller commits when it is `Done` and lets go otherwise.
pub async fn write_group(
    tx: &mut Tx,
    group: &GroupWrite,
    now: DateTime<Utc>,
) -> Result<Written, StoreError> {
    let head = &group.head;
    let mut query = sqlx::query_as::<_, (i64, i64, i64)>(STATEMENT)
        .bind(head.workspace.uuid())
        .bind(head.seq)
        .bind(head.hash.as_slice())
        .bind(head.schema_version)
        .bind(head.known_seq)
        .bind(head.known_schema_version);
    let items = &group.items;
    query = query
        .bind(column(items, |r| r.list.uuid()))
        .bind(column(items, |r| r.id.uuid()))
        .bind(column(items, |r| r.known_version))
        .bind(column(items, |r| r.version))
        .bind(column(items, |r| r.seq))
        .bind(column(items, |r| r.stored.as_str()))
        .bind(column(items, |r| r.at))
        .bind(column(items, |r| r.by.uuid()))
        .bind(column(items, |r| r.deleted_at));
    let events = &group.events;
    query = query
        .bind(column(events, |e| e.seq))
        .bind(column(events, |e| e.at))
        .bind(column(events, |e| e.kind.as_str()))
        .bind(column(events, |e| e.actor.kind()))
        .bind(column(events, |e| e.actor.id()))
        .bind(column(events, |e| e.op))
        .bind(column(events, |e| e.change))
        .bind(column(events, |e| e.undoes))
        .bind(column(events, |e| e.list.map(ListId::uuid)))
        .bind(column(events, |e| {
            i32::try_from(e.payloads.len()).unwrap_or(i32::MAX)
        }))
        .bind(column(events, |e| e.digest.as_slice()))
        .bind(column(events, |e| e.hash.as_slice()));
    let said: Vec<(i64, i32, &PayloadRow)> = events
        .iter()
        .flat_map(|event| {
            (0..)
                .zip(&event.payloads)
                .map(|(ordinal, row)| (event.seq, ordinal, row))
        })
        .collect();
    query = query
        .bind(column(&said, |(seq, _, _)| *seq))
        .bind(column(&said, |(_, ordinal, _)| *ordinal))
        .bind(column(&said, |(_, _, p)| p.list.map(ListId::uuid)))
        .bind(column(&said, |(_, _, p)| p.item.map(ItemId::uuid)))
        .bind(column(&said, |(_, _, p)| p.last_item.map(ItemId::uuid)))
        .bind(column(&said, |(_, _, p)| p.salt.as_slice()))
        .bind(column(&said, |(_, _, p)| p.payload.as_slice()))
        .bind(column(&said, |(_, _, p)| p.packed))
        .bind(column(&said, |(_, _, p)| p.digest.as_slice()));
    let ops = &group.ops;
    query = query
        .bind(column(ops, |o| o.principal.uuid()))
        .bind(column(ops, |o| o.key.as_str()))
        .bind(column(ops, |o| o.fingerprint.as_slice()))
        .bind(column(ops, |o| o.seq))
        .bind(column(ops, |o| o.answer.as_slice()))
        .bind(now);

    let (moved, changed, created) = query.fetch_one(tx.conn()).await?;
    let expected = i64::try_from(items.len()).unwrap_or(i64::MAX);
    Ok(match (moved, changed + created) {
        (0, _) => Written::LostRace,
        (_, rows) if rows == expected => Written::Done,
        _ => Written::Stale,
    })
}

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// Remembers one operation that belongs to no workspace yet.
pub async fn remember(
    tx: &mut Tx,
    workspace: WorkspaceId,
    op: &OpRow,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO estatebase.ops (workspace_id, principal, key, fingerprint, seq, answer, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(workspace.uuid())
    .bind(op.principal.uuid())
    .bind(&op.key)
    .bind(op.fingerprint.as_slice())
    .bind(op.seq)
    .bind(&op.answer)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether this very event is in the log: the answer to a commit whose own answer was lost.
pub async fn is_logged(
    tx: &mut Tx,
    workspace: WorkspaceId,
    seq: i64,
    hash: &Hash,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar::<_, bool>(
        "SELECT EXISTS (SELECT FROM estatebase.events WHERE workspace_id = $1 AND seq = $2 AND hash = $3)",
    )
    .bind(workspace.uuid())
    .bind(seq)
    .bind(hash.as_slice())
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}
