//! Takes a file in: streams the upload to disk (size limit, SHA-256, fsync), finds out how it is
//! written, reads all of it once, and answers with the plan. A file that is refused, or whose sender
//! goes away, leaves nothing behind. All IO and hashing is on the blocking pool.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::batch::{BatchSize, Batches, Target, Upsert, overflow};
use super::reader::{Checkpoint, Rows};
use super::{refused, table};
use crate::domain::cell::Values;
use crate::domain::columns::ColumnSet;
use crate::domain::import::dialect::Dialect;
use crate::domain::import::format::Format;
use crate::domain::import::header::{Header, Shape};
use crate::domain::import::infer::{Inferred, Survey};
use crate::domain::import::mapping::Mapping;
use crate::domain::import::options::Options;
use crate::domain::import::plan::ImportPlan;
use crate::domain::import::row_key::RowKey;
use crate::domain::import::{Refusal, Warning, header, mapping};
use crate::domain::written::unguarded;
use crate::error::AppError;
use crate::ids::{ItemId, JobId, ListId};
use crate::store::jobs::{Amended, JobProgress};

/// Bytes gathered before the disk is bothered.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Nor is it bothered more often than so, be there ever so few: a file that is being written to never
/// looks old (see [`sweep`](super::sweep)).
const CHUNK_TIME: Duration = Duration::from_secs(60);
/// So long the sender may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// A file on disk, complete and synced. Removed when dropped, unless kept.
#[derive(Debug)]
pub struct Upload {
    path: TempPath,
    /// Its rows, where they were written anew.
    rows: Option<TempPath>,
    pub size: u64,
    pub sha256: [u8; 32],
}

impl Upload {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows stand in another file: it takes the place of this one when that is kept.
    pub fn rewritten(&mut self, rows: Option<TempPath>) {
        self.rows = rows;
    }

    /// The job is stored and owns the file from now on: see [`discard`]. Bytes of the rows.
    pub fn keep(self) -> Result<(PathBuf, u64), AppError> {
        let path = self.path.keep().map_err(|error| failed(error.error))?;
        if let Some(rows) = self.rows {
            rows.persist(&path).map_err(|error| failed(error.error))?;
            sync_folder(&path).map_err(failed)?;
        }
        let size = fs::metadata(&path).map_err(failed)?.len();
        Ok((path, size))
    }
}

/// Where the file of a job is.
pub fn path_of(uploads: &Path, job: JobId) -> PathBuf {
    uploads.join(job.to_string())
}

/// Where its rows are, if they were written anew after a person's answer.
pub fn rows_of(uploads: &Path, job: JobId, rows: Option<&str>) -> PathBuf {
    match rows {
        Some(suffix) => path_of(uploads, job).with_extension(suffix),
        None => path_of(uploads, job),
    }
}

/// Keeps rows that were written anew beside the file that they are from, under a name of their own: two
/// answers at once do not meet. What to tell [`rows_of`], and bytes.
pub fn keep_rows(uploads: &Path, job: JobId, rows: TempPath) -> Result<(String, u64), AppError> {
    let suffix = Uuid::now_v7().simple().to_string();
    let path = rows_of(uploads, job, Some(&suffix));
    rows.persist(&path).map_err(|error| failed(error.error))?;
    sync_folder(&path).map_err(failed)?;
    let size = fs::metadata(&path).map_err(failed)?.len();
    Ok((suffix, size))
}

/// Removes the files of a job that has ended; what is gone already is no error.
pub async fn discard_all(uploads: &Path, job: JobId) -> Result<(), AppError> {
    let folder = uploads.to_owned();
    blocking(move || {
        let named = job.to_string();
        for entry in fs::read_dir(folder).map_err(failed)?.flatten() {
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.split('.').next());
            if stem == Some(&named) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes one file; one that is gone already is no error.
pub async fn discard(path: PathBuf) -> Result<(), AppError> {
    blocking(move || remove(&path)).await
}

fn remove(path: &Path) -> Result<(), AppError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Writes a stream of bytes to `uploads`/`job`. 413 beyond `limit` bytes, 400 when the stream breaks
/// off or stands still, 503 when the disk is full.
pub async fn receive<E>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    uploads: &Path,
    job: JobId,
    limit: u64,
) -> Result<Upload, AppError> {
    let path = path_of(uploads, job);
    let mut writer = blocking(move || Writer::create(path)).await?;
    let mut stream = std::pin::pin!(stream);
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    let mut written = Instant::now();
    while let Some(bytes) = timeout(SILENCE, stream.next())
        .await
        .map_err(|_| AppError::malformed("The upload stood still"))?
    {
        let bytes = bytes.map_err(|_| AppError::malformed("The upload broke off"))?;
        let room = limit
            .saturating_sub(writer.size)
            .saturating_sub(length(&chunk));
        if length(&bytes) > room {
            return Err(AppError::too_large(format!(
                "A file may have {limit} bytes"
            )));
        }
        chunk.extend_from_slice(&bytes);
        if chunk.len() >= CHUNK_BYTES || written.elapsed() >= CHUNK_TIME {
            written = Instant::now();
            let full = chunk.split().freeze();
            writer = blocking(move || writer.write(&full)).await?;
        }
    }
    let rest = chunk.freeze();
    blocking(move || writer.write(&rest)?.finish()).await
}

/// A file that was read once, and what is to be done with it.
#[derive(Debug)]
pub struct Inspected {
    pub plan: ImportPlan,
    /// Its rows, where they had to be written anew: see [`Upload::rewritten`].
    pub rows: Option<TempPath>,
    /// Of a dry run: what is to be decided before it may run.
    pub questions: Vec<Refusal>,
}

/// Finds out how the file is written, reads all of it, and plans the import into a list with these
/// columns. Refuses whatever a person should decide about: see `domain::import`.
pub async fn inspect(
    path: PathBuf,
    options: Options,
    columns: ColumnSet,
) -> Result<Inspected, AppError> {
    blocking(move || plan(&path, &options, &columns)).await
}

/// [`inspect`], blocking.
pub fn plan(path: &Path, options: &Options, columns: &ColumnSet) -> Result<Inspected, AppError> {
    let table = table::open(path, options)?;
    let rows = table.rewritten.as_deref().unwrap_or(path);
    let (sample, whole) = table::sample(rows).map_err(failed)?;
    let mut header = header::read(
        &sample,
        whole,
        &table.dialect,
        options.header_row,
        &table.shape,
    )?;
    let guarded = table.format == Format::Delimited;
    if guarded {
        for name in &mut header.names {
            *name = unguarded(name).to_owned();
        }
    }
    let seen = survey(rows, table.dialect, guarded, &header, options)?;
    let ragged = seen.ragged(&table.shape);
    let count = seen.survey.rows();
    let inferred = seen.survey.finish();
    let mut said = options.mapping.clone();
    let unnamed = name_columns(&header, &inferred, &mut said);
    let mut questions = Vec::new();
    if options.dry_run && !options.create_columns {
        let nowhere: Vec<String> = mapping::unmapped(&header.names, &said, columns)
            .cloned()
            .collect();
        questions.extend(nowhere.iter().map(|name| mapping::nowhere(name)));
        said.extend(nowhere.into_iter().map(|name| (name, None)));
    }
    let targets =
        mapping::map(&header.names, &said, columns, options.create_columns).map_err(refused)?;
    let mut plan = ImportPlan::new(
        table.dialect,
        &header,
        targets,
        inferred,
        count,
        options,
        columns,
    )
    .map_err(refused)?;
    plan.format = table.format;
    plan.encoding = table.encoding.to_owned();
    plan.warnings.extend(table.warnings);
    plan.warnings.extend(unnamed);
    plan.warnings.extend(ragged);
    Ok(Inspected {
        plan,
        rows: table.rewritten,
        questions,
    })
}

/// The rows of a file as a table, by a plan that was made before: None, where the file itself is one.
pub async fn rewrite(path: PathBuf, options: Options) -> Result<Option<TempPath>, AppError> {
    blocking(move || Ok(table::open(&path, &options)?.rewritten)).await
}

/// What would become of the rows, nothing stored; the first errors with it.
pub async fn try_out(
    path: PathBuf,
    plan: ImportPlan,
    target: Target,
) -> Result<JobProgress, AppError> {
    /// More than anybody reads before the file is corrected.
    const SHOWN: usize = 1_000;
    blocking(move || {
        let start = JobProgress {
            checkpoint_bytes: plan.data_start,
            ..JobProgress::default()
        };
        let mut batches = Batches::open(&path, &plan, target, BatchSize::default(), start)?;
        let mut errors = Vec::new();
        let mut tried = JobProgress::default();
        let mut amended = Amended::default();
        while let Some(batch) = batches.next_batch()? {
            let room = SHOWN.saturating_sub(errors.len());
            errors.extend(batch.progress.errors.iter().take(room).cloned());
            if let Some(upsert) = &batch.upsert {
                amended += would_be(&batch.rows, batch.list, upsert);
            }
            tried = batch.progress;
        }
        tried.amend(amended);
        Ok(JobProgress { errors, ..tried })
    })
    .await
}

/// What would become of rows that find their items by a key.
fn would_be(rows: &[(ItemId, Values)], list: ListId, upsert: &Upsert) -> Amended {
    let mut index = upsert.index.blocking_lock();
    let mut amended = Amended::default();
    for (item, values) in rows {
        match RowKey::of(list, &upsert.columns, values) {
            None => amended.failed += 1,
            Some(key) => match (index.candidates(&key), upsert.makes) {
                ([], true) => index.add(key, *item),
                ([], false) => amended.skipped += 1,
                ([_], _) => amended.updated += 1,
                _ => amended.failed += 1,
            },
        }
    }
    amended
}

/// What was seen in all rows of a file.
struct Seen {
    survey: Survey,
    /// Rows with fewer cells than the header, and with more.
    short: u64,
    long: u64,
}

impl Seen {
    fn ragged(&self, shape: &Shape) -> Vec<Warning> {
        let mut warnings = Vec::new();
        // Elsewhere a row is only as long as it is filled.
        if self.short > 0 && *shape == Shape::default() {
            warnings.push(Warning::new(
                "short_rows",
                format!(
                    "{} rows have fewer cells than the header; the missing ones are read as empty",
                    self.short
                ),
            ));
        }
        if self.long > 0 {
            warnings.push(Warning::new(
                "long_rows",
                format!(
                    "{} rows have more cells than the header; those with something in them fail",
                    self.long
                ),
            ));
        }
        warnings
    }
}

/// A column without a name and with nothing in it is left out, one with something is called by its
/// number; both are said.
fn name_columns(header: &Header, inferred: &[Inferred], said: &mut Mapping) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for index in &header.unnamed {
        let (Some(name), Some(column)) = (header.names.get(*index), inferred.get(*index)) else {
            continue;
        };
        let number = index + 1;
        if column.filled > 0 {
            warnings.push(Warning::new(
                "unnamed_column",
                format!("Column {number} has no name; it is called \"{name}\""),
            ));
        } else {
            said.entry(name.clone()).or_insert(None);
            warnings.push(Warning::new(
                "empty_column",
                format!("Column {number} has no name and nothing in it; it is left out"),
            ));
        }
    }
    warnings
}

fn survey(
    path: &Path,
    dialect: Dialect,
    guarded: bool,
    header: &Header,
    options: &Options,
) -> Result<Seen, AppError> {
    let from = Checkpoint {
        bytes: header.data_start,
        record: 0,
    };
    let width = header.names.len();
    let mut rows = Rows::open(path, dialect, from).map_err(failed)?;
    let mut seen = Seen {
        survey: Survey::new(&header.names, &dialect, options.date_order).guarded(guarded),
        short: 0,
        long: 0,
    };
    while let Some(record) = rows.next_row()? {
        seen.short += u64::from(record.len() < width);
        seen.long += u64::from(record.len() > width);
        if overflow(record, width).is_none() {
            seen.survey.take(record);
        } else {
            seen.survey.skip();
        }
    }
    Ok(seen)
}

/// A large file goes to the disk as it comes: all of it at its end, hundreds of megabytes, would make
/// every commit beside it wait for a second.
pub(super) const SYNC_EVERY: u64 = 2 * 1024 * 1024;

/// The file being written; moves into the blocking pool and back.
struct Writer {
    file: File,
    path: TempPath,
    hash: Sha256,
    size: u64,
    /// Written and not yet told to the disk.
    unsynced: u64,
}

impl Writer {
    fn create(path: PathBuf) -> Result<Self, AppError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::create_new(&path).map_err(failed)?;
        let path = TempPath::try_from_path(path).map_err(failed)?;
        Ok(Self {
            file,
            path,
            hash: Sha256::new(),
            size: 0,
            unsynced: 0,
        })
    }

    fn write(mut self, bytes: &[u8]) -> Result<Self, AppError> {
        self.file.write_all(bytes).map_err(failed)?;
        self.hash.update(bytes);
        self.size += length(bytes);
        self.unsynced += length(bytes);
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data().map_err(failed)?;
            self.unsynced = 0;
        }
        Ok(self)
    }

    /// On disk for good, its name too.
    fn finish(self) -> Result<Upload, AppError> {
        self.file.sync_all().map_err(failed)?;
        sync_folder(&self.path).map_err(failed)?;
        Ok(Upload {
            path: self.path,
            rows: None,
            size: self.size,
            sha256: self.hash.finalize().into(),
        })
    }
}

/// A file's name is on disk once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(AppError::internal(error)),
    }
}

pub(in crate::actors) fn failed(error: io::Error) -> AppError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            AppError::too_large("The file unpacks to more than 8 GiB").with_source(error)
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            AppError::unavailable("There is no room for the file right now").with_source(error)
        }
        _ => AppError::internal(error),
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn parts(parts: &[&'static [u8]]) -> impl Stream<Item = Result<Bytes, &'static str>> {
        stream::iter(
            parts
                .iter()
                .map(|part| Ok(Bytes::from_static(part)))
                .collect::<Vec<_>>(),
        )
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[tokio::test]
    async fn an_upload_is_on_disk_as_it_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobId(Uuid::now_v7());
        let upload = receive(parts(&[b"a,b\n", b"1,2\n"]), folder.path(), job, 8)
            .await
            .unwrap();
        assert_eq!(
            (upload.size, upload.sha256),
            (8, Sha256::digest(b"a,b\n1,2\n").into())
        );
        let options = Options {
            create_columns: true,
            ..Options::default()
        };
        let plan = inspect(upload.path().to_owned(), options, ColumnSet::default())
            .await
            .unwrap();
        let plan = plan.plan;
        assert_eq!((plan.rows, plan.new_columns().count()), (1, 2));
        let (path, size) = upload.keep().unwrap();
        assert_eq!(size, 8);
        assert_eq!(path, path_of(folder.path(), job));
        assert_eq!(fs::read(&path).unwrap(), b"a,b\n1,2\n");
        discard(path.clone()).await.unwrap();
        discard(path).await.unwrap();
        assert_eq!(files(folder.path()), 0);
    }

    #[tokio::test]
    async fn nothing_is_left_of_an_upload_that_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobId(Uuid::now_v7());
        let large = receive(parts(&[b"a,b\n", b"1,2\n!"]), folder.path(), job, 8)
            .await
            .unwrap_err();
        assert_eq!(large.code.status(), 413);
        let broken = stream::iter([Ok(Bytes::from_static(b"a,b\n")), Err("gone")]);
        assert_eq!(
            receive(broken, folder.path(), job, 100)
                .await
                .unwrap_err()
                .code
                .status(),
            400
        );
        let refused = receive(parts(&[b"1,2\n"]), folder.path(), job, 100)
            .await
            .unwrap();
        let error = inspect(
            refused.path().to_owned(),
            Options::default(),
            ColumnSet::default(),
        )
        .await
        .unwrap_err();
        assert_eq!(error.fields[0].code, "no_header");
        drop(refused);
        assert_eq!(files(folder.path()), 0);
    }
}
