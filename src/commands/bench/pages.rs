//! Pages of a list: deep in a large one against a small one, beside a large one against alone,
//! and what row-level security costs.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::{Connection, PgConnection, Row};

use super::Bench;
use super::durations::{median, ms};
use super::figure::{Figure, Must};
use super::imports::{self, Import};
use crate::commands::client::rest::Rest;
use crate::ids::{ItemId, ListId, WorkspaceId};

const LIMIT: u32 = 100;
const SMALL_ROWS: u64 = 10_000;
const TINY_ROWS: u64 = 100;
const ROUNDS: usize = 400;

/// The page as the product asks for it.
const PAGE: &str = r#"SELECT id, version, seq, "values"::text, created_at, created_by, updated_at, updated_by
    FROM estatebase.items
    WHERE workspace_id = $1 AND list_id = $2 AND id > $3 AND deleted_at IS NULL
    ORDER BY list_id, id LIMIT 100"#;

/// A place in a list from which the next page is read.
struct Place {
    workspace: WorkspaceId,
    list: ListId,
    cursor: Option<String>,
    /// The last item before it.
    after: ItemId,
}

/// All figures of pages; `large` is the list of a million rows in `workspace`.
///
/// # Errors
/// When a page can't be read.
pub async fn measure(
    bench: &Bench,
    workspace: WorkspaceId,
    large: Import,
) -> anyhow::Result<Vec<Figure>> {
    let rest = bench.rest().await?;
    let elsewhere = rest.create_workspace("Bench, alone", None).await?.id;
    let small = imports::import(bench, elsewhere, SMALL_ROWS).await?;
    let alone = imports::import(bench, elsewhere, TINY_ROWS).await?;
    let beside = imports::import(bench, workspace, TINY_ROWS).await?;

    let deep = place(&rest, workspace, large.list, large.rows * 9 / 10).await?;
    let shallow = place(&rest, elsewhere, small.list, SMALL_ROWS * 9 / 10).await?;
    let (deep_page, shallow_page) = compare(&rest, &deep, &shallow).await?;
    let alone = place(&rest, elsewhere, alone.list, 0).await?;
    let beside = place(&rest, workspace, beside.list, 0).await?;
    let (beside_page, alone_page) = compare(&rest, &beside, &alone).await?;
    let (guarded, open) = row_level_security(&bench.database, &deep).await?;
    Ok(vec![
        Figure::new(
            format!("page of 100 at 90 % of {} rows against 10 000", large.rows),
            ratio(deep_page, shallow_page),
            "×",
            Must::AtMost(1.3),
        )
        .with("deep, median", ms(deep_page))
        .with("10 000 rows, median", ms(shallow_page)),
        Figure::new(
            "a page under row-level security against one without",
            ratio(guarded, open),
            "×",
            Must::AtMost(1.15),
        )
        .with("with, median of the statement", ms(guarded))
        .with("without", ms(open)),
        Figure::new(
            "page of a 100-row list beside the large one, against alone",
            ratio(beside_page, alone_page),
            "×",
            // "As fast": what two equal things differ by on a busy machine.
            Must::AtMost(1.15),
        )
        .with("beside, median", ms(beside_page))
        .with("alone, median", ms(alone_page)),
    ])
}

/// Walks to the page behind `rows` rows, as a client would.
async fn place(
    rest: &Rest,
    workspace: WorkspaceId,
    list: ListId,
    rows: u64,
) -> anyhow::Result<Place> {
    let mut place = Place {
        workspace,
        list,
        cursor: None,
        after: uuid::Uuid::nil().into(),
    };
    let mut left = rows;
    while left > 0 {
        let limit = u32::try_from(left.min(1000))?;
        let page = rest
            .items::<serde::de::IgnoredAny>(workspace, list, limit, place.cursor.as_deref(), None)
            .await?;
        let last = page
            .data
            .last()
            .context("the list is shorter than it should be")?;
        place.after = last.id;
        place.cursor = page.next_cursor;
        left = left.saturating_sub(u64::try_from(page.data.len())?);
    }
    Ok(place)
}

/// The median of each, read by turns so that both see the same machine.
async fn compare(rest: &Rest, one: &Place, other: &Place) -> anyhow::Result<(Duration, Duration)> {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ones.push(read(rest, one).await?);
        others.push(read(rest, other).await?);
    }
    Ok((median(ones), median(others)))
}

async fn read(rest: &Rest, place: &Place) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let page = rest
        .items::<serde::de::IgnoredAny>(
            place.workspace,
            place.list,
            LIMIT,
            place.cursor.as_deref(),
            None,
        )
        .await?;
    let took = started.elapsed();
    ensure!(
        page.data.len() == 100,
        "a page of {} items",
        page.data.len()
    );
    Ok(took)
}

/// The statement as the app's role, whom the policies bind, and as the owner, whom they don't. Each on a
/// connection of its own, as servers have them: whose role changes plans every statement anew.
async fn row_level_security(database: &str, place: &Place) -> anyhow::Result<(Duration, Duration)> {
    let mut bound = PgConnection::connect(database).await?;
    let mut free = PgConnection::connect(database).await?;
    let (mut guarded, mut open) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        guarded.push(statement(&mut bound, place, true).await?);
        open.push(statement(&mut free, place, false).await?);
    }
    bound.close().await?;
    free.close().await?;
    Ok((median(guarded), median(open)))
}

async fn statement(
    connection: &mut PgConnection,
    place: &Place,
    guarded: bool,
) -> anyhow::Result<Duration> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT set_config('app.workspace_id', $1, true)")
        .bind(place.workspace.to_string())
        .execute(&mut *transaction)
        .await?;
    if guarded {
        sqlx::raw_sql("SET LOCAL ROLE estatebase_app")
            .execute(&mut *transaction)
            .await?;
    }
    let started = Instant::now();
    let rows = sqlx::query(PAGE)
        .bind(place.workspace.uuid())
        .bind(place.list.uuid())
        .bind(place.after.uuid())
        .fetch_all(&mut *transaction)
        .await?;
    let took = started.elapsed();
    ensure!(rows.len() == 100, "the statement found {} rows", rows.len());
    ensure!(
        rows.iter().all(|row| row.len() == 8),
        "not the columns asked for"
    );
    transaction.rollback().await?;
    Ok(took)
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
