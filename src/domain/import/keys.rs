//! From the name of a column in a file to its key: `[A-Za-z][A-Za-z0-9_]{0,62}`, never with `__`,
//! unique in the list without regard to case. The same names always give the same keys.

use std::collections::HashSet;

const MAX_KEY: usize = 63;

/// Hands out keys, none twice.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    taken: HashSet<String>,
}

impl Keys {
    /// Starts with the keys that the list has.
    pub fn new<'a>(existing: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            taken: existing.into_iter().map(str::to_ascii_lowercase).collect(),
        }
    }

    /// A free key for a column of that name, the `position`-th of its file (from 1).
    pub fn key(&mut self, name: &str, position: usize) -> String {
        let base = words(name).unwrap_or_else(|| format!("column_{position}"));
        let mut key = shortened(&base, MAX_KEY);
        let mut number = 1u32;
        while !self.taken.insert(key.to_ascii_lowercase()) {
            number += 1;
            let suffix = format!("_{number}");
            key = shortened(&base, MAX_KEY - suffix.len()) + &suffix;
        }
        key
    }
}

/// The Latin letters and digits of a name, everything else as one `_`; None if nothing is left.
fn words(name: &str) -> Option<String> {
    let mut key = String::new();
    let mut gap = false;
    for char in name.chars() {
        let plain = latin(char);
        if plain.is_empty() {
            gap = true;
            continue;
        }
        if key.is_empty() && plain.starts_with(|first: char| first.is_ascii_digit()) {
            key.push('c');
        } else if gap && !key.is_empty() {
            key.push('_');
        }
        gap = false;
        key.push_str(plain.as_str());
    }
    (!key.is_empty()).then_some(key)
}

/// A letter or digit without its accent; empty for everything else.
fn latin(char: char) -> String {
    let plain = match char {
        'A'..='Z' | 'a'..='z' | '0'..='9' => return char.to_string(),
        'À'..='Å' => "A",
        'Æ' => "AE",
        'Ç' => "C",
        'È'..='Ë' => "E",
        'Ì'..='Ï' => "I",
        'Ñ' => "N",
        'Ò'..='Ö' | 'Ø' => "O",
        'Ù'..='Ü' => "U",
        'Ý' => "Y",
        'ß' => "ss",
        'à'..='å' => "a",
        'æ' => "ae",
        'ç' => "c",
        'è'..='ë' => "e",
        'ì'..='ï' => "i",
        'ñ' => "n",
        'ò'..='ö' | 'ø' => "o",
        'ù'..='ü' => "u",
        'ý' | 'ÿ' => "y",
        _ => "",
    };
    plain.to_owned()
}

/// At most `most` bytes of it, not ending in `_` (a suffix would make a `__` of it).
fn shortened(key: &str, most: usize) -> String {
    key.get(..most)
        .unwrap_or(key)
        .trim_end_matches('_')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_read_like_their_names() {
        let mut keys = Keys::new(["City"]);
        for (name, key) in [
            ("sq__ft", "sq_ft"),
            ("Post-9/11GI Bill Program", "Post_9_11GI_Bill_Program"),
            ("2nd phone", "c2nd_phone"),
            ("Größe", "Grosse"),
            ("価格", "column_7"),
            ("city", "city_2"),
            ("CITY ", "CITY_3"),
        ] {
            assert_eq!(keys.key(name, 7), key);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_key_is_well_formed_and_unique(names in proptest::collection::vec("\\PC{0,80}|[a_ 1]{0,90}", 1..40)) {
            let form = regex::Regex::new("^[A-Za-z][A-Za-z0-9_]{0,62}$").unwrap();
            let mut keys = Keys::default();
            let mut seen = HashSet::new();
            for (index, name) in names.iter().enumerate() {
                let key = keys.key(name, index + 1);
                prop_assert!(form.is_match(&key), "{key}");
                prop_assert!(!key.contains("__"), "{key}");
                prop_assert!(seen.insert(key.to_lowercase()), "{key}");
            }
        }
    }
}
