//! What it takes to connect to the private Postgres: its port, its roles and their passwords.

use std::path::Path;

use anyhow::Context as _;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::data_folder;

pub(super) const SUPERUSER: &str = "postgres";
pub(super) const OWNER: &str = "estatebase_owner";
pub(super) const WEB: &str = "estatebase_web";
pub(super) const DATABASE: &str = "estatebase";

/// What it takes to connect. Kept in the data folder, for its owner's eyes.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) port: u16,
    pub(super) superuser_password: String,
    pub(super) owner_password: String,
    pub(super) app_password: String,
}

impl Access {
    pub(super) fn new() -> Self {
        Self {
            port: 0,
            superuser_password: data_folder::random_secret(),
            owner_password: data_folder::random_secret(),
            app_password: data_folder::random_secret(),
        }
    }

    pub(super) fn kept_in(path: &Path) -> anyhow::Result<Self> {
        match data_folder::read_if_any(path)? {
            Some(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} can't be understood", path.display())),
            None => {
                let access = Self::new();
                access.keep(path)?;
                Ok(access)
            }
        }
    }

    pub(super) fn keep(&self, path: &Path) -> anyhow::Result<()> {
        data_folder::write_private(path, &serde_json::to_string_pretty(self)?)
    }

    /// For `psql service=estatebase`, so that no password stands in a command line
    /// (PostgreSQL manual, 34.17).
    pub(super) fn services(&self) -> String {
        let service = |name: &str, user: &str, password: &str, database: &str| {
            format!(
                "[{name}]\nhost=127.0.0.1\nport={}\nuser={user}\npassword={password}\ndbname={database}\n\n",
                self.port
            )
        };
        [
            service("estatebase", OWNER, &self.owner_password, DATABASE),
            service("estatebase_web", WEB, &self.app_password, DATABASE),
            service("superuser", SUPERUSER, &self.superuser_password, DATABASE),
        ]
        .concat()
    }

    /// All parts are hexadecimal or plain names: nothing needs an escape.
    pub(super) fn url(&self, user: &str, password: &str, database: &str) -> SecretString {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
        .into()
    }

    pub(super) fn superuser(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .ssl_mode(PgSslMode::Disable)
            .username(SUPERUSER)
            .password(&self.superuser_password)
            .database("postgres")
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Access")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
