//! Members: one, or several where the column says so.

use uuid::Uuid;

use super::json::{self, NotTexts, Token};
use super::{CellError, ParseContext, Parsed, TextHints};
use crate::domain::cell::Cell;
use crate::ids::UserId;

/// The most users in one cell.
const MAX_USERS: usize = 100;

/// Reads a user id, or an array of them.
pub(super) fn from_json(token: Token<'_>, multiple: bool, ctx: &ParseContext<'_>) -> Parsed {
    let mut users = Vec::new();
    let mut known = true;
    let mut take = |text: &str| {
        known = push(&mut users, read(text).filter(|user| (ctx.members)(*user)));
        known
    };
    match token {
        Token::Text(text) if text.is_empty() => return Ok(None),
        Token::Text(text) => {
            take(&text);
        }
        Token::Array(raw) => json::each_text(raw, take).map_err(|why| match why {
            NotTexts::BadText => Token::BadText.unwanted("not_a_member", "users' ids"),
            NotTexts::Kind => not_a_member(),
        })?,
        other => return Err(other.unwanted("not_a_member", "a user's id or an array of them")),
    }
    finished(users, known, multiple)
}

/// Reads names of users, several separated by commas or semicolons.
pub(super) fn from_text(text: &str, multiple: bool, hints: &TextHints<'_>) -> Parsed {
    let mut users = Vec::new();
    let known = if let Some(user) = (hints.find_user)(text) {
        push(&mut users, Some(user))
    } else {
        text.split([',', ';'])
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .all(|name| push(&mut users, (hints.find_user)(name)))
    };
    finished(users, known, multiple)
}

/// Reads one id in any form of a UUID.
pub(super) fn read(text: &str) -> Option<UserId> {
    Uuid::try_parse(text).ok().map(UserId::from)
}

/// Adds a user once; false when there is none.
fn push(users: &mut Vec<UserId>, user: Option<UserId>) -> bool {
    // Past the limit nothing is kept but the excess itself.
    if let Some(user) = user.filter(|user| users.len() <= MAX_USERS && !users.contains(user)) {
        users.push(user);
    }
    user.is_some()
}

fn finished(users: Vec<UserId>, known: bool, multiple: bool) -> Parsed {
    let most = if multiple { MAX_USERS } else { 1 };
    if !known {
        Err(not_a_member())
    } else if users.len() > most {
        Err(CellError::new(
            "too_many",
            format!("at most {most} in this column"),
        ))
    } else {
        Ok((!users.is_empty()).then_some(Cell::Users(users)))
    }
}

fn not_a_member() -> CellError {
    CellError::new("not_a_member", "not the id of a member of this workspace")
}

#[cfg(test)]
mod tests {
    use super::MAX_USERS;
    use crate::domain::columns::ColumnType;
    use crate::domain::columns::testing::*;

    #[test]
    fn one_member_or_several() {
        let (ann, ben) = (format!("\"{MEMBER}\""), format!("\"{OTHER_MEMBER}\""));
        let both = format!("[{ann},{ben}]");
        let (ann_alone, stranger) = (
            format!("[{ann}]"),
            r#""0192f000-0000-7000-8000-000000000003""#,
        );
        let one = column(ColumnType::User, "null");
        check_json(
            &one,
            &[
                (&ann, &ann),
                (&ann_alone, &ann),
                ("[]", "null"),
                (r#""""#, "null"),
            ],
            &[
                (&both, "too_many"),
                (stranger, "not_a_member"),
                (r#""ann""#, "not_a_member"),
                ("1", "not_a_member"),
                ("[1]", "not_a_member"),
            ],
        );
        let several = column(ColumnType::User, r#"{"multiple":true}"#);
        check_json(
            &several,
            &[
                (&both, &both),
                (&ann, &ann_alone),
                (&format!("[{ann},{ann}]"), &ann_alone),
            ],
            &[
                (&format!("[{ann},{stranger}]"), "not_a_member"),
                (r#"["\ud800"]"#, "bad_text"),
            ],
        );
        check_text(
            &several,
            &hints(),
            &[
                ("ann@example.com; ben@example.com", &both),
                (MEMBER, &ann_alone),
            ],
            &[("zoe@example.com", "not_a_member")],
        );
        check_text(
            &one,
            &hints(),
            &[("ann@example.com", &ann)],
            &[("ann@example.com,ben@example.com", "too_many")],
        );
    }

    #[test]
    fn a_cell_names_so_many_users_at_most() {
        let column = column(ColumnType::User, r#"{"multiple":true}"#);
        let ids = |count: usize| {
            let ids: Vec<String> = (0..count)
                .map(|n| format!("\"0192f000-0000-7000-8000-{n:012}\""))
                .collect();
            format!("[{}]", ids.join(","))
        };
        let everyone = super::ParseContext { members: &|_| true };
        assert!(column.parse_json(&ids(MAX_USERS), &everyone).is_ok());
        assert_eq!(
            column
                .parse_json(&ids(MAX_USERS + 1), &everyone)
                .unwrap_err()
                .code,
            "too_many"
        );
    }
}
