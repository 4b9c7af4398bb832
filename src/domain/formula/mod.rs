//! The language of formula columns: pure, typed before anything is computed, and the same for ever: no
//! function knows the time of day or throws dice, for results are stored.
//!
//! # Grammar
//! ```text
//! formula    = comparison ;
//! comparison = joined { ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=") joined } ;
//! joined     = sum { "&" sum } ;
//! sum        = product { ("+" | "-") product } ;
//! product    = signed { ("*" | "/" | "%") signed } ;
//! signed     = "-" signed | value ;
//! value      = number | text | "TRUE" | "FALSE" | column | call | "(" formula ")" ;
//! call       = name "(" [ formula { "," formula } ] ")" ;
//! column     = key | "{" key "}" ;
//! text       = '"' { character | '""' } '"' | "'" { character | "''" } "'" ;
//! number     = digits [ "." digits ] ;
//! ```
//! At most 2 000 characters, 500 parts, and 64 levels of parentheses, calls and signs. Names of functions
//! are read without regard to case, keys of columns with it.
//!
//! # Kinds
//! Number, text, bool, date, time, and lists of these. They are never turned into each other unasked, but
//! for `&`, which joins anything as text. A formula of which the kinds do not fit is refused when it is
//! saved.
//!
//! # What is empty
//! makes arithmetic and order empty too: `COALESCE(Fee, 0)` gives it a value. `=` and `!=` compare it like
//! any value, `&` takes it for an empty text, a condition for false. Texts compare without regard to case.
//!
//! # Numbers
//! are exact decimals of up to 28 digits on the way, and 15 significant ones, rounded half to even, in the
//! result.
//!
//! # Errors
//! are values ([`Fault`]): a fault in a part is the result, unless `IF_ERROR` stands around it. Branches
//! that are not taken are not computed.

mod check;
mod evaluate;
mod fault;
mod fold;
mod functions;
mod lexer;
mod parser;
mod value;

#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use fold::Fold;
pub use functions::{Function, all as functions};
pub use value::{Kind, Scalar, Value};

use self::check::Tree;
use super::cell::ColumnId;

/// The most characters of a formula.
pub const MAX_LENGTH: usize = 2_000;
/// The most levels of parentheses, calls and signs.
const MAX_DEPTH: usize = 64;
/// The most parts: names, literals, operators and calls.
const MAX_PARTS: usize = 500;

/// What a name in a formula stands for.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    Column(ColumnId, Kind),
    /// A column, of this type, with which nothing is reckoned.
    Unsupported(&'static str),
    Unknown,
}

/// Why a text is no formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// One of `syntax too_long too_deep too_large unknown_column unsupported_column unknown_function
    /// wrong_count wrong_type out_of_range`.
    pub code: &'static str,
    pub message: String,
    /// Characters from the beginning.
    pub at: usize,
}

/// A formula that is known to make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    tree: Tree,
    kind: Kind,
    inputs: Vec<ColumnId>,
}

/// Reads a formula and checks it through.
pub fn compile(text: &str, named: &dyn Fn(&str) -> Named) -> Result<Formula, Wrong> {
    if text.chars().count() > MAX_LENGTH {
        let message = format!("a formula has at most {MAX_LENGTH} characters");
        return Err(Wrong::new("too_long", message, MAX_LENGTH));
    }
    let parsed = parser::parse(text)?;
    let (tree, kind) = check::check(&parsed, named)?;
    let kind = kind.ok_or_else(|| Wrong::new("wrong_type", "this is always empty", 0))?;
    let mut inputs = Vec::new();
    tree.inputs(&mut inputs);
    inputs.sort_unstable();
    inputs.dedup();
    Ok(Formula { tree, kind, inputs })
}

impl Formula {
    /// What it comes to.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The columns that it reads, each once.
    pub fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    /// Its value of one item, whose cells `read` gives; `None`: it is empty.
    pub fn value(
        &self,
        read: &dyn Fn(ColumnId) -> Result<Option<Value>, Fault>,
    ) -> Result<Option<Value>, Fault> {
        let value = evaluate::evaluate(&self.tree, read)?;
        value.map(Value::finished).transpose()
    }
}

impl Wrong {
    fn new(code: &'static str, message: impl Into<String>, at: usize) -> Wrong {
        Wrong {
            code,
            message: message.into(),
            at,
        }
    }
}
