//! JSON as cells need it: one value looked at without building a tree, and values appended to a
//! string. Knows nothing of columns. Readers never panic, whatever the bytes.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use rust_decimal::Decimal;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::CellError;
use crate::ids::UserId;

/// How deep a value may nest (the contract's limit of a body).
const MAX_DEPTH: u32 = 32;

/// One JSON value by its kind.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// The number as written; its grammar is not yet checked.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// A string that is no Unicode text: a lone surrogate, or no JSON at all.
    BadText,
    /// The array as written.
    Array(&'a str),
    /// The object as written.
    Object(&'a str),
    Broken,
}

/// Looks at a JSON value.
pub(super) fn token(raw: &str) -> Token<'_> {
    let raw = raw.trim_matches([' ', '\t', '\n', '\r']);
    match raw.as_bytes().first() {
        Some(b'"') => text(raw),
        Some(b'-' | b'0'..=b'9') => Token::Number(raw),
        Some(b'[') => Token::Array(raw),
        Some(b'{') => Token::Object(raw),
        Some(b't') if raw == "true" => Token::Bool(true),
        Some(b'f') if raw == "false" => Token::Bool(false),
        Some(b'n') if raw == "null" => Token::Null,
        _ => Token::Broken,
    }
}

fn text(raw: &str) -> Token<'_> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if inner.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') => {
            Token::Text(Cow::Borrowed(inner))
        }
        _ => serde_json::from_str::<String>(raw)
            .map_or(Token::BadText, |text| Token::Text(Cow::Owned(text))),
    }
}

impl<'a> Token<'a> {
    /// The text of a string; else `code`, or what is wrong with the string.
    pub(super) fn into_text(
        self,
        code: &'static str,
        wanted: &str,
    ) -> Result<Cow<'a, str>, CellError> {
        match self {
            Token::Text(text) if text.as_bytes().contains(&0) => Err(CellError::new(
                "bad_text",
                "text can't hold the NUL character",
            )),
            Token::Text(text) => Ok(text),
            other => Err(other.unwanted(code, wanted)),
        }
    }

    /// The error for a value of the wrong kind.
    pub(super) fn unwanted(&self, code: &'static str, wanted: &str) -> CellError {
        let found = match self {
            Token::BadText => {
                return CellError::new("bad_text", "not Unicode text: a surrogate stands alone");
            }
            Token::Array(raw) | Token::Object(raw) if depth(raw) > MAX_DEPTH => {
                return CellError::new("too_deep", "nested deeper than 32 levels");
            }
            Token::Null => "null",
            Token::Bool(_) => "true or false",
            Token::Number(_) => "a number",
            Token::Text(_) => "a text",
            Token::Array(_) => "an array",
            Token::Object(_) => "an object",
            Token::Broken => "something that is not JSON",
        };
        CellError::new(code, format!("expected {wanted}, found {found}"))
    }
}

/// The deepest nesting of arrays and objects, brackets inside strings not counted.
fn depth(raw: &str) -> u32 {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_u32, 0, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Why an array of strings was not read.
pub(super) enum NotTexts {
    /// Some member is no string, or it is no array.
    Kind,
    /// Some string is no Unicode text.
    BadText,
}

/// Gives each string of a JSON array to `each` until that says false.
pub(super) fn each_text(raw: &str, each: impl FnMut(&str) -> bool) -> Result<(), NotTexts> {
    struct Texts<F>(F);

    impl<'de, F: FnMut(&str) -> bool> Visitor<'de> for Texts<F> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            let mut wanted = true;
            while wanted {
                match seq.next_element_seed(Each(&mut self.0))? {
                    Some(more) => wanted = more,
                    None => return Ok(()),
                }
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(())
        }
    }

    struct Each<'f, F>(&'f mut F);

    impl<'de, F: FnMut(&str) -> bool> serde::de::DeserializeSeed<'de> for Each<'_, F> {
        type Value = bool;

        fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
            from.deserialize_str(self)
        }
    }

    impl<F: FnMut(&str) -> bool> Visitor<'_> for Each<'_, F> {
        type Value = bool;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, text: &str) -> Result<bool, E> {
            Ok((self.0)(text))
        }
    }

    serde_json::Deserializer::from_str(raw)
        .deserialize_seq(Texts(each))
        .map_err(|error| {
            if error.is_data() {
                NotTexts::Kind
            } else {
                NotTexts::BadText
            }
        })
}

/// Appends a JSON string (RFC 8259), escaping only what must be.
pub(in crate::domain) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|b| b < 0x20 || b == b'"' || b == b'\\')
    {
        let (plain, after) = rest.split_at(at);
        out.push_str(plain);
        let mut after = after.chars();
        match after.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => write_formatted(format_args!("\\u{:04x}", u32::from(control)), out),
            None => {}
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends a string that needs no escapes: a key, a short id.
pub(in crate::domain) fn write_plain(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// Appends a number: normalised (1.50 as 1.5), never with an exponent.
pub(in crate::domain) fn write_number(number: Decimal, out: &mut String) {
    let (mantissa, scale) = (number.mantissa(), number.scale());
    let (Ok(mut digits), Some(mut unit)) = (
        u64::try_from(mantissa.unsigned_abs()),
        10_u64.checked_pow(scale),
    ) else {
        write_formatted(format_args!("{}", number.normalize()), out);
        return;
    };
    let mut scale = usize::try_from(scale).unwrap_or_default();
    while scale > 0 && digits.is_multiple_of(10) {
        digits /= 10;
        unit /= 10;
        scale -= 1;
    }
    if mantissa < 0 {
        out.push('-');
    }
    if scale == 0 {
        write_formatted(format_args!("{digits}"), out);
    } else {
        write_formatted(
            format_args!("{}.{:0scale$}", digits / unit, digits % unit),
            out,
        );
    }
}

/// Appends `"2026-02-15"`.
pub(in crate::domain) fn write_date(date: NaiveDate, out: &mut String) {
    out.push('"');
    push_date(date, out);
    out.push('"');
}

/// Appends an RFC 3339 time in UTC with `Z`: seconds, milliseconds or microseconds as needed.
pub(in crate::domain) fn write_time(time: DateTime<Utc>, out: &mut String) {
    let clock = time.time();
    out.push('"');
    push_date(time.date_naive(), out);
    out.push('T');
    push_two(clock.hour(), out);
    out.push(':');
    push_two(clock.minute(), out);
    out.push(':');
    push_two(clock.second(), out);
    let micros = clock.nanosecond() / 1_000;
    if !micros.is_multiple_of(1_000) {
        write_formatted(format_args!(".{micros:06}"), out);
    } else if micros != 0 {
        write_formatted(format_args!(".{:03}", micros / 1_000), out);
    }
    out.push_str("Z\"");
}

/// Appends a user's id.
pub(in crate::domain) fn write_user(user: UserId, out: &mut String) {
    let mut buffer = uuid::Uuid::encode_buffer();
    write_plain(user.uuid().hyphenated().encode_lower(&mut buffer), out);
}

/// Appends an array, each member by `write`.
pub(in crate::domain) fn write_array<T>(
    members: &[T],
    out: &mut String,
    write: impl Fn(&T, &mut String),
) {
    out.push('[');
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(member, out);
    }
    out.push(']');
}

/// Appends formatted text; writing to a `String` can't fail.
pub(in crate::domain) fn write_formatted(text: std::fmt::Arguments<'_>, out: &mut String) {
    let _ = out.write_fmt(text);
}

fn push_date(date: NaiveDate, out: &mut String) {
    write_formatted(format_args!("{:04}-", date.year()), out);
    push_two(date.month(), out);
    out.push('-');
    push_two(date.day(), out);
}

fn push_two(number: u32, out: &mut String) {
    for digit in [number / 10 % 10, number % 10] {
        out.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lone_surrogate_is_no_text() {
        assert_eq!(token(r#""\ud800""#), Token::BadText);
        assert_eq!(token(r#""\ud83c\udfe0""#), Token::Text("🏠".into()));
    }

    #[test]
    fn depth_ignores_brackets_in_texts() {
        assert_eq!(depth(r#"[{"a":"[[[\"[["}]"#), 2);
    }

    proptest! {
        #[test]
        fn a_written_text_is_read_back(text: String) {
            let mut out = String::new();
            write_text(&text, &mut out);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text.clone());
            prop_assert_eq!(token(&out), Token::Text(text.into()));
        }

        #[test]
        fn no_bytes_make_it_panic(raw: String) {
            let _ = token(&raw);
            let _ = depth(&raw);
            let _ = each_text(&raw, |_| true);
        }
    }
}
