//! Names and kinds: a tree in which every part is known to fit.

use super::functions::{Function, Gives, Run, Takes, find};
use super::parser::{Part, What};
use super::{Kind, Named, Scalar, Value, Wrong};
use crate::domain::cell::ColumnId;

/// A formula that fits together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Value(Value),
    Column(ColumnId),
    Minus(Box<Tree>),
    Both(Operator, Box<Tree>, Box<Tree>),
    Call(&'static Function, Vec<Tree>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Join,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a part comes to; `None`: it is empty whatever the item, and fits anywhere.
type Known = Option<Kind>;

impl Tree {
    /// Adds the columns that it reads.
    pub(super) fn inputs(&self, to: &mut Vec<ColumnId>) {
        match self {
            Tree::Value(_) => {}
            Tree::Column(id) => to.push(*id),
            Tree::Minus(inner) => inner.inputs(to),
            Tree::Both(_, left, right) => {
                left.inputs(to);
                right.inputs(to);
            }
            Tree::Call(_, arguments) => arguments.iter().for_each(|part| part.inputs(to)),
        }
    }
}

pub(super) fn check(part: &Part, named: &dyn Fn(&str) -> Named) -> Result<(Tree, Known), Wrong> {
    let value = |value: Value| {
        let kind = value.kind();
        Ok((Tree::Value(value), Some(kind)))
    };
    match &part.what {
        What::Number(number) => value(Value::Number(*number)),
        What::Text(text) => value(Value::Text(text.clone())),
        What::Bool(bool) => value(Value::Bool(*bool)),
        What::Column(key) => match named(key) {
            Named::Column(id, kind) => Ok((Tree::Column(id), Some(kind))),
            Named::Unsupported(ty) => {
                let message = format!("{key} is a {ty}, with which nothing is reckoned");
                Err(Wrong::new("unsupported_column", message, part.at))
            }
            Named::Unknown => {
                let message = format!("there is no column {key:?}");
                Err(Wrong::new("unknown_column", message, part.at))
            }
        },
        What::Minus(inner) => {
            let (tree, kind) = check(inner, named)?;
            expect(kind, Kind::one(Scalar::Number), inner.at)?;
            Ok((Tree::Minus(Box::new(tree)), Some(Kind::one(Scalar::Number))))
        }
        What::Both(symbol, left, right) => both(symbol, part.at, left, right, named),
        What::Call(name, arguments) => call(name, part.at, arguments, named),
    }
}

fn both(
    symbol: &str,
    at: usize,
    left: &Part,
    right: &Part,
    named: &dyn Fn(&str) -> Named,
) -> Result<(Tree, Known), Wrong> {
    let (a, a_kind) = check(left, named)?;
    let (b, b_kind) = check(right, named)?;
    let number = Kind::one(Scalar::Number);
    let (operator, kind) = match symbol {
        "+" => (Operator::Add, number),
        "-" => (Operator::Subtract, number),
        "*" => (Operator::Multiply, number),
        "/" => (Operator::Divide, number),
        "%" => (Operator::Remainder, number),
        "&" => (Operator::Join, Kind::one(Scalar::Text)),
        "=" => (Operator::Equal, Kind::one(Scalar::Bool)),
        "<" => (Operator::Less, Kind::one(Scalar::Bool)),
        "<=" => (Operator::AtMost, Kind::one(Scalar::Bool)),
        ">" => (Operator::Greater, Kind::one(Scalar::Bool)),
        ">=" => (Operator::AtLeast, Kind::one(Scalar::Bool)),
        _ => (Operator::Unequal, Kind::one(Scalar::Bool)),
    };
    match operator {
        Operator::Join => {}
        _ if kind == number => {
            expect(a_kind, number, left.at)?;
            expect(b_kind, number, right.at)?;
        }
        _ => {
            let common = unify(a_kind, b_kind, right.at)?;
            let ordered = !matches!(operator, Operator::Equal | Operator::Unequal);
            let orderless = |kind: Kind| kind.list || kind.scalar == Scalar::Bool;
            if let Some(kind) = common.filter(|kind| ordered && orderless(*kind)) {
                let message = format!("a {kind} has no order");
                return Err(Wrong::new("wrong_type", message, at));
            }
        }
    }
    Ok((Tree::Both(operator, Box::new(a), Box::new(b)), Some(kind)))
}

fn call(
    name: &str,
    at: usize,
    arguments: &[Part],
    named: &dyn Fn(&str) -> Named,
) -> Result<(Tree, Known), Wrong> {
    let function = find(name).ok_or_else(|| {
        let message = format!("there is no function {name:?}");
        Wrong::new("unknown_function", message, at)
    })?;
    let count = arguments.len();
    let most = match function.repeats {
        true => usize::MAX,
        false => function.takes.len(),
    };
    if count < function.least || count > most {
        let message = format!("{} takes {}", function.name, function.counts());
        return Err(Wrong::new("wrong_count", message, at));
    }
    let mut trees = Vec::with_capacity(count);
    let mut kinds = Vec::with_capacity(count);
    for (index, argument) in arguments.iter().enumerate() {
        let (tree, kind) = check(argument, named)?;
        if let Some(kind) = kind {
            let takes = function.takes(index);
            if !takes.fits(kind) {
                let message = format!(
                    "{} takes {} here, not a {kind}",
                    function.name,
                    takes.name()
                );
                return Err(Wrong::new("wrong_type", message, argument.at));
            }
        }
        trees.push(tree);
        kinds.push((kind, argument.at));
    }
    let kind = gives(function, &kinds)?;
    Ok((Tree::Call(function, trees), kind))
}

fn gives(function: &Function, kinds: &[(Known, usize)]) -> Result<Known, Wrong> {
    let kind_at = |index: usize| kinds.get(index).and_then(|(kind, _)| *kind);
    Ok(match function.gives {
        Gives::Kind(kind) => {
            if function.run == Run::Has {
                let member = kind_at(0).map(|kind| Kind::one(kind.scalar));
                unify(member, kind_at(1), kinds.get(1).map_or(0, |(_, at)| *at))?;
            }
            Some(kind)
        }
        Gives::Nothing => None,
        Gives::Like(index) => kind_at(index),
        Gives::Member(index) => kind_at(index).map(|kind| Kind::one(kind.scalar)),
        Gives::Common(from) => common(kinds.iter().skip(from))?,
        Gives::Folded => {
            let scalars = kinds
                .iter()
                .map(|(kind, at)| (kind.map(|k| Kind::one(k.scalar)), *at));
            let scalars: Vec<_> = scalars.collect();
            common(scalars.iter())?
        }
        // Value, then pairs of match and result, then perhaps what else.
        Gives::Switched => {
            let pairs = kinds.len().saturating_sub(1) / 2;
            let is_match = |index: &usize| *index == 0 || (index % 2 == 1 && *index < pairs * 2);
            let all = kinds.iter().enumerate();
            let (matches, results): (Vec<_>, Vec<_>) = all.partition(|(index, _)| is_match(index));
            common(matches.into_iter().map(|(_, kind)| kind))?;
            common(results.into_iter().map(|(_, kind)| kind))?
        }
    })
}

/// The one kind that all of these are.
fn common<'k>(mut of: impl Iterator<Item = &'k (Known, usize)>) -> Result<Known, Wrong> {
    of.try_fold(None, |common, (kind, at)| unify(common, *kind, *at))
}

fn unify(a: Known, b: Known, at: usize) -> Result<Known, Wrong> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => {
            let message = format!("a {a} and a {b} do not go together");
            Err(Wrong::new("wrong_type", message, at))
        }
        (a, b) => Ok(a.or(b)),
    }
}

fn expect(kind: Known, wanted: Kind, at: usize) -> Result<(), Wrong> {
    match kind {
        Some(kind) if kind != wanted => {
            let message = format!("a {wanted} should stand here, not a {kind}");
            Err(Wrong::new("wrong_type", message, at))
        }
        _ => Ok(()),
    }
}

impl Takes {
    fn fits(self, kind: Kind) -> bool {
        let one = |scalar| kind == Kind::one(scalar);
        match self {
            Takes::Any => true,
            Takes::Number => one(Scalar::Number),
            Takes::Text => one(Scalar::Text),
            Takes::Bool => one(Scalar::Bool),
            Takes::Time => one(Scalar::Time),
            Takes::Moment => one(Scalar::Date) || one(Scalar::Time),
            Takes::Dated => one(Scalar::Text) || one(Scalar::Time) || one(Scalar::Date),
            Takes::Single => !kind.list,
            Takes::List => kind.list,
            Takes::Numbers => kind.scalar == Scalar::Number,
            Takes::Ordered => kind.scalar != Scalar::Bool,
        }
    }
}
