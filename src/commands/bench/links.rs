//! Links: what they cost on a page, and ten thousand in one request.

use std::time::Instant;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::Bench;
use super::durations::{median, ms};
use super::figure::{Figure, Must};
use super::lists::add_column;
use crate::commands::client::rest::{Call, Rest, list_path};
use crate::commands::seed::agency::Agency;
use crate::commands::seed::tables::Table;
use crate::commands::seed::upload::upload;
use crate::ids::{ItemId, ListId, WorkspaceId};

const HOMES: u64 = 1_000;
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
    // Contacts are half as many.
    let crowd = 2 * u64::try_from(PEOPLE)?;
    let (people, everybody) = agency(&rest, workspace, Table::Contacts, crowd).await?;
    let (homes, made) = agency(&rest, workspace, Table::Properties, HOMES).await?;
    let keys = rest.columns(workspace, homes).await?;
    let plain: Vec<String> = keys.into_iter().map(|column| column.key).collect();
    for nr in 0..COLUMNS {
        let inverse = format!("Homes{nr}");
        let options = json!({"list_id": people, "inverse_key": inverse, "multiple": true});
        let key = format!("People{nr}");
        add_column(&rest, (workspace, homes), &key, "link", options).await?;
    }
    let edit = |(nr, id)| json!({"id": id, "values": links(nr, &everybody)});
    let edits: Vec<Value> = made.iter().enumerate().map(edit).collect();
    let path = format!("{}/items", list_path(workspace, homes));
    let call = Call::new(Method::PATCH, path).json(&json!({"items": edits}))?;
    rest.send(call).await?;
    let page = pages(&rest, workspace, homes, &plain).await?;
    let first = *made.first().context("a home")?;
    let added = ten_thousand(&rest, workspace, homes, first, &everybody).await?;
    Ok(vec![page, added])
}

/// A list as agencies have it, and its items.
async fn agency(
    rest: &Rest,
    workspace: WorkspaceId,
    table: Table,
    properties: u64,
) -> anyhow::Result<(ListId, Vec<ItemId>)> {
    let agency = Agency {
        seed: 1,
        properties,
    };
    upload(rest, workspace, &[], agency, table, drop).await?;
    let lists = rest.lists(workspace).await?;
    let list = lists.iter().find(|list| list.name == table.name());
    let list = list.context("the list that was made")?.id;
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = rest.items::<IgnoredAny>(workspace, list, 1_000, cursor.as_deref(), None);
        let page = page.await?;
        ids.extend(page.data.into_iter().map(|item| item.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok((list, ids));
        }
    }
}

fn links(nr: usize, everybody: &[ItemId]) -> Value {
    let cell = |column: usize| {
        let nr = |link: usize| (nr * 53 + column * 1009 + link * 7) % PEOPLE;
        let links: Vec<Option<&ItemId>> = (0..LINKS).map(|link| everybody.get(nr(link))).collect();
        (format!("People{column}"), json!(links))
    };
    Value::Object((0..COLUMNS).map(cell).collect())
}

/// Pages with and without the columns of links, by turns.
async fn pages(
    rest: &Rest,
    workspace: WorkspaceId,
    homes: ListId,
    plain: &[String],
) -> anyhow::Result<Figure> {
    let plain = json!({"columns": plain, "limit": PAGE});
    let whole = json!({"limit": PAGE});
    // What a server keeps of links, it has to read once.
    let began = Instant::now();
    rest.query::<IgnoredAny>(workspace, homes, &whole).await?;
    let first = began.elapsed();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        for (query, took) in [(&plain, &mut without), (&whole, &mut with)] {
            let began = Instant::now();
            let page = rest.query::<IgnoredAny>(workspace, homes, query).await?;
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
        .with("without", ms(without))
        .with("with, the first time", ms(first)))
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
