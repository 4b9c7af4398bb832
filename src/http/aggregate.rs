//! Figures over a list's items, in groups.

use std::fmt::{Display, Write as _};

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::extract::{Body, Caller, state};
use super::items::at_list;
use super::problem::json_at;
use super::settled::{is_settled, settled};
use crate::domain::aggregate::{Figure, Figures, Group, LevelIn, MAX_GROUPS, Metric, MetricIn};
use crate::domain::cell::Cell;
use crate::domain::columns::Column;
use crate::domain::roles::Action;
use crate::domain::schema::List;
use crate::domain::search::Selection;
use crate::error::{AppError, FieldError};
use crate::store::{self, Purpose, Tx};

/// Which items, in which groups, and what of them.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateIn {
    /// As of a page of items.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// As of a page of items.
    q: Option<String>,
    /// At most 3 levels; none for one group of all. Of texts the first 1 000 characters count, upper
    /// and lower case are the same, and a group is named by the first spelling in the order of code
    /// points.
    #[serde(default)]
    group_by: Vec<LevelIn>,
    /// At most 20.
    metrics: Vec<MetricIn>,
}

/// The groups, in the order of their columns, an empty cell last.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct AggregateOut {
    data: Vec<GroupOut>,
    /// Always null: an answer holds all groups, and more than 10 000 are refused.
    next_cursor: Option<String>,
}

#[derive(serde::Serialize, utoipa::ToSchema)]
struct GroupOut {
    /// By level: the value of the column, the first day of the bucket, null for an empty cell.
    #[schema(value_type = Vec<Object>)]
    group: Vec<serde_json::Value>,
    /// In the order asked. Sums, averages and medians are exact decimals, to 28 places where a division
    /// doesn't end; of no cells a sum is 0, the others, `min` and `max` are null.
    #[schema(value_type = Vec<Object>)]
    metrics: Vec<serde_json::Value>,
}

/// `POST …/items/aggregate`
pub async fn post(
    request: HttpRequest,
    caller: Caller,
    body: Body<AggregateIn>,
) -> Result<HttpResponse, AppError> {
    settled(async || answer_once(&request, &caller, &body.value).await).await
}

async fn answer_once(
    request: &HttpRequest,
    caller: &Caller,
    asked: &AggregateIn,
) -> Result<Option<HttpResponse>, AppError> {
    let (access, list) = at_list(request, caller, Action::Read).await?;
    let state = state(request)?;
    let mut errors = Vec::new();
    let filter = asked.filter.as_deref().map(RawValue::get);
    let (q, me) = (asked.q.as_deref(), caller.0.user);
    let today = chrono::Utc::now().date_naive();
    let selection = Selection::parse(filter, q, &list.columns, me, today, &mut errors);
    let figures = Figures::parse(&asked.group_by, &asked.metrics, &list.columns);
    let figures = match figures {
        Ok(figures) if errors.is_empty() => figures,
        Ok(_) => return Err(AppError::fields(errors)),
        Err(wrong) => {
            errors.extend(wrong);
            return Err(AppError::fields(errors));
        }
    };
    let mut tx = Tx::begin(&state.db, access.snapshot.id, Purpose::Read).await?;
    let groups =
        store::aggregate::figures(&mut tx, access.snapshot.id, &list, &selection, &figures).await?;
    if !is_settled(&mut tx, &access).await? {
        return Ok(None);
    }
    tx.commit().await?;
    let groups = groups.ok_or_else(too_many)?;
    let body = body_of(&list, &figures, &groups);
    Ok(Some(json_at(access.snapshot.seq, body)))
}

fn too_many() -> AppError {
    AppError::fields(vec![FieldError {
        path: "/group_by".to_owned(),
        code: "too_many".into(),
        message: format!("more than {MAX_GROUPS} groups; filter, or group by less"),
    }])
}

fn body_of(list: &List, figures: &Figures, groups: &[Group]) -> String {
    let mut out = String::from(r#"{"data":["#);
    for (index, group) in groups.iter().enumerate() {
        out.push_str(if index > 0 {
            r#",{"group":["#
        } else {
            r#"{"group":["#
        });
        for (at, (level, cell)) in figures.group_by.iter().zip(&group.group).enumerate() {
            separate(at, &mut out);
            write_cell(list.columns.by_id(&level.column), cell.as_ref(), &mut out);
        }
        out.push_str(r#"],"metrics":["#);
        for (at, (metric, figure)) in figures.wanted.iter().zip(&group.figures).enumerate() {
            separate(at, &mut out);
            write_figure(list, metric, figure, &mut out);
        }
        out.push_str("]}");
    }
    out.push_str(r#"],"next_cursor":null}"#);
    out
}

fn separate(at: usize, out: &mut String) {
    if at > 0 {
        out.push(',');
    }
}

fn write_figure(list: &List, metric: &Metric, figure: &Figure, out: &mut String) {
    match (metric, figure) {
        (_, Figure::Count(count)) => write_number(count, out),
        (_, Figure::Number(Some(number))) => write_number(number, out),
        (Metric::Of(_, column), Figure::Cell(cell)) => {
            write_cell(list.columns.by_id(column), cell.as_ref(), out);
        }
        (_, Figure::Number(None)) | (Metric::Count, Figure::Cell(_)) => out.push_str("null"),
    }
}

fn write_number(number: &impl Display, out: &mut String) {
    // Writing to a String can't fail.
    let _ = write!(out, "{number}");
}

fn write_cell(column: Option<&Column>, cell: Option<&Cell>, out: &mut String) {
    match (column, cell) {
        (Some(column), Some(cell)) => column.write_wire_cell(cell, out),
        _ => out.push_str("null"),
    }
}
