//! Choices: named on the wire, kept by id. JSON names them exactly, text in any case.

use std::borrow::Cow;

use super::json::{self, NotTexts, Token};
use super::{CellError, Choices, Parsed};
use crate::domain::cell::{Cell, ChoiceId};

pub(super) fn one_from_json(token: Token<'_>, choices: &Choices) -> Parsed {
    let name = token.into_text("not_a_choice", "the name of a choice")?;
    if name.is_empty() {
        return Ok(None);
    }
    choices
        .by_name(&name)
        .map(|choice| Some(Cell::Choice(choice.id)))
        .ok_or_else(|| not_a_choice(&name))
}

pub(super) fn many_from_json(token: Token<'_>, choices: &Choices) -> Parsed {
    let raw = match token {
        Token::Array(raw) => raw,
        Token::Text(text) if text.is_empty() => return Ok(None),
        other => return Err(other.unwanted("not_a_choice", "an array of names of choices")),
    };
    let mut ids = Vec::new();
    let mut unknown = None;
    json::each_text(raw, |name| match choices.by_name(name) {
        Some(choice) => push(&mut ids, choice.id),
        None => {
            unknown = Some(not_a_choice(name));
            false
        }
    })
    .map_err(|why| match why {
        NotTexts::BadText => Token::BadText.unwanted("not_a_choice", "names of choices"),
        NotTexts::Kind => Token::Array(raw).unwanted("not_a_choice", "an array of names alone"),
    })?;
    unknown.map_or(Ok(some(ids)), Err)
}

pub(super) fn one_from_text(text: &str, choices: &Choices) -> Parsed {
    choices
        .by_name_loosely(text)
        .map(|choice| Some(Cell::Choice(choice.id)))
        .ok_or_else(|| not_a_choice(text))
}

/// The names in a text that are no choices, where they may be.
pub(super) fn missing(text: &str, many: bool, choices: &Choices) -> Vec<String> {
    let names = match many {
        true => names(text),
        false => vec![Cow::Borrowed(text.trim())],
    };
    let missing = names
        .into_iter()
        .filter(|name| choices.by_name_loosely(name).is_none() && super::check_name(name).is_ok());
    missing.map(Cow::into_owned).collect()
}

/// A text as names: a JSON array of them, or separated by semicolons, bars or lines, or else by commas
/// (one name may hold any of these).
fn names(text: &str) -> Vec<Cow<'_, str>> {
    if text.starts_with('[')
        && let Ok(listed) = serde_json::from_str::<Vec<String>>(text)
    {
        return listed.into_iter().map(Cow::Owned).collect();
    }
    let strong = [';', '|', '\n', '\r'];
    let separators: &'static [char] = match text.contains(strong) {
        true => &[';', '|', '\n', '\r'],
        false => &[','],
    };
    let names = text.split(separators).map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(Cow::Borrowed)
        .collect()
}

/// Reads the name of one choice, or the [`names`] of several.
pub(super) fn many_from_text(text: &str, choices: &Choices) -> Parsed {
    if let Some(choice) = choices.by_name_loosely(text) {
        return Ok(Some(Cell::Choices(vec![choice.id])));
    }
    let mut ids = Vec::new();
    for name in names(text) {
        let choice = choices
            .by_name_loosely(&name)
            .ok_or_else(|| not_a_choice(&name))?;
        push(&mut ids, choice.id);
    }
    Ok(some(ids))
}

/// Adds a choice once.
fn push(ids: &mut Vec<ChoiceId>, id: ChoiceId) -> bool {
    if !ids.contains(&id) {
        ids.push(id);
    }
    true
}

fn some(ids: Vec<ChoiceId>) -> Option<Cell> {
    (!ids.is_empty()).then_some(Cell::Choices(ids))
}

fn not_a_choice(name: &str) -> CellError {
    let short: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    CellError::new(
        "not_a_choice",
        format!("\"{short}\" is not one of the column's choices"),
    )
}

#[cfg(test)]
mod tests {
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    const CHOICES: &str = r#"{"choices":[{"name":"Active"},{"name":"N/A"},{"name":"Wood, Painted"},{"name":"Say \"hi\""}]}"#;

    #[test]
    fn one_choice() {
        let column = column(ColumnType::SingleSelect, CHOICES);
        check_json(
            &column,
            &[
                (r#""Active""#, r#""Active""#),
                (r#""Say \"hi\"""#, r#""Say \"hi\"""#),
                (r#""""#, "null"),
            ],
            &[
                (r#""active""#, "not_a_choice"),
                (r#"["Active"]"#, "not_a_choice"),
                ("1", "not_a_choice"),
                (r#""\ud800""#, "bad_text"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                (" ACTIVE ", r#""Active""#),
                ("n/a", r#""N/A""#),
                ("--", "null"),
            ],
            &[("Sold", "not_a_choice")],
        );
    }

    #[test]
    fn several_choices() {
        let column = column(ColumnType::MultiSelect, CHOICES);
        check_json(
            &column,
            &[
                (r#"["N/A","Active"]"#, r#"["N/A","Active"]"#),
                (r#"["Active","Active"]"#, r#"["Active"]"#),
                (r#"["Say \u0022hi\u0022"]"#, r#"["Say \"hi\""]"#),
                ("[]", "null"),
                (" [ ] ", "null"),
            ],
            &[
                (r#"["Active","Sold"]"#, "not_a_choice"),
                (r#"["Active",1]"#, "not_a_choice"),
                (r#"[["Active"]]"#, "not_a_choice"),
                (r#"["\ud800"]"#, "bad_text"),
                (r#""Active""#, "not_a_choice"),
                ("{}", "not_a_choice"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                ("active, n/a", r#"["Active","N/A"]"#),
                ("Wood, Painted", r#"["Wood, Painted"]"#),
                ("Wood, Painted; Active", r#"["Wood, Painted","Active"]"#),
                ("Active|N/A|", r#"["Active","N/A"]"#),
            ],
            &[("Active, Sold", "not_a_choice")],
        );
    }
}
