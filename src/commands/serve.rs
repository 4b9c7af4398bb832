//! `estatebase serve`: checks, opens the database, migrates it (in development), and serves.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpSocket;
use tracing::{error, info, warn};

use super::database::{self, Database};
use super::open_files;
use crate::app::{self, Parts};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::telemetry::{self, LogFormat, Metrics};

/// A burst of sockets that come back after a restart waits in the kernel.
const BACKLOG: u32 = 4096;

/// Serve the API, the live sockets and the web client
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: Config,
    /// Make a demo login with a workspace, and print it (development only)
    #[arg(long)]
    demo: bool,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config;
        let mut problems = config.check();
        if self.demo && !config.is_development() {
            problems
                .push("--demo makes a login that is shown to all: it is for development.".into());
        }
        if !problems.is_empty() {
            eprintln!("The configuration does not allow a start:");
            problems.iter().for_each(|problem| eprintln!("- {problem}"));
            return Ok(ExitCode::from(2));
        }
        telemetry::start_logs(&config.log, LogFormat::suited(config.is_development()))?;
        if let Some(files) = open_files::raise() {
            info!("at most {files} sockets and other files are open at a time");
        }
        let metrics = Metrics::start()?;
        let mut folder = DataFolder::claim(&config.data_dir)?;
        let listener = listen(config.address())?;
        let url = config.public_url(listener.local_addr()?);
        folder.announce(&url)?;
        let database = Database::open(&config, &folder).await?;
        let served = serve(config, listener, &database, metrics, &url, self.demo).await;
        if let Err(error) = database.close().await {
            error!("{error:#}");
        }
        served.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(
    config: Config,
    listener: TcpListener,
    database: &Database,
    metrics: Metrics,
    url: &str,
    demo: bool,
) -> anyhow::Result<()> {
    if config.is_development() {
        match &database.owner_url {
            Some(owner_url) => database::migrate(owner_url).await?,
            None => warn!("DATABASE_OWNER_URL is not set: the database is taken as it is"),
        }
    }
    let database_url = database.url.clone();
    let parts = Parts {
        config,
        listener,
        database_url,
        metrics,
    };
    app::run(parts, async |application| {
        info!("serving at {url}");
        println!("\n  Estatebase  {url}");
        if demo {
            match application.demo_login().await {
                Ok(Some((email, password))) => println!("  Demo login  {email} / {password}"),
                Ok(None) => {}
                Err(error) => warn!("no demo login could be made: {error:#}"),
            }
        }
        println!();
    })
    .await
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().with_context(|| {
        format!("{address} can't be listened on; another program may use that port (choose one with PORT, such as: make run PORT=8081)")
    })
}
