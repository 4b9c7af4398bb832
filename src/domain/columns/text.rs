//! Texts: length, pattern, and the characters that can't be stored.

use std::borrow::Cow;

use super::json::Token;
use super::{CellError, MAX_TEXT, Options, Parsed};
use crate::domain::cell::Cell;

/// Reads a JSON string.
pub(super) fn from_json(token: Token<'_>, options: &Options) -> Parsed {
    checked(token.into_text("not_text", "a text")?, options)
}

/// Takes a text exactly as it stands.
pub(super) fn from_text(text: &str, options: &Options) -> Parsed {
    if text.as_bytes().contains(&0) {
        return Err(CellError::new(
            "bad_text",
            "text can't hold the NUL character",
        ));
    }
    checked(Cow::Borrowed(text), options)
}

fn checked(text: Cow<'_, str>, options: &Options) -> Parsed {
    if text.is_empty() {
        return Ok(None);
    }
    check(&text, options)?;
    Ok(Some(Cell::Text(text.into_owned())))
}

/// Checks a text that is already there against the options.
pub(super) fn check(text: &str, options: &Options) -> Result<(), CellError> {
    let limit = options
        .max_length
        .map_or(MAX_TEXT, |limit| usize::try_from(limit).unwrap_or(MAX_TEXT));
    check_length(text, limit)?;
    match &options.pattern {
        Some(pattern) if !pattern.matches(text) => Err(CellError::new(
            "wrong_pattern",
            format!("the text does not match the pattern {}", pattern.source()),
        )),
        _ => Ok(()),
    }
}

/// Refuses texts of more than `limit` characters (Unicode scalar values).
pub(super) fn check_length(text: &str, limit: usize) -> Result<(), CellError> {
    // A character has at least one byte: counting is rarely needed.
    if text.len() > limit && text.chars().count() > limit {
        return Err(CellError::new(
            "too_long",
            format!("longer than {limit} characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    #[test]
    fn any_unicode_text_is_kept_as_it_stands() {
        let long = format!("\"{}\"", "é".repeat(100_000));
        let too_long = format!("\"{}\"", "é".repeat(100_001));
        check_json(
            &column(ColumnType::LongText, "null"),
            &[
                (r#"" two\n lines ""#, r#"" two\n lines ""#),
                (r#""\u0041\ud83c\udfe0\/""#, "\"A🏠/\""),
                (r#""""#, "null"),
                (&long, &long),
            ],
            &[
                ("1", "not_text"),
                ("true", "not_text"),
                ("[]", "not_text"),
                ("{}", "not_text"),
                (r#""a\u0000b""#, "bad_text"),
                (r#""\ud800""#, "bad_text"),
                (r#""\udc00\ud800""#, "bad_text"),
                (&too_long, "too_long"),
                (&format!("{}{}", "[".repeat(40), "]".repeat(40)), "too_deep"),
                ("\"broken", "bad_text"),
                ("", "not_text"),
                ("nonsense", "not_text"),
            ],
        );
    }

    #[test]
    fn length_counts_characters_and_a_pattern_the_whole_text() {
        let column = column(
            ColumnType::Text,
            r#"{"max_length":3,"pattern":"[a-zé]+|X"}"#,
        );
        check_json(
            &column,
            &[(r#""éab""#, r#""éab""#), (r#""X""#, r#""X""#)],
            &[
                (r#""abcd""#, "too_long"),
                (r#""aX""#, "wrong_pattern"),
                (r#""a\n""#, "wrong_pattern"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[("abc", "\"abc\"")],
            &[(" a", "wrong_pattern"), ("a\0", "bad_text")],
        );
    }

    #[test]
    fn text_from_a_file_is_not_trimmed() {
        check_text(
            &column(ColumnType::Text, "null"),
            &hints(),
            &[(" N/A ", "\" N/A \""), (" ", "\" \"")],
            &[],
        );
    }
}
