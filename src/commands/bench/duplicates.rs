//! The search of duplicates over a hundred thousand contacts, of whom some stand twice.

use std::time::Instant;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::Bench;
use super::durations::median;
use super::figure::{Figure, Must};
use super::lists::columns;
use super::memory::{Peak, megabytes, resident};
use crate::commands::client::rest::{Call, list_path};
use crate::commands::seed::near_duplicates::NearDuplicates;

const CONTACTS: u64 = 100_000;
const BATCH: u64 = 10_000;
const ROUNDS: usize = 3;

/// The usual rules with likeness of names, addresses and phones, all in one search.
///
/// # Errors
/// When something is refused, or nothing is found.
pub async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    let workspace = rest.create_workspace("Bench, duplicates", None).await?.id;
    let named = [
        ("Name", "text"),
        ("Email", "email"),
        ("Phone", "phone"),
        ("Address", "address"),
    ];
    let list = rest
        .create_list(workspace, "Contacts", &columns(&named)?)
        .await?
        .id;
    let contacts = NearDuplicates { seed: 1 };
    for first in (0..CONTACTS).step_by(usize::try_from(BATCH)?) {
        let values: Vec<Value> = (first..first + BATCH)
            .map(|nr| contacts.contact(nr).values())
            .collect();
        rest.create_items(workspace, list, &values).await?;
    }
    let path = format!("{}/duplicates", list_path(workspace, list));
    let same = |columns: &[&str]| json!({"columns": columns});
    let similar = |columns: &[&str]| json!({"columns": columns, "match": "similar"});
    let strict = json!({"rule": [same(&["Email"]), same(&["Phone", "Name"])]});
    let all = json!({"rule": [same(&["Email"]), same(&["Phone", "Name"]), similar(&["Name", "Address"]),
        similar(&["Phone", "Name"])]});
    let mut figures = Vec::new();
    for (name, rules) in [
        ("the same e-mail, or phone and name", strict),
        ("and similar names at similar addresses", all),
    ] {
        let held = bench.server_pid.map(resident).transpose()?;
        let peak = bench.server_pid.map(Peak::watch);
        let mut took = Vec::new();
        let mut count = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let found: Value = rest
                .read(Call::new(Method::POST, path.clone()).json(&rules)?)
                .await?;
            took.push(began.elapsed());
            count = found
                .get("count")
                .and_then(Value::as_u64)
                .context("a count")?;
        }
        ensure!(count > 0, "nothing was found");
        let title = format!("duplicates among {CONTACTS} contacts: {name}");
        let seconds = median(took).as_secs_f64();
        let mut figure = Figure::new(title, seconds, "s", Must::AtMost(3.0));
        figure = figure.with("groups", count.to_string());
        if let (Some(held), Some(peak)) = (held, peak) {
            let growth = megabytes(peak.stop().saturating_sub(held));
            figure = figure.with("memory over before", format!("{growth:.1} MB"));
        }
        figures.push(figure);
    }
    Ok(figures)
}
