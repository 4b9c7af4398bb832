//! E-mail addresses as the product compares them: one spelling an address, so that an invitation,
//! an account and a token's claim meet. Says nothing about who owns an address.

use email_address::{EmailAddress, Options};

/// The longest address that a mail server must take, in bytes (RFC 5321, 4.5.3.1.3, less the
/// angle brackets).
pub const MAX_BYTES: usize = 254;

/// The spelling under which an address is stored and compared: trimmed and in lower case.
///
/// The local part is case-sensitive by RFC 5321, but no provider of note makes use of it, and two
/// accounts that differ by case alone only help an impostor.
pub fn normalise(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The normalised address, or `None` where it is no single plain mailbox (RFC 5321) of at most
/// [`MAX_BYTES`]: display names, address literals and control characters are refused.
pub fn parse(text: &str) -> Option<String> {
    let address = normalise(text);
    let plain = Options::default()
        .without_display_text()
        .without_domain_literal();
    let fits = address.len() <= MAX_BYTES && !address.chars().any(char::is_control);
    (fits && EmailAddress::parse_with_options(&address, plain).is_ok()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_space_around_do_not_make_another_address() {
        assert_eq!(
            parse("  Ada@Example.COM\n").as_deref(),
            Some("ada@example.com")
        );
    }

    #[test]
    fn what_is_not_one_plain_mailbox_is_refused() {
        let long = format!("{}@example.com", "a".repeat(MAX_BYTES));
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@b@c.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada\0@example.com",
            "ada@exa mple.com",
            long.as_str(),
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_again_changes_nothing(text in "\\PC{0,40}(@[a-zA-Z0-9.]{1,20})?") {
            if let Some(address) = parse(&text) {
                prop_assert_eq!(parse(&address), Some(address.clone()));
            }
        }
    }
}
