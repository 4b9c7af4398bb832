//! The choices of a select: names and colours for people, ids for storage. An id stays with its name
//! for as long as that is listed, follows it through a rename, and is never given to another.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use serde_json::{Value, json};

use super::options::{error, pointer, text};
use super::{CellError, check_name};
use crate::domain::cell::ChoiceId;
use crate::domain::fold::folded;
use crate::error::FieldError;

/// The most choices in one column.
pub const MAX_CHOICES: usize = 1_000;

/// The colours that choices get when nothing is said, in turn.
const PALETTE: [&str; 10] = [
    "blue", "green", "yellow", "red", "purple", "orange", "teal", "pink", "brown", "gray",
];

/// One choice of a select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub id: ChoiceId,
    /// Unique in its column, whatever the case.
    pub name: String,
    /// A word like `blue`, or `#rrggbb`.
    pub color: String,
}

/// The choices of a column in the order in which people put them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    list: Vec<Choice>,
    /// The number of the next id: ids are never used twice.
    next: u32,
    by_name: HashMap<String, usize>,
    by_folded: HashMap<String, usize>,
    by_id: Vec<(ChoiceId, usize)>,
}

impl Choices {
    /// Choices with ids of their own; `next` is the number of the next id and at least one more than
    /// the greatest.
    pub fn new(list: Vec<Choice>, next: u32) -> Choices {
        let places = || list.iter().enumerate();
        let mut by_id: Vec<_> = places().map(|(at, choice)| (choice.id, at)).collect();
        by_id.sort_unstable();
        let least = by_id.last().map_or(0, |(id, _)| id.number() + 1);
        Choices {
            next: next.max(least),
            by_name: places()
                .map(|(at, choice)| (choice.name.clone(), at))
                .collect(),
            by_folded: places()
                .map(|(at, choice)| (folded(&choice.name).into_owned(), at))
                .collect(),
            by_id,
            list,
        }
    }

    /// The choice of exactly that name.
    pub fn by_name(&self, name: &str) -> Option<&Choice> {
        self.list.get(*self.by_name.get(name)?)
    }

    /// The choice of that name in any case.
    pub fn by_name_loosely(&self, name: &str) -> Option<&Choice> {
        self.by_name(name)
            .or_else(|| self.list.get(*self.by_folded.get(folded(name).as_ref())?))
    }

    pub fn by_id(&self, id: ChoiceId) -> Option<&Choice> {
        self.list.get(self.position(id)?)
    }

    /// Where in the order a choice stands.
    pub fn position(&self, id: ChoiceId) -> Option<usize> {
        let at = self.by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.by_id.get(at)?.1)
    }

    /// The number of the next id; 0 only where there never were choices.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// The choices for the wire, without ids.
    pub(super) fn to_json(&self) -> Value {
        self.iter()
            .map(|choice| json!({"name": choice.name, "color": choice.color}))
            .collect()
    }

    /// The choices for Postgres.
    pub(super) fn to_stored(&self) -> Value {
        self.iter()
            .map(|choice| json!({"id": choice.id, "name": choice.name, "color": choice.color}))
            .collect()
    }

    /// Reads what [`to_stored`](Self::to_stored) made.
    pub(super) fn from_stored(stored: &Value, next: u32) -> Choices {
        let field = |choice: &Value, name: &str| Some(choice.get(name)?.as_str()?.to_owned());
        let list = stored
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|choice| {
                let id = ChoiceId::parse(choice.get("id")?.as_str()?)?;
                let color = field(choice, "color").unwrap_or_else(|| color_of(id));
                Some(Choice {
                    id,
                    name: field(choice, "name")?,
                    color,
                })
            });
        Choices::new(list.collect(), next)
    }

    /// Checks the choices of a request; without any the previous ones stay. Paths of errors begin
    /// with `/options/choices`.
    pub(super) fn from_json(
        sent: Option<&Value>,
        previous: Option<&Choices>,
    ) -> Result<Choices, Vec<FieldError>> {
        let members = match sent {
            Some(Value::Array(members)) => members,
            None | Some(Value::Null) => {
                return Ok(previous.map_or_else(
                    || Choices::new(Vec::new(), 1),
                    |previous| Choices {
                        next: previous.next.max(1),
                        ..previous.clone()
                    },
                ));
            }
            Some(_) => {
                let message = "choices are an array of {\"name\",\"color\"}";
                return Err(vec![error("/options/choices", "not_an_array", message)]);
            }
        };
        if members.len() > MAX_CHOICES {
            return Err(vec![error(
                "/options/choices",
                "too_many",
                "at most 1000 choices in a column",
            )]);
        }
        let drafts = read_drafts(members, previous)?;
        let mut claimed: HashSet<ChoiceId> = drafts.iter().filter_map(|draft| draft.id).collect();
        let mut next = previous.map_or(1, |previous| previous.next.max(1));
        let mut list = Vec::with_capacity(drafts.len());
        for draft in drafts {
            // A name in another case is the same choice.
            let kept = previous.and_then(|previous| match draft.id {
                Some(id) => previous.by_id(id),
                None => previous
                    .by_name_loosely(draft.name)
                    .filter(|choice| claimed.insert(choice.id)),
            });
            let Some(id) = kept.map(|choice| choice.id).or_else(|| ChoiceId::nth(next)) else {
                return Err(vec![error(
                    "/options/choices",
                    "too_many",
                    "this column has used up its choices",
                )]);
            };
            if kept.is_none() {
                next += 1;
            }
            let color = draft
                .color
                .map(str::to_owned)
                .or_else(|| kept.map(|choice| choice.color.clone()));
            list.push(Choice {
                id,
                name: draft.name.to_owned(),
                color: color.unwrap_or_else(|| color_of(id)),
            });
        }
        Ok(Choices::new(list, next))
    }
}

/// Reads all choices that are sent, with the ids of those to be renamed.
fn read_drafts<'v>(
    members: &'v [Value],
    previous: Option<&Choices>,
) -> Result<Vec<Draft<'v>>, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |at: usize, field: &str, code, message: &str| {
        errors.push(error(
            &format!("/options/choices/{at}{field}"),
            code,
            message,
        ));
    };
    let (mut drafts, mut names, mut claimed) = (Vec::new(), HashSet::new(), HashSet::new());
    for (at, member) in members.iter().enumerate() {
        let mut draft = match Draft::read(member) {
            Ok(draft) => draft,
            Err((field, why)) => {
                wrong(at, &field, why.code, &why.message);
                continue;
            }
        };
        if !names.insert(folded(draft.name).into_owned()) {
            wrong(at, "/name", "duplicate", "two choices of one name");
        }
        if let Some(was) = draft.was {
            draft.id = previous
                .and_then(|previous| previous.by_name(was))
                .map(|choice| choice.id);
            if draft.id.is_none_or(|id| !claimed.insert(id)) {
                wrong(
                    at,
                    "/was",
                    "not_a_choice",
                    "no choice of that name is left to be renamed",
                );
            }
        }
        drafts.push(draft);
    }
    if errors.is_empty() {
        Ok(drafts)
    } else {
        Err(errors)
    }
}

impl Deref for Choices {
    type Target = [Choice];

    fn deref(&self) -> &[Choice] {
        &self.list
    }
}

fn color_of(id: ChoiceId) -> String {
    let turn = usize::try_from(id.number().saturating_sub(1)).unwrap_or_default() % PALETTE.len();
    PALETTE.get(turn).copied().unwrap_or("gray").to_owned()
}

/// A choice as it is sent.
struct Draft<'a> {
    name: &'a str,
    color: Option<&'a str>,
    was: Option<&'a str>,
    id: Option<ChoiceId>,
}

impl<'a> Draft<'a> {
    /// Reads a choice; an error names the field as a part of a path.
    fn read(sent: &'a Value) -> Result<Draft<'a>, (String, CellError)> {
        let in_field = |name: &str| {
            let field = format!("/{}", pointer(name));
            move |wrong| (field, wrong)
        };
        let Some(fields) = sent.as_object() else {
            return Err((
                String::new(),
                CellError::new("not_an_object", "a choice is an object with a name"),
            ));
        };
        let (mut name, mut color, mut was) = (None, None, None);
        for (field, value) in fields {
            match field.as_str() {
                "name" => name = Some(choice_name(value).map_err(in_field(field))?),
                "color" if value.is_null() => {}
                "color" => color = Some(choice_color(value).map_err(in_field(field))?),
                "was" if value.is_null() => {}
                "was" => was = Some(text(value).map_err(in_field(field))?),
                _ => {
                    return Err(in_field(field)(CellError::new(
                        "unknown_option",
                        "a choice has a name and a color",
                    )));
                }
            }
        }
        match name {
            Some(name) => Ok(Draft {
                name,
                color,
                was,
                id: None,
            }),
            None => Err((
                "/name".to_owned(),
                CellError::new("required", "a choice needs a name"),
            )),
        }
    }
}

fn choice_name(value: &Value) -> Result<&str, CellError> {
    let name = text(value)?;
    check_name(name)?;
    if name.trim() != name {
        return Err(CellError::new(
            "bad_name",
            "a choice's name neither begins nor ends with a blank",
        ));
    }
    Ok(name)
}

fn choice_color(value: &Value) -> Result<&str, CellError> {
    let color = text(value)?;
    let word = (1..=20).contains(&color.len()) && color.bytes().all(|b| b.is_ascii_lowercase());
    let hex = color
        .strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if word || hex {
        Ok(color)
    } else {
        Err(CellError::new(
            "bad_option",
            "a colour is a word like blue, or #rrggbb",
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn choices(sent: &Value, previous: Option<&Choices>) -> Result<Choices, Vec<(String, String)>> {
        Choices::from_json(Some(sent), previous).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| (error.path, error.code.into_owned()))
                .collect()
        })
    }

    fn shown(choices: &Choices) -> Vec<(String, &str)> {
        choices
            .iter()
            .map(|choice| (choice.id.to_string(), choice.name.as_str()))
            .collect()
    }

    fn pair(id: &str, name: &'static str) -> (String, &'static str) {
        (id.to_owned(), name)
    }

    #[test]
    fn ids_follow_names_through_reorder_rename_and_removal() {
        let first = choices(
            &json!([{"name": "A"}, {"name": "B"}, {"name": "C", "color": "#ff0000"}]),
            None,
        )
        .unwrap();
        assert_eq!(
            shown(&first),
            [pair("1", "A"), pair("2", "B"), pair("3", "C")]
        );

        let renamed = choices(
            &json!([{"name": "Sea", "was": "C"}, {"name": "A"}]),
            Some(&first),
        )
        .unwrap();
        assert_eq!(shown(&renamed), [pair("3", "Sea"), pair("1", "A")]);
        assert_eq!(renamed[0].color, "#ff0000", "a rename keeps the colour");

        let again = choices(&json!([{"name": "B"}, {"name": "a"}]), Some(&renamed)).unwrap();
        assert_eq!(
            shown(&again),
            [pair("4", "B"), pair("1", "a")],
            "an id is never used twice"
        );
    }

    #[test]
    fn two_choices_can_swap_their_names() {
        let first = choices(&json!([{"name": "A"}, {"name": "B"}]), None).unwrap();
        let swapped = json!([{"name": "B", "was": "A"}, {"name": "A", "was": "B"}]);
        assert_eq!(
            shown(&choices(&swapped, Some(&first)).unwrap()),
            [pair("1", "B"), pair("2", "A")]
        );
        let pushed_out = json!([{"name": "B", "was": "A"}]);
        assert_eq!(
            shown(&choices(&pushed_out, Some(&first)).unwrap()),
            [pair("1", "B")]
        );
        let both = json!([{"name": "Old"}, {"name": "B", "was": "A"}, {"name": "C"}]);
        assert_eq!(
            shown(&choices(&both, Some(&first)).unwrap()),
            [pair("3", "Old"), pair("1", "B"), pair("4", "C")]
        );
    }

    #[test]
    fn the_stored_form_keeps_ids_and_their_counter() {
        let first = choices(&json!([{"name": "A"}, {"name": "B"}]), None).unwrap();
        let less = choices(&json!([{"name": "A"}]), Some(&first)).unwrap();
        let back = Choices::from_stored(&less.to_stored(), less.next());
        assert_eq!(back, less);
        let more = choices(&json!([{"name": "A"}, {"name": "B"}]), Some(&back)).unwrap();
        assert_eq!(shown(&more), [pair("1", "A"), pair("3", "B")]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let first = choices(&json!([{"name": "A"}]), None).unwrap();
        for (sent, path, code) in [
            (json!("A"), "", "not_an_array"),
            (json!(["A"]), "/0", "not_an_object"),
            (json!([{"color": "red"}]), "/0/name", "required"),
            (json!([{"name": " A"}]), "/0/name", "bad_name"),
            (json!([{"name": ""}]), "/0/name", "bad_name"),
            (json!([{"name": "a\u{0}"}]), "/0/name", "bad_text"),
            (json!([{"name": 1}]), "/0/name", "not_text"),
            (
                json!([{"name": "x"}, {"name": "X"}]),
                "/1/name",
                "duplicate",
            ),
            (
                json!([{"name": "x", "color": "Red!"}]),
                "/0/color",
                "bad_option",
            ),
            (json!([{"name": "x", "id": "1"}]), "/0/id", "unknown_option"),
            (
                json!([{"name": "x", "a/b": "1"}]),
                "/0/a~1b",
                "unknown_option",
            ),
            (json!([{"name": "x", "was": "B"}]), "/0/was", "not_a_choice"),
            (
                json!([{"name": "x", "was": "A"}, {"name": "y", "was": "A"}]),
                "/1/was",
                "not_a_choice",
            ),
            (
                vec![json!({"name": "x"}); MAX_CHOICES + 1].into(),
                "",
                "too_many",
            ),
        ] {
            let wanted = vec![(format!("/options/choices{path}"), code.to_owned())];
            assert_eq!(choices(&sent, Some(&first)), Err(wanted), "{sent}");
        }
    }
}
