//! What the tests of columns share: a column to try, and tables of good and bad values.

use super::*;

/// A column of that type with the options of a request.
pub(in crate::domain) fn column(ty: ColumnType, options: &str) -> Column {
    let options = match ty {
        ColumnType::Link => serde_json::json!({ "list_id": MEMBER }),
        _ => serde_json::from_str(options).unwrap(),
    };
    Column {
        id: ColumnId::nth(1).unwrap(),
        key: "Key".to_owned(),
        name: "Name".to_owned(),
        ty,
        options: Options::from_json(ty, &options, None).unwrap(),
        required: false,
        unique: false,
        default: None,
        position: 0,
        deleted: false,
        replaced: false,
    }
}

/// The users known to [`member`].
pub(crate) const MEMBER: &str = "0192f000-0000-7000-8000-000000000001";
pub(crate) const OTHER_MEMBER: &str = "0192f000-0000-7000-8000-000000000002";

pub(super) fn member(user: UserId) -> bool {
    [MEMBER, OTHER_MEMBER].contains(&user.to_string().as_str())
}

pub(super) fn find_user(name: &str) -> Option<UserId> {
    match name {
        "ann@example.com" => user::read(MEMBER),
        "ben@example.com" => user::read(OTHER_MEMBER),
        _ => user::read(name).filter(|user| member(*user)),
    }
}

pub(super) fn hints() -> TextHints<'static> {
    TextHints {
        find_user: &find_user,
        ..TextHints::default()
    }
}

/// The wire form of what was parsed (`null` for an emptied cell), or the error's code.
pub(super) fn shown(column: &Column, parsed: Parsed) -> Result<String, &'static str> {
    match parsed {
        Ok(Some(cell)) => {
            let mut out = String::new();
            column.write_wire_cell(&cell, &mut out);
            Ok(out)
        }
        Ok(None) => Ok("null".to_owned()),
        Err(error) => Err(error.code),
    }
}

pub(super) fn parse_json(column: &Column, raw: &str) -> Parsed {
    column.parse_json(raw, &ParseContext { members: &member })
}

/// Each good JSON shows as its neighbour; each bad one is refused with that code.
pub(super) fn check_json(column: &Column, good: &[(&str, &str)], bad: &[(&str, &'static str)]) {
    for (raw, wire) in good {
        assert_eq!(
            shown(column, parse_json(column, raw)),
            Ok((*wire).to_owned()),
            "{raw}"
        );
    }
    for (raw, code) in bad {
        assert_eq!(shown(column, parse_json(column, raw)), Err(*code), "{raw}");
    }
}

/// Each good text shows as its neighbour; each bad one is refused with that code.
pub(super) fn check_text(
    column: &Column,
    hints: &TextHints<'_>,
    good: &[(&str, &str)],
    bad: &[(&str, &'static str)],
) {
    for (text, wire) in good {
        assert_eq!(
            shown(column, column.parse_text(text, hints)),
            Ok((*wire).to_owned()),
            "{text:?}"
        );
    }
    for (text, code) in bad {
        assert_eq!(
            shown(column, column.parse_text(text, hints)),
            Err(*code),
            "{text:?}"
        );
    }
}
