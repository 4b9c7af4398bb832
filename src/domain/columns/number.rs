//! Exact decimal numbers: at most 15 significant digits, so that every client's doubles keep them;
//! magnitude below 10^28, at most 28 decimals. `percent` holds the number before the sign: 12.5 is
//! 12.5 %. Text may carry signs of currency, groups of digits, a percent sign, brackets for minus.

use rust_decimal::Decimal;

use super::json::Token;
use super::{CellError, Column, ColumnType, Parsed};
use crate::domain::cell::Cell;

/// So many digits survive in a double.
const SIGNIFICANT: u32 = 15;
/// What a `Decimal` always holds, before and after the point.
const MAX_PLACES: u32 = 28;

/// Reads a JSON number.
pub(super) fn from_json(token: Token<'_>, column: &Column) -> Parsed {
    match token {
        Token::Number(raw) => checked(read(raw)?, column),
        other => Err(other.unwanted("not_a_number", "a number")),
    }
}

/// Reads a number as people write it.
pub(super) fn from_text(text: &str, column: &Column, decimal_comma: bool) -> Parsed {
    match read(text) {
        Err(error) if error.code == "not_a_number" => {
            checked(read_loosely(text, column, decimal_comma)?, column)
        }
        number => checked(number?, column),
    }
}

fn checked(number: Decimal, column: &Column) -> Parsed {
    check(number, column)?;
    Ok(Some(Cell::Number(number)))
}

/// Checks a number that is already there against the column's options.
pub(super) fn check(number: Decimal, column: &Column) -> Result<(), CellError> {
    let options = &column.options;
    let rating = column.ty == ColumnType::Rating;
    let precision = if rating { Some(0) } else { options.precision };
    let min = options.min.or(rating.then_some(Decimal::ZERO));
    let max = options.max.or(rating.then_some(DEFAULT_STARS));
    if let Some(precision) = precision.filter(|precision| number.normalize().scale() > *precision) {
        return Err(CellError::new(
            "too_precise",
            format!("more than {precision} decimals"),
        ));
    }
    if let Some(min) = min.filter(|min| number < *min) {
        return Err(CellError::new("too_small", format!("less than {min}")));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        return Err(CellError::new("too_large", format!("more than {max}")));
    }
    Ok(())
}

/// The most that a rating may be when its options don't say.
const DEFAULT_STARS: Decimal = Decimal::from_parts(5, 0, 0, false, 0);

/// Reads a number in JSON's grammar (RFC 8259), normalised.
pub(super) fn read(raw: &str) -> Result<Decimal, CellError> {
    let (negative, digits) = match raw.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, raw),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (
            digits.get(..at),
            read_exponent(digits.get(at + 1..).unwrap_or_default())?,
        ),
        None => (Some(digits), 0),
    };
    let (whole, fraction) = match mantissa.unwrap_or_default().split_once('.') {
        Some((_, "")) => return Err(not_a_number()),
        Some(parts) => parts,
        None => (mantissa.unwrap_or_default(), ""),
    };
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(not_a_number());
    }
    decimal(negative, whole.bytes(), fraction.bytes(), exponent)
}

fn read_exponent(text: &str) -> Result<i32, CellError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_a_number());
    }
    // Beyond this every number but zero is out of range, whatever its digits.
    const FAR: i32 = 1_000_000;
    let size = digits.parse::<i32>().map_or(FAR, |size| size.min(FAR));
    Ok(if text.starts_with('-') { -size } else { size })
}

/// The number `whole.fraction × 10^exponent`.
fn decimal(
    negative: bool,
    whole: impl Iterator<Item = u8>,
    fraction: impl Iterator<Item = u8>,
    exponent: i32,
) -> Result<Decimal, CellError> {
    // The value so far is mantissa × 10^zeros × 10^-places; zeros wait until a digit follows them.
    let (mut mantissa, mut significant, mut zeros, mut places) = (0_u64, 0_u32, 0_u32, 0_i32);
    let marked = whole
        .map(|digit| (digit, 0))
        .chain(fraction.map(|digit| (digit, 1)));
    for (digit, place) in marked {
        if !digit.is_ascii_digit() {
            return Err(not_a_number());
        }
        places = places.saturating_add(place);
        match digit - b'0' {
            0 if mantissa == 0 => {}
            0 => zeros = zeros.saturating_add(1),
            digit => {
                significant = significant.saturating_add(zeros).saturating_add(1);
                if significant > SIGNIFICANT {
                    return Err(CellError::new(
                        "too_precise",
                        "more than 15 significant digits",
                    ));
                }
                mantissa = mantissa * 10_u64.pow(zeros + 1) + u64::from(digit);
                zeros = 0;
            }
        }
    }
    if mantissa == 0 {
        return Ok(Decimal::ZERO);
    }
    let power = i64::from(zeros) - i64::from(places) + i64::from(exponent);
    let size = u32::try_from(power.unsigned_abs()).unwrap_or(u32::MAX);
    let number = if power < 0 {
        Decimal::try_from_i128_with_scale(i128::from(mantissa), size)
            .map_err(|_| CellError::new("too_precise", "more than 28 decimals"))?
    } else if significant.saturating_add(size) > MAX_PLACES {
        return Err(CellError::new("too_large", "10^28 or more"));
    } else {
        Decimal::from_i128_with_scale(i128::from(mantissa) * 10_i128.pow(size), 0)
    };
    Ok(if negative { -number } else { number })
}

/// Reads a number with all that people put around it.
fn read_loosely(text: &str, column: &Column, decimal_comma: bool) -> Result<Decimal, CellError> {
    let (inner, mut negative) = match text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let mut rest = inner.trim();
    let mut signs = 0;
    loop {
        let before = rest;
        if let Some(after) = rest.strip_prefix(['-', '−', '+']) {
            negative ^= !rest.starts_with('+');
            signs += 1;
            rest = after;
        }
        rest = without_mark(rest.trim(), column).trim();
        if rest == before {
            break;
        }
    }
    let exponent = match rest.as_bytes().last() {
        Some(b'k' | b'K') if column.ty == ColumnType::Currency => 3,
        Some(b'm' | b'M') if column.ty == ColumnType::Currency => 6,
        _ => 0,
    };
    if exponent > 0 {
        rest = rest.get(..rest.len() - 1).unwrap_or_default();
    }
    if signs > 1 || !rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',')) {
        return Err(not_a_number());
    }
    let (whole, fraction) = split(rest, decimal_comma)?;
    if !whole
        .bytes()
        .chain(fraction.bytes())
        .any(|b| b.is_ascii_digit())
    {
        return Err(not_a_number());
    }
    decimal(
        negative,
        whole.bytes().filter(u8::is_ascii_digit),
        fraction.bytes(),
        exponent,
    )
}

/// Takes one currency sign, the column's currency code or a percent sign from either end.
fn without_mark<'t>(text: &'t str, column: &Column) -> &'t str {
    const SIGNS: [char; 12] = ['$', '€', '£', '¥', '₹', '₽', '₩', '₺', '₪', '฿', '₫', '₴'];
    if column.ty == ColumnType::Percent {
        return text.strip_suffix('%').unwrap_or(text);
    }
    if column.ty != ColumnType::Currency {
        return text;
    }
    if let Some(rest) = text
        .strip_prefix(SIGNS)
        .or_else(|| text.strip_suffix(SIGNS))
    {
        return rest;
    }
    let Some(code) = column.options.currency.as_deref() else {
        return text;
    };
    let starts = text
        .get(..code.len())
        .filter(|start| start.eq_ignore_ascii_case(code));
    let end = text.len().saturating_sub(code.len());
    let ends = text.get(end..).filter(|end| end.eq_ignore_ascii_case(code));
    match (starts, ends) {
        (Some(_), _) => text.get(code.len()..).unwrap_or(text),
        (_, Some(_)) => text.get(..end).unwrap_or(text),
        _ => text,
    }
}

/// Splits at the decimal mark and checks that what separates groups of three is one sign throughout.
fn split(text: &str, decimal_comma: bool) -> Result<(&str, &str), CellError> {
    let mark = decimal_mark(text, decimal_comma);
    let (whole, fraction) = mark
        .and_then(|mark| text.rsplit_once(mark))
        .unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_a_number());
    }
    let Some(group) = whole.chars().find(|c| !c.is_ascii_digit()) else {
        return Ok((whole, fraction));
    };
    let allowed = matches!(
        group,
        ',' | '.' | ' ' | '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2009}'
    ) && Some(group) != mark;
    let mut groups = whole.split(group);
    let first = groups
        .next()
        .is_some_and(|first| (1..=3).contains(&first.len()));
    let even = groups.all(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()));
    if allowed && first && even {
        Ok((whole, fraction))
    } else {
        Err(not_a_number())
    }
}

/// Which sign is the decimal mark: the later one where both stand; one that stands once and is not
/// followed by three digits; else what the hint says.
fn decimal_mark(text: &str, decimal_comma: bool) -> Option<char> {
    let usual = if decimal_comma { ',' } else { '.' };
    let (point, comma) = (text.rfind('.'), text.rfind(','));
    let (sign, at) = match (point, comma) {
        (Some(point), Some(comma)) => return Some(if point > comma { '.' } else { ',' }),
        (Some(point), None) => ('.', point),
        (None, Some(comma)) => (',', comma),
        (None, None) => return None,
    };
    let once = text.find(sign) == Some(at);
    let three_follow = text.len() - at == 4 && at > 0;
    (once && (sign == usual || !three_follow)).then_some(sign)
}

fn not_a_number() -> CellError {
    CellError::new("not_a_number", "not a number")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::columns::TextHints;
    use crate::domain::columns::testing::*;

    #[test]
    fn json_numbers_are_exact_or_refused() {
        check_json(
            &column(ColumnType::Number, "null"),
            &[
                ("0", "0"),
                ("-0.0", "0"),
                ("0e999", "0"),
                ("1.50", "1.5"),
                ("1.0", "1"),
                ("-12.5e2", "-1250"),
                ("1E-2", "0.01"),
                ("0.1", "0.1"),
                ("123456789012345", "123456789012345"),
                ("0.000123456789012345", "0.000123456789012345"),
                ("1e27", "1000000000000000000000000000"),
                ("100000000000000000000", "100000000000000000000"),
                ("1e-28", "0.0000000000000000000000000001"),
            ],
            &[
                ("1234567890123456", "too_precise"),
                ("0.1234567890123456", "too_precise"),
                ("1000000000000001", "too_precise"),
                ("1e-29", "too_precise"),
                ("1e28", "too_large"),
                ("1e999", "too_large"),
                ("-1e99999999999999999999", "too_large"),
                ("NaN", "not_a_number"),
                ("-", "not_a_number"),
                ("01", "not_a_number"),
                ("1.", "not_a_number"),
                (".5", "not_a_number"),
                ("1e", "not_a_number"),
                ("0x10", "not_a_number"),
                (r#""1""#, "not_a_number"),
                ("[1]", "not_a_number"),
                ("true", "not_a_number"),
            ],
        );
    }

    #[test]
    fn options_bound_numbers() {
        check_json(
            &column(ColumnType::Percent, r#"{"precision":1,"min":0,"max":100}"#),
            &[("12.5", "12.5"), ("12.50", "12.5"), ("100", "100")],
            &[
                ("12.55", "too_precise"),
                ("-0.1", "too_small"),
                ("100.1", "too_large"),
            ],
        );
        check_json(
            &column(ColumnType::Rating, "null"),
            &[("0", "0"), ("5", "5")],
            &[
                ("6", "too_large"),
                ("-1", "too_small"),
                ("2.5", "too_precise"),
            ],
        );
        check_json(
            &column(ColumnType::Rating, r#"{"max":10}"#),
            &[("10", "10")],
            &[("11", "too_large")],
        );
    }

    #[test]
    fn money_as_people_write_it() {
        check_text(
            &column(ColumnType::Currency, r#"{"currency":"USD"}"#),
            &hints(),
            &[
                ("$1,250,000", "1250000"),
                ("1250000", "1250000"),
                (" $ 1,250.50 ", "1250.5"),
                ("USD 1,200", "1200"),
                ("1200 usd", "1200"),
                ("1 250 000 €", "1250000"),
                ("1\u{a0}250,5", "1250.5"),
                ("1.250.000,00", "1250000"),
                ("1'250'000", "1250000"),
                ("(1,250)", "-1250"),
                ("-$5", "-5"),
                ("$-5", "-5"),
                ("−5", "-5"),
                ("+5", "5"),
                ("$1.2M", "1200000"),
                ("450k", "450000"),
                (".5", "0.5"),
                ("1,250", "1250"),
                ("12,5", "12.5"),
                ("1,2500", "1.25"),
                ("0012", "12"),
                ("N/A", "null"),
                ("-", "null"),
            ],
            &[
                ("1,25,000", "not_a_number"),
                ("12 34", "not_a_number"),
                ("$", "not_a_number"),
                ("--5", "not_a_number"),
                ("5 apples", "not_a_number"),
                ("1.2.3", "not_a_number"),
                ("EUR 5", "not_a_number"),
                ("1e999", "too_large"),
                ("1234567890123456", "too_precise"),
            ],
        );
    }

    #[test]
    fn the_hint_decides_only_what_the_text_leaves_open() {
        let column = column(ColumnType::Number, "null");
        let comma = TextHints {
            decimal_comma: true,
            ..hints()
        };
        check_text(
            &column,
            &comma,
            &[
                ("1,250", "1.25"),
                ("1.250", "1.25"),
                ("1.250,5", "1250.5"),
                ("1,250.5", "1250.5"),
            ],
            &[],
        );
        check_text(
            &column,
            &hints(),
            &[("1,250", "1250"), ("1.250", "1.25")],
            &[("$5", "not_a_number"), ("5%", "not_a_number")],
        );
    }

    #[test]
    fn percent_signs_are_for_percents() {
        check_text(
            &column(ColumnType::Percent, "null"),
            &hints(),
            &[("12.5%", "12.5"), ("12.5 %", "12.5"), ("3", "3")],
            &[("$3", "not_a_number")],
        );
    }

    proptest! {
        #[test]
        fn up_to_fifteen_digits_come_back_equal(mantissa in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0_u32..=20) {
            let sent = Decimal::from_i128_with_scale(mantissa.into(), scale);
            let read = read(&sent.to_string()).unwrap();
            prop_assert_eq!(read, sent);
            prop_assert_eq!(read.scale(), sent.normalize().scale(), "normalised");
            let mut written = String::new();
            crate::domain::columns::json::write_number(sent, &mut written);
            prop_assert_eq!(&written, &sent.normalize().to_string());
        }

        #[test]
        fn sixteen_digits_and_more_are_refused(first in 1_u8..=9, middle in "[0-9]{14,30}", last in 1_u8..=9, point in 1_usize..15) {
            let mut digits = format!("{first}{middle}{last}");
            prop_assert_eq!(read(&digits).unwrap_err().code, "too_precise");
            digits.insert(point, '.');
            prop_assert_eq!(read(&digits).unwrap_err().code, "too_precise");
        }

        #[test]
        fn a_double_of_fifteen_digits_survives(number in -1e15_f64..1e15) {
            let sent = format!("{number:.14e}");
            let kept = read(&sent).unwrap().to_string().parse::<f64>().unwrap();
            prop_assert_eq!(kept, sent.parse::<f64>().unwrap());
        }
    }
}
