//! Yes and no.

use super::json::Token;
use super::{CellError, Parsed};
use crate::domain::cell::Cell;

/// Reads `true` or `false`.
pub(super) fn from_json(token: &Token<'_>) -> Parsed {
    match token {
        Token::Bool(bool) => Ok(Some(Cell::Bool(*bool))),
        other => Err(other.unwanted("not_a_bool", "true or false")),
    }
}

/// Reads the usual words and signs for yes and no.
pub(super) fn from_text(text: &str) -> Parsed {
    const YES: [&str; 10] = ["yes", "y", "true", "t", "1", "on", "x", "checked", "✓", "✔"];
    const NO: [&str; 7] = ["no", "n", "false", "f", "0", "off", "unchecked"];
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&YES) {
        Ok(Some(Cell::Bool(true)))
    } else if is(&NO) {
        Ok(Some(Cell::Bool(false)))
    } else {
        Err(CellError::new("not_a_bool", "neither yes nor no"))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    #[test]
    fn yes_and_no() {
        let column = column(ColumnType::Checkbox, "null");
        check_json(
            &column,
            &[("true", "true"), ("false", "false")],
            &[
                ("1", "not_a_bool"),
                (r#""true""#, "not_a_bool"),
                ("[]", "not_a_bool"),
                (r#""""#, "not_a_bool"),
            ],
        );
        check_text(
            &column,
            &hints(),
            &[
                ("Y", "true"),
                (" yes ", "true"),
                ("TRUE", "true"),
                ("✓", "true"),
                ("No", "false"),
                ("0", "false"),
                ("N/A", "null"),
            ],
            &[("maybe", "not_a_bool"), ("2", "not_a_bool")],
        );
    }
}
