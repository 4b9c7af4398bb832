//! Patterns that texts must match.

use regex::{Regex, RegexBuilder};

use super::CellError;

/// The longest pattern, in characters.
const MAX_PATTERN: usize = 500;
/// What a compiled pattern may weigh, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

/// What a whole text must match. Compiled once; matching takes time linear in the text.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern in the syntax of the `regex` crate: no look-around, no back-references.
    pub fn new(source: &str) -> Result<Pattern, CellError> {
        let refused = |_| {
            CellError::new(
                "bad_pattern",
                "not a pattern that can be matched in linear time",
            )
        };
        if source.chars().count() > MAX_PATTERN {
            return Err(CellError::new(
                "too_long",
                format!("a pattern has at most {MAX_PATTERN} characters"),
            ));
        }
        let build = |text: &str| {
            RegexBuilder::new(text)
                .size_limit(PATTERN_SIZE)
                .dfa_size_limit(PATTERN_SIZE)
                .nest_limit(50)
                .build()
        };
        // Alone first: what is no pattern must not become one by the brackets around it.
        build(source).map_err(refused)?;
        let regex = build(&format!("\\A(?:{source})\\z")).map_err(refused)?;
        Ok(Pattern {
            source: source.to_owned(),
            regex,
        })
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        let pattern = Pattern::new("a|bc").unwrap();
        assert!(pattern.matches("a") && pattern.matches("bc"));
        assert!(!pattern.matches("ac") && !pattern.matches("abc") && !pattern.matches("a\n"));
        assert!(Pattern::new("(?i)[A-Z]{2}-\\d+").unwrap().matches("ab-12"));
    }

    #[test]
    fn what_is_no_pattern_or_too_heavy_is_refused() {
        for bad in [
            "(",
            "a)(b",
            "[",
            "(?x) a #",
            "(?=a)",
            "\\1",
            "((a{1000}){1000}){1000}",
            "\\p{L}{500}{50}",
        ] {
            assert_eq!(Pattern::new(bad).unwrap_err().code, "bad_pattern", "{bad}");
        }
        assert_eq!(Pattern::new(&"a".repeat(501)).unwrap_err().code, "too_long");
    }
}
