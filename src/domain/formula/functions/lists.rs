//! Functions of lists.

use super::super::evaluate::Result;
use super::super::value::{MAX_MEMBERS, joined};
use super::super::{Fault, Value};
use super::Run;

/// Values and members of lists, without what is empty.
pub(super) fn flat(values: Vec<Option<Value>>) -> std::result::Result<Vec<Value>, Fault> {
    let mut all = Vec::new();
    for value in values.into_iter().flatten() {
        match value {
            Value::List(members) => all.extend(members),
            single => all.push(single),
        }
        if all.len() > MAX_MEMBERS {
            return Err(Fault::TooLong);
        }
    }
    Ok(all)
}

pub(super) fn call(run: Run, values: Vec<Value>) -> Result {
    let mut values = values.into_iter();
    let Some(Value::List(mut members)) = values.next() else {
        return Err(Fault::BadArgument);
    };
    let second = values.next();
    Ok(match run {
        Run::First => members.into_iter().next(),
        Run::Last => members.pop(),
        Run::Join => {
            let between = match &second {
                Some(Value::Text(text)) => text,
                _ => ", ",
            };
            Some(Value::Text(joined(&members, between)?))
        }
        Run::Unique => {
            let mut seen: Vec<Value> = members.clone();
            seen.sort_by(Value::compare);
            seen.dedup_by(|a, b| a.compare(b).is_eq());
            let mut taken = vec![false; seen.len()];
            members.retain(|member| {
                let at = seen.binary_search_by(|known| known.compare(member));
                let slot = at.ok().and_then(|at| taken.get_mut(at));
                slot.is_some_and(|slot| !std::mem::replace(slot, true))
            });
            Some(Value::List(members))
        }
        _ => {
            let is = |member: &Value| second.as_ref().is_some_and(|v| v.compare(member).is_eq());
            Some(Value::Bool(members.iter().any(is)))
        }
    })
}
