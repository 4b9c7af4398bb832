//! One JSON object as the cells of a row: objects in objects become columns named by their path
//! (`id.govtrack`), numbers keep every digit that they are written with. Reading the file, and which
//! columns there are, is not its business.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep objects may stand in objects.
pub const MAX_DEPTH: usize = 16;

/// Why an object can't be made a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON, or not an object: what is wrong, and at which byte of the object's last line.
    Broken(String),
    TooDeep,
}

/// Calls `cell` with the path and the text of each cell of the object, in its order. `nested`: objects (and lists of them) are
/// taken apart by path; else they stay one cell of JSON. Answers whether there were any.
pub fn flatten(
    object: &str,
    nested: bool,
    cell: &mut dyn FnMut(&str, &str),
) -> Result<bool, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let mut walk = Walk {
        path: String::new(),
        depth: 0,
        nested,
        found: false,
        too_deep: false,
        cell,
    };
    let walked = deserializer
        .deserialize_map(&mut walk)
        .and_then(|()| deserializer.end());
    match walked {
        _ if walk.too_deep => Err(Fault::TooDeep),
        Ok(()) => Ok(walk.found),
        Err(error) => Err(Fault::Broken(error.to_string())),
    }
}

struct Walk<'c> {
    path: String,
    depth: usize,
    nested: bool,
    found: bool,
    too_deep: bool,
    cell: &'c mut dyn FnMut(&str, &str),
}

impl<'de> Visitor<'de> for &mut Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let before = self.path.len();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key);
            let value: &'de RawValue = map.next_value()?;
            self.value(value.get());
            self.path.truncate(before);
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn value(&mut self, raw: &str) {
        match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(raw) {
                Ok(text) => (self.cell)(&self.path, &text),
                Err(_) => (self.cell)(&self.path, raw),
            },
            Some(b'n') => (self.cell)(&self.path, ""),
            Some(b'{') => {
                self.found = true;
                if self.nested {
                    self.object(raw);
                } else {
                    (self.cell)(&self.path, raw);
                }
            }
            Some(b'[') => match plain_list(raw) {
                Some(text) => (self.cell)(&self.path, &text),
                None => {
                    self.found |= raw.contains('{');
                    (self.cell)(&self.path, raw);
                }
            },
            _ => (self.cell)(&self.path, raw),
        }
    }

    fn object(&mut self, raw: &str) {
        if self.depth == MAX_DEPTH {
            self.too_deep = true;
            return;
        }
        self.depth += 1;
        let mut inner = serde_json::Deserializer::from_str(raw);
        // It was found to be JSON when it was taken from the object around it.
        let _ = inner.deserialize_map(&mut *self);
        self.depth -= 1;
    }
}

/// A list of plain values as people write one: `a, b`. None where that could be read otherwise.
fn plain_list(raw: &str) -> Option<String> {
    let values: Vec<serde_json::Value> = serde_json::from_str(raw).ok()?;
    let mut text = String::new();
    for value in values {
        let one = match &value {
            serde_json::Value::String(one) => Cow::Borrowed(one.as_str()),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => {
                Cow::Owned(value.to_string())
            }
            _ => return None,
        };
        if one.trim().is_empty() || one.contains([',', ';', '\n']) {
            return None;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&one);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(object: &str, nested: bool) -> (Vec<(String, String)>, bool) {
        let mut cells = Vec::new();
        let found = flatten(object, nested, &mut |path, text| {
            cells.push((path.to_owned(), text.to_owned()));
        });
        (cells, found.unwrap())
    }

    #[test]
    fn an_object_becomes_cells_by_path() {
        let object = r#"{"a":1.50,"b":"x\n","c":{"d":{"e":12345678901234567890123}},"t":["p","q"],"u":["1,2"],"n":null,"f":true}"#;
        let (found, nested) = cells(object, true);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("a", "1.50"),
                ("b", "x\n"),
                ("c.d.e", "12345678901234567890123"),
                ("t", "p, q"),
                ("u", r#"["1,2"]"#),
                ("n", ""),
                ("f", "true"),
            ]
        );
        assert!(nested);
        let (kept, nested) = cells(r#"{"c":{"d":1}}"#, false);
        assert_eq!(kept, [("c".to_owned(), r#"{"d":1}"#.to_owned())]);
        assert!(nested);
    }

    #[test]
    fn what_is_no_object_is_a_fault() {
        let mut none = |_: &str, _: &str| {};
        assert!(matches!(
            flatten("[1]", true, &mut none),
            Err(Fault::Broken(_))
        ));
        assert!(matches!(
            flatten("{\"a\":", true, &mut none),
            Err(Fault::Broken(_))
        ));
        let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
        assert_eq!(flatten(&deep, true, &mut none), Err(Fault::TooDeep));
    }
}
