//! Reads of the log: replay, audit, history, and the walk along its chain. Raw SQL, for the events
//! are wide, ordered and read in ranges; only `commit` writes them.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Db, StoreError, Tx};
use crate::domain::event::write_event;
use crate::domain::log::{Actor, EventHeader, Hash};
use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

/// An event as it stands in the log.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    pub header: EventHeader,
    pub digest: Hash,
    pub hash: Hash,
    /// What it says, in order.
    pub rows: Vec<LoggedRow>,
}

/// A payload; `text` is `None` when it was erased or is a packed batch.
#[derive(Clone, Debug)]
pub struct LoggedRow {
    pub list: Option<ListId>,
    pub item: Option<ItemId>,
    pub salt: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub packed: bool,
    pub digest: Vec<u8>,
}

impl LoggedRow {
    /// The payload's JSON, unless it was erased or is packed.
    pub fn text(&self) -> Option<&str> {
        if self.packed {
            return None;
        }
        self.payload
            .as_deref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

impl LoggedEvent {
    /// The event as clients see it.
    pub fn write_wire(&self, out: &mut String) {
        let rows: Vec<Option<&str>> = self.rows.iter().map(LoggedRow::text).collect();
        write_event(&self.header, &rows, out);
    }
}

/// Makes the months of the log that are due: this one and three ahead. Belongs to no workspace,
/// hence a definer function; the server's role can't make tables.
pub async fn ensure_partitions(db: &Db) -> Result<(), StoreError> {
    sqlx::query("SELECT estatebase.ensure_event_partitions()")
        .execute(db.outside())
        .await?;
    Ok(())
}

/// The log's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub hash: Hash,
    pub schema_version: i64,
    pub oldest_seq: i64,
}

/// The head, if the workspace exists. With `lock`, no other writer moves it until this
/// transaction ends.
pub async fn head(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lock: bool,
) -> Result<Option<Head>, StoreError> {
    let sql = if lock {
        "SELECT seq, head_hash, schema_version, oldest_seq FROM estatebase.workspaces WHERE id = $1 FOR UPDATE"
    } else {
        "SELECT seq, head_hash, schema_version, oldest_seq FROM estatebase.workspaces WHERE id = $1"
    };
    let row = sqlx::query(sql)
        .bind(workspace.uuid())
        .fetch_optional(tx.conn())
        .await?;
    row.map(|row| {
        Ok(Head {
            seq: row.try_get(0)?,
            hash: hash(row.try_get(1)?)?,
            schema_version: row.try_get(2)?,
            oldest_seq: row.try_get(3)?,
        })
    })
    .transpose()
}

/// The hash of the log at `seq`, if there is such an event.
pub async fn hash_at(
    tx: &mut Tx,
    workspace: WorkspaceId,
    seq: i64,
) -> Result<Option<Hash>, StoreError> {
    let row = sqlx::query_scalar::<_, Vec<u8>>(
        "SELECT hash FROM estatebase.events WHERE workspace_id = $1 AND seq = $2",
    )
    .bind(workspace.uuid())
    .bind(seq)
    .fetch_optional(tx.conn())
    .await?;
    row.map(hash).transpose()
}

/// The events in `(after, through]`, oldest first, at most `limit`, with what they say; of a packed
/// batch the bytes are left in the database unless `packed`.
pub async fn events_after(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: i64,
    through: i64,
    limit: i64,
    packed: bool,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let events = sqlx::query(
        "SELECT seq, at, kind, actor_kind, actor_id, op, change, undoes, list_id, rows, digest, hash
         FROM estatebase.events WHERE workspace_id = $1 AND seq > $2 AND seq <= $3
         ORDER BY seq LIMIT $4",
    )
    .bind(workspace.uuid())
    .bind(after)
    .bind(through)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    let mut events = events
        .iter()
        .map(|row| logged_event(workspace, row))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(last) = events.last().map(|event| event.header.seq) else {
        return Ok(events);
    };
    let rows = sqlx::query(
        "SELECT seq, list_id, item_id, salt, CASE WHEN packed AND NOT $4 THEN NULL ELSE payload END AS payload,
                packed, digest
         FROM estatebase.event_payloads WHERE workspace_id = $1 AND seq > $2 AND seq <= $3
         ORDER BY seq, ordinal",
    )
    .bind(workspace.uuid())
    .bind(after)
    .bind(last)
    .bind(packed)
    .fetch_all(tx.conn())
    .await?;
    let mut events_by_seq = events.iter_mut().peekable();
    for row in &rows {
        let seq: i64 = row.try_get("seq")?;
        while events_by_seq
            .next_if(|event| event.header.seq < seq)
            .is_some()
        {}
        if let Some(event) = events_by_seq.peek_mut() {
            event.rows.push(logged_row(row)?);
        }
    }
    Ok(events)
}

/// A position outside of `1..=head` at which something stands nevertheless, if there is one. One
/// statement sees the head and the log as they were at one moment.
pub async fn stray(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query_scalar(
        "SELECT min(s.seq) FROM estatebase.workspaces w, LATERAL (
             SELECT seq FROM estatebase.events
             WHERE workspace_id = $1 AND (seq < 1 OR seq > w.seq)
             UNION ALL
             SELECT seq FROM estatebase.event_payloads
             WHERE workspace_id = $1 AND (seq < 1 OR seq > w.seq)) s
         WHERE w.id = $1",
    );
    Ok(row.bind(workspace.uuid()).fetch_one(tx.conn()).await?)
}

/// What the audit log may be asked.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: Option<Uuid>,
    pub kind: Option<String>,
    pub list: Option<ListId>,
    pub item: Option<ItemId>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub after_seq: Option<i64>,
    /// Newest first from below this position; `None` begins at the head.
    pub below: Option<i64>,
}

/// Events that match, newest first, at most `limit`, with what they say.
pub async fn audit(
    tx: &mut Tx,
    workspace: WorkspaceId,
    filter: &AuditFilter,
    limit: i64,
) -> Result<Vec<LoggedEvent>, StoreError> {
    let rows = sqlx::query(
        "SELECT seq, at, kind, actor_kind, actor_id, op, change, undoes, list_id, rows, digest, hash
         FROM estatebase.events e
         WHERE workspace_id = $1 AND seq < coalesce($2, 9223372036854775807) AND seq > coalesce($3, 0)
           AND ($4::uuid IS NULL OR actor_id = $4) AND ($5::text IS NULL OR kind = $5)
           AND ($6::uuid IS NULL OR list_id = $6)
           AND ($7::uuid IS NULL OR seq IN (SELECT p.seq FROM estatebase.event_payloads p
                WHERE p.workspace_id = $1 AND p.item_id = $7))
           AND ($8::timestamptz IS NULL OR at >= $8) AND ($9::timestamptz IS NULL OR at < $9)
         ORDER BY seq DESC LIMIT $10",
    )
    .bind(workspace.uuid())
    .bind(filter.below)
    .bind(filter.after_seq)
    .bind(filter.actor)
    .bind(filter.kind.as_deref())
    .bind(filter.list.map(ListId::uuid))
    .bind(filter.item.map(ItemId::uuid))
    .bind(filter.from)
    .bind(filter.to)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    let mut events = rows
        .iter()
        .map(|row| logged_event(workspace, row))
        .collect::<Result<Vec<_>, _>>()?;
    let seqs: Vec<i64> = events.iter().map(|event| event.header.seq).collect();
    let rows = sqlx::query(
        "SELECT seq, list_id, item_id, salt, CASE WHEN packed THEN NULL ELSE payload END AS payload,
                packed, digest
         FROM estatebase.event_payloads WHERE workspace_id = $1 AND seq = ANY($2)
         ORDER BY seq DESC, ordinal",
    )
    .bind(workspace.uuid())
    .bind(&seqs)
    .fetch_all(tx.conn())
    .await?;
    let mut newest_first = events.iter_mut().peekable();
    for row in &rows {
        let seq: i64 = row.try_get("seq")?;
        while newest_first
            .next_if(|event| event.header.seq > seq)
            .is_some()
        {}
        if let Some(event) = newest_first.peek_mut() {
            event.rows.push(logged_row(row)?);
        }
    }
    Ok(events)
}

/// One change of an item.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor: Actor,
    pub kind: String,
    /// The `changes` entry, unless it was erased.
    pub change: Option<String>,
}

/// Every change of an item below `below`, newest first; its row in an import's batch too.
pub async fn history(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    item: ItemId,
    below: i64,
    limit: i64,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows = sqlx::query(
        "SELECT e.seq, e.at, e.actor_kind, e.actor_id, e.kind, p.payload
         FROM estatebase.event_payloads p
         JOIN estatebase.events e ON e.workspace_id = p.workspace_id AND e.seq = p.seq
         WHERE p.workspace_id = $1 AND p.item_id = $2 AND p.last_item_id IS NULL
           AND p.list_id = $3 AND p.seq < $4
         ORDER BY p.seq DESC LIMIT $5",
    )
    .bind(workspace.uuid())
    .bind(item.uuid())
    .bind(list.uuid())
    .bind(below)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    let mut entries = rows
        .iter()
        .map(|row| {
            let payload: Option<Vec<u8>> = row.try_get(5)?;
            Ok(HistoryEntry {
                seq: row.try_get(0)?,
                at: row.try_get(1)?,
                actor: actor(row.try_get(2)?, row.try_get(3)?)?,
                kind: row.try_get(4)?,
                change: payload.and_then(|bytes| String::from_utf8(bytes).ok()),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    if i64::try_from(entries.len()).unwrap_or(i64::MAX) < limit {
        entries.extend(imported_as(tx, workspace, list, item, below).await?);
    }
    Ok(entries)
}

/// The batch that brought the item, if an import did.
async fn imported_as(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    item: ItemId,
    below: i64,
) -> Result<Option<HistoryEntry>, StoreError> {
    let row = sqlx::query(
        "SELECT e.seq, e.at, e.actor_kind, e.actor_id, e.kind, p.payload
         FROM estatebase.event_payloads p
         JOIN estatebase.events e ON e.workspace_id = p.workspace_id AND e.seq = p.seq
         WHERE p.workspace_id = $1 AND p.list_id = $2 AND p.last_item_id IS NOT NULL
           AND p.item_id <= $3 AND p.last_item_id >= $3 AND p.seq < $4
         ORDER BY p.item_id DESC LIMIT 1",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(item.uuid())
    .bind(below)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let payload: Option<Vec<u8>> = row.try_get(5)?;
    let change = payload
        .as_deref()
        .and_then(|packed| row_of_batch(packed, item));
    Ok(Some(HistoryEntry {
        seq: row.try_get(0)?,
        at: row.try_get(1)?,
        actor: actor(row.try_get(2)?, row.try_get(3)?)?,
        kind: row.try_get(4)?,
        change,
    }))
}

/// A batch is packed as lines, each a `changes` entry.
fn row_of_batch(packed: &[u8], item: ItemId) -> Option<String> {
    let lines = zstd::decode_all(packed).ok()?;
    let needle = format!(r#""item":"{item}""#);
    String::from_utf8(lines)
        .ok()?
        .lines()
        .find(|line| line.contains(&needle))
        .map(str::to_owned)
}

/// What an operation answered when it took effect.
#[derive(Clone, Debug)]
pub struct RememberedOp {
    pub principal: UserId,
    pub key: String,
    pub fingerprint: Vec<u8>,
    pub seq: i64,
    pub answer: Vec<u8>,
}

/// Those of the operations that took effect already.
pub async fn remembered(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ops: &[(UserId, String)],
) -> Result<Vec<RememberedOp>, StoreError> {
    let principals: Vec<Uuid> = ops.iter().map(|(principal, _)| principal.uuid()).collect();
    let keys: Vec<&str> = ops.iter().map(|(_, key)| key.as_str()).collect();
    let rows = sqlx::query(
        "SELECT o.principal, o.key, o.fingerprint, o.seq, o.answer
         FROM unnest($2::uuid[], $3::text[]) AS asked (principal, key)
         CROSS JOIN LATERAL (SELECT * FROM estatebase.ops o
             WHERE o.workspace_id = $1 AND o.principal = asked.principal AND o.key = asked.key OFFSET 0) o",
    )
    .bind(workspace.uuid())
    .bind(&principals)
    .bind(&keys)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(RememberedOp {
                principal: UserId(row.try_get(0)?),
                key: row.try_get(1)?,
                fingerprint: row.try_get(2)?,
                seq: row.try_get(3)?,
                answer: row.try_get(4)?,
            })
        })
        .collect()
}

pub(super) fn logged_event(workspace: WorkspaceId, row: &PgRow) -> Result<LoggedEvent, StoreError> {
    Ok(LoggedEvent {
        header: EventHeader {
            workspace,
            seq: row.try_get("seq")?,
            at: row.try_get("at")?,
            kind: row.try_get("kind")?,
            actor: actor(row.try_get("actor_kind")?, row.try_get("actor_id")?)?,
            op: row.try_get("op")?,
            change: row.try_get("change")?,
            undoes: row.try_get("undoes")?,
            list: row.try_get::<Option<Uuid>, _>("list_id")?.map(ListId),
            rows: row.try_get("rows")?,
        },
        digest: hash(row.try_get("digest")?)?,
        hash: hash(row.try_get("hash")?)?,
        rows: Vec::new(),
    })
}

fn logged_row(row: &PgRow) -> Result<LoggedRow, StoreError> {
    Ok(LoggedRow {
        list: row.try_get::<Option<Uuid>, _>("list_id")?.map(ListId),
        item: row.try_get::<Option<Uuid>, _>("item_id")?.map(ItemId),
        salt: row.try_get("salt")?,
        payload: row.try_get("payload")?,
        packed: row.try_get("packed")?,
        digest: row.try_get("digest")?,
    })
}

pub(super) fn actor(kind: String, id: Uuid) -> Result<Actor, StoreError> {
    Actor::from_parts(&kind, id).ok_or_else(|| StoreError::corrupt("an event's actor"))
}

fn hash(bytes: Vec<u8>) -> Result<Hash, StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::corrupt("a hash of the log"))
}
