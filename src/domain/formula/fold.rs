//! What many values come to: the rollups, and the functions of lists.

use rust_decimal::Decimal;

use super::value::joined;
use super::{Fault, Kind, Scalar, Value};

/// What is made of the values of linked items; the empty ones are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fold {
    /// How many there are.
    Count,
    /// Of nothing: 0.
    Sum,
    Avg,
    Min,
    Max,
    Median,
    Any,
    All,
    /// As texts, with commas between them.
    Concat,
    /// How many different ones there are.
    Distinct,
}

impl Fold {
    pub const ALL: [Fold; 10] = [
        Fold::Count,
        Fold::Sum,
        Fold::Avg,
        Fold::Min,
        Fold::Max,
        Fold::Median,
        Fold::Any,
        Fold::All,
        Fold::Concat,
        Fold::Distinct,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Fold::Count => "count",
            Fold::Sum => "sum",
            Fold::Avg => "avg",
            Fold::Min => "min",
            Fold::Max => "max",
            Fold::Median => "median",
            Fold::Any => "any",
            Fold::All => "all",
            Fold::Concat => "concat",
            Fold::Distinct => "distinct",
        }
    }

    pub fn from_name(name: &str) -> Option<Fold> {
        Fold::ALL.into_iter().find(|fold| fold.as_str() == name)
    }

    /// What comes of values of that kind; `None` where they have no such thing.
    pub fn kind_of(self, scalar: Scalar) -> Option<Kind> {
        let (fits, result) = match self {
            Fold::Count | Fold::Distinct => (true, Scalar::Number),
            Fold::Sum | Fold::Avg | Fold::Median => (scalar == Scalar::Number, Scalar::Number),
            Fold::Min | Fold::Max => (scalar != Scalar::Bool, scalar),
            Fold::Any | Fold::All => (scalar == Scalar::Bool, Scalar::Bool),
            Fold::Concat => (true, Scalar::Text),
        };
        fits.then_some(Kind::one(result))
    }

    /// What these come to; nothing where there is nothing to say.
    pub fn fold(self, mut values: Vec<Value>) -> Result<Option<Value>, Fault> {
        let count = |many: usize| Ok(Some(Value::Number(many.into())));
        let is_true = |value: &Value| *value == Value::Bool(true);
        let result = match self {
            Fold::Count => return count(values.len()),
            Fold::Distinct => {
                values.sort_by(Value::compare);
                values.dedup_by(|a, b| a.compare(b).is_eq());
                return count(values.len());
            }
            Fold::Sum => Some(Value::Number(sum(&values)?)),
            _ if values.is_empty() => None,
            Fold::Avg => {
                let mean = sum(&values)?.checked_div(values.len().into());
                Some(Value::Number(mean.ok_or(Fault::OutOfRange)?))
            }
            Fold::Min => values.into_iter().min_by(Value::compare),
            Fold::Max => values.into_iter().max_by(Value::compare),
            Fold::Median => {
                values.sort_by(Value::compare);
                let lower = values.get((values.len() - 1) / 2);
                let upper = values.get(values.len() / 2);
                let both: Vec<Value> = lower.into_iter().chain(upper).cloned().collect();
                return Fold::Avg.fold(both);
            }
            Fold::Any => Some(Value::Bool(values.iter().any(is_true))),
            Fold::All => Some(Value::Bool(values.iter().all(is_true))),
            Fold::Concat => Some(Value::Text(joined(&values, ", ")?)),
        };
        result.map(Value::finished).transpose()
    }
}

fn sum(values: &[Value]) -> Result<Decimal, Fault> {
    let mut numbers = values.iter().filter_map(|value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    });
    numbers
        .try_fold(Decimal::ZERO, |sum, number| sum.checked_add(number))
        .ok_or(Fault::OutOfRange)
}
