//! Reads of the log backwards: a person's own changes, what happened to items and to the schema since a
//! position, and what had happened last before it. Raw SQL, for each question is asked for many items at
//! once, or along an index of its own. Only `commit` writes the log.
//!
//! Where many rows are asked for, each is found by a LATERAL subquery of its own that is not flattened
//! (`OFFSET 0`): a planner without statistics joins each with each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::items::{COLUMNS, item};
use super::log::actor;
use super::{StoreError, Tx};
use crate::domain::cell::ColumnId;
use crate::domain::item::{Item, Place};
use crate::domain::log::Actor;
use crate::domain::past::{Before, Entries, Entry, LastChange, MAX_ENTRIES, MAX_RESHAPES, Said};
use crate::domain::schema::List;
use crate::domain::undo::Own;
use crate::ids::{ItemId, JobId, ListId, UserId, WorkspaceId};

/// A person's own changes below `below`, newest first.
pub async fn own(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    below: i64,
    limit: i64,
) -> Result<Vec<Own>, StoreError> {
    let rows = sqlx::query(
        "SELECT e.seq, e.kind, e.undoes, x.undoes IS NOT NULL AS redoes,
                coalesce(x.actor_kind = 'user' AND x.actor_id = $2, false) AS of_own
         FROM estatebase.events e
         LEFT JOIN LATERAL (SELECT u.undoes, u.actor_kind, u.actor_id FROM estatebase.events u
             WHERE e.undoes IS NOT NULL AND u.workspace_id = $1 AND u.seq = e.undoes) x ON true
         WHERE e.workspace_id = $1 AND e.actor_id = $2 AND e.actor_kind = 'user' AND e.seq < $3
         ORDER BY e.seq DESC LIMIT $4",
    )
    .bind(workspace.uuid())
    .bind(user.uuid())
    .bind(below)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Own {
                seq: row.try_get("seq")?,
                kind: row.try_get("kind")?,
                undoes: row.try_get("undoes")?,
                redoes: row.try_get("redoes")?,
                of_own: row.try_get("of_own")?,
            })
        })
        .collect()
}

/// The newest event that undoes the one at `seq`.
pub async fn undone_by(
    tx: &mut Tx,
    workspace: WorkspaceId,
    seq: i64,
) -> Result<Option<i64>, StoreError> {
    let found = sqlx::query_scalar(
        "SELECT seq FROM estatebase.events WHERE workspace_id = $1 AND undoes = $2
         ORDER BY seq DESC LIMIT 1",
    );
    let found = found.bind(workspace.uuid()).bind(seq);
    Ok(found.fetch_optional(tx.conn()).await?)
}

/// What happened to these items since `after`.
pub async fn entries_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    places: &[Place],
    after: i64,
) -> Result<Entries, StoreError> {
    if places.is_empty() {
        return Ok(Entries::All(Vec::new()));
    }
    let rows = sqlx::query(
        "SELECT e.seq, e.at, e.actor_kind, e.actor_id, e.undoes, p.payload
         FROM unnest($2::uuid[], $3::uuid[]) AS a (list, item)
         CROSS JOIN LATERAL (SELECT p.seq, p.ordinal, p.payload FROM estatebase.event_payloads p
             WHERE p.workspace_id = $1 AND p.item_id = a.item AND (p.item_id, p.seq) > (a.item, $4)
                 AND p.last_item_id IS NULL AND p.list_id = a.list OFFSET 0) p
         CROSS JOIN LATERAL (SELECT e.seq, e.at, e.actor_kind, e.actor_id, e.undoes
             FROM estatebase.events e WHERE e.workspace_id = $1 AND e.seq = p.seq OFFSET 0) e
         ORDER BY e.seq DESC, p.ordinal LIMIT $5",
    )
    .bind(workspace.uuid())
    .bind(lists(places))
    .bind(items(places))
    .bind(after)
    .bind(most())
    .fetch_all(tx.conn())
    .await?;
    read(&rows)
}

/// What happened to the items of a list since `after`, other than imports.
pub async fn entries_in(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    after: i64,
) -> Result<Entries, StoreError> {
    // All that was said since is read along the key, however little of it is of this list: that much is
    // the bound.
    let rows = sqlx::query(
        "SELECT e.seq, e.at, e.actor_kind, e.actor_id, e.undoes, p.list_id = $2 AS here,
                CASE WHEN p.list_id = $2 THEN p.payload END AS payload
         FROM (SELECT seq, ordinal, list_id, item_id, last_item_id, payload
               FROM estatebase.event_payloads WHERE workspace_id = $1 AND seq > $3
               ORDER BY seq DESC, ordinal DESC LIMIT $4) p
         JOIN estatebase.events e ON e.workspace_id = $1 AND e.seq = p.seq
         WHERE p.item_id IS NOT NULL AND p.last_item_id IS NULL
         ORDER BY p.seq DESC, p.ordinal",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(after)
    .bind(most())
    .fetch_all(tx.conn())
    .await?;
    if rows.len() > MAX_ENTRIES {
        return Ok(Entries::TooMany);
    }
    let here = |row: &PgRow| row.try_get::<Option<bool>, _>("here").ok().flatten();
    let rows: Vec<PgRow> = rows
        .into_iter()
        .filter(|row| here(row) == Some(true))
        .collect();
    read(&rows)
}

fn read(rows: &[PgRow]) -> Result<Entries, StoreError> {
    if rows.len() > MAX_ENTRIES {
        return Ok(Entries::TooMany);
    }
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(payload) = row.try_get::<Option<&[u8]>, _>("payload")? else {
            return Ok(Entries::Erased);
        };
        // What is said of an item and not of its cells, as a comment, is none of them.
        let Ok(said) = serde_json::from_slice::<Said>(payload) else {
            continue;
        };
        entries.push(Entry {
            seq: row.try_get("seq")?,
            at: row.try_get("at")?,
            actor: actor(row.try_get("actor_kind")?, row.try_get("actor_id")?)?,
            undoes: row.try_get("undoes")?,
            said,
        });
    }
    Ok(Entries::All(entries))
}

/// The last change of each of these items up to `at`; none of one that had not been made.
pub async fn last_changes(
    tx: &mut Tx,
    workspace: WorkspaceId,
    places: &[Place],
    at: i64,
) -> Result<Vec<Option<LastChange>>, StoreError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT e.seq, e.at, e.actor_id, i.created_by, said.seq IS NULL AS imported
         FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS a (list, item, nr)
         LEFT JOIN LATERAL (SELECT p.seq FROM estatebase.event_payloads p
             CROSS JOIN LATERAL (SELECT o.kind FROM estatebase.events o
                 WHERE o.workspace_id = $1 AND o.seq = p.seq OFFSET 0) o
             WHERE p.workspace_id = $1 AND p.item_id = a.item AND p.last_item_id IS NULL
                 AND p.list_id = a.list AND (p.item_id, p.seq) <= (a.item, $4)
                 AND o.kind IN ('items.changed', 'links.changed', 'items.merged')
             ORDER BY p.item_id DESC, p.seq DESC LIMIT 1) said ON true
         LEFT JOIN LATERAL (SELECT p.seq, p.last_item_id FROM estatebase.event_payloads p
             WHERE said.seq IS NULL AND p.workspace_id = $1 AND p.list_id = a.list
                 AND p.last_item_id IS NOT NULL AND p.item_id <= a.item
             ORDER BY p.item_id DESC LIMIT 1) batch ON true
         LEFT JOIN LATERAL (SELECT i.created_by FROM estatebase.items i
             WHERE i.workspace_id = $1 AND i.list_id = a.list AND i.id = a.item OFFSET 0) i ON true
         LEFT JOIN LATERAL (SELECT e.seq, e.at, e.actor_id FROM estatebase.events e
             WHERE e.workspace_id = $1 AND e.seq = coalesce(said.seq,
                 CASE WHEN batch.last_item_id >= a.item AND batch.seq <= $4 THEN batch.seq END) OFFSET 0) e ON true
         ORDER BY a.nr",
    )
    .bind(workspace.uuid())
    .bind(lists(places))
    .bind(items(places))
    .bind(at)
    .fetch_all(tx.conn())
    .await?;
    rows.iter().map(last_change).collect()
}

fn last_change(row: &PgRow) -> Result<Option<LastChange>, StoreError> {
    let Some(seq) = row.try_get::<Option<i64>, _>("seq")? else {
        return Ok(None);
    };
    let at: DateTime<Utc> = row.try_get("at")?;
    // An import's rows are the work of whoever started it.
    let by: Uuid = match row.try_get("imported")? {
        true => row.try_get("created_by")?,
        false => row.try_get("actor_id")?,
    };
    Ok(Some(LastChange {
        seq,
        at,
        by: UserId(by),
    }))
}

/// An item, and those that were merged into it and lie in the trash for that alone: what is said of them is
/// its own.
pub async fn with_merged(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (list, item): Place,
) -> Result<Vec<ItemId>, StoreError> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "WITH RECURSIVE merged (item) AS (
             SELECT $3::uuid
             UNION
             SELECT gone.item_id FROM merged m
             CROSS JOIN LATERAL (SELECT p.seq FROM estatebase.event_payloads p
                 WHERE p.workspace_id = $1 AND p.item_id = m.item AND p.last_item_id IS NULL
                     AND p.list_id = $2 AND p.ordinal = 0 OFFSET 0) p
             CROSS JOIN LATERAL (SELECT e.seq FROM estatebase.events e
                 WHERE e.workspace_id = $1 AND e.seq = p.seq AND e.kind = 'items.merged' OFFSET 0) e
             CROSS JOIN LATERAL (SELECT o.item_id FROM estatebase.event_payloads o
                 WHERE o.workspace_id = $1 AND o.seq = e.seq AND o.list_id = $2 OFFSET 0) gone
             CROSS JOIN LATERAL (SELECT FROM estatebase.items i
                 WHERE i.workspace_id = $1 AND i.list_id = $2 AND i.id = gone.item_id
                     AND i.deleted_at IS NOT NULL AND i.seq = e.seq OFFSET 0) i)
         SELECT item FROM merged",
    )
    .bind(workspace.uuid())
    .bind(list.uuid())
    .bind(item.uuid())
    .fetch_all(tx.conn())
    .await?;
    Ok(found.into_iter().map(ItemId).collect())
}

/// A change of the schema, or of a view.
#[derive(Clone, Debug)]
pub struct Reshaping {
    pub seq: i64,
    pub kind: String,
    pub actor: Actor,
    pub undoes: Option<i64>,
    pub list: Option<ListId>,
    /// What it told; none of one that was erased.
    pub told: Option<String>,
    pub before: Before,
}

/// What changed the schema or views in `(after, through]`, newest first; `None`: more than are rewound.
pub async fn reshapings(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: i64,
    through: i64,
) -> Result<Option<Vec<Reshaping>>, StoreError> {
    let most = i64::try_from(MAX_RESHAPES).unwrap_or(i64::MAX);
    let rows = sqlx::query(
        "SELECT e.seq, e.kind, e.actor_kind, e.actor_id, e.undoes, e.list_id, told.payload AS told,
                kept.payload AS kept
         FROM estatebase.events e
         LEFT JOIN estatebase.event_payloads told
             ON told.workspace_id = $1 AND told.seq = e.seq AND told.ordinal = 0
         LEFT JOIN estatebase.event_payloads kept
             ON kept.workspace_id = $1 AND kept.seq = e.seq AND kept.ordinal = 1
         WHERE e.workspace_id = $1 AND e.seq > $2 AND e.seq <= $3
             AND (e.kind LIKE 'list.%' OR e.kind LIKE 'column.%' OR e.kind LIKE 'view.%')
         ORDER BY e.seq DESC LIMIT $4",
    )
    .bind(workspace.uuid())
    .bind(after)
    .bind(through)
    .bind(most.saturating_add(1))
    .fetch_all(tx.conn())
    .await?;
    if rows.len() > MAX_RESHAPES {
        return Ok(None);
    }
    rows.iter()
        .map(reshaping)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn reshaping(row: &PgRow) -> Result<Reshaping, StoreError> {
    let kind: String = row.try_get("kind")?;
    let kept: Option<&[u8]> = row.try_get("kept")?;
    let before = kept.filter(|_| !kind.starts_with("view."));
    let before = before.and_then(|kept| serde_json::from_slice(kept).ok());
    let told: Option<Vec<u8>> = row.try_get("told")?;
    Ok(Reshaping {
        seq: row.try_get("seq")?,
        actor: actor(row.try_get("actor_kind")?, row.try_get("actor_id")?)?,
        undoes: row.try_get("undoes")?,
        list: row.try_get::<Option<Uuid>, _>("list_id")?.map(ListId),
        told: told.and_then(|bytes| String::from_utf8(bytes).ok()),
        before: before.unwrap_or_default(),
        kind,
    })
}

/// The batches that an import committed, oldest first, behind `after`.
pub async fn batches(
    tx: &mut Tx,
    workspace: WorkspaceId,
    job: JobId,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let found = sqlx::query_scalar(
        "SELECT seq FROM estatebase.events WHERE workspace_id = $1 AND actor_id = $2
             AND actor_kind = 'job' AND kind = 'items.imported' AND seq > $3
         ORDER BY seq LIMIT $4",
    );
    let found = found
        .bind(workspace.uuid())
        .bind(job.uuid())
        .bind(after)
        .bind(limit);
    Ok(found.fetch_all(tx.conn()).await?)
}

/// Rows that these batches brought and that something has happened to since, other than that they went into
/// the trash; at most `limit`.
pub async fn touched_rows(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batches: &[i64],
    limit: i64,
) -> Result<Vec<Place>, StoreError> {
    let rows = sqlx::query_as::<_, (Uuid, Uuid)>(
        "SELECT i.list_id, i.id
         FROM estatebase.event_payloads b
         CROSS JOIN LATERAL (SELECT came.at FROM estatebase.events came
             WHERE came.workspace_id = $1 AND came.seq = b.seq OFFSET 0) came
         CROSS JOIN LATERAL (SELECT i.list_id, i.id FROM estatebase.items i
             WHERE i.workspace_id = $1 AND i.list_id = b.list_id AND i.seq > b.seq
                 AND i.id BETWEEN b.item_id AND b.last_item_id
                 AND i.created_at = came.at AND i.deleted_at IS NULL OFFSET 0) i
         WHERE b.workspace_id = $1 AND b.seq = ANY($2) AND b.last_item_id IS NOT NULL
         LIMIT $3",
    );
    let rows = rows.bind(workspace.uuid()).bind(batches).bind(limit);
    let rows = rows.fetch_all(tx.conn()).await?;
    let place = |(list, item)| (ListId(list), ItemId(item));
    Ok(rows.into_iter().map(place).collect())
}

/// The ids of a list's items that changed, or were made, since `after`; at most `limit`.
pub async fn changed_in(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: ListId,
    after: i64,
    limit: i64,
) -> Result<Vec<ItemId>, StoreError> {
    let found = sqlx::query_scalar::<_, Uuid>(
        "SELECT id FROM estatebase.items WHERE workspace_id = $1 AND list_id = $2 AND seq > $3
         ORDER BY id LIMIT $4",
    );
    let found = found
        .bind(workspace.uuid())
        .bind(list.uuid())
        .bind(after)
        .bind(limit);
    let ids = found.fetch_all(tx.conn()).await?;
    Ok(ids.into_iter().map(ItemId).collect())
}

/// The rows of a list by id, from behind `after`: the living, and what went into the trash since `seq`.
pub async fn rows(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    after: Option<ItemId>,
    seq: i64,
    limit: i64,
) -> Result<Vec<Item>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM estatebase.items WHERE workspace_id = $1 AND list_id = $2 AND id > $3
             AND (deleted_at IS NULL OR seq > $4) ORDER BY id LIMIT $5"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(workspace.uuid())
        .bind(list.id.uuid())
        .bind(after.map_or(Uuid::nil(), ItemId::uuid))
        .bind(seq)
        .bind(limit)
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| item(list, row)).collect()
}

/// How items are called, each with the column that says so; of those that are.
pub async fn titles(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: &[(ListId, ItemId, ColumnId)],
) -> Result<HashMap<Place, String>, StoreError> {
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let places: Vec<Place> = asked.iter().map(|(list, item, _)| (*list, *item)).collect();
    let columns: Vec<String> = asked
        .iter()
        .map(|(.., column)| column.to_string())
        .collect();
    let rows = sqlx::query_as::<_, (Uuid, Uuid, Option<String>)>(
        "SELECT a.list, a.item, i.\"values\"->>a.title
         FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS a (list, item, title)
         CROSS JOIN LATERAL (SELECT i.\"values\" FROM estatebase.items i
             WHERE i.workspace_id = $1 AND i.list_id = a.list AND i.id = a.item OFFSET 0) i",
    );
    let rows = rows
        .bind(workspace.uuid())
        .bind(lists(&places))
        .bind(items(&places))
        .bind(columns)
        .fetch_all(tx.conn())
        .await?;
    let named =
        |(list, item, title): (_, _, Option<String>)| Some(((ListId(list), ItemId(item)), title?));
    Ok(rows.into_iter().filter_map(named).collect())
}

fn most() -> i64 {
    i64::try_from(MAX_ENTRIES.saturating_add(1)).unwrap_or(i64::MAX)
}

fn lists(places: &[Place]) -> Vec<Uuid> {
    places.iter().map(|(list, _)| list.uuid()).collect()
}

fn items(places: &[Place]) -> Vec<Uuid> {
    places.iter().map(|(_, item)| item.uuid()).collect()
}
