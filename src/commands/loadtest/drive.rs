//! The course of a load: prepare the ground, gather the people, let them work, wait for the last
//! answers, hold everything against the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::check::{Check, Verdict, Witness};
use super::clock::Clock;
use super::event::Seen;
use super::ground::{Field, Ground};
use super::measure::Measures;
use super::pace::Pace;
use super::participant::{Participant, Phase, Stage, Testimony};
use super::plan::{Audience, LoadPlan};
use super::reader::Reader;
use super::report::{LoadReport, progress_line};
use super::stamp::new_nonce;
use super::writer::Writer;
use crate::commands::client::rest::Rest;
use crate::commands::client::socket::Socket;

/// How long the last answers, and then the last deliveries, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sockets that are opened side by side.
const OPENING: usize = 16;

/// Events a page when the log is read.
const LOG_PAGE: u32 = 1000;

/// Runs a load from first to last.
///
/// # Errors
/// When the load could not take place. Broken promises are in the report.
pub async fn drive(plan: LoadPlan) -> anyhow::Result<LoadReport> {
    let rest = Rest::new(plan.server.clone(), plan.token.clone())?;
    let ground = Ground::prepare(&rest, &plan).await?;
    let since = first_position(&rest, &ground).await?;
    let readers = open_readers(&plan, &rest, &ground).await?;
    let seats = open_sockets(&plan).await?;
    if let Some(others) = &plan.together {
        others.wait().await;
    }
    let stage = Arc::new(Stage {
        rest,
        ground,
        clock: Clock::start(),
        nonce: new_nonce(),
        start: Instant::now() + head_start(&plan),
        duration: plan.duration,
        measures: Mutex::new(Measures::default()),
    });
    let (done, mut answered) = mpsc::unbounded_channel();
    let people = gather(&plan, &stage, seats, done).await?;

    let (phase, phases) = watch::channel(Phase::Running);
    let mut running = JoinSet::new();
    for person in people {
        running.spawn(person.run(phases.clone()));
    }
    for reader in readers {
        running.spawn(reader.run(Arc::clone(&stage), phases.clone()));
    }
    let ticker = plan
        .progress
        .then(|| tokio::spawn(tick(Arc::clone(&stage))));
    wait_for_answers(&stage, plan.editors, &mut answered).await;
    let head = head(&stage).await;
    phase.send_replace(Phase::Until(*head.as_ref().unwrap_or(&0)));
    let testimonies = collect(&mut running, &phase).await;
    if let Some(ticker) = ticker {
        ticker.abort();
    }
    judge(&plan, &stage, since, head?, testimonies).await
}

/// Everyone must sit before the first edit is due; subscribing takes its time.
fn head_start(plan: &LoadPlan) -> Duration {
    let others = match plan.audience {
        Audience::Editors => plan.editors,
        Audience::Watchers(watchers) => watchers,
        // They have subscribed before.
        Audience::Readers(_) => 0,
    };
    let sockets = u32::from(plan.editors) + u32::from(others);
    Duration::from_millis(200) + Duration::from_millis(10) * sockets
}

async fn open_sockets(plan: &LoadPlan) -> anyhow::Result<Vec<Socket>> {
    let watchers = match plan.audience {
        Audience::Editors | Audience::Readers(_) => 0,
        Audience::Watchers(watchers) => watchers,
    };
    let count = u32::from(plan.editors) + u32::from(watchers);
    futures::stream::iter(0..count)
        .map(|_| Socket::open(&plan.server, &plan.token, Uuid::new_v4()))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
        .context("opening the sockets")
}

async fn open_readers(
    plan: &LoadPlan,
    rest: &Rest,
    ground: &Ground,
) -> anyhow::Result<Vec<Reader>> {
    let Audience::Readers(count) = plan.audience else {
        return Ok(Vec::new());
    };
    futures::stream::iter(0..count)
        .map(|reader| Reader::open(format!("reader {reader}"), rest, ground.workspace))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
        .context("opening the readers' sockets")
}

/// Gives every socket its person: the editors first, then those who only watch.
async fn gather(
    plan: &LoadPlan,
    stage: &Arc<Stage>,
    seats: Vec<Socket>,
    done: mpsc::UnboundedSender<()>,
) -> anyhow::Result<Vec<Participant>> {
    let fields: Vec<Arc<Field>> = stage.ground.lists.iter().cloned().map(Arc::new).collect();
    let mut seats = seats.into_iter();
    let mut people = Vec::new();
    for (editor, field) in (0..plan.editors).zip(fields.iter().cycle()) {
        let Some(socket) = seats.next() else { break };
        let mut person = Participant::new(format!("editor {editor}"), socket, Arc::clone(stage));
        if plan.audience == Audience::Editors {
            person = person.watching().await.context("subscribing")?;
        }
        let pace = Pace::of(editor, plan.editors, plan.rate, plan.pipeline);
        let share = plan.rest_share.clamp(0.0, 1.0);
        let writer = Writer::new(editor, stage.nonce, Arc::clone(field), pace, share);
        people.push(person.writing(editor, writer, done.clone()));
    }
    for (watcher, socket) in seats.enumerate() {
        let person = Participant::new(format!("watcher {watcher}"), socket, Arc::clone(stage));
        people.push(person.watching().await.context("subscribing")?);
    }
    Ok(people)
}

/// A position before anyone subscribes: what came before is not this run's.
async fn first_position(rest: &Rest, ground: &Ground) -> anyhow::Result<u64> {
    let head = rest.head(ground.workspace).await;
    head.context("reading the head of the log")
}

async fn wait_for_answers(stage: &Stage, editors: u16, answered: &mut mpsc::UnboundedReceiver<()>) {
    let deadline = stage.start + stage.duration + PATIENCE;
    let all = async {
        for _ in 0..editors {
            if answered.recv().await.is_none() {
                break;
            }
        }
    };
    if tokio::time::timeout_at(deadline.into(), all).await.is_err() {
        tracing::warn!("some edits got no answer in all the time");
    }
}

/// The head of the log once no edit is under way any more.
async fn head(stage: &Stage) -> anyhow::Result<u64> {
    let workspace = stage.ground.workspace;
    let mut after = stage.rest.head(workspace).await?;
    loop {
        // The head that a read reports may lag; the log itself does not.
        let page = stage
            .rest
            .events::<Seen>(workspace, after, LOG_PAGE)
            .await?;
        after = after.max(page.through);
        if page.data.len() < usize::try_from(LOG_PAGE)? {
            return Ok(after);
        }
    }
}

async fn collect(running: &mut JoinSet<Testimony>, phase: &watch::Sender<Phase>) -> Vec<Testimony> {
    let mut testimonies = Vec::new();
    let all = async {
        while let Some(testimony) = running.join_next().await {
            testimonies.extend(testimony);
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        phase.send_replace(Phase::Over);
        while let Some(testimony) = running.join_next().await {
            testimonies.extend(testimony);
        }
    }
    testimonies
}

async fn judge(
    plan: &LoadPlan,
    stage: &Stage,
    since: u64,
    head: u64,
    testimonies: Vec<Testimony>,
) -> anyhow::Result<LoadReport> {
    let unanswered: Vec<u64> = testimonies
        .iter()
        .flat_map(|testimony| testimony.unanswered.iter().copied())
        .collect();
    let verdict = check(stage, since, head, testimonies, &unanswered).await?;
    let measures = stage.measures.lock();
    Ok(LoadReport::new(
        plan,
        stage.ground.workspace,
        &measures,
        u64::try_from(unanswered.len())?,
        verdict,
    ))
}

async fn check(
    stage: &Stage,
    since: u64,
    head: u64,
    testimonies: Vec<Testimony>,
    unanswered: &[u64],
) -> anyhow::Result<Verdict> {
    let acks = testimonies.iter().flat_map(|t| t.acks.iter().copied());
    let refused = testimonies.iter().flat_map(|t| t.refused.iter().copied());
    let mut check = Check::new(since, head, acks, refused);
    read_log(stage, since, head, |event| check.log(event)).await?;
    unanswered
        .iter()
        .for_each(|marker| check.unanswered(*marker));
    for testimony in &testimonies {
        if let Some(why) = &testimony.failure {
            check.gave_up(&testimony.name, why);
        }
    }
    let witnesses: Vec<Witness> = testimonies.into_iter().filter_map(|t| t.witness).collect();
    let database = stage.ground.read(&stage.rest, head).await;
    let database = database.context("reading the items back")?;
    Ok(check.finish(&witnesses, &database))
}

async fn read_log(
    stage: &Stage,
    since: u64,
    head: u64,
    mut take: impl FnMut(&Seen),
) -> anyhow::Result<()> {
    let mut after = since;
    while after < head {
        let page = stage
            .rest
            .events::<Seen>(stage.ground.workspace, after, LOG_PAGE)
            .await
            .context("reading the log back")?;
        page.data.iter().for_each(&mut take);
        anyhow::ensure!(
            page.through > after,
            "the log ends at {after}, and {head} was said to be its head"
        );
        after = page.through;
    }
    Ok(())
}

async fn tick(stage: Arc<Stage>) {
    let mut before = (0, 0, 0);
    for second in 1.. {
        tokio::time::sleep_until((stage.start + Duration::from_secs(second)).into()).await;
        let measures = stage.measures.lock();
        eprintln!("{}", progress_line(second, &measures, before));
        before = (measures.sent, measures.acked, measures.delivered);
    }
}
