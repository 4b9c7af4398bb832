//! From rows of text to batches of typed items: the step that the blocking pool does. A batch ends
//! after 1 000 rows or 4 MiB of file, so memory is bounded whatever the rows are. Committing is the
//! sink's business.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use csv::StringRecord;
use tokio::sync::Mutex;

use super::reader::{Checkpoint, ReadError, Rows};
use crate::domain::cell::{ColumnId, Values, write_stored};
use crate::domain::columns::{Column, ColumnSet, write_wire};
use crate::domain::import::Refusal;
use crate::domain::import::format::Format;
use crate::domain::import::item_id::{item_id, row_of};
use crate::domain::import::options::OnError;
use crate::domain::import::plan::{Binding, ImportPlan};
use crate::domain::import::row_key::KeyIndex;
use crate::domain::unique::NOT_UNIQUE;
use crate::domain::written::unguarded;
use crate::error::AppError;
use crate::ids::{ItemId, JobId, ListId, UserId};
use crate::store::jobs::{Amended, JobProgress, RowError};

/// When a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows read for it, at most.
    pub rows: u64,
    /// Bytes of the file read for it, give or take a row.
    pub bytes: u64,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self {
            rows: 1_000,
            bytes: 4 * 1024 * 1024,
        }
    }
}

/// Failed rows whose errors are kept; beyond, they are only counted.
pub const REPORTED_ROWS: u64 = 10_000;
/// Errors kept of one row.
const REPORTED_CELLS: usize = 10;
/// Characters kept of a value that was not taken.
const REPORTED_CHARS: usize = 200;

/// Rows that are committed together, with how far the job is once they are.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportBatch {
    pub job: JobId,
    pub list: ListId,
    /// The schema by which the values were typed; at another one the sink refuses.
    pub schema_version: u64,
    /// New items, their ids rising.
    pub rows: Vec<(ItemId, Values)>,
    /// The rows written out, beside the commit of the batch before; `None` leaves it to the sink.
    pub encoded: Option<Encoded>,
    pub progress: JobProgress,
    /// Its rows are looked for among the items that stand; then they hold what the file says alone.
    pub upsert: Option<Upsert>,
    /// A row that can't be stored ends the job.
    pub aborts: bool,
    /// Nothing follows: the job has succeeded. The only batch that may have no rows.
    pub last: bool,
}

/// Rows as they are stored and as the log keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The values of each row, by column id.
    pub stored: Vec<String>,
    /// `changes` entries, one a line, compressed (zstd).
    pub packed: Vec<u8>,
}

impl Encoded {
    /// Writes the rows out. Blocking; 5 ms a thousand rows of 15 columns.
    pub fn new(
        columns: &ColumnSet,
        list: ListId,
        rows: &[(ItemId, Values)],
    ) -> std::io::Result<Encoded> {
        /// The fastest, for it stands between a file and its rows.
        const LEVEL: i32 = 1;
        let mut lines = String::with_capacity(rows.len().saturating_mul(768));
        let mut stored = Vec::with_capacity(rows.len());
        for (id, values) in rows {
            // Writing to a String can't fail.
            let _ = write!(
                lines,
                r#"{{"kind":"created","list":"{list}","item":"{id}","version":1,"set":"#
            );
            write_wire(columns, values, &mut lines);
            lines.push_str("}\n");
            let mut row = String::with_capacity(512);
            write_stored(values, &mut row);
            stored.push(row);
        }
        let packed = zstd::encode_all(lines.as_bytes(), LEVEL)?;
        Ok(Encoded { stored, packed })
    }
}

/// The answer to a committed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportedBatch {
    /// The workspace's sequence number after it.
    pub seq: u64,
    /// What its rows became beside what stands.
    pub amended: Amended,
    /// People are editing beside it: smaller batches make them wait for less.
    pub crowded: bool,
}

impl ImportBatch {
    /// The batch without rows whose values another item holds: each of them failed, on its own.
    pub fn without(&self, refused: &[(usize, Vec<&Column>)]) -> ImportBatch {
        let mut batch = self.clone();
        batch.encoded = None;
        let failed = refused.len().try_into().unwrap_or(0);
        batch.progress.amend(Amended::failed(failed));
        let mut left = Vec::with_capacity(batch.rows.len());
        let mut gone = refused.iter().peekable();
        for (index, (item, values)) in batch.rows.into_iter().enumerate() {
            let Some((_, taken)) = gone.next_if(|(refused, _)| *refused == index) else {
                left.push((item, values));
                continue;
            };
            if is_reported(&batch.progress) {
                let errors = taken.iter().take(REPORTED_CELLS);
                let errors = errors.map(|column| not_unique(item, column, &values));
                let numbered = (0..).zip(errors);
                let numbered = numbered.map(|(ordinal, error)| RowError { ordinal, ..error });
                batch.progress.errors.extend(numbered);
            }
        }
        batch.rows = left;
        batch
    }
}

fn not_unique(item: ItemId, column: &Column, values: &Values) -> RowError {
    let mut value = String::new();
    if let Some(cell) = values.get(&column.id) {
        column.write_wire_cell(cell, &mut value);
    }
    let text = serde_json::from_str::<String>(&value).unwrap_or(value);
    let message = "Another item holds this value, and its column is unique".to_owned();
    row_error(
        u64::from(row_of(item)),
        &column.key,
        &text,
        NOT_UNIQUE,
        message,
    )
}

/// Whether errors of one more row are kept.
pub fn is_reported(progress: &JobProgress) -> bool {
    progress.failed <= REPORTED_ROWS
}

/// How rows find the items that they are.
#[derive(Clone, Debug)]
pub struct Upsert {
    /// The columns of the key.
    pub columns: Vec<ColumnId>,
    pub index: Arc<Mutex<KeyIndex>>,
    /// Rows without an item become new ones; else they are skipped.
    pub makes: bool,
}

impl PartialEq for Upsert {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns
            && self.makes == other.makes
            && Arc::ptr_eq(&self.index, &other.index)
    }
}

/// Takes batches and commits each as one transaction: rows, event and progress.
pub trait BatchSink: Clone + Send + Sync + 'static {
    /// Ok: committed. An error: perhaps committed, for the answer may be lost; the job then goes on
    /// from its stored checkpoint.
    fn import_batch(
        &self,
        batch: ImportBatch,
    ) -> impl Future<Output = Result<ImportedBatch, AppError>> + Send;
}

/// Where rows go and how they are read: a plan bound to the list's columns of one schema version.
#[derive(Clone, Debug)]
pub struct Target {
    pub job: JobId,
    pub list: ListId,
    pub schema_version: u64,
    columns: Arc<ColumnSet>,
    /// The members, by whatever a file may call them in lower case: id, e-mail address.
    people: Arc<HashMap<String, UserId>>,
    /// By column id, so that an item's cells come in their order.
    bindings: Vec<Binding>,
    /// What a new item has in the columns that the file lacks.
    defaults: Values,
    /// See [`ImportBatch::upsert`].
    upsert: Option<Upsert>,
    /// A guard before a formula is taken off: see `domain::written`.
    guarded: bool,
    /// Keys of columns that must not be empty and that the file lacks, without a default.
    missing: Vec<String>,
}

impl Target {
    /// `people`: the members by id and e-mail address, in lower case, for columns of people.
    /// Refuses what `ImportPlan::bind` refuses.
    pub fn new(
        job: JobId,
        list: ListId,
        schema_version: u64,
        plan: &ImportPlan,
        columns: &ColumnSet,
        people: Arc<HashMap<String, UserId>>,
    ) -> Result<Self, Refusal> {
        let mut bindings = plan.bind(columns)?;
        bindings.sort_by_key(|a| a.column.id);
        let bound = |id| bindings.iter().any(|binding| binding.column.id == id);
        let rest: Vec<_> = columns
            .iter()
            .filter(|column| !bound(column.id) && column.is_read_from_text())
            .collect();
        Ok(Self {
            job,
            list,
            schema_version,
            columns: Arc::new(columns.clone()),
            people,
            defaults: rest
                .iter()
                .filter_map(|column| Some((column.id, column.default.clone()?)))
                .collect(),
            missing: rest
                .iter()
                .filter(|column| column.required && column.default.is_none())
                .map(|column| column.key.clone())
                .collect(),
            guarded: plan.format == Format::Delimited,
            upsert: None,
            bindings,
        })
    }

    /// Rows are looked for among the items that stand.
    pub fn upserting(self, upsert: Option<Upsert>) -> Self {
        Self { upsert, ..self }
    }
}

/// Makes one batch after the other from a file.
pub struct Batches {
    rows: Rows,
    target: Target,
    size: BatchSize,
    progress: JobProgress,
    /// Cells that a row has at most.
    width: usize,
    /// A batch is so much smaller than it might be.
    way: u64,
    aborts: bool,
    done: bool,
}

/// What a row became.
enum Outcome {
    Item(Values),
    /// Nothing in it goes into the list.
    Empty,
    Failed(Vec<RowError>),
}

impl Batches {
    /// Opens the file where the job's progress says.
    pub fn open(
        path: &Path,
        plan: &ImportPlan,
        target: Target,
        size: BatchSize,
        progress: JobProgress,
    ) -> Result<Self, ReadError> {
        let from = Checkpoint {
            bytes: progress.checkpoint_bytes,
            record: progress.checkpoint_record,
        };
        Ok(Self {
            rows: Rows::open(path, plan.dialect, from)?,
            target,
            size,
            progress,
            width: plan.columns.len(),
            way: 1,
            aborts: plan.on_error == OnError::Abort,
            done: false,
        })
    }

    /// Smaller batches from here on, or full ones again.
    pub fn give_way(&mut self, crowded: bool) {
        self.way = if crowded { 8 } else { 1 };
    }

    /// The next batch; None after the last. Blocking.
    pub fn next_batch(&mut self) -> Result<Option<ImportBatch>, ReadError> {
        if self.done {
            return Ok(None);
        }
        self.progress.from_record = self.progress.checkpoint_record;
        let start = self.progress.checkpoint_bytes;
        let mut rows = Vec::with_capacity(usize::try_from(self.size.rows).unwrap_or_default());
        let mut errors = Vec::new();
        loop {
            let here = self.rows.checkpoint();
            if here.record - self.progress.from_record >= (self.size.rows / self.way).max(1)
                || here.bytes - start >= self.size.bytes
            {
                break;
            }
            let Some(record) = self.rows.next_row()? else {
                self.done = true;
                break;
            };
            let number = here.record + 1;
            self.progress.read += 1;
            match read_row(record, number, self.width, &self.target) {
                Outcome::Empty => self.progress.skipped += 1,
                Outcome::Item(values) => {
                    self.progress.created += 1;
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    rows.push((item_id(self.target.job, number), values));
                }
                Outcome::Failed(found) => {
                    self.progress.failed += 1;
                    if is_reported(&self.progress) {
                        errors.extend(found);
                    }
                }
            }
        }
        let here = self.rows.checkpoint();
        self.progress.checkpoint_bytes = here.bytes;
        self.progress.checkpoint_record = here.record;
        Ok(Some(ImportBatch {
            encoded: match self.target.upsert {
                Some(_) => None,
                None => Encoded::new(&self.target.columns, self.target.list, &rows).ok(),
            },
            upsert: self.target.upsert.clone(),
            job: self.target.job,
            list: self.target.list,
            schema_version: self.target.schema_version,
            rows,
            progress: JobProgress {
                errors,
                ..self.progress.clone()
            },
            aborts: self.aborts,
            last: self.done,
        }))
    }
}

fn read_row(record: &StringRecord, number: u64, width: usize, target: &Target) -> Outcome {
    if let Some(beyond) = overflow(record, width) {
        return Outcome::Failed(vec![too_many_cells(number, record.len(), width, beyond)]);
    }
    let mut cells = Vec::with_capacity(target.bindings.len());
    let mut filled = false;
    let mut bad = Vec::new();
    let mut missing = Vec::new();
    let find_user = |text: &str| target.people.get(&text.trim().to_lowercase()).copied();
    for binding in &target.bindings {
        let Binding { field, column, .. } = binding;
        let text = record.get(*field).unwrap_or_default();
        let text = if target.guarded {
            unguarded(text)
        } else {
            text
        };
        let cell = if text.is_empty() {
            Ok(None)
        } else {
            column.parse_text(text, &binding.hints(&find_user))
        };
        match (cell, &column.default) {
            (Ok(Some(cell)), _) => {
                filled = true;
                cells.push((column.id, cell));
            }
            // Of an item that stands nothing is emptied, and who makes one completes it.
            (Ok(None), _) if target.upsert.is_some() => {}
            (Ok(None), Some(default)) => cells.push((column.id, default.clone())),
            (Ok(None), None) if column.required => missing.push(required(number, &column.key)),
            (Ok(None), None) => {}
            (Err(error), _) => bad.push(row_error(
                number,
                &column.key,
                text,
                error.code,
                error.message,
            )),
        }
    }
    if !filled && bad.is_empty() {
        return Outcome::Empty;
    }
    if target.upsert.is_none() {
        missing.extend(target.missing.iter().map(|key| required(number, key)));
    }
    bad.append(&mut missing);
    if bad.is_empty() {
        let mut values: Values = cells.into_iter().collect();
        if target.upsert.is_none() {
            values.extend(target.defaults.iter().map(|(id, cell)| (*id, cell.clone())));
        }
        return Outcome::Item(values);
    }
    bad.truncate(REPORTED_CELLS);
    for (ordinal, error) in (0..).zip(&mut bad) {
        error.ordinal = ordinal;
    }
    Outcome::Failed(bad)
}

/// What stands in a row beyond its last column: nobody knows where its cells belong. Empty cells say
/// nothing.
pub(super) fn overflow(record: &StringRecord, width: usize) -> Option<&str> {
    if record.len() <= width {
        return None;
    }
    record
        .iter()
        .skip(width)
        .find(|cell| !cell.trim().is_empty())
}

fn too_many_cells(row: u64, cells: usize, width: usize, beyond: &str) -> RowError {
    let message = format!("The row has {cells} cells, the header {width}; is a quote missing?");
    RowError {
        column_key: None,
        ..row_error(row, "", beyond, "too_many_cells", message)
    }
}

fn required(row: u64, key: &str) -> RowError {
    row_error(
        row,
        key,
        "",
        "required",
        "This column must not be empty".to_owned(),
    )
}

pub(in crate::actors) fn row_error(
    row: u64,
    key: &str,
    value: &str,
    code: &str,
    message: String,
) -> RowError {
    RowError {
        row,
        ordinal: 0,
        column_key: Some(key.to_owned()),
        value: (!value.is_empty()).then(|| value.chars().take(REPORTED_CHARS).collect()),
        code: code.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::domain::cell::{Cell, ColumnId};
    use crate::domain::columns::{ColumnType, Options};
    use crate::domain::import::dialect::{Dialect, LineEnd};
    use crate::domain::import::options::Mode;
    use crate::domain::import::plan::{PlannedColumn, PlannedTarget};

    const AGENT: UserId = UserId(Uuid::from_u128(7));

    fn column(number: u32, key: &str, ty: ColumnType) -> Column {
        Column {
            id: ColumnId::nth(number).unwrap(),
            key: key.to_owned(),
            name: key.to_owned(),
            ty,
            options: Options::default(),
            required: false,
            unique: false,
            default: None,
            position: 0,
            deleted: false,
            replaced: false,
        }
    }

    /// Batches of a file of `price,agent,note` into a list with two columns more.
    fn batches(text: &str, more: [Column; 2], size: BatchSize) -> Vec<ImportBatch> {
        let keys = ["price", "agent", "note"];
        let types = [ColumnType::Number, ColumnType::User, ColumnType::Text];
        let mut columns: Vec<Column> = (0..)
            .zip(keys)
            .zip(types)
            .map(|((number, key), ty)| column(number, key, ty))
            .collect();
        columns[2].required = true;
        columns.extend(more);
        let columns = ColumnSet::new(columns);
        let planned = keys.map(|key| PlannedColumn {
            source: key.to_owned(),
            target: PlannedTarget::Existing {
                key: key.to_owned(),
            },
            date_order: None,
            decimal_comma: false,
            samples: Vec::new(),
        });
        let plan = ImportPlan {
            dialect: Dialect {
                delimiter: b',',
                quote: Some(b'"'),
                line_end: LineEnd::Lf,
                start: 0,
            },
            header_record: 0,
            data_start: 0,
            rows: 0,
            columns: planned.to_vec(),
            on_error: OnError::Skip,
            mode: Mode::Create,
            keys: Vec::new(),
            format: Format::default(),
            encoding: "UTF-8".to_owned(),
            warnings: Vec::new(),
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let people = Arc::new(HashMap::from([("ann@example.com".to_owned(), AGENT)]));
        let id = Uuid::now_v7();
        let target = Target::new(JobId(id), ListId(id), 3, &plan, &columns, people).unwrap();
        let mut batches =
            Batches::open(file.path(), &plan, target, size, JobProgress::default()).unwrap();
        std::iter::from_fn(|| batches.next_batch().unwrap()).collect()
    }

    fn spare() -> [Column; 2] {
        [
            column(3, "state", ColumnType::Text),
            column(4, "made", ColumnType::CreatedAt),
        ]
    }

    #[test]
    fn rows_become_items_or_are_reported_cell_by_cell() {
        let mut more = spare();
        more[0].default = Some(Cell::Text("CA".to_owned()));
        let text = format!(
            "\"$1,5\",Ann@Example.com,x\n5,,\n,,\ncheap,nobody,{}\n",
            "é".repeat(300)
        );
        let batches = batches(&text, more, BatchSize::default());
        let [batch] = &batches[..] else {
            panic!("{batches:?}")
        };
        let values: Vec<_> = batch
            .rows
            .iter()
            .map(|(_, values)| values.values().cloned().collect::<Vec<_>>())
            .collect();
        assert_eq!(
            values,
            Vec::<Vec<Cell>>::new(),
            "$ is no part of a plain number"
        );
        let errors: Vec<_> = batch
            .progress
            .errors
            .iter()
            .map(|error| {
                (
                    error.row,
                    error.ordinal,
                    error.column_key.as_deref().unwrap(),
                    error.code.as_str(),
                )
            })
            .collect();
        assert_eq!(
            errors,
            [
                (1, 0, "price", "not_a_number"),
                (2, 0, "note", "required"),
                (4, 0, "price", "not_a_number"),
                (4, 1, "agent", "not_a_member"),
            ]
        );
        let progress = &batch.progress;
        assert_eq!(
            (
                progress.read,
                progress.created,
                progress.failed,
                progress.skipped
            ),
            (4, 0, 3, 1)
        );
        assert!(batch.last);
    }

    #[test]
    fn what_the_file_lacks_comes_from_the_columns_defaults() {
        let mut more = spare();
        more[0].default = Some(Cell::Text("CA".to_owned()));
        let batches = batches("5,ann@example.com, x \n", more, BatchSize::default());
        let values: Vec<Cell> = batches[0].rows[0].1.values().cloned().collect();
        assert_eq!(
            values,
            [
                Cell::Number(Decimal::from(5)),
                Cell::Users(vec![AGENT]),
                Cell::Text(" x ".to_owned()),
                Cell::Text("CA".to_owned()),
            ]
        );
    }

    #[test]
    fn a_required_column_that_the_file_lacks_fails_every_row() {
        let mut more = spare();
        more[0].required = true;
        let batches = batches("5,,x\n6,,y\n", more, BatchSize::default());
        let keys: Vec<_> = batches[0]
            .progress
            .errors
            .iter()
            .map(|error| error.column_key.as_deref())
            .collect();
        assert_eq!(keys, [Some("state"), Some("state")]);
    }

    #[test]
    fn a_batch_ends_by_rows_or_by_bytes() {
        let text = "5,,x\n".repeat(10);
        let sizes = |rows, bytes| -> Vec<usize> {
            batches(&text, spare(), BatchSize { rows, bytes })
                .iter()
                .map(|batch| batch.rows.len())
                .collect()
        };
        assert_eq!(sizes(4, 1000), [4, 4, 2]);
        assert_eq!(
            sizes(5, 1000),
            [5, 5, 0],
            "the end is only seen after the last row"
        );
        assert_eq!(sizes(1000, 15), [3, 3, 3, 1]);
    }
}
