//! Figures over a list's items, in groups: the contract's `group_by` and `metrics`. `question` reads
//! them from a request, `meaning` says what comes out, item by item: [`Figures::of`]; `exact` adds up.
//! Whatever else answers (SQL, an index) must agree.
//!
//! # Groups
//! Items stand together when their cells are `eq` as in a filter: texts without case, several choices
//! or people in any order. Of texts the first [`SORTED_TEXT`](super::sort::SORTED_TEXT) characters
//! count, and a group is named by the first spelling in the order of code points. Dates and times
//! (these in UTC) are grouped by what they are or by the day, week (from Monday), month, quarter or
//! year in which they lie, which is named by its first day. Groups come in the order of their columns,
//! an empty cell last. Without levels there is one group, of all items, be they none.
//!
//! # Figures
//! `count` counts items, `filled` and `empty` cells, `distinct` cells that are not `eq` to each other.
//! `sum`, `avg` and `median` are of numbers and exact; where a division doesn't end, to 28 decimals. Of
//! no cells a sum is 0 and all else nothing. `min` and `max` are of numbers, dates and times.

mod exact;
mod meaning;
mod question;

pub use exact::Exact;
pub use question::{LevelIn, MetricIn};

use super::cell::{Cell, ColumnId};
use super::columns::ColumnType;

/// The most levels of groups.
pub const MAX_LEVELS: usize = 3;
/// The most metrics of one request.
pub const MAX_METRICS: usize = 20;
/// The most groups of one answer; more are refused.
pub const MAX_GROUPS: usize = 10_000;

/// What is asked of a list's items.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    pub group_by: Vec<Level>,
    pub wanted: Vec<Metric>,
}

/// One level of groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    pub column: ColumnId,
    /// Only of dates and times.
    pub bucket: Option<Bucket>,
}

/// A span of time that dates and times are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// How many items.
    Count,
    Of(Op, ColumnId),
}

/// A figure of one column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Filled,
    Empty,
    Distinct,
    Sum,
    Avg,
    Median,
    Min,
    Max,
}

/// One group of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// By level; a date where there is a bucket, nothing where the cells are empty.
    pub group: Vec<Option<Cell>>,
    /// By metric.
    pub figures: Vec<Figure>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    Count(i64),
    Number(Option<Exact>),
    Cell(Option<Cell>),
}

impl Op {
    /// Whether cells of that type can be asked this.
    pub fn suits(self, ty: ColumnType) -> bool {
        match self {
            Op::Filled | Op::Empty | Op::Distinct => true,
            Op::Sum | Op::Avg | Op::Median => ty.is_number(),
            Op::Min | Op::Max => ty.is_number() || ty.is_moment(),
        }
    }
}

/// Whether items can be grouped by such cells.
pub fn is_groupable(ty: ColumnType) -> bool {
    !matches!(
        ty,
        ColumnType::Address | ColumnType::Location | ColumnType::List
    )
}

/// The average of so many numbers.
pub fn average(sum: Exact, count: i64) -> Option<Exact> {
    sum.divided(count)
}

/// The median: what stands in the middle, or lies in the middle between two.
pub fn median(lower: Exact, upper: Exact) -> Option<Exact> {
    lower.plus(upper).divided(2)
}
