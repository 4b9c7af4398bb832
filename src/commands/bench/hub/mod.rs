//! The figures of the hub: what many sockets cost, how soon and how often they are told, how many
//! edits are acknowledged, how soon a socket that was away knows all. One file a figure.

pub mod acks;
pub mod delivery;
pub mod fan_out;
pub mod idle;
pub mod replay;

use std::time::Duration;

use super::Bench;
use super::figure::Figure;
use crate::commands::open_files;

/// Files that a process holds open beside its sockets.
const BESIDE_SOCKETS: u64 = 200;

/// How many sockets the figures are about, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// All told of the same events.
    pub told: u16,
    /// All silent.
    pub idle: u32,
    /// From the last welcome until there is silence.
    pub settle: Duration,
    /// How long the silent ones are watched.
    pub watched: Duration,
    /// After how long without sockets a workspace has surely been let go of.
    pub away: Duration,
}

impl Crowd {
    /// `told` sockets and ten times as many idle ones.
    pub fn of(told: u16) -> Self {
        Self {
            told,
            idle: 10 * u32::from(told),
            settle: Duration::from_secs(5),
            watched: Duration::from_secs(50),
            away: Duration::from_secs(75),
        }
    }
}

/// All figures, each handed on as it is measured. The idle sockets come first: memory that an
/// earlier load left to the server would be theirs for nothing.
///
/// # Errors
/// When something can't be measured at all, or a load breaks a promise.
pub async fn measure(
    bench: &Bench,
    crowd: Crowd,
    mut add: impl FnMut(Vec<Figure>),
) -> anyhow::Result<()> {
    add(idle::measure(bench, crowd).await?);
    let away = replay::leave(bench).await?;
    add(delivery::measure(bench).await?);
    add(acks::measure(bench).await?);
    add(fan_out::measure(bench, crowd.told).await?);
    add(replay::measure(bench, away, crowd.away).await?);
    Ok(())
}

/// Whether this process and the server's may hold so many sockets; why not.
pub(super) fn room_for(sockets: u32, server: Option<u32>) -> Result<(), String> {
    let needed = u64::from(sockets) + BESIDE_SOCKETS;
    for (who, limit) in [
        ("the bench", open_files::raise()),
        ("the server", server.and_then(open_files::of)),
    ] {
        if let Some(limit) = limit.filter(|limit| *limit < needed) {
            return Err(format!(
                "{who} may open {limit} files, {needed} are needed: raise `ulimit -Hn`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::{BenchArgs, Group};
    use crate::commands::client::fake::{Mischief, Server};
    use crate::commands::client::login::LoginArgs;

    /// Against a server in memory that keeps the contract.
    async fn bench(server: &Server) -> Bench {
        Bench::new(&BenchArgs {
            login: LoginArgs {
                url: server.url.clone(),
                token: Some("token".into()),
                email: None,
                password: None,
            },
            database: String::new(),
            server_pid: Some(std::process::id()),
            pg_bin: None,
            seconds: 1,
            million: 1000,
            sockets: 5,
            server_database: None,
            clients: 5,
            away: 1,
            overload: 1,
            only: vec![Group::Hub],
            json: false,
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn silent_sockets_are_all_opened_watched_and_counted() {
        let server = Server::start().await;
        let crowd = Crowd {
            settle: Duration::from_millis(200),
            watched: Duration::from_millis(300),
            ..Crowd::of(5)
        };
        let figures = idle::measure(&bench(&server).await, crowd).await.unwrap();
        let [memory, cpu] = &figures[..] else {
            panic!("{figures:?}")
        };
        assert!(memory.name.contains("50 idle sockets"), "{memory}");
        assert!(memory.value.is_finite() && memory.value >= 0.0, "{memory}");
        assert!((0.0..16.0).contains(&cpu.value), "{cpu}");
    }

    #[tokio::test]
    async fn a_closed_idle_socket_is_no_figure() {
        let server = Server::start().await;
        let crowd = Crowd {
            settle: Duration::from_millis(200),
            watched: Duration::from_secs(4),
            ..Crowd::of(1)
        };
        let bench = bench(&server).await;
        let cut = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.cut();
        };
        let (outcome, ()) = tokio::join!(idle::measure(&bench, crowd), cut);
        let refused = outcome.unwrap_err().to_string();
        assert!(refused.contains("an idle socket was closed"), "{refused}");
    }

    #[tokio::test]
    async fn the_fan_out_rises_until_it_is_too_much_and_tells_each_step() {
        let server = Server::start().await;
        let figures = fan_out::measure(&bench(&server).await, 5).await.unwrap();
        let [figure] = &figures[..] else {
            panic!("{figures:?}")
        };
        assert!(figure.name.contains("5 sockets"), "{figure}");
        let (at, was) = &figure.raw[0];
        assert!(
            at == "at 50 edits/s" && was.contains("bytes an event with its frame"),
            "{figure}"
        );
        assert!(!figure.passes(), "{figure}");
    }

    #[tokio::test]
    async fn a_lost_event_is_no_figure() {
        let server = Server::with(Mischief::HidesAnEvent).await;
        let bench = bench(&server).await;
        let refused = fan_out::measure(&bench, 3).await.unwrap_err().to_string();
        assert!(refused.contains("NotDelivered"), "{refused}");
    }

    #[test]
    fn too_low_a_limit_is_said_and_not_worked_around() {
        assert!(room_for(5, Some(std::process::id())).is_ok());
        if let Some(limit) = open_files::raise() {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX - 1);
            let why = room_for(limit, None).unwrap_err();
            assert!(why.contains("the bench may open"), "{why}");
        }
    }
}
