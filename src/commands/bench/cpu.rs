//! The processor time of a process, from `/proc` (Linux).

use std::time::Duration;

use anyhow::Context;

use crate::commands::loadtest::float;

/// What all threads of the process have used since it began, to a tick (10 ms, as a rule).
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub fn spent(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let ticks = parse(&stat).with_context(|| format!("no times in {path}"))?;
    let a_second = float(rustix::param::clock_ticks_per_second());
    Ok(Duration::from_secs_f64(float(ticks) / a_second))
}

/// `utime` and `stime`, fields 14 and 15 of proc(5); the second field, a name, may hold anything.
fn parse(stat: &str) -> Option<u64> {
    let (_, from_the_third) = stat.rsplit_once(") ")?;
    let mut fields = from_the_third.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_program_is_called() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194304 900 0 3 0 250 50 7 8 20 0 4 0 100 1 2\n";
        assert_eq!(parse(stat), Some(300));
        assert_eq!(parse("12 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_is_noticed() {
        let before = spent(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while spent(std::process::id()).unwrap() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
