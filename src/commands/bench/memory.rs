//! The resident memory of a process, from `/proc` (Linux).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinHandle;

use crate::commands::loadtest::float;

const EVERY: Duration = Duration::from_millis(50);

/// Bytes of memory that the process holds now.
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    parse(&status).with_context(|| format!("no VmRSS in {path}"))
}

/// Watches a process until it is asked for the most it held.
pub struct Peak {
    most: Arc<AtomicU64>,
    watching: JoinHandle<()>,
}

impl Peak {
    /// Starts watching.
    pub fn watch(pid: u32) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&most);
        let watching = tokio::spawn(async move {
            while let Ok(now) = resident(pid) {
                shared.fetch_max(now, Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { most, watching }
    }

    /// The most that was seen, in bytes.
    pub fn stop(self) -> u64 {
        self.watching.abort();
        self.most.load(Ordering::Relaxed)
    }
}

/// Bytes as megabytes of 2^20.
pub fn megabytes(bytes: u64) -> f64 {
    float(bytes) / f64::from(1 << 20)
}

fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_kilobytes_become_bytes() {
        let status = "Name:\tx\nVmHWM:\t  9000 kB\nVmRSS:\t   8432 kB\nThreads:\t1\n";
        assert_eq!(parse(status), Some(8432 * 1024));
        assert_eq!(parse("Name:\tkthread\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_holds_some_memory() {
        let held = megabytes(resident(std::process::id()).unwrap());
        assert!((1.0..4_000.0).contains(&held), "{held} MB");
    }
}
