//! `estatebase bench`: the product's figures, as ratios to plain Postgres measured in the same run on
//! the same machine, or, of the hub, as they are. One file or folder a group of figures; a client of
//! a running server, and of its database for the baselines.

pub mod baseline;
pub mod beside;
pub mod computed;
pub mod cpu;
pub mod duplicates;
pub mod durations;
pub mod edits;
pub mod figure;
pub mod hub;
pub mod imports;
pub mod links;
pub mod lists;
pub mod memory;
pub mod nodes;
pub mod pages;
pub mod pgbench;
pub mod turns;
pub mod undo;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Mutex;

use super::client::login::{LoginArgs, Session};
use super::client::rest::Rest;
use super::loadtest::{LoadPlan, LoadReport};
use super::open_files;
use figure::Figure;
use hub::Crowd;
use nodes::Course;

/// Measures a running server, against the plain Postgres beneath it where there is a ratio.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub login: LoginArgs,
    /// The server's database, as an owner who may make schemas and switch roles.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    pub database: String,
    /// The server's process, for its memory and its time.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Where Postgres's programs are.
    #[arg(long, env = "PG_BIN")]
    pub pg_bin: Option<PathBuf>,
    /// Seconds a load runs.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Rows of the large list and the large import.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub million: u64,
    /// Sockets that are told of the same events; ten times as many are idle.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=6000))]
    pub sockets: u16,
    /// The server's database, as the role that servers sign in with: for servers of the bench's own.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub server_database: Option<String>,
    /// Clients of a server that is killed.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..=6000))]
    pub clients: u16,
    /// Seconds that Redis is away.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub away: u64,
    /// Seconds of five times the edits that a server can take.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub overload: u64,
    /// Only these groups.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Group>,
    /// The figures as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    Edits,
    /// Imports and, in the list of a million rows that they leave, pages.
    Imports,
    /// Acknowledgements beside an import.
    Beside,
    /// Sockets: their cost, deliveries, acknowledged edits, replays.
    Hub,
    /// A batch of 10 000 items, taken back.
    Undo,
    /// Lookups, rollups and formulas, and what follows from an edit.
    Computed,
    /// Pages with links, and ten thousand links in one request.
    Links,
    /// Who stands twice among 100 000 contacts.
    Duplicates,
    /// Faults: servers of the bench's own are killed, cut off and stalled.
    Nodes,
    /// A server of the bench's own is asked for five times what it can do.
    Overload,
}

/// What every group needs.
pub struct Bench {
    session: Mutex<Session>,
    /// The owner's connection string.
    pub database: String,
    pub server_pid: Option<u32>,
    pub pgbench: PathBuf,
    pub duration: Duration,
    /// A million, or fewer for a quick look.
    pub million: u64,
}

/// The command: prints each figure as it is measured; fails when one misses.
///
/// # Errors
/// When something can't be measured at all.
pub async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let _ = open_files::raise();
    let figures = measure(&args).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    }
    let missed = figures.iter().filter(|figure| !figure.passes()).count();
    eprintln!("{} figures, {missed} missed", figures.len());
    Ok(if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures the chosen groups, all when none is named.
///
/// # Errors
/// When something can't be measured at all.
pub async fn measure(args: &BenchArgs) -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::new(args).await?;
    let wants = |group| args.only.is_empty() || args.only.contains(&group);
    let mut figures = Vec::new();
    let mut add = |new: Vec<Figure>| {
        if !args.json {
            new.iter().for_each(|figure| println!("{figure}"));
        }
        figures.extend(new);
    };
    if wants(Group::Hub) {
        hub::measure(&bench, Crowd::of(args.sockets), &mut add).await?;
    }
    for group in [Group::Nodes, Group::Overload] {
        if wants(group) {
            nodes::measure(&bench, &Course::of(args), group, &mut add).await?;
        }
    }
    if wants(Group::Edits) {
        add(edits::measure(&bench).await?);
    }
    let workspace = bench
        .rest()
        .await?
        .create_workspace("Bench", None)
        .await?
        .id;
    if wants(Group::Imports) {
        let (measured, large) = imports::measure(&bench, workspace).await?;
        add(measured);
        add(pages::measure(&bench, workspace, large).await?);
    }
    if wants(Group::Undo) {
        add(undo::measure(&bench).await?);
    }
    if wants(Group::Computed) {
        add(computed::measure(&bench).await?);
    }
    if wants(Group::Links) {
        add(links::measure(&bench).await?);
    }
    if wants(Group::Duplicates) {
        add(duplicates::measure(&bench).await?);
    }
    if wants(Group::Beside) {
        add(beside::measure(&bench, workspace).await?);
    }
    Ok(figures)
}

impl Bench {
    /// Signs in, or up.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn new(args: &BenchArgs) -> anyhow::Result<Self> {
        let (session, _) = args.login.sign_in_or_up().await?;
        Ok(Self {
            session: Mutex::new(session),
            database: args.database.clone(),
            server_pid: args.server_pid,
            pgbench: pgbench::find(args.pg_bin.as_deref()),
            duration: Duration::from_secs(args.seconds),
            million: args.million,
        })
    }

    /// The caller, with a token that is good for now.
    ///
    /// # Errors
    /// When the server refuses to refresh it.
    pub async fn rest(&self) -> anyhow::Result<Rest> {
        self.session.lock().await.rest().await
    }

    /// A load of the usual shape as this caller.
    ///
    /// # Errors
    /// When the server refuses to refresh the token.
    pub async fn plan(&self) -> anyhow::Result<LoadPlan> {
        let rest = self.rest().await?;
        Ok(LoadPlan::new(rest.server().clone(), rest.token()))
    }

    /// One connection for the baselines.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn pool(&self) -> anyhow::Result<PgPool> {
        let options = PgPoolOptions::new().max_connections(1);
        Ok(options.connect(&self.database).await?)
    }

    /// The report, if it is sound.
    ///
    /// # Errors
    /// When the load broke a promise: speed without truth is no figure.
    pub fn sound(&self, report: LoadReport) -> anyhow::Result<LoadReport> {
        if report.verdict.sound {
            Ok(report)
        } else {
            bail!("the server broke its promises under load:\n{report}")
        }
    }
}
