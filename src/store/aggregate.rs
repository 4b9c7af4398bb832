//! Figures over a list's items, in groups: one statement, in which every value is bound. It must mean
//! what [`Figures::of`] says; a differential test holds it to it. Averages and medians are divided
//! there too: the database only adds up and finds the middle.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::items_query::{Statement, folded_key};
use super::{StoreError, Tx};
use crate::domain::aggregate::{
    Bucket, Exact, Figure, Figures, Group, Level, MAX_GROUPS, Metric, Op, average, median,
};
use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnType};
use crate::domain::schema::List;
use crate::domain::search::Selection;
use crate::domain::sort::SORTED_TEXT;
use crate::ids::WorkspaceId;

/// The groups of the living items that are asked for, in order; `None` when they are more than
/// [`MAX_GROUPS`].
pub async fn figures(
    tx: &mut Tx,
    workspace: WorkspaceId,
    list: &List,
    selection: &Selection,
    figures: &Figures,
) -> Result<Option<Vec<Group>>, StoreError> {
    let mut statement = Statement::new(&list.columns);
    let sql = statement.figures(workspace, list, selection, figures)?;
    let rows = sqlx::query_with(AssertSqlSafe(sql), statement.arguments)
        .persistent(false)
        .fetch_all(tx.conn())
        .await?;
    if rows.len() > MAX_GROUPS {
        return Ok(None);
    }
    let groups = rows.iter().map(|row| group(list, figures, row));
    groups.collect::<Result<_, _>>().map(Some)
}

/// What is computed of each item, what comes out of a group, and by what groups are made.
#[derive(Default)]
struct Parts {
    inner: Vec<String>,
    outer: Vec<String>,
    keys: Vec<String>,
}

impl Parts {
    /// Names an expression of an item.
    fn of_item(&mut self, expression: &str) -> String {
        let name = format!("c{}", self.inner.len());
        self.inner.push(format!("{expression} AS {name}"));
        name
    }
}

impl Statement<'_> {
    fn figures(
        &mut self,
        workspace: WorkspaceId,
        list: &List,
        selection: &Selection,
        figures: &Figures,
    ) -> Result<String, StoreError> {
        let mut parts = Parts::default();
        for level in &figures.group_by {
            if let Some(column) = self.columns.by_id(&level.column) {
                self.level(level, column, &mut parts)?;
            }
        }
        for metric in &figures.wanted {
            match metric {
                Metric::Count => parts.outer.push("count(*)".to_owned()),
                Metric::Of(op, id) => match self.columns.by_id(id) {
                    Some(column) => self.metric(*op, column, &mut parts)?,
                    None => continue,
                },
            }
        }
        let from = self.living(workspace, list, selection, None)?;
        let most = self.bind(i64::try_from(MAX_GROUPS + 1).unwrap_or(i64::MAX))?;
        let inner: String = parts.inner.iter().map(|part| format!("{part}, ")).collect();
        let outer: Vec<_> = parts
            .outer
            .iter()
            .map(|part| format!("({part})::text"))
            .collect();
        let outer = match outer.is_empty() {
            true => "count(*)".to_owned(),
            false => outer.join(", "),
        };
        let (by, order) = match parts.keys.is_empty() {
            true => (String::new(), String::new()),
            false => (
                format!("GROUP BY {}", parts.keys.join(", ")),
                format!("ORDER BY {} NULLS LAST", parts.keys.join(" NULLS LAST, ")),
            ),
        };
        Ok(format!(
            "SELECT {outer} FROM (SELECT {inner}i.id {from}) asked {by} {order} LIMIT {most}"
        ))
    }

    fn level(
        &mut self,
        level: &Level,
        column: &Column,
        parts: &mut Parts,
    ) -> Result<(), StoreError> {
        let value = self.value(column)?;
        if let Some(bucket) = level.bucket {
            let key = parts.of_item(&first_day(bucket, column, &value));
            parts.outer.push(format!("to_jsonb({key})"));
            parts.keys.push(key);
        } else if column.ty.is_text() {
            let text = format!("left({value}, {SORTED_TEXT})");
            let key = parts.of_item(&folded_key(&text));
            let spelled = parts.of_item(&format!(r#"({text} COLLATE "C")"#));
            parts.outer.push(format!("to_jsonb(min({spelled}))"));
            parts.keys.push(key);
        } else {
            let key = parts.of_item(&alike(column, &value));
            let shown = self.shown(column, &key)?;
            parts.outer.push(shown);
            parts.keys.push(key);
        }
        Ok(())
    }

    fn metric(&mut self, op: Op, column: &Column, parts: &mut Parts) -> Result<(), StoreError> {
        let value = self.value(column)?;
        let value = match op {
            Op::Distinct => alike(column, &value),
            _ => value,
        };
        let cell = parts.of_item(&value);
        let middle =
            |order: &str| format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {cell} {order})");
        match op {
            Op::Filled => parts.outer.push(format!("count({cell})")),
            Op::Empty => parts.outer.push(format!("count(*) - count({cell})")),
            Op::Distinct => parts.outer.push(format!("count(DISTINCT {cell})")),
            Op::Sum => parts.outer.push(format!("coalesce(sum({cell}), 0)")),
            Op::Avg => {
                parts.outer.push(format!("coalesce(sum({cell}), 0)"));
                parts.outer.push(format!("count({cell})"));
            }
            // Of an even number of cells the two in the middle.
            Op::Median => parts.outer.extend([middle("ASC"), middle("DESC")]),
            Op::Min => parts
                .outer
                .push(self.shown(column, &format!("min({cell})"))?),
            Op::Max => parts
                .outer
                .push(self.shown(column, &format!("max({cell})"))?),
        }
        Ok(())
    }

    /// A cell's stored JSON, from its expression.
    fn shown(&mut self, column: &Column, cell: &str) -> Result<String, StoreError> {
        Ok(match column.ty {
            ColumnType::DateTime => format!("to_jsonb({cell} || 'Z')"),
            ColumnType::CreatedAt | ColumnType::UpdatedAt => format!(
                r#"to_jsonb(to_char({cell} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))"#
            ),
            ColumnType::SingleSelect => format!("to_jsonb(({})[{cell}])", self.choices(column)?),
            ColumnType::MultiSelect => format!(
                "(SELECT to_jsonb(array_agg(({})[p] ORDER BY p)) FROM unnest({cell}) p)",
                self.choices(column)?
            ),
            _ => format!("to_jsonb({cell})"),
        })
    }
}

/// Cells that are `eq` become the same; what is empty stays NULL.
fn alike(column: &Column, value: &str) -> String {
    match column.ty {
        ty if ty.is_text() || ty == ColumnType::Address => folded_key(value),
        ColumnType::MultiSelect => {
            format!("(SELECT array_agg(p ORDER BY p) FROM unnest({value}) p)")
        }
        ColumnType::User | ColumnType::CreatedBy | ColumnType::UpdatedBy => format!(
            r#"((SELECT array_agg(p ORDER BY p COLLATE "C") FROM unnest({value}) p) COLLATE "C")"#
        ),
        _ => value.to_owned(),
    }
}

/// The first day of the span in which a date or time lies, as text; a text that begins like no date
/// is none.
fn first_day(bucket: Bucket, column: &Column, value: &str) -> String {
    let moment = match column.ty {
        ColumnType::CreatedAt | ColumnType::UpdatedAt => format!("{value} AT TIME ZONE 'UTC'"),
        _ => format!(
            r"CASE WHEN {value} ~ '^\d{{4}}-\d\d-\d\d' THEN left({value}, 10)::timestamp END"
        ),
    };
    let span = match bucket {
        Bucket::Day => "day",
        Bucket::Week => "week",
        Bucket::Month => "month",
        Bucket::Quarter => "quarter",
        Bucket::Year => "year",
    };
    format!(r#"(to_char(date_trunc('{span}', {moment}), 'YYYY-MM-DD') COLLATE "C")"#)
}

/// Reads a row's columns one after the other, as they were written.
struct Texts<'r> {
    row: &'r PgRow,
    at: usize,
}

impl Texts<'_> {
    fn next(&mut self) -> Result<Option<String>, StoreError> {
        let text = self.row.try_get(self.at)?;
        self.at += 1;
        Ok(text)
    }

    fn count(&mut self) -> Result<i64, StoreError> {
        let count = self.next()?.and_then(|text| text.parse().ok());
        count.ok_or_else(|| StoreError::Fault(anyhow::anyhow!("a count that is no number")))
    }

    fn number(&mut self) -> Result<Option<Exact>, StoreError> {
        Ok(self.next()?.and_then(|text| Exact::parse(&text)))
    }
}

fn group(list: &List, figures: &Figures, row: &PgRow) -> Result<Group, StoreError> {
    let mut texts = Texts { row, at: 0 };
    let mut group = Vec::with_capacity(figures.group_by.len());
    for level in &figures.group_by {
        let Some(column) = list.columns.by_id(&level.column) else {
            group.push(None);
            continue;
        };
        let text = texts.next()?;
        group.push(match level.bucket {
            Some(_) => text.and_then(|text| serde_json::from_str(&text).map(Cell::Date).ok()),
            None => text.and_then(|text| column.read_stored_cell(&text)),
        });
    }
    let mut all = Vec::with_capacity(figures.wanted.len());
    for metric in &figures.wanted {
        all.push(figure(list, metric, &mut texts)?);
    }
    Ok(Group {
        group,
        figures: all,
    })
}

fn figure(list: &List, metric: &Metric, texts: &mut Texts<'_>) -> Result<Figure, StoreError> {
    let (op, id) = match metric {
        Metric::Count => return Ok(Figure::Count(texts.count()?)),
        Metric::Of(op, id) => (*op, id),
    };
    let Some(column) = list.columns.by_id(id) else {
        return Ok(Figure::Cell(None));
    };
    Ok(match op {
        Op::Filled | Op::Empty | Op::Distinct => Figure::Count(texts.count()?),
        Op::Sum => Figure::Number(texts.number()?),
        Op::Avg => {
            let (sum, count) = (texts.number()?, texts.count()?);
            Figure::Number(sum.and_then(|sum| average(sum, count)))
        }
        Op::Median => {
            let (lower, upper) = (texts.number()?, texts.number()?);
            Figure::Number(lower.zip(upper).and_then(|(a, b)| median(a, b)))
        }
        Op::Min | Op::Max => {
            let text = texts.next()?;
            Figure::Cell(text.and_then(|text| column.read_stored_cell(&text)))
        }
    })
}
