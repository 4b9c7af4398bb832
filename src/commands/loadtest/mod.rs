//! `estatebase loadtest`: many simulated editors over real sockets and REST, timed, and judged
//! against the log at the end. A client of the public contracts and nothing else.

pub mod check;
pub mod clock;
pub mod drive;
pub mod event;
pub mod glance;
pub mod ground;
pub mod measure;
pub mod pace;
pub mod participant;
pub mod plan;
pub mod reader;
pub mod report;
pub mod runs;
pub mod sight;
pub mod stamp;
pub mod writer;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Barrier;

pub use check::{Fault, Verdict};
pub use measure::{Summary, float, per_second};
pub use plan::{Audience, LoadPlan};
pub use report::LoadReport;

use super::client::login::LoginArgs;
use super::open_files;
use crate::ids::{ListId, WorkspaceId};

/// Simulates concurrent editors and checks that nothing is lost, doubled or out of order.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadtestArgs {
    #[command(flatten)]
    pub login: LoginArgs,
    /// The workspace to work in; without it one is made.
    #[arg(long)]
    pub workspace: Option<WorkspaceId>,
    /// Simulated people who edit.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub editors: u16,
    /// Edits a second of all editors together; 0: as fast as --pipeline allows.
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// Edits in flight an editor when --rate is 0.
    #[arg(long, default_value_t = 1)]
    pub pipeline: usize,
    /// How long, in seconds or like 500ms, 30s, 5m.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// Lists that the editors are spread over.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub lists: u16,
    /// A list of --workspace to edit, instead of lists made for the run.
    #[arg(long, requires = "workspace", conflicts_with = "lists")]
    pub list: Option<ListId>,
    /// Items in each list.
    #[arg(long, default_value_t = 100)]
    pub items: usize,
    /// The part of the edits that goes over REST, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    pub rest_share: f64,
    /// So many sockets that only watch; without it every editor watches as well as edits.
    #[arg(long)]
    pub watchers: Option<u16>,
    /// The report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// The command: a table or JSON on standard output, a line a second on standard error; fails when
/// a promise was broken.
///
/// # Errors
/// When the load could not take place.
pub async fn run(args: LoadtestArgs) -> anyhow::Result<ExitCode> {
    let may_open = open_files::raise();
    let sockets = u64::from(args.editors) + args.watchers.map_or(0, u64::from);
    if may_open.is_some_and(|files| files < sockets) {
        anyhow::bail!("{sockets} sockets are more than this process may open: raise ulimit -Hn");
    }
    let (mut session, _) = args.login.sign_in_or_up().await?;
    let rest = session.rest().await?;
    let report = run_plan(LoadPlan {
        server: rest.server().clone(),
        token: rest.token().to_owned(),
        workspace: args.workspace,
        editors: args.editors,
        rate: args.rate,
        pipeline: args.pipeline,
        duration: args.duration,
        lists: args.lists,
        list: args.list,
        items: args.items,
        rest_share: args.rest_share,
        audience: args.watchers.map_or(Audience::Editors, Audience::Watchers),
        progress: true,
        together: None,
    })
    .await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.verdict.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs a load. It has a thread of its own, so that neither the caller's tasks nor a scheduler
/// that moves tasks between cores blur the latencies.
///
/// # Errors
/// When the load could not take place; broken promises are in the report's verdict.
pub async fn run_plan(plan: LoadPlan) -> anyhow::Result<LoadReport> {
    on_a_thread(drive::drive(plan)).await
}

/// Runs loads beside each other, which begin together once all are prepared.
///
/// # Errors
/// When one of them could not take place.
pub async fn run_together(plans: Vec<LoadPlan>) -> anyhow::Result<Vec<LoadReport>> {
    let together = Arc::new(Barrier::new(plans.len()));
    let loads = plans.into_iter().map(move |plan| {
        drive::drive(LoadPlan {
            together: Some(Arc::clone(&together)),
            ..plan
        })
    });
    on_a_thread(futures::future::try_join_all(loads)).await
}

async fn on_a_thread<T: Send + 'static>(
    load: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    let (told, outcome) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("load".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let outcome = runtime
                .context("starting a runtime")
                .and_then(|runtime| runtime.block_on(load));
            // A caller that has gone away wants no report.
            let _ = told.send(outcome);
        })?;
    outcome.await.context("the load ended before its time")?
}

/// `500ms`, `30s`, `5m`, `1h`, or bare seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is no duration"))?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(format!("{unit:?} is no unit of time: ms, s, m, h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
