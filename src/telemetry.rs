//! Logs and metrics: how they are written, and the one list of metrics. What is measured is
//! measured where it happens; the span of a request is made in `http`.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Compact,
    /// One JSON object a line, with the fields of the span that it happened in.
    Json,
}

impl LogFormat {
    /// For people only where one looks: a terminal, in development.
    pub fn suited(development: bool) -> Self {
        if development && std::io::stderr().is_terminal() {
            Self::Compact
        } else {
            Self::Json
        }
    }
}

/// Libraries that tell of their every step at the level at which the product tells of its own.
/// `LOG` can bring each back, as in `info,actix_server=info`.
const TALKATIVE: &str = "actix_server=warn,sea_orm_migration=warn,sqlx=warn";

/// Sends log lines to standard error; `filter` as in `LOG`. Fails when it was called before.
pub fn start_logs(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = format!("{TALKATIVE},{filter}")
        .parse::<EnvFilter>()
        .context("LOG can't be read")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Compact => lines.compact().with_target(false).try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logs can't be started: {error}"))
}

/// Time from a request's head to its answer's head; labels `route` (the pattern, not the path) and
/// `status` (its class).
pub const HTTP_DURATION: &str = "estatebase_http_request_duration_seconds";
/// Requests refused by a limit; label `policy`.
pub const RATE_LIMITED: &str = "estatebase_rate_limited_total";
/// Sockets open now.
pub const SOCKETS: &str = "estatebase_sockets";
/// Workspaces with a living actor.
pub const WORKSPACES: &str = "estatebase_workspaces";
/// Workspace actors that died and were started anew.
pub const RESTARTS: &str = "estatebase_workspace_restarts_total";
/// Commands and lanes that panicked; label `where`.
pub const PANICS: &str = "estatebase_panics_total";
/// Time of one group's transaction.
pub const COMMIT_DURATION: &str = "estatebase_commit_duration_seconds";
/// Commands in one group.
pub const COMMIT_GROUP: &str = "estatebase_commit_group_commands";
/// Commits whose answer was lost and looked up.
pub const COMMITS_IN_DOUBT: &str = "estatebase_commits_in_doubt_total";
/// Events committed.
pub const EVENTS: &str = "estatebase_events_total";
/// Pages of the log read for sockets that came back.
pub const REPLAY_READS: &str = "estatebase_replay_reads_total";
/// Rows that imports stored.
pub const IMPORT_ROWS: &str = "estatebase_import_rows_total";

/// Frames of presence that slow sockets went without.
pub const PRESENCE_SKIPPED: &str = "estatebase_presence_skipped_total";

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const METRICS: &[(Kind, &str, Unit, &str)] = &[
    (
        Kind::Histogram,
        HTTP_DURATION,
        Unit::Seconds,
        "Time to answer a request",
    ),
    (
        Kind::Counter,
        RATE_LIMITED,
        Unit::Count,
        "Requests refused by a limit",
    ),
    (Kind::Gauge, SOCKETS, Unit::Count, "Sockets open now"),
    (
        Kind::Gauge,
        WORKSPACES,
        Unit::Count,
        "Workspaces with a living actor",
    ),
    (
        Kind::Counter,
        RESTARTS,
        Unit::Count,
        "Workspace actors that died and were started anew",
    ),
    (
        Kind::Counter,
        PANICS,
        Unit::Count,
        "Commands and lanes that panicked",
    ),
    (
        Kind::Histogram,
        COMMIT_DURATION,
        Unit::Seconds,
        "Time of one group's transaction",
    ),
    (
        Kind::Histogram,
        COMMIT_GROUP,
        Unit::Count,
        "Commands in one group",
    ),
    (
        Kind::Counter,
        COMMITS_IN_DOUBT,
        Unit::Count,
        "Commits whose answer was lost and looked up",
    ),
    (Kind::Counter, EVENTS, Unit::Count, "Events committed"),
    (
        Kind::Counter,
        REPLAY_READS,
        Unit::Count,
        "Pages of the log read for sockets that came back",
    ),
    (
        Kind::Counter,
        IMPORT_ROWS,
        Unit::Count,
        "Rows that imports stored",
    ),
    (
        Kind::Counter,
        PRESENCE_SKIPPED,
        Unit::Count,
        "Frames of presence that slow sockets went without",
    ),
];

/// Upper bounds of the buckets of everything that is measured in seconds.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Upper bounds of the buckets of the sizes of groups.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What was measured so far.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts to collect, for the whole process. Fails when it was called before.
    pub fn start() -> anyhow::Result<Self> {
        let handle = builder()?
            .install_recorder()
            .context("metrics can't be started")?;
        for &(kind, name, unit, description) in METRICS {
            match kind {
                Kind::Counter => metrics::describe_counter!(name, unit, description),
                Kind::Gauge => metrics::describe_gauge!(name, unit, description),
                Kind::Histogram => metrics::describe_histogram!(name, unit, description),
            }
        }
        Ok(Self(handle))
    }

    /// In the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds raw samples into their buckets now and then, for as long as it is polled: without it
    /// they would pile up while nobody reads.
    pub async fn keep_up(self) {
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn builder() -> anyhow::Result<PrometheusBuilder> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_GROUP.to_owned()), SIZES)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_buckets() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!(HTTP_DURATION, "route" => "/healthz").record(0.003);
            metrics::histogram!(COMMIT_GROUP).record(3.0);
        });
        let text = recorder.handle().render();
        for line in [
            r#"estatebase_http_request_duration_seconds_bucket{route="/healthz",le="0.0025"} 0"#,
            r#"estatebase_http_request_duration_seconds_bucket{route="/healthz",le="0.005"} 1"#,
            r#"estatebase_commit_group_commands_bucket{le="4"} 1"#,
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn every_metric_is_named_by_its_kind_and_unit() {
        for (kind, name, unit, _) in METRICS {
            assert!(name.starts_with("estatebase_"), "{name}");
            assert_eq!(
                matches!(kind, Kind::Counter),
                name.ends_with("_total"),
                "{name}"
            );
            assert_eq!(*unit == Unit::Seconds, name.ends_with("_seconds"), "{name}");
        }
    }
}
