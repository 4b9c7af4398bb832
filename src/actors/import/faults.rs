//! The promise under faults: whatever breaks, and whenever, every row ends up exactly once in its
//! list or in the report, and the counts add up.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::accept;
use super::batch::{BatchSink, BatchSize, ImportBatch, ImportedBatch, Target};
use super::{Ended, ImportJob, Patience, start, supervise};
use crate::domain::cell::{Cell, ColumnId, Values};
use crate::domain::columns::{Column, ColumnSet, Options as ColumnOptions};
use crate::domain::import::options::{OnError, Options};
use crate::domain::import::plan::ImportPlan;
use crate::error::AppError;
use crate::ids::{ItemId, JobId, ListId};
use crate::store::jobs::{Amended, JobProgress, RowError};

/// The list that a plan makes of nothing.
pub(super) fn columns_of(plan: &ImportPlan) -> ColumnSet {
    let columns = (0..).zip(plan.new_columns()).map(|(number, new)| Column {
        id: ColumnId::nth(number).unwrap(),
        key: new.key.clone(),
        name: new.name.clone(),
        ty: new.ty,
        options: ColumnOptions::from_json(new.ty, &new.options, None).unwrap(),
        required: false,
        unique: false,
        default: None,
        position: i32::try_from(number).unwrap(),
        deleted: false,
        replaced: false,
    });
    ColumnSet::new(columns.collect())
}

/// A job over a file whose columns are all made anew.
pub(super) fn job(path: &Path, plan: ImportPlan, columns: &ColumnSet) -> ImportJob {
    let id = JobId(Uuid::now_v7());
    let target = Target::new(
        id,
        ListId(Uuid::now_v7()),
        1,
        &plan,
        columns,
        Arc::new(HashMap::new()),
    )
    .unwrap();
    let progress = JobProgress {
        checkpoint_bytes: plan.data_start,
        ..JobProgress::default()
    };
    ImportJob {
        path: path.to_owned(),
        plan,
        target,
        size: BatchSize::default(),
        progress,
    }
}

/// What happens to one call of the sink.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fine,
    /// The database is away; nothing is committed.
    Refused,
    /// Committed, and the answer is lost.
    AnswerLost,
    PanicBefore,
    PanicAfter,
}

/// A list in memory that keeps the sink's promises, and suffers.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    progress: JobProgress,
    items: BTreeMap<ItemId, Values>,
    errors: Vec<RowError>,
    done: bool,
    /// Of the calls to come, last first.
    fates: Vec<Fate>,
}

impl Memory {
    fn new(start: JobProgress, fates: Vec<Fate>) -> Self {
        Self(Arc::new(Mutex::new(Stored {
            progress: start,
            fates,
            ..Stored::default()
        })))
    }

    /// The job as it is stored.
    fn load(&self, job: &ImportJob) -> Result<Option<ImportJob>, AppError> {
        let stored = self.0.lock();
        Ok((!stored.done).then(|| ImportJob {
            progress: stored.progress.clone(),
            ..job.clone()
        }))
    }

    fn commit(&self, batch: ImportBatch) -> Result<ImportedBatch, AppError> {
        let mut stored = self.0.lock();
        if stored.done || stored.progress.checkpoint_record != batch.progress.from_record {
            return Err(AppError::conflict("stale"));
        }
        for (id, values) in batch.rows {
            assert_eq!(stored.items.insert(id, values), None, "an item twice");
        }
        stored.errors.extend(batch.progress.errors.iter().cloned());
        stored.progress = JobProgress {
            errors: Vec::new(),
            ..batch.progress
        };
        stored.done = batch.last;
        Ok(ImportedBatch {
            seq: 1,
            amended: Amended::default(),
            crowded: false,
        })
    }
}

impl BatchSink for Memory {
    async fn import_batch(&self, batch: ImportBatch) -> Result<ImportedBatch, AppError> {
        tokio::task::yield_now().await;
        let fate = self.0.lock().fates.pop().unwrap_or(Fate::Fine);
        match fate {
            Fate::Fine => self.commit(batch),
            Fate::Refused => Err(AppError::unavailable("away")),
            Fate::AnswerLost => self.commit(batch).and(Err(AppError::unavailable("lost"))),
            // Without the hook, which would print each of them.
            Fate::PanicBefore => std::panic::resume_unwind(Box::new("before the commit")),
            Fate::PanicAfter => {
                self.commit(batch)?;
                std::panic::resume_unwind(Box::new("after the commit"))
            }
        }
    }
}

const PATIENCE: Patience = Patience {
    attempts: 1000,
    pause: Duration::ZERO,
};

/// A file of `rows` rows; every seventh is bad for a column of numbers, every eleventh is blank.
fn file(folder: &Path, rows: u32, line_end: &str) -> std::path::PathBuf {
    let mut text = format!("id,note,price{line_end}");
    for row in 1..=rows {
        match row {
            _ if row % 7 == 0 => write!(text, "{row},\"a{line_end}b\",cheap{line_end}").unwrap(),
            _ if row % 11 == 0 => write!(text, "{line_end},,{line_end}").unwrap(),
            _ => write!(text, "{row},\"say \"\"{row}\"\"\",{}{line_end}", row * 2).unwrap(),
        }
    }
    let path = folder.join("upload");
    std::fs::write(&path, text).unwrap();
    path
}

/// A list with a column of numbers for `price`, whatever the file says.
fn plan_of(path: &Path, on_error: OnError) -> (ImportPlan, ColumnSet) {
    let options = Options {
        create_columns: true,
        on_error,
        ..Options::default()
    };
    let plan = accept::plan(path, &options, &ColumnSet::default())
        .unwrap()
        .plan;
    let columns = columns_of(&plan);
    let typed = columns.iter().cloned().map(|mut column| {
        if column.key == "price" {
            column.ty = crate::domain::columns::ColumnType::Number;
            column.options = ColumnOptions::default();
        }
        column
    });
    let columns = ColumnSet::new(typed.collect());
    (plan, columns)
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn import(path: &Path, batch: u64, on_error: OnError, fates: Vec<Fate>) -> (Ended, Memory) {
    let (plan, columns) = plan_of(path, on_error);
    let job = ImportJob {
        size: BatchSize {
            rows: batch,
            bytes: 100_000,
        },
        ..job(path, plan, &columns)
    };
    let sink = Memory::new(job.progress.clone(), fates);
    let load = async || sink.load(&job);
    let ended = blocking(supervise(&load, &sink, &CancellationToken::new(), PATIENCE));
    (ended, sink)
}

fn assert_every_row_once(sink: &Memory, rows: u32) {
    let stored = sink.0.lock();
    let bad = |row: &u32| row.is_multiple_of(7);
    let blank = |row: &u32| row.is_multiple_of(11) && !row.is_multiple_of(7);
    let expected: Vec<u32> = (1..=rows).filter(|row| !bad(row) && !blank(row)).collect();
    let id = ColumnId::nth(0).unwrap();
    let found: Vec<u32> = stored
        .items
        .values()
        .map(|values| match &values[&id] {
            Cell::Number(number) => number.to_string().parse().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        found, expected,
        "every good row once, in the order of the file"
    );
    let failed: Vec<u64> = stored.errors.iter().map(|error| error.row).collect();
    assert_eq!(
        failed,
        (1..=rows).filter(bad).map(u64::from).collect::<Vec<_>>()
    );
    let progress = &stored.progress;
    assert_eq!(progress.read, u64::from(rows));
    assert_eq!(
        progress.read,
        progress.created + progress.failed + progress.skipped
    );
    assert_eq!(progress.created, u64::try_from(found.len()).unwrap());
    assert_eq!(progress.checkpoint_record, u64::from(rows));
    assert!(stored.done);
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Fine),
        1 => Just(Fate::Refused),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::PanicBefore),
        1 => Just(Fate::PanicAfter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_breaks_every_row_is_there_once(
        rows in 1u32..80,
        batch in 1u64..20,
        fates in proptest::collection::vec(fate(), 0..20),
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), rows, line_end);
        let (ended, sink) = import(&path, batch, OnError::Skip, fates);
        // When the answer to the last batch is lost, only the stored state tells.
        prop_assert!(matches!(ended, Ended::Succeeded(_) | Ended::Over), "{:?}", ended);
        assert_every_row_once(&sink, rows);
    }
}

#[test]
fn with_abort_one_bad_row_keeps_everything_out() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, sink) = import(
        &file(folder.path(), 30, "\n"),
        10,
        OnError::Abort,
        Vec::new(),
    );
    let Ended::Failed(error, errors) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(error.fields[0].code, "bad_rows");
    assert_eq!(
        (errors[0].row, errors[0].column_key.as_deref()),
        (7, Some("price"))
    );
    assert_eq!(errors[0].value.as_deref(), Some("cheap"));
    assert!(sink.0.lock().items.is_empty());

    let (ended, sink) = import(
        &file(folder.path(), 6, "\n"),
        10,
        OnError::Abort,
        Vec::new(),
    );
    assert!(matches!(ended, Ended::Succeeded(_)));
    assert_every_row_once(&sink, 6);
}

#[test]
fn patience_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), 5, "\n");
    let (plan, columns) = plan_of(&path, OnError::Skip);
    let job = job(&path, plan, &columns);
    let sink = Memory::new(job.progress.clone(), vec![Fate::Refused; 10]);
    let load = async || Ok(Some(job.clone()));
    let patience = Patience {
        attempts: 3,
        pause: Duration::ZERO,
    };
    let ended = blocking(supervise(&load, &sink, &CancellationToken::new(), patience));
    assert!(matches!(ended, Ended::Interrupted(_)));
    assert_eq!(sink.0.lock().fates.len(), 7);
}

#[actix::test]
async fn the_actor_outlives_a_panic_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), 50, "\r\n");
    let (plan, columns) = plan_of(&path, OnError::Skip);
    let job = ImportJob {
        size: BatchSize {
            rows: 7,
            bytes: 1000,
        },
        ..job(&path, plan, &columns)
    };
    let sink = Memory::new(
        job.progress.clone(),
        vec![Fate::Fine, Fate::PanicAfter, Fate::PanicBefore],
    );
    let (stored, again) = (sink.clone(), job.clone());
    let load = async move || stored.load(&again);
    let ended = start(load, sink.clone(), PATIENCE).wait().await;
    assert!(matches!(ended, Ended::Succeeded(_)), "{ended:?}");
    assert_every_row_once(&sink, 50);

    let sink = Memory::new(job.progress.clone(), Vec::new());
    let mut handle = start(async move || Ok(Some(job.clone())), sink.clone(), PATIENCE);
    handle.stop();
    assert!(matches!(handle.wait().await, Ended::Stopped));
    assert!(!sink.0.lock().done);
}
