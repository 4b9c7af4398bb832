//! JSON in one form, for what must be equal whenever it says the same: keys in order, no blanks,
//! strings escaped one way. A number stays as it is written, for its text is what is judged.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Deeper than any value that is accepted; from there on the text itself is the form.
const MAX_DEPTH: u32 = 32;

/// Appends `json` in that form.
pub fn write_canonical(json: &RawValue, out: &mut String) {
    write(json, MAX_DEPTH, out);
}

fn write(json: &RawValue, depth: u32, out: &mut String) {
    let text = json.get();
    let Some(deeper) = depth.checked_sub(1) else {
        return out.push_str(text);
    };
    let written = match text.bytes().next() {
        Some(b'{') => write_object(text, deeper, out),
        Some(b'[') => write_array(text, deeper, out),
        Some(b'"') => write_string(text, out),
        _ => None,
    };
    if written.is_none() {
        out.push_str(text);
    }
}

fn write_object(text: &str, depth: u32, out: &mut String) -> Option<()> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    out.push('{');
    for (key, value) in members {
        out.push_str(&serde_json::to_string(&key).ok()?);
        out.push(':');
        write(value, depth, out);
        out.push(',');
    }
    out.push('}');
    Some(())
}

fn write_array(text: &str, depth: u32, out: &mut String) -> Option<()> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    out.push('[');
    for element in elements {
        write(element, depth, out);
        out.push(',');
    }
    out.push(']');
    Some(())
}

fn write_string(text: &str, out: &mut String) -> Option<()> {
    let string: String = serde_json::from_str(text).ok()?;
    out.push_str(&serde_json::to_string(&string).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        write_canonical(&RawValue::from_string(text.to_owned()).unwrap(), &mut out);
        out
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        for (one, other) in [
            (
                r#"{"a":1,"b":[true,null]}"#,
                "{ \"b\" : [true ,null],\n\"a\":1}",
            ),
            (r#""\u00e9\/""#, r#""é/""#),
            (r#"{"\u0061":{}}"#, r#"{"a":{ }}"#),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
    }

    #[test]
    fn what_differs_is_different() {
        for (one, other) in [
            ("1", "\"1\""),
            ("1", "1.0"),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[[1,2]]"),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            ("null", "[]"),
        ] {
            assert_ne!(canonical(one), canonical(other));
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert!(canonical(&deep).len() >= deep.len());
    }
}
