//! Computed columns: link → lookup → formula → rollup over 10 000 items in each of two lists, and a formula
//! that is added to 100 000 items while people edit them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Bench;
use super::figure::{Figure, Must};
use super::lists::{add_column, columns};
use crate::commands::client::frames::{Frame, RawEvent};
use crate::commands::client::rest::{Answer, Call, Rest, list_path};
use crate::commands::client::socket::{Socket, parse};
use crate::ids::{ItemId, ListId, WorkspaceId};

const ITEMS: usize = 10_000;
const LONG: usize = 100_000;
/// Deals of each of the first hundred people.
const FEW: usize = 100;
const EDITS: usize = 60;
const ROUNDS: usize = 3;

/// The four figures.
///
/// # Errors
/// When something is refused, or a cell is not what it should be.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    let scene = Scene::new(&rest).await?;
    let mut told = Socket::open(rest.server(), rest.token(), Uuid::now_v7()).await?;
    told.subscribe(scene.workspace).await?;
    let mut few = Vec::new();
    for edit in 0..EDITS {
        let person = scene.people.get(edit % FEW).context("a person")?;
        few.push(scene.rate(&mut told, &[*person], edit + 2).await?);
    }
    let last = *scene.people.last().context("a person")?;
    let (mut many, mut batch) = (Vec::new(), Vec::new());
    let thousand = scene.people.get(..1_000).context("people")?;
    for round in 0..ROUNDS {
        many.push(scene.rate(&mut told, &[last], round + 2).await?);
        batch.push(scene.rate(&mut told, thousand, round + 100).await?);
    }
    scene.check(ROUNDS + 99).await?;
    let (added, beside) = long(&rest).await?;
    Ok(vec![
        Figure::new(
            "an edit that 100 items follow from, committed and delivered, p95",
            share(&mut few, 0.95)? * 1_000.0,
            "ms",
            Must::AtMost(50.0),
        )
        .with("p50", format!("{:.1} ms", share(&mut few, 0.5)? * 1_000.0)),
        Figure::new(
            format!("an edit that {ITEMS} items follow from, committed and delivered"),
            share(&mut many, 0.5)?,
            "s",
            Must::AtMost(1.0),
        ),
        Figure::new(
            format!("1000 edits in one batch that {ITEMS} items follow from"),
            share(&mut batch, 0.5)?,
            "s",
            Must::AtMost(2.0),
        ),
        Figure::new(
            format!("a formula over {LONG} items, until every cell is there"),
            added.as_secs_f64(),
            "s",
            Must::AtMost(10.0),
        )
        .with("edit→ack meanwhile, longest", beside),
    ])
}

struct Scene<'r> {
    rest: &'r Rest,
    workspace: WorkspaceId,
    contacts: ListId,
    people: Vec<ItemId>,
}

impl<'r> Scene<'r> {
    /// Of a hundred people each has a hundred deals; the last one has a share in all.
    async fn new(rest: &'r Rest) -> anyhow::Result<Scene<'r>> {
        let workspace = rest.create_workspace("Bench, computed", None).await?.id;
        let contacts = rest
            .create_list(workspace, "Contacts", &columns(&[("Rate", "number")])?)
            .await?
            .id;
        let deals = rest
            .create_list(workspace, "Deals", &columns(&[("Fee", "number")])?)
            .await?
            .id;
        let ones: Vec<Value> = (0..ITEMS).map(|_| json!({"Rate": 1})).collect();
        let people = rest.create_items(workspace, contacts, &ones).await?;
        let scene = Scene {
            rest,
            workspace,
            contacts,
            people,
        };
        for (key, inverse) in [("Agent", "Deals"), ("Broker", "Shares")] {
            let options = json!({"list_id": contacts, "inverse_key": inverse});
            add_column(rest, (workspace, deals), key, "link", options).await?;
        }
        let last = *scene.people.last().context("a person")?;
        let fees = (0..ITEMS).map(|nr| {
            let agent = scene.people.get(nr / FEW);
            json!({"Fee": nr, "Agent": [agent]})
        });
        let fees: Vec<Value> = fees.collect();
        let made = rest.create_items(workspace, deals, &fees).await?;
        let path = format!(
            "{}/items/{last}/links/Shares",
            list_path(workspace, contacts)
        );
        rest.send(Call::new(Method::POST, path).json(&json!({"ids": made}))?)
            .await?;
        for (key, ty, options) in [
            (
                "AgentRate",
                "lookup",
                json!({"link": "Agent", "column": "Rate"}),
            ),
            (
                "BrokerRate",
                "lookup",
                json!({"link": "Broker", "column": "Rate"}),
            ),
            (
                "Total",
                "formula",
                json!({"expression": "Fee * AgentRate * BrokerRate"}),
            ),
        ] {
            add_column(rest, (workspace, deals), key, ty, options).await?;
        }
        let sum = json!({"link": "Deals", "column": "Total", "op": "sum"});
        add_column(rest, (workspace, contacts), "Volume", "rollup", sum).await?;
        for list in [deals, contacts] {
            settled(rest, workspace, list).await?;
        }
        Ok(scene)
    }

    /// The seconds from the edit of people's rates until somebody else's socket has heard of it all.
    async fn rate(&self, told: &mut Socket, people: &[ItemId], rate: usize) -> anyhow::Result<f64> {
        let edit = |id| json!({"id": id, "values": {"Rate": rate}});
        let items: Vec<Value> = people.iter().map(edit).collect();
        let path = format!("{}/items", list_path(self.workspace, self.contacts));
        let call = Call::new(Method::PATCH, path).json(&json!({"items": items}))?;
        let began = Instant::now();
        let answer: Answer = self.rest.send(call).await?;
        let seq = answer.headers.get("x-workspace-seq");
        let seq: u64 = seq.context("a position")?.to_str()?.parse()?;
        loop {
            if let Frame::Events(events) = parse::<RawEvent>(&told.next().await?)?
                && events.through >= seq
            {
                return Ok(began.elapsed().as_secs_f64());
            }
        }
    }

    /// The first person's volume is right.
    async fn check(&self, rate: usize) -> anyhow::Result<()> {
        let first = self.people.first().context("a person")?;
        let path = format!("{}/items/{first}", list_path(self.workspace, self.contacts));
        let item: Value = self.rest.read(Call::new(Method::GET, path)).await?;
        let fees: usize = (0..FEW).sum();
        let wanted = fees * rate * (ROUNDS + 1);
        let volume = item.pointer("/values/Volume").and_then(Value::as_u64);
        ensure!(
            volume == u64::try_from(wanted).ok(),
            "{item} is not {wanted}"
        );
        Ok(())
    }
}

/// A formula over a long list: how long it takes, and how long an edit meanwhile at most.
async fn long(rest: &Rest) -> anyhow::Result<(Duration, String)> {
    let workspace = rest.create_workspace("Bench, long", None).await?.id;
    let list = rest
        .create_list(
            workspace,
            "Long",
            &columns(&[("Price", "number"), ("Area", "number")])?,
        )
        .await?
        .id;
    let mut ids = Vec::new();
    for _ in 0..LONG / ITEMS {
        let values: Vec<Value> = (0..ITEMS)
            .map(|nr| json!({"Price": nr * 100, "Area": nr % 300 + 1}))
            .collect();
        ids.extend(rest.create_items(workspace, list, &values).await?);
    }
    let options = json!({"expression": "ROUND(Price / Area, 2)"});
    let spec = json!({"key": "PerArea", "type": "formula", "options": options});
    let path = format!("{}/columns", list_path(workspace, list));
    let began = Instant::now();
    rest.send(Call::new(Method::POST, path).json(&spec)?)
        .await?;
    let mut longest = Duration::ZERO;
    let mut edited = 0;
    while !is_settled(rest, workspace, list).await? {
        let id = ids.get(edited * 997 % LONG).context("an item")?;
        let path = format!("{}/items/{id}", list_path(workspace, list));
        let body = json!({"values": {"Price": 5}});
        let asked = Instant::now();
        rest.send(Call::new(Method::PATCH, path).json(&body)?)
            .await?;
        longest = longest.max(asked.elapsed());
        edited += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    let empty =
        json!({"filter": {"column": "PerArea", "op": "is_empty"}, "count": "exact", "limit": 1});
    let path = format!("{}/items/query", list_path(workspace, list));
    let left: Value = rest
        .read(Call::new(Method::POST, path).json(&empty)?)
        .await?;
    ensure!(
        left.get("count") == Some(&json!(0)),
        "some cells are missing"
    );
    let ms = longest.as_secs_f64() * 1_000.0;
    Ok((took, format!("{ms:.0} ms, of {edited}")))
}

async fn settled(rest: &Rest, workspace: WorkspaceId, list: ListId) -> anyhow::Result<()> {
    while !is_settled(rest, workspace, list).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn is_settled(rest: &Rest, workspace: WorkspaceId, list: ListId) -> anyhow::Result<bool> {
    let path = list_path(workspace, list);
    let list: Value = rest.read(Call::new(Method::GET, path)).await?;
    let columns = list.get("columns").and_then(Value::as_array);
    let unsettled = |column: &Value| column.pointer("/options/settled").is_some();
    Ok(!columns.context("columns")?.iter().any(unsettled))
}

/// The value below which so large a share lies.
fn share(values: &mut [f64], share: f64) -> anyhow::Result<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index among a few values"
    )]
    let at = (last as f64 * share).round() as usize;
    values.get(at).copied().context("a value")
}
