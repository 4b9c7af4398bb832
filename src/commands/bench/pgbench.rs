//! The baseline of edits: pgbench with the three statements that any server must make for an edit
//! (counter, item, event), one transaction an edit, all clients on one workspace row.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;

/// Items that are edited at random.
pub const ITEMS: u64 = 1000;

const SCRIPT: &str = r#"\set number random(1, 1000)
\set price random(100000, 900000)
BEGIN;
UPDATE estatebase_bench.workspaces SET seq = seq + 1
    WHERE id = '00000000-0000-7000-8000-000000000001' RETURNING seq \gset
UPDATE estatebase_bench.items
    SET "values" = "values" || jsonb_build_object('5', :price::int), version = version + 1, seq = :seq,
        updated_at = now(), updated_by = '00000000-0000-7000-8000-000000000001'
    WHERE workspace_id = '00000000-0000-7000-8000-000000000001'
        AND list_id = '00000000-0000-7000-8000-000000000001'
        AND id = ('00000000-0000-7000-8000-' || lpad(to_hex(:number::int), 12, '0'))::uuid;
INSERT INTO estatebase_bench.events VALUES (
    '00000000-0000-7000-8000-000000000001', :seq, now(), 'items.changed',
    '00000000-0000-7000-8000-000000000001',
    jsonb_build_object('item', :number::int, 'set', jsonb_build_object('5', :price::int)));
COMMIT;
"#;

/// What pgbench measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgbench {
    pub edits_per_second: f64,
    pub latency_ms: f64,
}

/// Runs the script with so many clients against the baseline's tables, for at least a second.
///
/// # Errors
/// When pgbench is missing or fails.
pub async fn run(
    pgbench: &Path,
    database: &str,
    clients: u32,
    duration: Duration,
) -> anyhow::Result<Pgbench> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SCRIPT)?;
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared"])
        .arg(format!("--client={clients}"))
        .arg(format!("--jobs={}", clients.min(2)))
        .arg(format!("--time={}", duration.as_secs().max(1)))
        .arg(format!("--file={}", script.path().display()))
        .arg(database)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("starting {}", pgbench.display()))?;
    if !output.status.success() {
        bail!(
            "pgbench failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let report = String::from_utf8_lossy(&output.stdout);
    parse(&report).with_context(|| format!("pgbench said something else: {report}"))
}

/// The installed pgbench: beside the given binaries, or in the usual folders, newest first, or on
/// the path.
pub fn find(bin: Option<&Path>) -> PathBuf {
    let usual = std::fs::read_dir("/usr/lib/postgresql");
    let mut versions: Vec<(u32, PathBuf)> = usual
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    bin.map(Path::to_owned)
        .into_iter()
        .chain(versions.into_iter().rev().map(|(_, bin)| bin))
        .map(|bin| bin.join("pgbench"))
        .find(|pgbench| pgbench.is_file())
        .unwrap_or_else(|| "pgbench".into())
}

fn parse(report: &str) -> Option<Pgbench> {
    let number_after = |label: &str| -> Option<f64> {
        let line = report.lines().find_map(|line| line.strip_prefix(label))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Pgbench {
        edits_per_second: number_after("tps = ")?,
        latency_ms: number_after("latency average = ")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read() {
        let report = "transaction type: a\nnumber of failed transactions: 0 (0.000%)\n\
            latency average = 104.480 ms\ninitial connection time = 72.1 ms\n\
            tps = 612.554321 (without initial connection time)\n";
        assert_eq!(
            parse(report),
            Some(Pgbench {
                edits_per_second: 612.554_321,
                latency_ms: 104.48
            })
        );
        assert_eq!(parse("pgbench: error"), None);
    }

    #[test]
    fn the_script_edits_every_item_there_is() {
        assert!(SCRIPT.contains(&format!("random(1, {ITEMS})")));
    }
}
