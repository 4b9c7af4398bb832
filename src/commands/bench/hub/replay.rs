//! How soon a socket that was away has been told what it missed, from its `subscribe` to the last
//! event: once from what the server remembers, once from the database after the server has let go
//! of the workspace.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use uuid::Uuid;

use crate::commands::bench::Bench;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::client::frames::{Edit, Frame, ItemEdit, RawEvent};
use crate::commands::client::lean::LeanSocket;
use crate::commands::client::position::Position;
use crate::commands::client::rest::{Call, Rest};
use crate::commands::client::socket::{PATIENCE, Socket, SocketError, parse};
use crate::commands::loadtest::LoadPlan;
use crate::commands::loadtest::event::{Cells, Seen};
use crate::commands::loadtest::glance::glance;
use crate::commands::loadtest::ground::{Field, Ground};
use crate::ids::WorkspaceId;

/// What a socket missed that was away for minutes; for an hour.
const MISSED: u64 = 1_000;
const FAR: u64 = 10_000;
/// Returns to a workspace that is remembered, and to how many that are not: a first return makes
/// the server remember.
const WARM: usize = 20;
const COLD: usize = 5;
/// Edits without an answer while the past is made.
const DEPTH: u64 = 50;

/// Pages of the log that the server read for returning sockets, on its page of figures.
const PAGES_READ: &str = "estatebase_replay_reads_total ";

/// Workspaces that nobody follows any more.
pub struct Away {
    cold: Vec<Past>,
    far: Past,
    left: Instant,
}

/// A position in a workspace, and where its log has come since.
struct Past {
    workspace: WorkspaceId,
    since: Position,
    head: u64,
}

/// What became of a return.
enum Return {
    Told(Duration),
    Reset(String),
}

/// Makes workspaces with a past and leaves them, so that the server may forget it.
///
/// # Errors
/// When the server refuses.
pub async fn leave(bench: &Bench) -> anyhow::Result<Away> {
    let rest = bench.rest().await?;
    let mut cold = Vec::new();
    for _ in 0..COLD {
        cold.push(Past::make(&rest, MISSED).await?);
    }
    let far = Past::make(&rest, FAR).await?;
    let left = Instant::now();
    Ok(Away { cold, far, left })
}

/// A replay of 1 000 events from memory, and from the database once `away` has passed; of 10 000
/// beside them.
///
/// # Errors
/// When a return is not told all that it missed, or is told to read again.
pub async fn measure(
    bench: &Bench,
    away: Away,
    forgotten: Duration,
) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    tokio::time::sleep_until((away.left + forgotten).into()).await;
    let before = pages_read(&rest).await?;
    let mut cold = Vec::new();
    for past in &away.cold {
        cold.push(past.told_again(&rest).await?);
    }
    let pages = pages_read(&rest).await?.zip(before);
    let far_cold = away.far.return_to(&rest).await?;

    let past = Past::make(&rest, MISSED).await?;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        warm.push(past.told_again(&rest).await?);
    }
    let far_warm = Past::make(&rest, FAR).await?.return_to(&rest).await?;
    Ok(vec![
        figure("memory", warm).with(format!("{FAR} from memory"), far_warm.to_string()),
        figure("the database", cold)
            .with(
                "pages of the log read",
                pages.map_or("not known".into(), |(after, before)| {
                    after.saturating_sub(before).to_string()
                }),
            )
            .with(format!("{FAR} from the database"), far_cold.to_string()),
    ])
}

fn figure(whence: &str, mut times: Vec<Duration>) -> Figure {
    times.sort();
    let ms = |at: usize| times.get(at).map_or(f64::NAN, |t| t.as_secs_f64() * 1e3);
    Figure::new(
        format!(
            "replay of {MISSED} missed events from {whence}, longest of {}",
            times.len()
        ),
        ms(times.len().saturating_sub(1)),
        "ms",
        Must::AtMost(50.0),
    )
    .with("median", format!("{:.2} ms", ms(times.len() / 2)))
}

impl Past {
    /// A new workspace, a position in it, and so many events after that.
    async fn make(rest: &Rest, events: u64) -> anyhow::Result<Self> {
        let plan = LoadPlan::new(rest.server().clone(), rest.token());
        let ground = Ground::prepare(rest, &plan).await?;
        let field = ground.lists.first().context("a ground without a list")?;
        let mut socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        let since = socket.subscribe(ground.workspace).await?.position;
        // Who edits alone is not to hear of it.
        socket.close().await;
        let mut socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        let mut head = since.seq;
        let mut made = 0;
        while made < events {
            let count = DEPTH.min(events - made);
            head = edit(&mut socket, ground.workspace, field, made..made + count).await?;
            made += count;
        }
        socket.close().await;
        ensure!(
            head - since.seq == events,
            "{events} edits took the log from {} to {head}",
            since.seq
        );
        Ok(Self {
            workspace: ground.workspace,
            since,
            head,
        })
    }

    async fn told_again(&self, rest: &Rest) -> anyhow::Result<Duration> {
        match self.return_to(rest).await? {
            Return::Told(took) => Ok(took),
            Return::Reset(reason) => {
                let missed = self.head - self.since.seq;
                bail!("of {missed} missed events nothing was told, but to read again: {reason}")
            }
        }
    }

    /// A socket comes back; the clock runs from its `subscribe`.
    async fn return_to(&self, rest: &Rest) -> anyhow::Result<Return> {
        let mut socket = LeanSocket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
        let (mut told, mut through, mut reset) = (0, 0, None);
        let began = Instant::now();
        socket.subscribe(self.workspace, Some(&self.since)).await?;
        let telling = async {
            while through < self.head && reset.is_none() {
                let take = |text: &str| {
                    let events = match glance(text) {
                        Some(events) => events,
                        None => match parse::<Seen>(text)? {
                            Frame::Events(events) => events,
                            Frame::Error(refusal) => {
                                return Err(SocketError::Refused(refusal.problem));
                            }
                            Frame::Reset(frame) => {
                                reset = Some(frame.reason);
                                return Ok(());
                            }
                            _ => return Ok(()),
                        },
                    };
                    told += u64::try_from(events.events.len()).unwrap_or(0);
                    through = events.through;
                    Ok(())
                };
                socket.hear(take).await?;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, telling)
            .await
            .unwrap_or(Err(SocketError::Silence))?;
        let took = began.elapsed();
        if let Some(reason) = reset {
            return Ok(Return::Reset(reason));
        }
        let missed = self.head - self.since.seq;
        ensure!(told == missed, "{told} of {missed} missed events were told");
        Ok(Return::Told(took))
    }
}

impl std::fmt::Display for Return {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Told(took) => write!(f, "{:.2} ms", took.as_secs_f64() * 1e3),
            Self::Reset(reason) => write!(f, "a reset instead: {reason}"),
        }
    }
}

/// Sends an edit for each number at once and waits for all answers: the last seq.
async fn edit(
    socket: &mut Socket,
    workspace: WorkspaceId,
    field: &Field,
    numbers: std::ops::Range<u64>,
) -> anyhow::Result<u64> {
    let mut unanswered = 0;
    for (number, item) in numbers.zip(field.items.iter().cycle()) {
        let items = [ItemEdit {
            id: *item,
            values: Cells {
                marker: Some(number),
            },
        }];
        let edit = Edit {
            op: Uuid::now_v7(),
            workspace,
            list: field.list,
            items: &items,
        };
        socket.feed(&edit).await?;
        unanswered += 1;
    }
    socket.flush().await?;
    let mut head = 0;
    while unanswered > 0 {
        let text = tokio::time::timeout(PATIENCE, socket.next()).await??;
        match parse::<RawEvent>(&text)? {
            Frame::Ack(ack) => head = head.max(ack.seq),
            Frame::Reject(reject) => bail!("an edit was refused: {}", reject.problem),
            _ => continue,
        }
        unanswered -= 1;
    }
    Ok(head)
}

/// `None` where the server shows its figures to others.
async fn pages_read(rest: &Rest) -> anyhow::Result<Option<u64>> {
    let answer = rest.once(&Call::new(Method::GET, "/metrics")).await?;
    let page = String::from_utf8_lossy(&answer.body);
    let count = page.lines().find_map(|line| line.strip_prefix(PAGES_READ));
    Ok(answer
        .status
        .is_success()
        .then(|| count.map_or(Some(0), |count| count.trim().parse().ok()))
        .flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::client::fake::Server;

    #[tokio::test]
    async fn a_return_is_told_what_was_missed_to_the_event() {
        let server = Server::start().await;
        let rest = Rest::new(server.url.clone(), "token").unwrap();
        let past = Past::make(&rest, 250).await.unwrap();
        assert_eq!(past.head - past.since.seq, 250);
        let took = past.told_again(&rest).await.unwrap();
        assert!(took > Duration::ZERO);
        server.happen("list.created");
        let wrong = past.told_again(&rest).await.unwrap_err().to_string();
        assert_eq!(wrong, "251 of 250 missed events were told");
    }

    #[test]
    fn the_longest_counts_and_none_is_no_figure() {
        let ms = |ms: u64| Duration::from_millis(ms);
        assert!(figure("memory", vec![ms(50), ms(3)]).passes());
        assert!(!figure("memory", vec![ms(51), ms(3), ms(2)]).passes());
        assert!(!figure("memory", Vec::new()).passes());
    }
}
