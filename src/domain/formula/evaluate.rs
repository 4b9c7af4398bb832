//! What a checked formula comes to.

use rust_decimal::Decimal;

use super::check::{Operator, Tree};
use super::functions::{Run, call};
use super::value::short;
use super::{Fault, Value};
use crate::domain::cell::ColumnId;

/// A value, or nothing.
pub(super) type Result = std::result::Result<Option<Value>, Fault>;

pub(super) fn evaluate(tree: &Tree, read: &dyn Fn(ColumnId) -> Result) -> Result {
    let of = |part: &Tree| evaluate(part, read);
    match tree {
        Tree::Value(value) => Ok(Some(value.clone())),
        Tree::Column(id) => read(*id),
        Tree::Minus(inner) => Ok(match of(inner)? {
            Some(Value::Number(number)) => Some(Value::Number(-number)),
            _ => None,
        }),
        Tree::Both(operator, left, right) => both(*operator, of(left)?, of(right)?),
        Tree::Call(function, arguments) => match function.run {
            Run::Empty => Ok(None),
            Run::If => {
                let (condition, rest) = split(arguments);
                let taken = match condition.map(of).transpose()?.flatten() {
                    Some(Value::Bool(true)) => rest.first(),
                    _ => rest.get(1),
                };
                taken.map_or(Ok(None), of)
            }
            Run::Switch => switch(arguments, &of),
            Run::Coalesce => {
                for argument in arguments {
                    if let Some(value) = of(argument)? {
                        return Ok(Some(value));
                    }
                }
                Ok(None)
            }
            Run::IfError => {
                let (tried, rest) = split(arguments);
                match tried.map_or(Ok(None), of) {
                    Err(_) => rest.first().map_or(Ok(None), of),
                    value => value,
                }
            }
            run => {
                let values: std::result::Result<Vec<_>, Fault> = arguments.iter().map(of).collect();
                call(run, values?)
            }
        },
    }
}

fn split(arguments: &[Tree]) -> (Option<&Tree>, &[Tree]) {
    match arguments.split_first() {
        Some((first, rest)) => (Some(first), rest),
        None => (None, &[]),
    }
}

/// A value, then pairs of match and result, then perhaps what else.
fn switch(arguments: &[Tree], of: &dyn Fn(&Tree) -> Result) -> Result {
    let (value, mut rest) = split(arguments);
    let value = value.map_or(Ok(None), of)?;
    while let [case, result, after @ ..] = rest {
        if same(&value, &of(case)?) {
            return of(result);
        }
        rest = after;
    }
    rest.first().map_or(Ok(None), of)
}

fn same(a: &Option<Value>, b: &Option<Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.compare(b).is_eq(),
        (None, None) => true,
        _ => false,
    }
}

fn both(operator: Operator, a: Option<Value>, b: Option<Value>) -> Result {
    let truth = |bool| Ok(Some(Value::Bool(bool)));
    match operator {
        Operator::Equal => return truth(same(&a, &b)),
        Operator::Unequal => return truth(!same(&a, &b)),
        Operator::Join => {
            let text = |value: Option<Value>| value.map_or(Ok(String::new()), |v| v.text());
            return Ok(Some(Value::Text(short(text(a)? + &text(b)?)?)));
        }
        _ => {}
    }
    let (Some(a), Some(b)) = (a, b) else {
        return Ok(None);
    };
    let order = a.compare(&b);
    match operator {
        Operator::Less => return truth(order.is_lt()),
        Operator::AtMost => return truth(order.is_le()),
        Operator::Greater => return truth(order.is_gt()),
        Operator::AtLeast => return truth(order.is_ge()),
        _ => {}
    }
    let (Value::Number(a), Value::Number(b)) = (a, b) else {
        return Err(Fault::WrongType);
    };
    let number: Option<Decimal> = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ if b.is_zero() => return Err(Fault::DivisionByZero),
        Operator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    number
        .map(|number| Some(Value::Number(number)))
        .ok_or(Fault::OutOfRange)
}
