//! How many files, sockets among them, a process may hold open. Systems give programs a low soft
//! limit for the sake of those that still use `select`; nothing here does.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of this process to its hard one. Returns how many files it may hold open;
/// `None` is without limit.
pub fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            limit.current
        }
    }
}

/// How many files another process may hold open (Linux); `None` when that is not known or without
/// limit.
pub fn of(pid: u32) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

fn parse(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let may = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, may);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max processes             96465                96465                processes\n\
            Max open files            1024                 20000                files\n";
        assert_eq!(parse(table), Some(1024));
        assert_eq!(parse(&table.replace("1024", "unlimited")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_known_too() {
        assert_eq!(of(std::process::id()), raise());
    }
}
