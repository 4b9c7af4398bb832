//! The database of a command: the one that the configuration names, or the private one.

use anyhow::Context as _;
use migration::{Migrator, MigratorTrait as _};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::info;

use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::local_postgres::LocalPostgres;

/// A database that answers, for as long as this value lives.
pub(super) struct Database {
    /// As the server's role.
    pub(super) url: SecretString,
    /// As its owner, if the configuration says how.
    pub(super) owner_url: Option<SecretString>,
    local: Option<LocalPostgres>,
}

impl Database {
    pub(super) async fn open(config: &Config, folder: &DataFolder) -> anyhow::Result<Self> {
        match &config.database_url {
            Some(url) => Ok(Self {
                url: url.clone(),
                owner_url: config.database_owner_url.clone(),
                local: None,
            }),
            None => {
                let local = LocalPostgres::start(folder).await?;
                Ok(Self {
                    url: local.app_url(),
                    owner_url: Some(local.owner_url()),
                    local: Some(local),
                })
            }
        }
    }

    /// Stops the private one; another one is left alone.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.local {
            Some(local) => local.stop().await,
            None => Ok(()),
        }
    }
}

/// Applies the migrations that the database has not seen.
pub(super) async fn migrate(owner_url: &SecretString) -> anyhow::Result<()> {
    let migrate = async {
        let mut options = sea_orm::ConnectOptions::new(owner_url.expose_secret());
        options.max_connections(1).sqlx_logging(false);
        let owner = sea_orm::Database::connect(options).await?;
        let pending = Migrator::get_pending_migrations(&owner).await?.len();
        Migrator::up(&owner, None).await?;
        owner.close().await?;
        info!(applied = pending, "the schema is up to date");
        anyhow::Ok(())
    };
    migrate.await.context("the database can't be migrated")
}
