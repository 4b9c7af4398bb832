//! A private Postgres cluster from the programs that are installed on this machine: made, started,
//! furnished with the product's roles and database, recovered after any death, and stopped. It
//! listens on 127.0.0.1 only and asks everyone for a password. The schema is the migrations'.

mod access;
mod account;
mod binaries;
mod cluster;
mod guard;
mod home;

use anyhow::Context as _;
use secrecy::SecretString;
use sqlx::{ConnectOptions as _, Connection as _};
use tracing::info;

use self::access::{Access, DATABASE, OWNER, SUPERUSER, WEB};
use self::account::Account;
use self::binaries::Binaries;
use self::cluster::Cluster;
use self::guard::{Ending, Guard};
use crate::data_folder::{self, DataFolder};
use crate::store::roles::{self, Login};

/// A running cluster. `stop` ends it and waits; letting go of it, or the death of this process,
/// ends it soon after.
#[derive(Debug)]
pub struct LocalPostgres {
    access: Access,
    guard: Guard,
}

impl LocalPostgres {
    /// Starts the cluster of this folder, which is made first when there is none. What an earlier
    /// server left running is stopped first.
    pub async fn start(folder: &DataFolder) -> anyhow::Result<Self> {
        let remembered = folder.path().join("postgres.json");
        let mut access = Access::kept_in(&remembered)?;
        let cluster = Cluster::kept_in(folder.path())?;
        cluster.stop_leftover()?;
        if !cluster.data.exists() {
            info!("making a private Postgres in {}", cluster.data.display());
            cluster.make(&access, &[cluster::WAL_SEGMENTS])?;
        }
        let port = access.port;
        let guard = cluster.start(&mut access, Ending::Fast).await?;
        if access.port != port {
            access.keep(&remembered)?;
        }
        data_folder::write_private(&folder.path().join("pg_service.conf"), &access.services())?;
        let this = Self { access, guard };
        this.furnish().await?;
        info!(port = this.access.port, "the private Postgres is up");
        Ok(this)
    }

    /// Starts a new cluster that is deleted when it stops. It survives no crash, and is the faster
    /// for it: for tests.
    pub async fn throwaway() -> anyhow::Result<Self> {
        let account = Account::choose(None)?;
        let binaries = Binaries::find(&account, None)?;
        let folder = home::temporary(&account)?;
        let cluster = Cluster {
            account,
            binaries,
            data: folder.path().join("data"),
            log: folder.path().join("log"),
            settings: cluster::THROWAWAY,
        };
        let mut access = Access::new();
        cluster.make(&access, &["--no-sync"])?;
        let guard = cluster
            .start(&mut access, Ending::Deleted(folder.path()))
            .await?;
        // From here on the guard deletes it.
        let _ = folder.keep();
        let this = Self { access, guard };
        this.furnish().await?;
        Ok(this)
    }

    /// The product's database as its owner; for migrations.
    pub fn owner_url(&self) -> SecretString {
        self.access
            .url(OWNER, &self.access.owner_password, DATABASE)
    }

    /// The product's database as the server's role.
    pub fn app_url(&self) -> SecretString {
        self.access.url(WEB, &self.access.app_password, DATABASE)
    }

    /// The database `postgres` as the superuser.
    pub fn superuser_url(&self) -> SecretString {
        self.access
            .url(SUPERUSER, &self.access.superuser_password, "postgres")
    }

    /// Stops the cluster and waits until it is gone.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.guard.stop().await
    }

    /// Roles and database, as far as they are missing.
    async fn furnish(&self) -> anyhow::Result<()> {
        let furnish = async {
            let mut connection = self.access.superuser().connect().await?;
            let (owner, web) = (
                Login {
                    name: OWNER,
                    password: &self.access.owner_password,
                },
                Login {
                    name: WEB,
                    password: &self.access.app_password,
                },
            );
            roles::ensure_groups(&mut connection).await?;
            roles::ensure_login(&mut connection, owner, None).await?;
            roles::ensure_login(&mut connection, web, Some(roles::APP)).await?;
            roles::ensure_database(&mut connection, DATABASE, OWNER).await?;
            connection.close().await?;
            anyhow::Ok(())
        };
        furnish
            .await
            .context("the private Postgres can't be given its roles and database")
    }
}
