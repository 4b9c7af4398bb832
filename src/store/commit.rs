//! The group commit: the head of the log by compare-and-set, the rows of every command, their
//! events, the remembered operations and the numbers given out, as ONE call of the database's
//! function `write_group`.
//!
//! Raw SQL, for this is the path that every edit takes: as single statements the same work is
//! three to six times slower, as one transaction an edit thirty times.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Db, StoreError, Tx};
use crate::domain::links::{Pair, Row};
use crate::domain::log::{EventHeader, Hash};
use crate::domain::unique::Moved;
use crate::ids::{ItemId, ListId, UserId, WorkspaceId};

/// The move of the log's head that this transaction makes.
#[derive(Clone, Debug)]
pub struct HeadMove {
    pub workspace: WorkspaceId,
    pub known_seq: i64,
    pub known_hash: Hash,
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
    /// Who made it: of a new one that others changed in the same group, another than `by`.
    pub made_by: UserId,
}

/// An event of the group.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub header: EventHeader,
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
    /// The next automatic number of each list that gave some out.
    pub numbers: BTreeMap<ListId, i64>,
    /// One row a link, as the group leaves it.
    pub links: Vec<LinkRow>,
    /// The values of unique columns that another item, or nobody, holds after it.
    pub keys: Vec<Moved>,
}

/// A link as it stands after the group.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow {
    pub pair: Pair,
    pub to_list: ListId,
    pub from_single: bool,
    pub to_single: bool,
    /// `None`: it is gone.
    pub row: Option<Row>,
}

/// What became of it. In a transaction, only after `Done` may it be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// Another writer moved the head first.
    LostRace,
    /// The head was as known, an item was not: what is cached can't be trusted.
    Stale,
}

/// See `migration/src/sql/write_group.sql`. Its arguments are plain arrays: composite types would cost
/// each new connection a look-up.
macro_rules! write_group {
    () => {
        "SELECT estatebase.write_group(\
         $1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,\
         $28,$29,$30,$31,$32,$33,$34,$35,$36,$37,$38,$39,$40,$41,$42,$43,$44,$45,$46)"
    };
}
/// Then what it linked (`migration/src/sql/links.sql`): OFFSET keeps the one from being drawn into the other.
macro_rules! write_links {
    () => {
        concat!(
            "SELECT CASE written WHEN 'done' THEN \
             estatebase.write_links($1,$47,$48,$49,$50,$51,$52,$53,$54,$55,$56) ELSE written END FROM (",
            write_group!(),
            " AS written OFFSET 0) AS g"
        )
    };
}
const GROUP: &str = write_group!();
const GROUP_WITH_LINKS: &str = write_links!();
/// And then who holds the values of unique columns (`migration/src/sql/unique.sql`).
const GROUP_WITH_KEYS: &str = concat!(
    "SELECT CASE written WHEN 'done' THEN \
     estatebase.write_keys($1,$57,$58,$59,$60,$61) ELSE written END FROM (",
    write_links!(),
    " OFFSET 0) AS k (written)"
);

/// How long the database may take to answer before its answer counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// Why a group was not committed, as far as is known.
#[derive(Debug)]
pub enum CommitError {
    /// It had no effect.
    Refused(StoreError),
    /// The question went out and no answer came: it may have taken effect.
    Lost(StoreError),
}

/// Writes the group and commits it, in ONE round trip.
pub async fn commit_group(
    db: &Db,
    group: &GroupWrite,
    now: DateTime<Utc>,
) -> Result<Written, CommitError> {
    let mut writer = db.writers.get().await.map_err(CommitError::Refused)?;
    let answer = write(&mut writer.connection, group, now);
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Err(error @ StoreError::Away(_))) => Err(lost(db, error)),
        Ok(written) => {
            writer.keep();
            written.map_err(CommitError::Refused)
        }
        Err(_) => Err(lost(db, StoreError::silent())),
    }
}

fn lost(db: &Db, error: StoreError) -> CommitError {
    db.leave_idle_connections();
    CommitError::Lost(error)
}

/// Writes the group inside `tx`. The caller commits when it is `Done` and lets go otherwise.
pub async fn write_group(
    tx: &mut Tx,
    group: &GroupWrite,
    now: DateTime<Utc>,
) -> Result<Written, StoreError> {
    write(tx.conn(), group, now).await
}

async fn write(
    connection: &mut PgConnection,
    group: &GroupWrite,
    now: DateTime<Utc>,
) -> Result<Written, StoreError> {
    let head = &group.head;
    let statement = match (group.links.is_empty(), group.keys.is_empty()) {
        (true, true) => GROUP,
        (false, true) => GROUP_WITH_LINKS,
        (_, false) => GROUP_WITH_KEYS,
    };
    let mut query = sqlx::query_scalar::<_, String>(statement)
        .bind(head.workspace.uuid())
        .bind(head.seq)
        .bind(head.hash.as_slice())
        .bind(head.schema_version)
        .bind(head.known_seq)
        .bind(head.known_schema_version)
        .bind(head.known_hash.as_slice());
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
        .bind(column(items, |r| r.deleted_at))
        .bind(column(items, |r| r.made_by.uuid()));
    let events = &group.events;
    query = query
        .bind(column(events, |e| e.header.seq))
        .bind(column(events, |e| e.header.at))
        .bind(column(events, |e| e.header.kind.as_str()))
        .bind(column(events, |e| e.header.actor.kind()))
        .bind(column(events, |e| e.header.actor.id()))
        .bind(column(events, |e| e.header.op))
        .bind(column(events, |e| e.header.change))
        .bind(column(events, |e| e.header.undoes))
        .bind(column(events, |e| e.header.list.map(ListId::uuid)))
        .bind(column(events, |e| e.header.rows))
        .bind(column(events, |e| e.digest.as_slice()))
        .bind(column(events, |e| e.hash.as_slice()));
    let said: Vec<(i64, i32, &PayloadRow)> = events
        .iter()
        .flat_map(|event| {
            (0..)
                .zip(&event.payloads)
                .map(|(ordinal, row)| (event.header.seq, ordinal, row))
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

    let numbers: Vec<(&ListId, &i64)> = group.numbers.iter().collect();
    query = query
        .bind(column(&numbers, |(list, _)| list.uuid()))
        .bind(column(&numbers, |(_, next)| **next));
    let links = &group.links;
    if statement != GROUP {
        query = query
            .bind(column(links, |l| l.pair.relation.list.uuid()))
            .bind(column(links, |l| l.pair.relation.column.to_string()))
            .bind(column(links, |l| l.pair.from.uuid()))
            .bind(column(links, |l| l.to_list.uuid()))
            .bind(column(links, |l| l.pair.to.uuid()))
            .bind(column(links, |l| l.row.map_or(0, |row| row.from_position)))
            .bind(column(links, |l| l.row.map_or(0, |row| row.to_position)))
            .bind(column(links, |l| l.from_single))
            .bind(column(links, |l| l.to_single))
            .bind(column(links, |l| {
                l.row.map_or(-1_i16, |row| i16::from(row.live))
            }));
    }
    let keys = &group.keys;
    if !keys.is_empty() {
        query = query
            .bind(column(keys, |k| k.key.list.uuid()))
            .bind(column(keys, |k| k.key.column.to_string()))
            .bind(column(keys, |k| k.key.hash.as_slice()))
            .bind(column(keys, |k| k.was_held))
            .bind(column(keys, |k| k.holder.map(ItemId::uuid)));
    }
    match query.fetch_one(connection).await {
        Ok(answer) if answer == "done" => Ok(Written::Done),
        Ok(_) => Ok(Written::LostRace),
        Err(error) if is_stale(&error) => Ok(Written::Stale),
        Err(error) => Err(error.into()),
    }
}

/// The code that the function raises when an item is not as known.
fn is_stale(error: &sqlx::Error) -> bool {
    let answer = error.as_database_error();
    answer.is_some_and(|answer| answer.code().as_deref() == Some("EB001"))
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
