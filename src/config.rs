//! The configuration: one typed value, read from flags and the environment, with its defaults.
//! What makes it unfit to start with is judged in `rules`; nobody else reads the environment.

mod rules;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::data_folder;

/// Every setting. Each is a flag and an environment variable; a flag wins, and a variable that is
/// set to nothing counts as unset. Values that are or may hold a secret are never printed.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Where this runs; staging and production refuse every development default
    #[arg(long, env = "APP_ENV", value_enum, default_value_t = AppEnv::Development)]
    pub app_env: AppEnv,

    /// Address to listen on; 0.0.0.0 for all of this machine's
    #[arg(long, env = "BIND", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,

    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,

    /// Folder for the private Postgres, uploads and the development key
    #[arg(long, env = "DATA_DIR", default_value = ".data")]
    pub data_dir: PathBuf,

    /// Postgres as the server's role, postgres://…; without it a private one is started (development only)
    #[arg(long, env = "DATABASE_URL")]
    pub database_url: Option<SecretString>,

    /// The same database as its owner; used by migrations only
    #[arg(long, env = "DATABASE_OWNER_URL")]
    pub database_owner_url: Option<SecretString>,

    /// The most connections to Postgres at once
    #[arg(long, env = "DB_POOL", default_value_t = 16)]
    pub db_pool: u32,

    /// Redis, through which several servers on one database tell each other of commits
    #[arg(long, env = "REDIS_URL")]
    pub redis_url: Option<SecretString>,

    /// The Supabase project whose tokens are accepted, https://….supabase.co
    #[arg(long, env = "SUPABASE_URL")]
    pub supabase_url: Option<Url>,

    /// Key of tokens signed with HS256, at least 32 bytes; may stand beside SUPABASE_URL
    #[arg(long, env = "JWT_SECRET")]
    pub jwt_secret: Option<SecretString>,

    /// Signs cursors and derives secrets that are shown once, at least 32 bytes; made and kept in DATA_DIR in development
    #[arg(long, env = "SECRET_KEY")]
    pub secret_key: Option<SecretString>,

    /// Where files are kept: file:<folder> (default: the folder `files` in DATA_DIR)
    #[arg(long, env = "STORAGE_URL")]
    pub storage_url: Option<SecretString>,

    /// Mail server (not built yet)
    #[arg(long, env = "SMTP_URL")]
    pub smtp_url: Option<SecretString>,

    /// The address that people type, https://…; the local one in development
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Option<Url>,

    /// Other origins whose pages may call the API, separated by commas; `*` for any (development only)
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,

    /// Limits on requests per user and per address; off for load tests
    #[arg(long, env = "RATE_LIMIT", value_enum, default_value_t = Switch::On)]
    pub rate_limit: Switch,

    /// Proxies in front whose X-Forwarded-For entries are believed
    #[arg(long, env = "TRUSTED_PROXY_HOPS", default_value_t = 0)]
    pub trusted_proxy_hops: u8,

    /// Bearer token for /metrics, at least 16 bytes; without it only this machine may read them
    #[arg(long, env = "METRICS_TOKEN")]
    pub metrics_token: Option<SecretString>,

    /// What is logged: a level, or directives such as info,estatebase=debug
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
}

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AppEnv {
    /// One's own machine: what is not set is made up.
    Development,
    /// Checked like production, but its limits may be switched off for a load test.
    Staging,
    Production,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl Config {
    /// Everything that is wrong, each as a sentence that names the setting and never its value
    /// when it may be secret. Empty when the server may start.
    pub fn check(&self) -> Vec<String> {
        rules::broken(self)
    }

    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    pub fn is_development(&self) -> bool {
        self.app_env == AppEnv::Development
    }

    /// The address that people type; `local` is where the server listens.
    pub fn public_url(&self, local: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{local}"),
        }
    }

    /// The folder for files. Meaningful once `check` found nothing.
    pub fn storage_folder(&self) -> PathBuf {
        self.storage_url
            .as_ref()
            .and_then(|url| rules::file_path(url.expose_secret()).map(Path::to_owned))
            .unwrap_or_else(|| self.data_dir.join("files"))
    }

    /// The server's key: SECRET_KEY, or (in development) one made once and kept in DATA_DIR.
    pub fn secret_key(&self) -> anyhow::Result<SecretString> {
        match &self.secret_key {
            Some(key) => Ok(key.clone()),
            None if self.is_development() => {
                data_folder::kept_secret(&self.data_dir.join("secret_key"))
            }
            None => Err(anyhow::anyhow!("it is not set")),
        }
        .context("SECRET_KEY")
    }
}
