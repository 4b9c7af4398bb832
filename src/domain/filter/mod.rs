//! Filters: which items of a list are asked for. `grammar` reads one from JSON, `meaning` says which
//! items it is true of: [`Filter::matches`]. Whatever else answers filters (SQL, an index) must agree.
//!
//! # Meaning
//! Every condition is either true or false. Of an empty cell only `is_empty` is true and, being the
//! plain opposites of `eq`, `in` and `contains`, `ne`, `not_in` and `not_contains`. Texts compare as
//! [`fold`](super::fold) says without its tie-break: `Oak` is `eq`, `lte` and `gte` to `oak`. The
//! text of an address is its [sort key](super::cell::Address::sort_key). Choices are ordered as
//! people put them; one that the column no longer has is not there. Of a cell that may hold several
//! choices or users `eq` asks for the same ones in any order, `in` and `has_any` for at least one,
//! `has_all` for all.
//!
//! `within` is a span of whole days, in UTC: `{"last_days":n}` ends with today, `{"next_days":n}` begins
//! with it; `this`, `last` and `next` name a `day`, `week` (from Monday), `month`, `quarter` or `year`.
//! `within_box` is `{"south","west","north","east"}` with its edges, over the 180th meridian where west
//! is the larger; `within_km` is `{"lat","lon","km"}` on a sphere of 6371.0088 km, by the haversine.

mod area;
mod grammar;
mod meaning;
mod span;
#[cfg(test)]
mod tests;

pub use area::{Area, Circle, DEGREE, HALF_DEGREE};
use chrono::NaiveDate;

use super::cell::{Cell, ColumnId};
use super::columns::ColumnSet;
use crate::error::FieldError;
use crate::ids::{ItemId, UserId};

/// The most conditions in a filter; a group without members counts as one.
pub const MAX_CONDITIONS: usize = 100;
/// How deep `and`, `or` and `not` may nest.
pub const MAX_DEPTH: usize = 5;
/// The most values in all lists of a filter together.
pub const MAX_VALUES: usize = 5_000;
/// The longest filter, in bytes of its JSON.
pub const MAX_LENGTH: usize = 1 << 20;

/// Which items of a list are asked for. Its `Debug` form says all that it asks, so that two filters
/// with the same form are the same question.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these; of none: everything.
    All(Vec<Filter>),
    /// At least one of these; of none: nothing.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(Condition),
}

impl Filter {
    /// The items that it asks for at the other end of links, by column.
    pub fn linked(&self) -> Vec<(ColumnId, ItemId)> {
        match self {
            Filter::All(members) | Filter::Any(members) => {
                members.iter().flat_map(Filter::linked).collect()
            }
            Filter::Not(inner) => inner.linked(),
            Filter::Is(condition) => match &condition.test {
                Test::LinkedTo(Cell::Links(links)) => {
                    links.ids().map(|id| (condition.column, id)).collect()
                }
                _ => Vec::new(),
            },
        }
    }
}

/// A test of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub column: ColumnId,
    /// Whether the test must fail.
    pub negated: bool,
    pub test: Test,
}

/// What a cell is asked. The cells in it are of the kind that the column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Empty,
    /// Equal to at least one.
    OneOf(Vec<Cell>),
    /// Before or after this one, in the column's order.
    Compare(Comparison, Cell),
    /// The folded text is a part of the folded cell.
    Contains(String),
    /// The folded cell begins with the folded text.
    StartsWith(String),
    /// The same choices or users.
    Same(Cell),
    /// At least one of these choices or users.
    HasAny(Cell),
    /// All of these choices or users.
    HasAll(Cell),
    /// Linked to at least one of these items. Of an item in memory this asks the links that it shows.
    LinkedTo(Cell),
    /// A place in there.
    WithinBox(Area),
    WithinKm(Circle),
}

/// A comparison by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Filter {
    /// Reads a filter. `me` is whom `{"me": true}` means, `today` (in UTC) the day to which `within` is
    /// relative. Paths of errors begin with `/filter`; their
    /// codes are `malformed too_long too_deep too_many unknown_column unknown_op bad_op
    /// out_of_range too_small too_large missing_value` and those of cells.
    pub fn parse(
        json: &str,
        columns: &ColumnSet,
        me: UserId,
        today: NaiveDate,
    ) -> Result<Filter, Vec<FieldError>> {
        if json.len() > MAX_LENGTH {
            let message = format!("longer than {MAX_LENGTH} bytes");
            return Err(vec![grammar::error(
                "/filter".to_owned(),
                "too_long",
                message,
            )]);
        }
        grammar::read(json, columns, me, today)
    }
}
