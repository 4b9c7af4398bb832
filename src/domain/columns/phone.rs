//! Phone numbers, kept as E.164 (`+14155550132`). Numbers of the North American plan are judged by
//! its shape alone, at no cost; all others by the numbering plans of the world, which load once.

use phonenumber::country;

use super::contact::strip_scheme;
use super::json::Token;
use super::{CellError, Parsed};
use crate::domain::cell::Cell;

/// Regions whose national numbers are those of the North American plan (+1).
const NORTH_AMERICAN: [&str; 25] = [
    "US", "CA", "PR", "AG", "AI", "AS", "BB", "BM", "BS", "DM", "DO", "GD", "GU", "JM", "KN", "KY",
    "LC", "MP", "MS", "SX", "TC", "TT", "VC", "VG", "VI",
];

/// E.164 has 15 digits at most; a few more may be prefixes for dialling.
const MAX_DIGITS: usize = 20;

pub(super) fn from_json(token: Token<'_>, region: Option<&str>) -> Parsed {
    from_text(
        token.into_text("not_a_phone", "a phone number")?.trim(),
        region,
    )
}

/// Reads a number in whatever groups it was written; without a country code it is one of `region`.
pub(super) fn from_text(text: &str, region: Option<&str>) -> Parsed {
    if text.is_empty() {
        return Ok(None);
    }
    let text = strip_scheme(text, "tel:").trim_start();
    let (international, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = digits(rest)?;
    let number = match (international, region) {
        (true, _) if digits.starts_with('1') => north_american(&digits),
        (true, _) => worldwide(None, &format!("+{digits}")),
        (false, Some(region)) if NORTH_AMERICAN.contains(&region) => north_american(&digits),
        (false, Some(region)) => region
            .parse()
            .ok()
            .and_then(|id| worldwide(Some(id), &digits)),
        (false, None) => {
            return Err(CellError::new(
                "not_a_phone",
                "without the column's region a phone number needs its country code",
            ));
        }
    };
    number
        .map(|number| Some(Cell::Text(number)))
        .ok_or_else(not_a_phone)
}

/// The digits alone. Anything but the usual signs between them is refused, an extension too: E.164
/// has no place for it, and to drop it would lose it.
fn digits(text: &str) -> Result<String, CellError> {
    let mut digits = String::with_capacity(16);
    for c in text.chars() {
        match c {
            '0'..='9' if digits.len() < MAX_DIGITS => digits.push(c),
            ' ' | '\u{a0}' | '(' | ')' | '-' | '.' | '/' | '\u{2010}'..='\u{2013}' => {}
            'x' | 'X' | 'e' | 'E' | '#' | ';' => {
                return Err(CellError::new(
                    "not_a_phone",
                    "a phone number with an extension can't be kept as one number",
                ));
            }
            _ => return Err(not_a_phone()),
        }
    }
    Ok(digits)
}

/// Ten digits of the North American plan, with or without the 1 before them: neither the area code
/// nor the exchange begins with 0 or 1 or ends with 11.
fn north_american(digits: &str) -> Option<String> {
    let national = if digits.len() == 11 {
        digits.strip_prefix('1')?
    } else {
        digits
    };
    let code = |at: usize| {
        national
            .get(at..at + 3)
            .is_some_and(|code| !code.starts_with(['0', '1']) && !code.ends_with("11"))
    };
    (national.len() == 10 && code(0) && code(3)).then(|| format!("+1{national}"))
}

fn worldwide(region: Option<country::Id>, digits: &str) -> Option<String> {
    // Shorter ones are never valid, and need no tables.
    if digits.len() < 5 {
        return None;
    }
    let number = phonenumber::parse(region, digits).ok()?;
    let text = number.format().mode(phonenumber::Mode::E164).to_string();
    (number.is_valid() && text.len() <= 16).then_some(text)
}

fn not_a_phone() -> CellError {
    CellError::new("not_a_phone", "not a phone number")
}

#[cfg(test)]
mod tests {
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    #[test]
    fn american_numbers_become_e164() {
        let column = column(ColumnType::Phone, r#"{"region":"US"}"#);
        let kept = r#""+14155550132""#;
        check_json(
            &column,
            &[
                (r#""(415) 555-0132""#, kept),
                (r#""415.555.0132""#, kept),
                (r#""+1 415 555 0132""#, kept),
                (r#""1-415-555-0132""#, kept),
                (r#""tel:+1-415-555-0132""#, kept),
                (r#""+44 20 7946 0018""#, r#""+442079460018""#),
                (r#""""#, "null"),
            ],
            &[
                ("4155550132", "not_a_phone"),
                (r#""555-0132""#, "not_a_phone"),
                (r#""(015) 555-0132""#, "not_a_phone"),
                (r#""(415) 155-0132""#, "not_a_phone"),
                (r#""911 555 0132""#, "not_a_phone"),
                (r#""415 555 0132 x204""#, "not_a_phone"),
                (r#""call me""#, "not_a_phone"),
                (r#""+""#, "not_a_phone"),
                (r#""+999 123 456 789""#, "not_a_phone"),
                (r#""+44 1""#, "not_a_phone"),
                (r#""123456789012345678901234567890""#, "not_a_phone"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[("(415) 555-0132", kept), ("n/a", "null"), ("-", "null")],
            &[("none yet", "not_a_phone")],
        );
    }

    #[test]
    fn national_numbers_need_their_region() {
        check_json(
            &column(ColumnType::Phone, r#"{"region":"GB"}"#),
            &[(r#""020 7946 0018""#, r#""+442079460018""#)],
            &[(r#""(415) 555-0132""#, "not_a_phone")],
        );
        check_json(
            &column(ColumnType::Phone, "null"),
            &[(r#""+390236618300""#, r#""+390236618300""#)],
            &[(r#""020 7946 0018""#, "not_a_phone")],
        );
    }
}
