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
