//! Functions of texts.

use rust_decimal::Decimal;

use super::super::evaluate::Result;
use super::super::value::{rounded, short};
use super::super::{Fault, Value};
use super::{Run, whole};
use crate::domain::columns::MAX_TEXT;
use crate::domain::fold::folded;

pub(super) fn call(run: Run, values: &[Value]) -> Result {
    if run == Run::Text {
        let text = values.first().map_or(Ok(String::new()), Value::text)?;
        return Ok(Some(Value::Text(text)));
    }
    let text_at = |index: usize| match values.get(index) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        _ => Err(Fault::BadArgument),
    };
    let text = text_at(0)?;
    let count = |index: usize| {
        let count = whole(values.get(index))?;
        usize::try_from(count).map_err(|_| Fault::BadArgument)
    };
    let given = |text: String| Ok(Some(Value::Text(text)));
    let truth = |bool| Ok(Some(Value::Bool(bool)));
    match run {
        Run::Len => Ok(Some(Value::Number(text.chars().count().into()))),
        Run::Lower => given(short(text.to_lowercase())?),
        Run::Upper => given(short(text.to_uppercase())?),
        Run::Trim => given(text.trim().to_owned()),
        Run::Left => given(text.chars().take(count(1)?).collect()),
        Run::Right => {
            let skipped = text.chars().count().saturating_sub(count(1)?);
            given(text.chars().skip(skipped).collect())
        }
        Run::Mid => {
            let from = count(1)?.checked_sub(1).ok_or(Fault::BadArgument)?;
            given(text.chars().skip(from).take(count(2)?).collect())
        }
        Run::Replace => replace(text, text_at(1)?, text_at(2)?),
        Run::Contains => truth(folded(text).contains(&*folded(text_at(1)?))),
        Run::StartsWith => truth(folded(text).starts_with(&*folded(text_at(1)?))),
        Run::EndsWith => truth(folded(text).ends_with(&*folded(text_at(1)?))),
        _ => number(text),
    }
}

/// The result is measured before it is made.
fn replace(text: &str, find: &str, with: &str) -> Result {
    if find.is_empty() {
        return Ok(Some(Value::Text(text.to_owned())));
    }
    let times = text.matches(find).count();
    let longer = with.len().saturating_sub(find.len()).saturating_mul(times);
    if text.len().saturating_add(longer) > MAX_TEXT * 4 {
        return Err(Fault::TooLong);
    }
    Ok(Some(Value::Text(short(text.replace(find, with))?)))
}

fn number(text: &str) -> Result {
    let text = text.trim();
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+');
    let number: Option<Decimal> = match text.bytes().all(plain) {
        true => text.parse().ok(),
        false => None,
    };
    let number = rounded(number.ok_or(Fault::NotANumber)?)?;
    Ok(Some(Value::Number(number)))
}
