//! A batch of 10 000 items taken back, put back, and read as it was.

use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};

use super::Bench;
use super::durations::{median, ms};
use super::figure::{Figure, Must};
use super::lists::columns;
use crate::commands::client::rest::{Call, Rest, RestError, list_path, workspace_path};
use crate::ids::WorkspaceId;

const ITEMS: usize = 10_000;
const ROUNDS: usize = 3;

/// The undo of a batch of edits and of a batch of deletions, the middle of three each.
///
/// # Errors
/// When something is refused, or is not as it was.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    let workspace = rest.create_workspace("Bench, undo", None).await?.id;
    let columns = columns(&[("Price", "number"), ("Street", "text"), ("Remarks", "text")])?;
    let list = rest.create_list(workspace, "Homes", &columns).await?.id;
    let values: Vec<Value> = (0..ITEMS)
        .map(|nr| json!({"Price": nr, "Street": format!("{nr} Oak Street"), "Remarks": "Quiet"}))
        .collect();
    let ids = rest.create_items(workspace, list, &values).await?;
    let items = format!("{}/items", list_path(workspace, list));
    let edited = rounds(&rest, workspace, |round| {
        let values = json!({"Price": round, "Street": format!("{round} Elm Street")});
        let edit = |id| json!({"id": id, "values": values});
        let edits: Vec<Value> = ids.iter().map(edit).collect();
        Call::new(Method::PATCH, items.clone()).json(&json!({"items": edits}))
    });
    let edited = edited.await?;
    let deleted = rounds(&rest, workspace, |_| {
        Call::new(Method::POST, format!("{items}/delete")).json(&json!({"ids": ids}))
    });
    let deleted = deleted.await?;
    let before = rest.head(workspace).await?.saturating_sub(1);
    let query = json!({"as_of": before, "sort": "-Price", "limit": 100});
    let mut reads = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        rest.query::<Value>(workspace, list, &query).await?;
        reads.push(began.elapsed());
    }
    Ok(vec![
        edited.figure("undo of a batch of 10 000 edits"),
        deleted
            .figure("undo of a batch of 10 000 deletions")
            .with("a sorted page of the list as of before", ms(median(reads))),
    ])
}

/// What undoing answers.
#[derive(serde::Deserialize)]
struct Undone {
    count: usize,
}

/// What each of the three took, round by round.
#[derive(Default)]
struct Took {
    change: Vec<Duration>,
    undo: Vec<Duration>,
    redo: Vec<Duration>,
}

impl Took {
    fn figure(self, name: &str) -> Figure {
        let undo = median(self.undo);
        Figure::new(name, undo.as_secs_f64(), "s", Must::AtMost(2.0))
            .with("the change itself", ms(median(self.change)))
            .with("redo", ms(median(self.redo)))
    }
}

/// The same change of all items, undone and redone, round by round.
async fn rounds(
    rest: &Rest,
    workspace: WorkspaceId,
    change: impl Fn(usize) -> Result<Call, RestError>,
) -> anyhow::Result<Took> {
    let mut took = Took::default();
    for round in 0..ROUNDS {
        let call = change(round)?;
        let began = Instant::now();
        rest.send(call).await?;
        took.change.push(began.elapsed());
        back_and_forth(rest, workspace, &mut took).await?;
    }
    Ok(took)
}

/// Undone, redone, and undone again for the next round.
async fn back_and_forth(
    rest: &Rest,
    workspace: WorkspaceId,
    took: &mut Took,
) -> anyhow::Result<()> {
    for (what, times) in [
        ("undo", &mut took.undo),
        ("redo", &mut took.redo),
        ("undo", &mut Vec::new()),
    ] {
        let path = format!("{}/{what}", workspace_path(workspace));
        let call = Call::new(Method::POST, path).json(&json!({}))?;
        let began = Instant::now();
        let answer: Undone = rest.read(call).await?;
        times.push(began.elapsed());
        ensure!(answer.count == ITEMS, "{what} of {} items", answer.count);
    }
    Ok(())
}
