//! Functions of numbers.

use rust_decimal::{Decimal, RoundingStrategy};

use super::super::evaluate::Result;
use super::super::{Fault, Value};
use super::{Run, whole};

pub(super) fn call(run: Run, values: &[Value]) -> Result {
    let Some(Value::Number(number)) = values.first() else {
        return Err(Fault::BadArgument);
    };
    let number = *number;
    let result = match run {
        Run::Abs => number.abs(),
        Run::Sign => match number {
            zero if zero.is_zero() => Decimal::ZERO,
            below if below.is_sign_negative() => Decimal::NEGATIVE_ONE,
            _ => Decimal::ONE,
        },
        Run::Floor => number.floor(),
        Run::Ceiling => number.ceil(),
        Run::Trunc => number.trunc(),
        Run::Round => round(number, values.get(1))?,
        Run::Mod => match values.get(1) {
            Some(Value::Number(by)) if by.is_zero() => return Err(Fault::DivisionByZero),
            Some(Value::Number(by)) => number.checked_rem(*by).ok_or(Fault::OutOfRange)?,
            _ => return Err(Fault::BadArgument),
        },
        Run::Power => power(number, whole(values.get(1))?)?,
        _ => square_root(number)?,
    };
    Ok(Some(Value::Number(result)))
}

fn round(number: Decimal, digits: Option<&Value>) -> std::result::Result<Decimal, Fault> {
    let digits = digits.map_or(Ok(0), |digits| whole(Some(digits)))?;
    let strategy = RoundingStrategy::MidpointAwayFromZero;
    if let Ok(digits) = u32::try_from(digits) {
        return Ok(number.round_dp_with_strategy(digits.min(28), strategy));
    }
    let tens = u32::try_from(digits.unsigned_abs()).unwrap_or(u32::MAX);
    let Some(unit) = 10_i64.checked_pow(tens).map(Decimal::from) else {
        return Ok(Decimal::ZERO);
    };
    let units = number.checked_div(unit).ok_or(Fault::OutOfRange)?;
    let units = units.round_dp_with_strategy(0, strategy);
    units.checked_mul(unit).ok_or(Fault::OutOfRange)
}

fn power(number: Decimal, exponent: i64) -> std::result::Result<Decimal, Fault> {
    if !(-99..=99).contains(&exponent) {
        return Err(Fault::BadArgument);
    }
    if number.is_zero() && exponent < 0 {
        return Err(Fault::DivisionByZero);
    }
    let mut result = Decimal::ONE;
    for _ in 0..exponent.unsigned_abs() {
        result = result.checked_mul(number).ok_or(Fault::OutOfRange)?;
    }
    match exponent < 0 {
        true if result.is_zero() => Err(Fault::OutOfRange),
        true => Decimal::ONE.checked_div(result).ok_or(Fault::OutOfRange),
        false => Ok(result),
    }
}

/// By Heron's method, from above: it ends when it stops falling.
fn square_root(number: Decimal) -> std::result::Result<Decimal, Fault> {
    if number.is_sign_negative() && !number.is_zero() {
        return Err(Fault::OutOfRange);
    }
    if number.is_zero() {
        return Ok(Decimal::ZERO);
    }
    const HALF: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
    let mut guess = number.max(Decimal::ONE);
    for _ in 0..200 {
        let other = number.checked_div(guess).ok_or(Fault::OutOfRange)?;
        let sum = guess.checked_add(other).ok_or(Fault::OutOfRange)?;
        let next = sum.checked_mul(HALF).ok_or(Fault::OutOfRange)?;
        if next >= guess {
            break;
        }
        guess = next;
    }
    Ok(guess)
}
