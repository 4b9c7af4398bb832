//! One batch of an import in the lane: rows, one event that holds them packed, and the job's
//! checkpoint, in one transaction. A kill at any instant loses and doubles nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::json;

use super::broadcast::{EncodedEvent, EventBatch};
use super::catch_up::catch_up;
use super::command::{Command, Job, Outcome, Reply, Request};
use super::core::Core;
use super::done::Done;
use super::durable::{Attempt, Failure, commit_in, in_doubt};
use super::entry::{By, NewEvent, event, head_move, payload};
use super::upsert;
use crate::actors::import::batch::{Encoded, ImportBatch};
use crate::domain::cell::{Cell, ColumnId, Values};
use crate::domain::columns::ColumnType;
use crate::domain::computed::compute_new;
use crate::domain::edit::list_of;
use crate::domain::event::ITEMS_IMPORTED;
use crate::domain::log::mark;
use crate::domain::roles::Action;
use crate::domain::schema::{List, Schema};
use crate::domain::unique::{Holders, hand_out, keys};
use crate::error::{AppError, ErrorCode};
use crate::ids::{ItemId, UserId};
use crate::store::commit::{GroupWrite, ItemRow, PATIENCE, PayloadRow};
use crate::store::jobs::{Amended, JobProgress};
use crate::store::{self, Db, Purpose, Tx};

/// Runs one batch alone.
pub(super) async fn run(db: &Db, core: &mut Core, job: Job) -> Done {
    let mut done = Done::default();
    let committed = match &job.request.command {
        Command::Import(batch) => match &batch.upsert {
            Some(by) => upsert::commit(db, core, &job.request, batch, by, &mut done).await,
            None => commit(db, core, &job.request, batch, &mut done).await,
        },
        _ => Err(AppError::internal(anyhow::anyhow!("not a batch of an import")).into()),
    };
    let result = match committed {
        Ok(amended) => Ok(Reply {
            seq: core.seq,
            outcome: Outcome::Imported { amended },
        }),
        Err(Attempt::Refused(error)) => Err(error),
        Err(Attempt::Failed(Failure::LostRace | Failure::Unwritten | Failure::Stale)) => {
            // The batch was typed for the state before: the job reads its checkpoint and goes on.
            let caught_up = catch_up(db, core, &mut done).await;
            caught_up.and(Err(AppError::unavailable(
                "The workspace is written elsewhere; try again",
            )))
        }
        Err(Attempt::Failed(Failure::Store(error))) => Err(error.into()),
        Err(Attempt::Failed(Failure::KnownOp | Failure::Doubt)) => Err(in_doubt()),
    };
    done.answers.push((job, result));
    done
}

/// The list of a batch, if it may be stored: by who asks, and under the schema that it was typed for.
pub(super) fn checked(
    core: &Core,
    request: &Request,
    batch: &ImportBatch,
) -> Result<Arc<List>, AppError> {
    core.authorize(request.user, Action::WriteItems)?;
    if i64::try_from(batch.schema_version).ok() != Some(core.schema_version) {
        return Err(AppError::unavailable(
            "The schema changed; the batch is typed anew",
        ));
    }
    Ok(Arc::clone(list_of(batch.list, &core.schema)?))
}

async fn commit(
    db: &Db,
    core: &mut Core,
    request: &Request,
    batch: &Arc<ImportBatch>,
    done: &mut Done,
) -> Result<Amended, Attempt> {
    let list = checked(core, request, batch)?;
    let mut tx = Tx::begin(db, core.id, Purpose::Commit).await?;
    let (holders, batch, refused) = sift(&mut tx, core, &list, batch).await?;
    let batch = &batch;
    if batch.rows.is_empty() {
        advance(&mut tx, core, batch, &batch.progress).await?;
        tx.commit().await?;
        return Ok(Amended::failed(refused));
    }
    let now = Utc::now().trunc_subsecs(6);
    let next = core.next_numbers.get(&list.id).copied().unwrap_or(1);
    let made = make_rows(
        Arc::clone(&core.schema),
        Arc::clone(&list),
        Arc::clone(batch),
        core.seq + 1,
        next,
        now,
        request.user,
    )
    .await?;
    let text = json!({
        "job": batch.job, "list": list.id, "count": batch.rows.len(),
        "first": batch.rows.first().map(|row| row.0), "last": batch.rows.last().map(|row| row.0),
        "done": batch.last,
    })
    .to_string();
    let mut hash = core.hash;
    let said = payload(Some(list.id), None, None, text.clone().into_bytes(), false);
    let entry = event(
        core,
        &mut hash,
        NewEvent {
            seq: core.seq + 1,
            at: now,
            kind: ITEMS_IMPORTED,
            by: By::of(request),
            list: Some(list.id),
            payloads: vec![said, made.packed],
        },
    );
    let mut numbers = BTreeMap::new();
    if made.next_number != next {
        numbers.insert(list.id, made.next_number);
    }
    let write = GroupWrite {
        head: head_move(core, hash, false),
        items: made.rows,
        events: vec![entry.clone()],
        ops: Vec::new(),
        numbers,
        links: Vec::new(),
        keys: holders.moved().collect(),
    };
    db.in_time(PATIENCE, advance(&mut tx, core, batch, &batch.progress))
        .await?;
    commit_in(db, core, tx, &write, now).await?;

    let stored = u64::try_from(write.items.len()).unwrap_or(0);
    metrics::counter!(crate::telemetry::IMPORT_ROWS).increment(stored);
    let after = core.seq;
    core.seq = write.head.seq;
    core.hash = write.head.hash;
    core.next_numbers.insert(list.id, made.next_number);
    let event = EncodedEvent::new(&entry.header, &entry.hash, &[Some(&text)]);
    let mark = mark(&core.hash);
    let told = EventBatch::new(core.id, after, core.seq, &mark, vec![event]);
    done.batches.push(told);
    Ok(Amended::failed(refused))
}

/// The batch without the rows whose values others hold: all are asked for in one statement. What is left
/// holds its own from then on.
async fn sift(
    tx: &mut Tx,
    core: &Core,
    list: &List,
    batch: &Arc<ImportBatch>,
) -> Result<(Holders, Arc<ImportBatch>, u64), Attempt> {
    let claimed = batch.rows.iter().flat_map(|(_, values)| keys(list, values));
    let claimed = claimed.map(|(_, key)| key).collect();
    let mut holders = Holders::asked(store::unique::holders(tx, core.id, &claimed).await?);
    let (handed, refused) = hand_out(list, &holders, &batch.rows);
    holders.take(handed);
    if refused.is_empty() {
        return Ok((holders, Arc::clone(batch), 0));
    }
    let batch_left = batch.without(&refused);
    let first = batch_left.progress.errors.first();
    if batch.aborts
        && let Some(first) = first
    {
        let detail = format!("Row {} can't be stored: {}", first.row, first.message);
        let error = AppError::new(ErrorCode::NotUnique, detail);
        return Err(error.at("/file", "bad_rows").into());
    }
    let count = u64::try_from(refused.len()).unwrap_or(0);
    Ok((holders, Arc::new(batch_left), count))
}

/// Writes how far the job is with the batch.
pub(super) async fn advance(
    tx: &mut Tx,
    core: &Core,
    batch: &ImportBatch,
    progress: &JobProgress,
) -> Result<(), Attempt> {
    let moved = store::jobs::advance(tx.conn(), core.id, batch.job, progress, batch.last)
        .await
        .map_err(store::StoreError::from)?;
    if moved {
        return Ok(());
    }
    Err(AppError::conflict("The job is elsewhere already, or was ended").into())
}

/// What a batch is on its way into the database.
struct Made {
    rows: Vec<ItemRow>,
    packed: PayloadRow,
    next_number: i64,
}

/// The rows as they will stand. They were written out beside the commit before, unless the list
/// numbers its items, or computes some of their cells: those are known here alone.
async fn make_rows(
    schema: Arc<Schema>,
    list: Arc<List>,
    batch: Arc<ImportBatch>,
    seq: i64,
    next_number: i64,
    now: DateTime<Utc>,
    by: UserId,
) -> Result<Made, AppError> {
    let numbers = list
        .columns
        .iter()
        .find(|column| column.ty == ColumnType::AutoNumber);
    let numbers = numbers.map(|column| column.id);
    let computes = !schema.graph().of_list(list.id).is_empty();
    let (encoded, next_number) = match (&batch.encoded, numbers) {
        (Some(encoded), None) if !computes => (encoded.clone(), next_number),
        _ => {
            let batch = Arc::clone(&batch);
            let list = Arc::clone(&list);
            let numbered = move || {
                let (mut rows, next) = numbered(&batch.rows, numbers, next_number);
                if computes {
                    compute_new(&schema, list.id, &mut rows, (now, by));
                }
                Ok::<_, std::io::Error>((Encoded::new(&list.columns, list.id, &rows)?, next))
            };
            tokio::task::spawn_blocking(numbered)
                .await
                .map_err(AppError::internal)?
                .map_err(AppError::internal)?
        }
    };
    let rows = batch
        .rows
        .iter()
        .zip(encoded.stored)
        .map(|((id, _), stored)| ItemRow {
            list: list.id,
            id: *id,
            known_version: 0,
            version: 1,
            seq,
            stored,
            at: now,
            by,
            deleted_at: None,
            made_by: by,
        })
        .collect();
    let (first, last) = (
        batch.rows.first().map(|row| row.0),
        batch.rows.last().map(|row| row.0),
    );
    let packed = payload(Some(list.id), first, last, encoded.packed, true);
    Ok(Made {
        rows,
        packed,
        next_number,
    })
}

/// The rows with their automatic numbers.
fn numbered(
    rows: &[(ItemId, Values)],
    column: Option<ColumnId>,
    mut next_number: i64,
) -> (Vec<(ItemId, Values)>, i64) {
    let mut rows = rows.to_vec();
    if let Some(column) = column {
        for (_, values) in &mut rows {
            values.insert(column, Cell::Number(next_number.into()));
            next_number += 1;
        }
    }
    (rows, next_number)
}
