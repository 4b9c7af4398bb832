//! Five times the edits that a server can take: it goes on doing what it can, answers everything,
//! and is itself again soon after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fates::{Fates, Tally};
use super::median;
use super::pen::Seal;
use super::process::{Node, Stand};
use crate::commands::bench::Bench;
use crate::commands::bench::figure::{Figure, Must};
use crate::commands::bench::memory::{Peak, megabytes, resident};
use crate::commands::client::frames::{Edit, Frame, ItemEdit, RawEvent};
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::{Hearing, Sending, Socket, SocketError, parse};
use crate::commands::loadtest::event::{Cells, Seen};
use crate::commands::loadtest::ground::{Field, Ground};
use crate::commands::loadtest::stamp::Stamp;
use crate::commands::loadtest::{Audience, LoadPlan, float, per_second, run_plan};
use crate::ids::{ItemId, WorkspaceId};

const TIMES: f64 = 5.0;
const SOCKETS: u16 = 200;
const OPENING: usize = 32;
/// The peak is what so many editors reach who each wait for so many answers at a time.
const EDITORS: u16 = 64;
const DEPTH: usize = 16;
const ITEMS: usize = 1000;
/// How often each socket sends what is due.
const SEND_EVERY: Duration = Duration::from_millis(10);
/// Who is not answered by then is not answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// One editor, before and after.
const PROBE_EVERY: Duration = Duration::from_millis(20);
const PROBE_BEFORE: Duration = Duration::from_secs(5);
const PROBE_AFTER: Duration = Duration::from_secs(15);
/// Its median over so long is normal when it is below so many times what it was before.
const WINDOW: Duration = Duration::from_millis(500);
const NORMAL: f64 = 2.0;
const NORMAL_WITHIN_S: f64 = 5.0;
const LOG_PAGE: u32 = 1000;

/// What the senders have in common.
struct Flood {
    seal: Seal,
    workspace: WorkspaceId,
    field: Field,
    /// Edits a second of each.
    rate: f64,
    until: Instant,
    fates: Mutex<Fates>,
}

/// One socket's end of it.
struct Sent {
    /// Due, but the server had not read what was sent before.
    unsent: u64,
    closed: Option<SocketError>,
}

/// Goodput, answers, and how soon an edit takes what it took before.
///
/// # Errors
/// When it can't be tried, or the server can't take a plain load.
pub async fn measure(bench: &Bench, stand: &Stand, lasts: Duration) -> anyhow::Result<Vec<Figure>> {
    let node = stand.start(None).await?;
    let (rest, _) = node.person().await?;
    let plan = LoadPlan {
        items: ITEMS,
        ..LoadPlan::new(rest.server().clone(), rest.token())
    };
    let ground = Ground::prepare(&rest, &plan).await?;
    let peak = run_plan(LoadPlan {
        workspace: Some(ground.workspace),
        editors: EDITORS,
        rate: 0.0,
        pipeline: DEPTH,
        duration: bench.duration,
        audience: Audience::Watchers(1),
        ..plan
    });
    let peak = bench.sound(peak.await?)?.acks_per_second;
    let before = probe(&rest, &ground, PROBE_BEFORE).await?;
    let before = median(before.into_iter().map(|(_, ms)| ms).collect());

    let since = rest.head(ground.workspace).await?;
    let sockets = open(&rest).await?;
    let flood = Arc::new(Flood {
        seal: Seal::new(),
        workspace: ground.workspace,
        field: ground
            .lists
            .first()
            .context("a ground without a list")?
            .clone(),
        rate: peak * TIMES / f64::from(SOCKETS),
        until: Instant::now() + lasts,
        fates: Mutex::new(Fates::of(SOCKETS)),
    });
    let mut senders = JoinSet::new();
    for (editor, socket) in (0..SOCKETS).zip(sockets) {
        senders.spawn(Arc::clone(&flood).pour(editor, socket));
    }
    let (held, first, second) = watch_memory(&node, lasts).await?;
    let in_time = flood.fates.lock().tally();
    let after = probe(&rest, &ground, PROBE_AFTER).await?;
    let sent: Vec<Sent> = senders.join_all().await;

    let fates = std::mem::replace(&mut *flood.fates.lock(), Fates::of(0));
    let tally = fates.tally();
    let judged = against_the_log(&rest, &flood, since, fates).await?;
    let goodput = per_second(in_time.acked, lasts);
    let closed = sent.iter().filter_map(|sent| sent.closed.as_ref());
    let closed: Vec<String> = closed.map(ToString::to_string).collect();
    let growth = |peak: u64| format!("{:.1} MB", megabytes(peak.saturating_sub(held)));
    Ok(vec![
        Figure::new(
            format!("acknowledged edits when {TIMES} times the peak is asked for"),
            goodput / peak,
            "×",
            Must::AtLeast(0.8),
        )
        .with("peak", format!("{peak:.0}/s"))
        .with("acknowledged", format!("{goodput:.0}/s"))
        .with("sent", format!("{:.0}/s", per_second(in_time.sent, lasts)))
        .with(
            "due, never sent: the server did not read",
            sent.iter().map(|sent| sent.unsent).sum::<u64>().to_string(),
        )
        .with("memory, first half: growth", growth(first))
        .with("memory, second half: growth", growth(second)),
        faults(&tally, &judged).with(
            "sockets closed",
            match closed.first() {
                None => "0".into(),
                Some(why) => format!("{}, one of them: {why}", closed.len()),
            },
        ),
        Figure::new(
            format!("after the overload: edit→ack p50 is at most {NORMAL} times what it was"),
            normal_again(&after, before),
            "s",
            Must::AtMost(NORMAL_WITHIN_S),
        )
        .with("p50 before", format!("{before:.2} ms")),
    ])
}

fn faults(tally: &Tally, judged: &Judged) -> Figure {
    let faults = tally.unanswered + tally.wrong + judged.lost + judged.denied;
    Figure::new(
        "overload: edits not answered, answered otherwise than documented, lost or doubled",
        float(faults),
        "edits",
        Must::AtMost(0.0),
    )
    .with("acknowledged", tally.acked.to_string())
    .with("refused as too many or busy", tally.refused.to_string())
    .with("told that nobody knows", tally.in_doubt.to_string())
    .with(
        "of them in the log, asked again",
        judged.asked_again.to_string(),
    )
    .with("not answered", tally.unanswered.to_string())
    .with("answered twice or otherwise", tally.wrong.to_string())
    .with("acknowledged and not in the log", judged.lost.to_string())
    .with("in the log otherwise", judged.denied.to_string())
    .with(
        "the first of them",
        judged.first.clone().unwrap_or_else(|| "none".into()),
    )
}

async fn open(rest: &Rest) -> anyhow::Result<Vec<Socket>> {
    futures::stream::iter(0..SOCKETS)
        .map(|_| Socket::open(rest.server(), rest.token(), Uuid::new_v4()))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
        .context("opening the sockets")
}

/// What the server held, and the most it held in the first and in the second half.
async fn watch_memory(node: &Node, lasts: Duration) -> anyhow::Result<(u64, u64, u64)> {
    let pid = node.pid().context("the server has ended")?;
    let held = resident(pid)?;
    let first = Peak::watch(pid);
    tokio::time::sleep(lasts / 2).await;
    let (first, second) = (first.stop(), Peak::watch(pid));
    tokio::time::sleep(lasts / 2).await;
    Ok((held, first, second.stop()))
}

impl Flood {
    /// Sends at its pace and hears the answers side by side: who does not hear is no honest client.
    async fn pour(self: Arc<Self>, editor: u16, socket: Socket) -> Sent {
        let (sending, hearing) = socket.split();
        let all_sent = Notify::new();
        let mut sent = Sent {
            unsent: 0,
            closed: None,
        };
        let send = async {
            let outcome = self.send(editor, sending, &mut sent.unsent).await;
            all_sent.notify_one();
            outcome
        };
        let hear = self.hear(editor, hearing, &all_sent);
        let both = async { tokio::join!(send, hear) };
        let lasts = self.until.saturating_duration_since(Instant::now());
        sent.closed = match tokio::time::timeout(lasts + ANSWER_WITHIN, both).await {
            Ok((Ok(_sending), Ok(()))) => None,
            Ok((Err(error), _) | (_, Err(error))) => Some(error),
            Err(_) => Some(SocketError::Silence),
        };
        sent
    }

    async fn send(
        &self,
        editor: u16,
        mut sending: Sending,
        unsent: &mut u64,
    ) -> Result<Sending, SocketError> {
        let (began, mut count) = (Instant::now(), 0_u32);
        let mut turns = tokio::time::interval(SEND_EVERY);
        loop {
            turns.tick().await;
            let now = Instant::now().min(self.until);
            let due = (now - began).as_secs_f64() * self.rate;
            while f64::from(count) < due && Instant::now() < self.until {
                self.edit(editor, count, &mut sending).await?;
                count += 1;
            }
            sending.flush().await?;
            if Instant::now() >= self.until {
                let left = due - f64::from(count);
                *unsent = whole(left);
                return Ok(sending);
            }
        }
    }

    async fn edit(
        &self,
        editor: u16,
        count: u32,
        sending: &mut Sending,
    ) -> Result<(), SocketError> {
        self.fates.lock().sent(editor);
        let items = self.items(editor, count);
        let op = self.seal.op(Instant::now(), editor, count);
        sending.feed(&self.frame(op, &items)).await
    }

    /// What an editor's edit of that number says.
    fn items(&self, editor: u16, count: u32) -> Vec<ItemEdit<Cells>> {
        let turn = usize::from(editor) + usize::try_from(count).unwrap_or(0);
        let id = self.field.items.get(turn % self.field.items.len().max(1));
        let marker = Some(u64::from(count));
        let edit = |id: &ItemId| ItemEdit {
            id: *id,
            values: Cells { marker },
        };
        id.map(edit).into_iter().collect()
    }

    fn frame<'i>(&self, op: Uuid, items: &'i [ItemEdit<Cells>]) -> Edit<'i, Cells> {
        Edit {
            op,
            workspace: self.workspace,
            list: self.field.list,
            items,
        }
    }

    /// The answer to an edit that is asked for once more; `None`: it is refused.
    async fn ask_again(
        &self,
        socket: &mut Socket,
        op: Uuid,
        stamp: Stamp,
    ) -> anyhow::Result<Option<u64>> {
        let items = self.items(stamp.editor, stamp.counter);
        socket.send(&self.frame(op, &items)).await?;
        loop {
            match parse::<RawEvent>(&socket.next().await?)? {
                Frame::Ack(ack) => return Ok(Some(ack.seq)),
                Frame::Reject(_) => return Ok(None),
                _ => {}
            }
        }
    }

    /// Until all that was sent is answered.
    async fn hear(
        &self,
        editor: u16,
        mut hearing: Hearing,
        all_sent: &Notify,
    ) -> Result<(), SocketError> {
        let mut ended = false;
        while !ended || self.fates.lock().waits(editor) {
            tokio::select! {
                text = hearing.next() => self.take(&text?)?,
                () = all_sent.notified(), if !ended => ended = true,
            }
        }
        Ok(())
    }

    fn take(&self, text: &str) -> Result<(), SocketError> {
        let told = match serde_json::from_str::<Told<'_>>(text) {
            Ok(told) => told,
            // Not as it should be: whoever reads it whole says why.
            Err(_) => return parse::<RawEvent>(text).map(drop),
        };
        let answered = |op: Option<Uuid>| self.seal.read(op?);
        match (told.kind, told.seq, told.problem) {
            ("ack", Some(seq), _) => self.fates.lock().acked(answered(told.op), seq),
            ("reject", _, Some(problem)) => {
                self.fates.lock().refused(answered(told.op), problem.code);
            }
            ("error", ..) => match parse::<RawEvent>(text)? {
                Frame::Error(refusal) => return Err(SocketError::Refused(refusal.problem)),
                _ => return Ok(()),
            },
            _ => {}
        }
        Ok(())
    }
}

/// An answer, read in one pass: a hundred thousand a second take their time of the server's processors.
#[derive(serde::Deserialize)]
struct Told<'t> {
    #[serde(rename = "type", borrow)]
    kind: &'t str,
    op: Option<Uuid>,
    seq: Option<u64>,
    #[serde(borrow)]
    problem: Option<Code<'t>>,
}

#[derive(serde::Deserialize)]
struct Code<'t> {
    #[serde(borrow)]
    code: &'t str,
}

/// What the log says of the answers.
struct Judged {
    /// Acknowledged edits that it lacks.
    lost: u64,
    /// Edits that it has although they were refused, under another seq or twice; the first of them.
    denied: u64,
    first: Option<String>,
    /// Edits that it has although nobody knew: who asks again by the same op must be told.
    asked_again: u64,
}

async fn against_the_log(
    rest: &Rest,
    flood: &Flood,
    since: u64,
    mut fates: Fates,
) -> anyhow::Result<Judged> {
    let workspace = flood.workspace;
    let (mut after, head) = (since, rest.head(workspace).await?);
    let mut first = None;
    let mut socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
    let mut asked_again = 0;
    while after < head {
        let page = rest.events::<Seen>(workspace, after, LOG_PAGE).await?;
        for event in &page.data {
            let edit = event.op.and_then(|op| Some((op, flood.seal.read(op)?)));
            let Some((op, stamp)) = edit else { continue };
            let denied = fates.denied();
            let in_doubt = fates.logged(stamp, event.seq);
            if fates.denied() > denied {
                let (editor, counter) = (stamp.editor, stamp.counter);
                first.get_or_insert(format!("{op} at {}: {editor}, {counter}", event.seq));
            }
            if in_doubt {
                asked_again += 1;
                if flood.ask_again(&mut socket, op, stamp).await? != Some(event.seq) {
                    fates.denied_again();
                }
            }
        }
        if page.through <= after {
            bail!("the log does not go on after {after}, and its head is {head}");
        }
        after = page.through;
    }
    socket.close().await;
    Ok(Judged {
        lost: fates.lost(),
        denied: fates.denied(),
        first,
        asked_again,
    })
}

/// One editor who waits for each answer: when it came, from the beginning, and what it took.
async fn probe(
    rest: &Rest,
    ground: &Ground,
    lasts: Duration,
) -> anyhow::Result<Vec<(Duration, f64)>> {
    let field = ground.lists.first().context("a ground without a list")?;
    let item = field.items.first().context("a list without items")?;
    let began = Instant::now();
    let mut socket = Socket::open(rest.server(), rest.token(), Uuid::new_v4()).await?;
    // A seal of its own: among hundreds of other ops one may look as if the flood had sent it.
    let seal = Seal::new();
    let mut found = Vec::new();
    let mut count = 0_u32;
    while began.elapsed() < lasts {
        count += 1;
        let values = Cells {
            marker: Some(u64::from(count)),
        };
        let edit = Edit {
            op: seal.op(Instant::now(), u16::MAX, count),
            workspace: ground.workspace,
            list: field.list,
            items: &[ItemEdit { id: *item, values }],
        };
        let sent = Instant::now();
        socket.send(&edit).await?;
        // A refusal is an answer, and no edit: it does not count as one.
        let acked = loop {
            match parse::<RawEvent>(&socket.next().await?)? {
                Frame::Ack(_) => break true,
                Frame::Reject(_) => break false,
                _ => {}
            }
        };
        if acked {
            found.push((began.elapsed(), sent.elapsed().as_secs_f64() * 1e3));
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
    socket.close().await;
    Ok(found)
}

/// Seconds to the end of the first window whose median is normal; no number when there is none.
fn normal_again(found: &[(Duration, f64)], before: f64) -> f64 {
    let windows = PROBE_AFTER.as_millis() / WINDOW.as_millis();
    let mut ends = (1..=windows).filter_map(|window| u32::try_from(window).ok());
    let normal = ends.find(|window| {
        let span = WINDOW * (window - 1)..WINDOW * *window;
        let within = found.iter().filter(|(at, _)| span.contains(at));
        median(within.map(|(_, ms)| *ms).collect()) <= before * NORMAL
    });
    normal.map_or(f64::NAN, |window| (WINDOW * window).as_secs_f64())
}

/// How many whole ones.
fn whole(count: f64) -> u64 {
    Duration::try_from_secs_f64(count.max(0.0)).map_or(0, |count| count.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_normal_again_at_the_end_of_the_first_window_that_is() {
        let at = |ms: u64, took: f64| (Duration::from_millis(ms), took);
        let found = [
            at(100, 900.0),
            at(300, 800.0),
            at(700, 90.0),
            at(1200, 3.0),
            at(1300, 2.0),
        ];
        assert!((normal_again(&found, 2.0) - 1.5).abs() < 1e-9);
        assert!(normal_again(&found, 0.5).is_nan());
        assert!(normal_again(&[], 2.0).is_nan(), "silence is not normal");
    }
}
