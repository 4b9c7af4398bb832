//! E-mail addresses and web addresses: checked and kept as they were written, without blanks around.

use email_address::EmailAddress;
use url::Url;

use super::json::Token;
use super::text::check_length;
use super::{CellError, Parsed};
use crate::domain::cell::Cell;

/// RFC 5321's path of 256 octets without its brackets.
const MAX_EMAIL: usize = 254;
/// Longer ones break browsers and proxies.
const MAX_URL: usize = 8_000;

pub(super) fn email_from_json(token: Token<'_>) -> Parsed {
    email(token.into_text("not_an_email", "an e-mail address")?.trim())
}

/// Reads an address, with or without `mailto:`.
pub(super) fn email_from_text(text: &str) -> Parsed {
    email(strip_scheme(text, "mailto:"))
}

pub(super) fn url_from_json(token: Token<'_>) -> Parsed {
    url(token.into_text("not_a_url", "a web address")?.trim())
}

/// Reads a web address; one without a scheme gets `https://`.
pub(super) fn url_from_text(text: &str) -> Parsed {
    let host = text.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let port = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let bare = host.contains('.')
        && text
            .strip_prefix(host)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_none_or(port);
    if bare {
        url(&format!("https://{text}"))
    } else {
        url(text)
    }
}

/// `text` without `scheme`, in whatever case that stands.
pub(super) fn strip_scheme<'t>(text: &'t str, scheme: &str) -> &'t str {
    match text.split_at_checked(scheme.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => rest,
        _ => text,
    }
}

fn email(text: &str) -> Parsed {
    if text.is_empty() {
        return Ok(None);
    }
    check_length(text, MAX_EMAIL)?;
    let options = email_address::Options::default()
        .with_required_tld()
        .without_display_text()
        .without_domain_literal();
    let clean = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if clean && (is_plain_email(text) || EmailAddress::parse_with_options(text, options).is_ok()) {
        Ok(Some(Cell::Text(text.to_owned())))
    } else {
        Err(CellError::new("not_an_email", "not an e-mail address"))
    }
}

/// Decides the usual shape without the full grammar: unquoted ASCII before a domain with a dot.
fn is_plain_email(text: &str) -> bool {
    let dotted = |part: &str, most: usize, ok: fn(u8) -> bool| {
        part.len() <= most
            && part
                .split('.')
                .all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(ok))
    };
    text.split_once('@').is_some_and(|(local, domain)| {
        dotted(local, 64, |b| {
            b.is_ascii_alphanumeric() || b"_+-'".contains(&b)
        }) && dotted(domain, 189, |b| b.is_ascii_alphanumeric() || b == b'-')
            && domain
                .split('.')
                .all(|label| !label.starts_with('-') && !label.ends_with('-'))
            && domain
                .rsplit_once('.')
                .is_some_and(|(_, top)| top.len() >= 2)
    })
}

/// Only http and https: a link is shown to others, so that schemes which run code stay out.
fn url(text: &str) -> Parsed {
    if text.is_empty() {
        return Ok(None);
    }
    check_length(text, MAX_URL)?;
    let web = ["http://", "https://"]
        .iter()
        .any(|scheme| strip_scheme(text, scheme).len() < text.len());
    let clean = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if web && clean && Url::parse(text).is_ok_and(|url| url.has_host()) {
        Ok(Some(Cell::Text(text.to_owned())))
    } else {
        Err(CellError::new(
            "not_a_url",
            "not a web address that begins with http:// or https://",
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    #[test]
    fn email_addresses() {
        let column = column(ColumnType::Email, "null");
        let long = format!("\"{}@example.com\"", "a".repeat(250));
        check_json(
            &column,
            &[
                (r#""ann@example.com""#, r#""ann@example.com""#),
                (
                    r#"" Ann.O'Neil+x@Mail.Example.com ""#,
                    r#""Ann.O'Neil+x@Mail.Example.com""#,
                ),
                (r#""jürgen@müller.de""#, r#""jürgen@müller.de""#),
                (r#""a!b@example.com""#, r#""a!b@example.com""#),
                (r#""""#, "null"),
            ],
            &[
                ("1", "not_an_email"),
                (r#""ann""#, "not_an_email"),
                (r#""ann@""#, "not_an_email"),
                (r#""@example.com""#, "not_an_email"),
                (r#""a@b""#, "not_an_email"),
                (r#""a..b@example.com""#, "not_an_email"),
                (r#""a@b@example.com""#, "not_an_email"),
                (r#""a@-b.com""#, "not_an_email"),
                (r#""Ann <ann@example.com>""#, "not_an_email"),
                (r#""a b@example.com""#, "not_an_email"),
                (r#""a\u0000@example.com""#, "bad_text"),
                (&long, "too_long"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                ("mailto:ann@example.com", r#""ann@example.com""#),
                ("none", "null"),
            ],
            &[("ann", "not_an_email")],
        );
    }

    #[test]
    fn web_addresses() {
        let column = column(ColumnType::Url, "null");
        let long = format!("\"https://example.com/{}\"", "a".repeat(8_000));
        check_json(
            &column,
            &[
                (
                    r#""https://example.com/a?b=c#d""#,
                    r#""https://example.com/a?b=c#d""#,
                ),
                (r#""HTTP://Example.com""#, r#""HTTP://Example.com""#),
                (r#""http://[::1]:8080/""#, r#""http://[::1]:8080/""#),
                (r#""https://müller.de/ä""#, r#""https://müller.de/ä""#),
                (r#"" ""#, "null"),
            ],
            &[
                ("{}", "not_a_url"),
                (r#""example.com""#, "not_a_url"),
                (r#""javascript:alert(1)""#, "not_a_url"),
                (r#""ftp://example.com""#, "not_a_url"),
                (r#""https://""#, "not_a_url"),
                (r#""https://exa mple.com""#, "not_a_url"),
                (r#""https://a\tb.com""#, "not_a_url"),
                (r#""https://example.com:99999""#, "not_a_url"),
                (&long, "too_long"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                ("www.example.com/x", r#""https://www.example.com/x""#),
                ("example.com:8080", r#""https://example.com:8080""#),
                ("https://example.com", r#""https://example.com""#),
            ],
            &[
                ("javascript:alert(1)", "not_a_url"),
                ("a.b:alert(1)", "not_a_url"),
                ("home page", "not_a_url"),
            ],
        );
    }
}
