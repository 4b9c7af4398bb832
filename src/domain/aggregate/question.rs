//! Reads what is asked for against a list's columns.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Bucket, Figures, Level, MAX_LEVELS, MAX_METRICS, Metric, Op, is_groupable};
use crate::domain::columns::{Column, ColumnSet};
use crate::error::FieldError;

/// A level of groups, as it is sent.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelIn {
    /// The key of a column of any type but address and location.
    pub column: String,
    /// Of dates and times: `day`, `week` (from Monday), `month`, `quarter` or `year`, in UTC.
    pub bucket: Option<String>,
}

/// A figure, as it is sent.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricIn {
    /// `count` (of items, without a column), `filled`, `empty`, `distinct`; of numbers `sum`, `avg`,
    /// `median`; of numbers, dates and times `min`, `max`.
    pub op: String,
    /// The key of a column.
    pub column: Option<String>,
}

impl Figures {
    /// Reads levels and metrics; all broken rules at once. Paths are `/group_by/0/column`,
    /// `/metrics/0/op` and so on; codes `too_many unknown_column bad_column unknown_bucket bad_bucket
    /// unknown_op bad_op required unwanted`.
    pub fn parse(
        group_by: &[LevelIn],
        asked: &[MetricIn],
        columns: &ColumnSet,
    ) -> Result<Figures, Vec<FieldError>> {
        let mut errors = Vec::new();
        for (path, count, most) in [
            ("/group_by", group_by.len(), MAX_LEVELS),
            ("/metrics", asked.len(), MAX_METRICS),
        ] {
            if count > most {
                errors.push(error(path, "too_many", format!("more than {most}")));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let levels = group_by.iter().enumerate();
        let levels = levels.filter_map(|(at, sent)| {
            level(sent, columns, &format!("/group_by/{at}"))
                .map_err(|wrong| errors.push(wrong))
                .ok()
        });
        let group_by = levels.collect();
        let all = asked.iter().enumerate();
        let all = all.filter_map(|(at, sent)| {
            metric(sent, columns, &format!("/metrics/{at}"))
                .map_err(|wrong| errors.push(wrong))
                .ok()
        });
        let wanted = all.collect();
        match errors.is_empty() {
            true => Ok(Figures { group_by, wanted }),
            false => Err(errors),
        }
    }
}

fn level(sent: &LevelIn, columns: &ColumnSet, path: &str) -> Result<Level, FieldError> {
    let column = column(&sent.column, columns, path)?;
    let ty = column.ty;
    if !is_groupable(ty) {
        let message = format!("there are no groups by a column of type {}", ty.as_str());
        return Err(error(&format!("{path}/column"), "bad_column", message));
    }
    let bucket = sent.bucket.as_deref().map(|name| {
        let at_bucket = |code, message| error(&format!("{path}/bucket"), code, message);
        let bucket = Bucket::of(name)
            .ok_or_else(|| at_bucket("unknown_bucket", format!("there is no bucket {name:?}")))?;
        if ty.is_moment() {
            Ok(bucket)
        } else {
            let message = format!("a column of type {} has no buckets", ty.as_str());
            Err(at_bucket("bad_bucket", message))
        }
    });
    Ok(Level {
        column: column.id,
        bucket: bucket.transpose()?,
    })
}

fn metric(sent: &MetricIn, columns: &ColumnSet, path: &str) -> Result<Metric, FieldError> {
    let at_op = |code, message| error(&format!("{path}/op"), code, message);
    let at_column =
        |code, message: &str| error(&format!("{path}/column"), code, message.to_owned());
    let name = sent.op.as_str();
    let Some(key) = sent.column.as_deref() else {
        return match (name, Op::of(name)) {
            ("count", _) => Ok(Metric::Count),
            (_, Some(_)) => Err(at_column("required", "of which column?")),
            (_, None) => Err(at_op("unknown_op", format!("there is no op {name:?}"))),
        };
    };
    if name == "count" {
        return Err(at_column(
            "unwanted",
            "count is of items; filled is of a column",
        ));
    }
    let op = Op::of(name).ok_or_else(|| at_op("unknown_op", format!("there is no op {name:?}")))?;
    let column = column(key, columns, path)?;
    if !op.suits(column.ty) {
        let message = format!("a column of type {} has no {name}", column.ty.as_str());
        return Err(at_op("bad_op", message));
    }
    Ok(Metric::Of(op, column.id))
}

fn column<'c>(key: &str, columns: &'c ColumnSet, path: &str) -> Result<&'c Column, FieldError> {
    columns.by_key(key).ok_or_else(|| {
        let message = format!("no column {key:?}");
        error(&format!("{path}/column"), "unknown_column", message)
    })
}

impl Bucket {
    fn of(name: &str) -> Option<Bucket> {
        Some(match name {
            "day" => Bucket::Day,
            "week" => Bucket::Week,
            "month" => Bucket::Month,
            "quarter" => Bucket::Quarter,
            "year" => Bucket::Year,
            _ => return None,
        })
    }
}

impl Op {
    fn of(name: &str) -> Option<Op> {
        Some(match name {
            "filled" => Op::Filled,
            "empty" => Op::Empty,
            "distinct" => Op::Distinct,
            "sum" => Op::Sum,
            "avg" => Op::Avg,
            "median" => Op::Median,
            "min" => Op::Min,
            "max" => Op::Max,
            _ => return None,
        })
    }
}

fn error(path: &str, code: &'static str, message: String) -> FieldError {
    FieldError {
        path: path.to_owned(),
        code: Cow::Borrowed(code),
        message,
    }
}
