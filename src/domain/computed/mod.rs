//! Computed columns: what their cells come to, and which follow from which. Pure: whatever must be known
//! is read beforehand.
//!
//! # The graph
//! Each computed column of a workspace is a node ([`Graph`]), bound to the columns that it reads: of the
//! same item (a formula) or of linked ones (lookup, rollup, count). Nodes stand in an order in which each
//! comes behind all that it needs, so that a cell is computed once however many ways lead to it. A rule
//! that would need itself is refused, and the way is named.
//!
//! # A change and what follows from it
//! are one change: the lane reads what a command may reach ([`Reach`]), the judge computes, in order, the
//! cells whose sources changed, and stops where a cell stays as it was. Results are stored with the items,
//! so whatever reads items need not know how a cell came about.
//!
//! # What no command may wait for
//! When a rule, or what it is made of, changes, its cells are computed anew page by page between people's
//! commands; until then the column says that it is not `settled`. A cell over more than [`MAX_ROLLED`]
//! links is a fault, and a command that more than [`MAX_REACHED`] cells follow from is refused.

mod bind;
mod column;
mod graph;
mod reach;
mod value;

pub use column::complete;
pub use graph::{ColumnAt, Graph, Known, Node, NodeId, compute_new};
pub use reach::Reach;
pub use value::kind_of;

/// The most links over which a cell is computed.
pub const MAX_ROLLED: usize = 10_000;
/// The most cells that may follow from one command.
pub const MAX_REACHED: usize = 100_000;
