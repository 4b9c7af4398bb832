//! A Postgres of one test's own, that may be killed: its postmaster by number, at once, and started
//! again on the same port.

use std::time::{Duration, Instant};

use estatebase::data_folder::DataFolder;
use estatebase::local_postgres::LocalPostgres;
use migration::{Migrator, MigratorTrait as _};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::program::data_folder;

pub(crate) struct Cluster {
    claimed: DataFolder,
    running: Option<LocalPostgres>,
    _folder: TempDir,
}

impl Cluster {
    /// Made, started, migrated.
    pub(crate) async fn new() -> Cluster {
        let folder = data_folder();
        let claimed = DataFolder::claim(folder.path()).unwrap();
        let running = LocalPostgres::start(&claimed).await.unwrap();
        let owner = sea_orm::Database::connect(running.owner_url().expose_secret())
            .await
            .unwrap();
        Migrator::up(&owner, None).await.unwrap();
        owner.close().await.unwrap();
        Cluster {
            claimed,
            running: Some(running),
            _folder: folder,
        }
    }

    /// As the role that servers sign in with.
    pub(crate) fn app_url(&self) -> String {
        let running = self.running.as_ref().unwrap();
        running.app_url().expose_secret().to_owned()
    }

    /// The postmaster dies at once; its children notice.
    pub(crate) async fn kill(&mut self) {
        let note = self.claimed.path().join("postgres/data/postmaster.pid");
        let note = std::fs::read_to_string(note).unwrap();
        let pid = Pid::from_raw(note.lines().next().unwrap().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        self.running.take().unwrap().stop().await.unwrap();
    }

    /// It comes back where it was, and recovers.
    pub(crate) async fn start(&mut self) {
        let begun = Instant::now();
        let running = LocalPostgres::start(&self.claimed).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60));
        self.running = Some(running);
    }

    pub(crate) async fn stop(mut self) {
        self.running.take().unwrap().stop().await.unwrap();
    }
}
