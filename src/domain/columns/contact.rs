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
