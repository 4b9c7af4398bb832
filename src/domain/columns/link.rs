//! Links: the options of a column that points to items of a list, and its cells as they are sent.
//! Which links there are, and what follows when one is made, is `domain::links`'s.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::json::{self, NotTexts, Token};
use super::options::error;
use super::{CellError, Parsed, check_key};
use crate::domain::cell::{Cell, ColumnId, Links};
use crate::error::FieldError;
use crate::ids::{ItemId, ListId};

/// So many links of a cell are shown with its item, and written with it.
pub const SHOWN_LINKS: usize = 10;

/// What becomes of a cell when an item that it points to goes into the trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// The link goes, and comes back with the item.
    #[default]
    Unlink,
    /// The item can't go while it is linked here.
    Restrict,
}

impl OnDelete {
    fn as_str(self) -> &'static str {
        match self {
            OnDelete::Unlink => "unlink",
            OnDelete::Restrict => "restrict",
        }
    }
}

/// Where a link column points. Whether its cells hold several is `Options::multiple`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkOptions {
    /// The list of the linked items.
    pub list: ListId,
    /// The column there that shows the same links from the other end.
    pub inverse_key: Option<String>,
    /// Its id; known once it is made.
    pub inverse: Option<ColumnId>,
    /// Whether an item may be linked by several. Always so where nobody sees the other end.
    pub inverse_multiple: bool,
    pub on_delete: OnDelete,
    /// Made by the server as the other column's inverse: the links bear that one's name.
    pub backward: bool,
}

impl LinkOptions {
    /// Reads the options of a request. Of an existing column the target stays what it was.
    pub(super) fn from_json(
        sent: &Map<String, Value>,
        previous: Option<&LinkOptions>,
    ) -> Result<LinkOptions, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut note = |name: &str, wrong: CellError| {
            errors.push(error(
                &format!("/options/{name}"),
                wrong.code,
                &wrong.message,
            ));
        };
        let list = sent
            .get("list_id")
            .filter(|value| !value.is_null())
            .map(list)
            .transpose();
        let list = list.map_err(|wrong| note("list_id", wrong)).ok().flatten();
        let inverse_key = sent
            .get("inverse_key")
            .filter(|value| !value.is_null())
            .map(key)
            .transpose();
        let inverse_key = inverse_key
            .map_err(|wrong| note("inverse_key", wrong))
            .ok()
            .flatten();
        let several = sent
            .get("inverse_multiple")
            .filter(|value| !value.is_null());
        let several = several.map(|value| value.as_bool().ok_or_else(not_a_bool));
        let several = several.transpose();
        let several = several
            .map_err(|wrong| note("inverse_multiple", wrong))
            .ok()
            .flatten();
        let on_delete = sent
            .get("on_delete")
            .filter(|value| !value.is_null())
            .map(on_delete)
            .transpose();
        let on_delete = on_delete
            .map_err(|wrong| note("on_delete", wrong))
            .ok()
            .flatten();
        if !errors.is_empty() {
            return Err(errors);
        }
        match previous {
            Some(previous) => {
                let kept = |name: &str, same: bool| {
                    let message = "this is said when the column is made, and stays";
                    let path = format!("/options/{name}");
                    (!same).then(|| error(&path, "immutable", message))
                };
                let wrong: Vec<FieldError> = [
                    kept("list_id", list.is_none_or(|list| list == previous.list)),
                    kept(
                        "inverse_key",
                        inverse_key.is_none() || inverse_key == previous.inverse_key,
                    ),
                    kept(
                        "inverse_multiple",
                        several.is_none_or(|several| several == previous.inverse_multiple),
                    ),
                ]
                .into_iter()
                .flatten()
                .collect();
                if !wrong.is_empty() {
                    return Err(wrong);
                }
                Ok(LinkOptions {
                    on_delete: on_delete.unwrap_or(previous.on_delete),
                    ..previous.clone()
                })
            }
            None => {
                let Some(list) = list else {
                    let message = "the list that it links to";
                    return Err(vec![error("/options/list_id", "required", message)]);
                };
                if inverse_key.is_none() && several == Some(false) {
                    let message = "without an inverse column nobody sees the other end";
                    let path = "/options/inverse_multiple";
                    return Err(vec![error(path, "bad_option", message)]);
                }
                Ok(LinkOptions {
                    list,
                    inverse_key,
                    inverse: None,
                    inverse_multiple: several.unwrap_or(true),
                    on_delete: on_delete.unwrap_or_default(),
                    backward: false,
                })
            }
        }
    }

    /// The options for the wire.
    pub(super) fn write(&self, to: &mut Map<String, Value>) {
        to.insert("list_id".to_owned(), self.list.to_string().into());
        if let Some(key) = &self.inverse_key {
            to.insert("inverse_key".to_owned(), key.clone().into());
            to.insert("inverse_multiple".to_owned(), self.inverse_multiple.into());
        }
        to.insert("on_delete".to_owned(), self.on_delete.as_str().into());
    }

    /// What only Postgres is told.
    pub(super) fn write_stored(&self, to: &mut Map<String, Value>) {
        if let Some(id) = self.inverse {
            to.insert("inverse_id".to_owned(), id.to_string().into());
        }
        if self.backward {
            to.insert("backward".to_owned(), true.into());
        }
    }

    /// Reads what the two above made.
    pub(super) fn from_stored(stored: &Map<String, Value>) -> Option<LinkOptions> {
        let mut options = LinkOptions::from_json(stored, None).ok()?;
        let inverse = stored.get("inverse_id").and_then(Value::as_str);
        options.inverse = inverse.and_then(ColumnId::parse);
        options.backward = stored.get("backward") == Some(&Value::Bool(true));
        Some(options)
    }
}

fn list(value: &Value) -> Result<ListId, CellError> {
    let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
    id.map(ListId)
        .ok_or_else(|| CellError::new("unknown_list", "the id of a list"))
}

fn key(value: &Value) -> Result<String, CellError> {
    let key = super::options::text(value)?;
    check_key(key).map(|()| key.to_owned())
}

fn on_delete(value: &Value) -> Result<OnDelete, CellError> {
    match value.as_str() {
        Some("unlink") => Ok(OnDelete::Unlink),
        Some("restrict") => Ok(OnDelete::Restrict),
        _ => Err(CellError::new("bad_option", "unlink or restrict")),
    }
}

fn not_a_bool() -> CellError {
    CellError::new("not_a_bool", "true or false")
}

/// Reads an array of items' ids, each once, as many as an item shows. `null` and `[]` clear the cell.
/// Whether the items are there is judged with the command.
pub(super) fn from_json(token: Token<'_>) -> Parsed {
    let Token::Array(raw) = token else {
        return Err(token.unwanted("not_links", "an array of items' ids"));
    };
    let mut ids = Vec::new();
    let mut wrong = None;
    json::each_text(raw, |text| {
        match Uuid::try_parse(text).map(ItemId) {
            Err(_) => wrong = Some(CellError::new("not_links", "not the id of an item")),
            Ok(id) if ids.contains(&id) => {
                wrong = Some(CellError::new("duplicate", "the same item stands twice"));
            }
            Ok(_) if ids.len() == SHOWN_LINKS => wrong = Some(use_link_paths()),
            Ok(id) => ids.push(id),
        }
        wrong.is_none()
    })
    .map_err(|why| match why {
        NotTexts::BadText => Token::BadText.unwanted("not_links", "items' ids"),
        NotTexts::Kind => CellError::new("not_links", "expected an array of items' ids"),
    })?;
    match wrong {
        Some(wrong) => Err(wrong),
        None => Ok((!ids.is_empty()).then(|| Cell::Links(Links::of(ids)))),
    }
}

/// More links than an item shows are written one by one, so that nobody cuts what he doesn't see.
pub(in crate::domain) fn use_link_paths() -> CellError {
    CellError::new(
        "use_link_paths",
        "a cell of more than 10 links is written through …/items/{id}/links/{column}",
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{ColumnType, Options};
    use serde_json::{Value, json};

    const A: &str = "0192f000-0000-7000-8000-00000000000a";
    const B: &str = "0192f000-0000-7000-8000-00000000000b";

    #[test]
    fn a_cell_is_an_array_of_at_most_ten_ids() {
        let column = column(ColumnType::Link, "null");
        let both = format!(r#"["{B}","{A}"]"#);
        let shown = format!(r#"[{{"id":"{B}","title":null}},{{"id":"{A}","title":null}}]"#);
        let twice = format!(r#"["{A}","{A}"]"#);
        let many: Vec<_> = (1..=11).map(uuid::Uuid::from_u128).collect();
        let many = json!(many).to_string();
        check_json(
            &column,
            &[(&both, &shown), ("[]", "null"), ("null", "null")],
            &[
                (&many, "use_link_paths"),
                (&twice, "duplicate"),
                ("[1]", "not_links"),
                (r#"["x"]"#, "not_links"),
                (r#""x""#, "not_links"),
                ("{}", "not_links"),
            ],
        );
    }

    fn read(sent: Value, previous: Option<&Options>) -> Result<Options, Vec<(String, String)>> {
        Options::from_json(ColumnType::Link, &sent, previous).map_err(|errors| {
            let plain = |error: crate::error::FieldError| (error.path, error.code.into_owned());
            errors.into_iter().map(plain).collect()
        })
    }

    #[test]
    fn options_survive_storage_and_keep_their_target() {
        let sent = json!({"list_id": A, "inverse_key": "Deals", "multiple": true, "on_delete": "restrict"});
        let made = read(sent, None).unwrap();
        assert_eq!(Options::from_stored(&made.to_stored()), made);
        let kept = read(
            json!({"multiple": true, "on_delete": "unlink"}),
            Some(&made),
        )
        .unwrap();
        assert_eq!(kept.to_json()["on_delete"], "unlink");
        assert_eq!(kept.to_json()["inverse_key"], "Deals");
        for (sent, path) in [
            (json!({"list_id": B}), "/options/list_id"),
            (json!({"inverse_key": "Others"}), "/options/inverse_key"),
            (
                json!({"inverse_multiple": false}),
                "/options/inverse_multiple",
            ),
        ] {
            let wanted = vec![(path.to_owned(), "immutable".to_owned())];
            assert_eq!(read(sent, Some(&made)), Err(wanted));
        }
    }

    #[test]
    fn wrong_options_are_refused_by_path() {
        for (sent, path, code) in [
            (json!({}), "/options/list_id", "required"),
            (json!({"list_id": "x"}), "/options/list_id", "unknown_list"),
            (
                json!({"list_id": A, "inverse_key": "1"}),
                "/options/inverse_key",
                "bad_key",
            ),
            (
                json!({"list_id": A, "on_delete": "cascade"}),
                "/options/on_delete",
                "bad_option",
            ),
            (
                json!({"list_id": A, "inverse_multiple": false}),
                "/options/inverse_multiple",
                "bad_option",
            ),
            (
                json!({"list_id": A, "choices": []}),
                "/options/choices",
                "unknown_option",
            ),
        ] {
            assert_eq!(
                read(sent, None),
                Err(vec![(path.to_owned(), code.to_owned())])
            );
        }
    }
}
