//! Links: what they cost on a page, and ten thousand in one request.

use std::time::Instant;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::Bench;
use super::durations::{median, ms};
use super::figure::{Figure, Must};
use super::lists::{add_column, columns};
use crate::commands::client::rest::{Call, Rest, list_path};
use crate::ids::{ItemId, ListId, WorkspaceId};

const HOMES: usize = 1_000;
const PEOPLE: usize = 10_000;
const COLUMNS: usize = 5;
const LINKS: usize = 10;
const PAGE: usize = 100;
const PAGES: usize = 60;
const ROUNDS: usize = 3;

/// The two figures.
///
/// # Errors
/// When something is refused, or a link is missing.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    let workspace = rest.create_workspace("Bench, links", None).await?.id;
    let people = rest
        .create_list(workspace, "People", &columns(&[("Name", "text")])?)
        .await?
        .id;
    let named = [("Street", "text"), ("Price", "number"), ("Remarks", "text")];
    let homes = rest
        .create_list(workspace, "Homes", &columns(&named)?)
        .await?
        .id;
    for nr in 0..COLUMNS {
        let options =
            json!({"list_id": people, "inverse_key": format!("Homes{nr}"), "multiple": true});
        add_column(
            &rest,
            (workspace, homes),
            &format!("People{nr}"),
            "link",
            options,
        )
        .await?;
    }
    let names: Vec<Value> = (0..PEOPLE)
        .map(|nr| json!({"Name": format!("Person {nr}")}))
        .collect();
    let everybody = rest.create_items(workspace, people, &names).await?;
    let values: Vec<Value> = (0..HOMES).map(|nr| home(nr, &everybody)).collect();
    let made = rest.create_items(workspace, homes, &values).await?;
    let page = pages(&rest, workspace, homes).await?;
    let first = *made.first().context("a home")?;
    let added = ten_thousand(&rest, workspace, homes, first, &everybody).await?;
    Ok(vec![page, added])
}

fn home(nr: usize, everybody: &[ItemId]) -> Value {
    let mut values = json!({"Street": format!("{nr} Oak Street"), "Price": nr, "Remarks": "Quiet"});
    for column in 0..COLUMNS {
        let nr = |link: usize| (nr * 53 + column * 1009 + link * 7) % PEOPLE;
        let links: Vec<Option<&ItemId>> = (0..LINKS).map(|link| everybody.get(nr(link))).collect();
        if let Some(values) = values.as_object_mut() {
            values.insert(format!("People{column}"), json!(links));
        }
    }
    values
}

/// Pages with and without the columns of links, by turns.
async fn pages(rest: &Rest, workspace: WorkspaceId, homes: ListId) -> anyhow::Result<Figure> {
    let plain = json!({"columns": ["Street", "Price", "Remarks"], "limit": PAGE});
    let whole = json!({"limit": PAGE});
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        for (query, took) in [(&plain, &mut without), (&whole, &mut with)] {
            let began = Instant::now();
            let page = rest.query(workspace, homes, query).await?;
            took.push(began.elapsed());
            ensure!(page.data.len() == PAGE, "a page is not whole");
        }
    }
    let (without, with) = (median(without), median(with));
    let name =
        format!("page of {PAGE} with {COLUMNS} columns of {LINKS} links, against without them");
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    Ok(Figure::new(name, ratio, "×", Must::AtMost(2.0))
        .with("with", ms(with))
        .with("without", ms(without)))
}

/// The links of one cell, added by one request.
async fn ten_thousand(
    rest: &Rest,
    workspace: WorkspaceId,
    homes: ListId,
    home: ItemId,
    everybody: &[ItemId],
) -> anyhow::Result<Figure> {
    let path = |nr: usize| {
        format!(
            "{}/items/{home}/links/People{nr}",
            list_path(workspace, homes)
        )
    };
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let call = Call::new(Method::PUT, path(round)).json(&json!({"ids": []}))?;
        rest.send(call).await?;
        let call = Call::new(Method::POST, path(round)).json(&json!({"ids": everybody}))?;
        let began = Instant::now();
        rest.send(call).await?;
        took.push(began.elapsed());
    }
    let page: Value = rest
        .read(Call::new(Method::GET, format!("{}?limit=1000", path(0))))
        .await?;
    let there = page.get("data").and_then(Value::as_array).map(Vec::len);
    ensure!(there == Some(1_000), "links are missing");
    let took = median(took).as_secs_f64();
    Ok(Figure::new(
        format!("{PEOPLE} links in one request"),
        took,
        "s",
        Must::AtMost(1.0),
    ))
}
