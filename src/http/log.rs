//! The workspace's log: the change feed for machines, the audit log for people, and the proof of
//! its chain.

use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::cursor::{self, cut, page_size};
use super::extract::{Caller, access, query, state};
use super::problem::json_at;
use super::state::Settings;
use crate::domain::event::{Reach, Reader, write_event};
use crate::domain::log::mark;
use crate::domain::roles::Action;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};
use crate::store::log::{AuditFilter, LoggedEvent, LoggedRow};
use crate::store::verify::{Verdict, verify_log};
use crate::store::{self, Purpose, Tx};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after_seq: i64,
    limit: Option<i64>,
}

pub async fn events(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: EventsQuery = query(&request)?;
    let access = access(&request, &caller, Action::Read).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let snapshot = &access.snapshot;
    if asked.after_seq < 0 {
        return Err(AppError::malformed("after_seq: 0 or more"));
    }
    if asked.after_seq < snapshot.oldest_seq - 1 {
        return Err(AppError::gone("Events that old are no longer kept"));
    }
    let mut tx = Tx::begin(&state.db, snapshot.id, Purpose::Page).await?;
    let events = store::log::events_after(
        &mut tx,
        snapshot.id,
        asked.after_seq,
        snapshot.seq,
        limit,
        false,
    )
    .await?;
    let (through, mark) = match events.last() {
        Some(last) => (last.header.seq, mark(&last.hash)),
        None => {
            let through = asked.after_seq.min(snapshot.seq);
            let hash = store::log::hash_at(&mut tx, snapshot.id, through).await?;
            (through, mark(&hash.unwrap_or_default()))
        }
    };
    tx.commit().await?;
    let reader = Reader::new(caller.0.user, access.role);
    let seen = events.iter().filter(|event| is_for(event, reader));
    let body = format!(
        r#"{{"data":[{}],"through":{through},"mark":"{mark}"}}"#,
        join(seen, reader)
    );
    Ok(json_at(snapshot.seq, body))
}

fn is_for(event: &LoggedEvent, reader: Reader) -> bool {
    let rows: Vec<Option<&str>> = event.rows.iter().map(LoggedRow::text).collect();
    Reach::of(&event.header, &rows).includes(reader)
}

/// What is another person's alone, as a private view, is shown to have happened; not what it says.
fn join<'a>(events: impl Iterator<Item = &'a LoggedEvent>, reader: Reader) -> String {
    let mut out = String::new();
    for event in events {
        if !out.is_empty() {
            out.push(',');
        }
        if is_for(event, reader) {
            event.write_wire(&mut out);
        } else {
            write_event(&event.header, &[], &mut out);
        }
    }
    out
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    actor: Option<Uuid>,
    kind: Option<String>,
    list: Option<Uuid>,
    item: Option<Uuid>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    after_seq: Option<i64>,
    limit: Option<i64>,
    cursor: Option<String>,
}

pub async fn audit(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let asked: AuditQuery = query(&request)?;
    let access = access(&request, &caller, Action::ReadAudit).await?;
    let state = state(&request)?;
    let limit = page_size(asked.limit)?;
    let question = format!(
        "audit {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        access.snapshot.id,
        asked.actor,
        asked.kind,
        asked.list,
        asked.item,
        asked.from,
        asked.to,
        asked.after_seq
    );
    let filter = AuditFilter {
        actor: asked.actor,
        kind: asked.kind,
        list: asked.list.map(ListId),
        item: asked.item.map(ItemId),
        from: asked.from,
        to: asked.to,
        after_seq: asked.after_seq,
        below: Some(below(&state.settings, &question, asked.cursor.as_deref())?),
    };
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let mut events = store::log::audit(&mut tx, access.snapshot.id, &filter, limit + 1).await?;
    tx.commit().await?;
    let more = cut(&mut events, limit);
    let next = events
        .last()
        .filter(|_| more)
        .map(|event| cursor::seal(&state.settings, &question, &event.header.seq.to_be_bytes()));
    let body = format!(
        r#"{{"data":[{}],"next_cursor":{}}}"#,
        join(events.iter(), Reader::new(caller.0.user, access.role)),
        serde_json::json!(next)
    );
    Ok(json_at(access.snapshot.seq, body))
}

/// The position below which a newest-first page begins.
pub fn below(settings: &Settings, question: &str, cursor: Option<&str>) -> Result<i64, AppError> {
    let seq = cursor::after(settings, question, cursor, |bytes| {
        let seq = bytes.try_into().map(i64::from_be_bytes);
        seq.map_err(|_| AppError::malformed("This cursor does not belong to this question"))
    })?;
    Ok(seq.unwrap_or(i64::MAX))
}

pub async fn verify(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let access = access(&request, &caller, Action::ReadAudit).await?;
    let state = state(&request)?;
    let body = match verify_log(&state.db, access.snapshot.id).await? {
        Verdict::Whole { events, seq, mark } => {
            serde_json::json!({"ok": true, "events": events, "seq": seq, "mark": mark})
        }
        Verdict::Broken { seq, reason } => {
            serde_json::json!({"ok": false, "first_bad": seq, "reason": reason})
        }
    };
    Ok(json_at(access.snapshot.seq, body.to_string()))
}
