//! `estatebase demo`: real listings imported into a workspace made from the template, fifty
//! editors at work on them while a second import runs, and the proof that everybody agrees. The
//! workspace stays, to be looked at.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reqwest::Method;
use url::form_urlencoded::Serializer;

use super::client::login::LoginArgs;
use super::client::rest::{Call, Job, Rest, list_path};
use super::loadtest::{LoadPlan, per_second, run_plan};
use super::seed::agency::Agency;
use super::seed::csv::write_csv;
use super::seed::tables::Table;
use crate::ids::{ListId, WorkspaceId};

/// Columns of the real file → columns of the template.
const MAPPING: &str = r#"{"street":"UnparsedAddress","city":"City","zip":"PostalCode",
    "state":"StateOrProvince","beds":"BedroomsTotal","baths":"BathroomsTotalInteger",
    "sq__ft":"LivingArea","type":null,"sale_date":"CloseDate","price":"ClosePrice",
    "latitude":null,"longitude":null}"#;

const SEEDED_ROWS: u64 = 20_000;
const POLL: Duration = Duration::from_millis(50);

/// Imports real listings, lets fifty editors work on them, and shows that nothing is lost.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub login: LoginArgs,
    /// The listings: the Sacramento transactions of 2008 (985 rows).
    #[arg(
        long,
        default_value = "tests/fixtures/listings-sacramento/Sacramentorealestatetransactions.csv"
    )]
    pub file: PathBuf,
    /// Editors at work.
    #[arg(long, default_value_t = 50)]
    pub editors: u16,
    /// Edits a second of all editors together.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// Seconds they work.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
}

/// The command; fails when an import fails or a promise is broken.
///
/// # Errors
/// When the server refuses or can't be reached.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let (mut session, account) = args.login.sign_in_or_up().await?;
    let rest = session.rest().await?;
    let made = rest.create_workspace("Demo agency", Some("real_estate"));
    let workspace = made.await?.id;
    let properties = properties_of(&rest, workspace).await?;

    let real = Import::start(&rest, workspace, properties, &args.file, MAPPING).await?;
    real.finish(&rest, "real listings").await?;
    let seeded = seeded_file().await?;
    println!(
        "{} editors work for {} s on what was imported, while {SEEDED_ROWS} more rows come in …",
        args.editors, args.seconds
    );
    let second = second_import(&rest, workspace, &seeded);
    let load = run_plan(LoadPlan {
        workspace: Some(workspace),
        list: Some(properties),
        items: 1000,
        editors: args.editors,
        rate: args.rate,
        duration: Duration::from_secs(args.seconds),
        rest_share: 0.1,
        progress: true,
        ..LoadPlan::new(rest.server().clone(), rest.token())
    });
    let (second, report) = tokio::join!(second, load);
    let report = report?;
    second?;
    println!("\n{report}");
    println!("Look at it: {} (workspace {workspace})", rest.server());
    if let Some(account) = account {
        println!("  sign in as {} with {}", account.email, account.password);
    }
    Ok(if report.verdict.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An import under way.
struct Import {
    workspace: WorkspaceId,
    job: Job,
    started: Instant,
}

impl Import {
    async fn start(
        rest: &Rest,
        workspace: WorkspaceId,
        list: ListId,
        file: &std::path::Path,
        mapping: &str,
    ) -> anyhow::Result<Self> {
        ensure!(file.is_file(), "there is no file {}", file.display());
        let query = Serializer::new(String::new())
            .append_pair("mode", "create")
            .append_pair("mapping", mapping)
            .finish();
        let path = format!("{}/imports?{query}", list_path(workspace, list));
        let call = Call::new(Method::POST, path).file(file, "text/csv");
        let started = Instant::now();
        let job = rest.read(call).await.context("starting an import")?;
        Ok(Self {
            workspace,
            job,
            started,
        })
    }

    /// Waits for the end and prints what came of it.
    async fn finish(self, rest: &Rest, what: &str) -> anyhow::Result<()> {
        let job = rest.wait_for_job(self.workspace, self.job.id, POLL).await?;
        let took = self.started.elapsed();
        let count = |name| job.count(name).unwrap_or_default();
        let (created, failed) = (count("created"), count("failed"));
        ensure!(
            job.state == "succeeded",
            "the import of {what} ended as {job:?}"
        );
        println!(
            "imported {what}: {} rows read, {created} created, {failed} failed, in {:.2} s ({:.0} rows/s)",
            count("read"),
            took.as_secs_f64(),
            per_second(created, took)
        );
        Ok(())
    }
}

/// Into a list of its own, so that the editors' list stays small enough to look through.
async fn second_import(
    rest: &Rest,
    workspace: WorkspaceId,
    file: &tempfile::NamedTempFile,
) -> anyhow::Result<()> {
    // The editors need a moment to sit down.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let columns: Vec<_> = Table::Properties
        .fields()
        .iter()
        .map(super::seed::tables::Field::column)
        .collect();
    let list = rest.create_list(workspace, "Seeded properties", &columns);
    let list = list.await?.id;
    let import = Import::start(rest, workspace, list, file.path(), "{}").await?;
    import.finish(rest, "seeded listings").await
}

async fn properties_of(rest: &Rest, workspace: WorkspaceId) -> anyhow::Result<ListId> {
    let lists = rest.lists(workspace).await?;
    let properties = lists.into_iter().find(|list| list.name == "Properties");
    Ok(properties.context("the template made no Properties")?.id)
}

async fn seeded_file() -> anyhow::Result<tempfile::NamedTempFile> {
    tokio::task::spawn_blocking(|| {
        let file = tempfile::Builder::new().suffix(".csv").tempfile()?;
        let agency = Agency {
            seed: 1,
            properties: SEEDED_ROWS,
        };
        write_csv(
            agency,
            Table::Properties,
            std::io::BufWriter::new(file.as_file()),
        )?;
        Ok(file)
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_is_json_that_names_every_column_of_the_file() {
        let mapping: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(MAPPING).unwrap();
        assert_eq!(mapping.len(), 12);
        assert_eq!(mapping["sale_date"], "CloseDate");
    }
}
