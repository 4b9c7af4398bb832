//! Takes a file in: streams the upload to disk (size limit, SHA-256, fsync), finds out how it is
//! written, reads all of it once, and answers with the plan. A file that is refused, or whose sender
//! goes away, leaves nothing behind. All IO and hashing is on the blocking pool.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::reader::{Checkpoint, Rows};
use super::refused;
use crate::domain::columns::ColumnSet;
use crate::domain::import::dialect::Dialect;
use crate::domain::import::header::Header;
use crate::domain::import::infer::Survey;
use crate::domain::import::options::Options;
use crate::domain::import::plan::ImportPlan;
use crate::domain::import::{SAMPLE_BYTES, dialect, header, mapping};
use crate::error::AppError;
use crate::ids::JobId;

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
    pub size: u64,
    pub sha256: [u8; 32],
}

impl Upload {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The job is stored and owns the file from now on: see [`discard`].
    pub fn keep(self) -> Result<PathBuf, AppError> {
        self.path.keep().map_err(|error| failed(error.error))
    }
}

/// Where the file of a job is.
pub fn path_of(uploads: &Path, job: JobId) -> PathBuf {
    uploads.join(job.to_string())
}

/// Removes the file of a job that has ended; one that is gone already is no error.
pub async fn discard(path: PathBuf) -> Result<(), AppError> {
    blocking(move || match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    })
    .await
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

/// Finds out how the file is written, reads all of it, and plans the import into a list with these
/// columns. Refuses whatever a person should decide about: see `domain::import`.
pub async fn inspect(
    path: PathBuf,
    options: Options,
    columns: ColumnSet,
) -> Result<ImportPlan, AppError> {
    blocking(move || plan(&path, &options, &columns)).await
}

/// [`inspect`], blocking.
pub fn plan(path: &Path, options: &Options, columns: &ColumnSet) -> Result<ImportPlan, AppError> {
    let (sample, whole) = read_sample(path).map_err(failed)?;
    let dialect = dialect::detect(&sample, whole, options.delimiter)?;
    let header = header::read(&sample, whole, &dialect, options.header_row)?;
    let targets = mapping::map(
        &header.names,
        &options.mapping,
        columns,
        options.create_columns,
    )
    .map_err(refused)?;
    let survey = survey(path, dialect, &header, options)?;
    let rows = survey.rows();
    ImportPlan::new(
        dialect,
        &header,
        targets,
        survey.finish(),
        rows,
        options,
        columns,
    )
    .map_err(refused)
}

fn survey(
    path: &Path,
    dialect: Dialect,
    header: &Header,
    options: &Options,
) -> Result<Survey, AppError> {
    let from = Checkpoint {
        bytes: header.data_start,
        record: 0,
    };
    let mut rows = Rows::open(path, dialect, header.names.len(), from).map_err(failed)?;
    let mut survey = Survey::new(&header.names, &dialect, options.date_order);
    while let Some(record) = rows.next_row()? {
        survey.take(record);
    }
    Ok(survey)
}

/// The first bytes, and whether they are all.
fn read_sample(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let mut sample = Vec::new();
    Read::by_ref(&mut file)
        .take(u64::try_from(SAMPLE_BYTES).unwrap_or(u64::MAX))
        .read_to_end(&mut sample)?;
    let whole = file.read(&mut [0])? == 0;
    Ok((sample, whole))
}

/// A large file goes to the disk as it comes: all of it at its end, hundreds of megabytes, would make
/// every commit beside it wait for a second.
const SYNC_EVERY: u64 = 2 * 1024 * 1024;

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
        if let Some(folder) = self.path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
        Ok(Upload {
            path: self.path,
            size: self.size,
            sha256: self.hash.finalize().into(),
        })
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

pub(super) fn failed(error: io::Error) -> AppError {
    match error.kind() {
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
    use uuid::Uuid;

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
        assert_eq!((plan.rows, plan.new_columns().count()), (1, 2));
        let path = upload.keep().unwrap();
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
