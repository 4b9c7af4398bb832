//! The figures of faults: what clients go through when a server is killed, a member removed, a
//! reader stalled, Redis away, and more asked for than can be done. On servers of the bench's own.
//! One file a figure.

pub mod fates;
pub mod follower;
pub mod kill;
pub mod overload;
pub mod pen;
pub mod process;
pub mod revocation;
pub mod second;
pub mod stalled;

use std::time::Duration;

use super::figure::{Figure, Must};
use super::{Bench, BenchArgs, Group};
use process::Stand;

/// How many, and how long.
#[derive(Clone, Debug)]
pub struct Course {
    /// The database of the servers, as their role.
    pub database: Option<String>,
    /// Who are connected to the server that is killed.
    pub clients: u16,
    /// How long Redis is away.
    pub away: Duration,
    /// How long too much is asked for.
    pub overload: Duration,
}

impl Course {
    pub fn of(args: &BenchArgs) -> Self {
        Self {
            database: args.server_database.clone(),
            clients: args.clients,
            away: Duration::from_secs(args.away),
            overload: Duration::from_secs(args.overload),
        }
    }
}

/// The figures of a group, each handed on as it is measured.
///
/// # Errors
/// When something can't be measured at all.
pub async fn measure(
    bench: &Bench,
    course: &Course,
    group: Group,
    mut add: impl FnMut(Vec<Figure>),
) -> anyhow::Result<()> {
    let Some(database) = &course.database else {
        let why = "servers of the bench's own need a database: --server-database";
        add(vec![unmeasured("faults of servers", why)]);
        return Ok(());
    };
    let stand = Stand::new(database);
    if group == Group::Overload {
        add(overload::measure(bench, &stand, course.overload).await?);
        return Ok(());
    }
    add(kill::measure(&stand, course.clients).await?);
    add(revocation::measure(&stand).await?);
    add(stalled::measure(bench, &stand).await?);
    add(second::measure(bench, &stand, course.away).await?);
    Ok(())
}

/// What could not be measured has missed.
fn unmeasured(name: &str, why: &str) -> Figure {
    Figure::new(name, f64::NAN, "", Must::AtMost(0.0)).with("NOT MEASURED", why)
}

/// The largest; of something that is no number, no number.
fn longest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |one: f64, other| {
        if one.is_nan() || one >= other {
            one
        } else {
            other
        }
    })
}

/// The middle one; none is no number.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_neither_the_longest_nor_passed() {
        assert!(longest([1.0, f64::NAN, 2.0].into_iter()).is_nan());
        assert!((longest([1.0, 3.0, 2.0].into_iter()) - 3.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
        assert!((median(vec![5.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!(!unmeasured("a fault", "why").passes());
    }
}
