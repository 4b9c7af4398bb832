//! A column of another type: which types can become which, and what its cells become. The column is put in
//! the place of the old one, which stays behind it with its cells as they were; so nothing is lost for good,
//! the past reads as it was, and taking the change back is putting the old one in its place again. Pure.

use std::collections::HashSet;

use chrono::{DateTime, NaiveTime, Utc};
use serde_json::Value;

use super::cell::{Cell, ColumnId};
use super::columns::{
    CellError, Column, ColumnType, Computed, MAX_CHOICES, Options, ParseContext, Rule, RuleKind,
    TextHints,
};
use super::fold::folded;
use super::relate::with;
use super::schema::List;
use super::schema_change::{ColumnPatch, change_column};
use super::written::{Names, written};
use crate::error::AppError;
use crate::ids::{ItemId, UserId};

/// Values that would be lost are shown up to so many.
const MAX_SAMPLES: usize = 10;

/// What happens to values that the new type can't hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// The change is refused.
    #[default]
    Refuse,
    /// Their cells are empty after it.
    Clear,
}

/// What a change of type does to the values there are, those in the trash too.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    pub values: u64,
    pub lost: u64,
    pub samples: Vec<Loss>,
    /// Names that the new type has no choices for, as they were first met: as many as it could have.
    pub missing_choices: Vec<String>,
    /// Those, folded.
    missing: HashSet<String>,
}

/// A value that the new type can't hold.
#[derive(Clone, Debug)]
pub struct Loss {
    pub item: ItemId,
    pub cell: Cell,
    pub code: &'static str,
    pub message: String,
}

impl Outlook {
    /// A value that can't be kept.
    pub fn lose(&mut self, from: &Column, to: &Column, item: ItemId, cell: Cell, why: CellError) {
        self.lost += 1;
        let room = MAX_CHOICES.saturating_sub(to.options.choices.len());
        if why.code == "not_a_choice"
            && self.missing_choices.len() < room
            && let Some(cell) = from.shown(&cell)
        {
            for name in to.missing_choices(&written(from, &cell, &Names::IDS)) {
                if self.missing.insert(folded(&name).into_owned()) {
                    self.missing_choices.push(name);
                }
            }
            self.missing_choices.truncate(room);
        }
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(Loss {
                item,
                cell,
                code: why.code,
                message: why.message,
            });
        }
    }
}

/// A list whose column changes its type.
#[derive(Clone, Debug)]
pub struct Retyped {
    pub list: List,
    /// The column as it stands behind the new one.
    pub from: Column,
    pub to: Column,
}

/// Types whose values say the same kind of thing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Words,
    Numbers,
    Checkbox,
    Days,
    Choices,
    Address,
    Location,
    People,
}

/// The family of a type; none where the cells are no values of their own.
fn family(ty: ColumnType) -> Option<Family> {
    match ty {
        ColumnType::Text
        | ColumnType::LongText
        | ColumnType::Email
        | ColumnType::Phone
        | ColumnType::Url => Some(Family::Words),
        ColumnType::Number
        | ColumnType::Currency
        | ColumnType::Percent
        | ColumnType::Rating
        | ColumnType::AutoNumber => Some(Family::Numbers),
        ColumnType::Checkbox => Some(Family::Checkbox),
        ColumnType::Date | ColumnType::DateTime => Some(Family::Days),
        ColumnType::SingleSelect | ColumnType::MultiSelect => Some(Family::Choices),
        ColumnType::Address => Some(Family::Address),
        ColumnType::Location => Some(Family::Location),
        ColumnType::User => Some(Family::People),
        ColumnType::Link
        | ColumnType::List
        | ColumnType::CreatedAt
        | ColumnType::CreatedBy
        | ColumnType::UpdatedAt
        | ColumnType::UpdatedBy => None,
    }
}

/// Whether a column of one type can become one of the other: the table of pairs.
pub fn converts(from: ColumnType, to: ColumnType) -> bool {
    use Family::{Checkbox, Choices, Days, Numbers, Words};
    let (Some(from), Some(into)) = (family(from), family(to).filter(|_| !to.is_read_only())) else {
        return false;
    };
    from == into
        || matches!(
            (from, into),
            (Words, _)
                | (_, Words)
                | (Numbers, Checkbox | Choices)
                | (Checkbox, Numbers | Choices)
                | (Days, Choices)
                | (Choices, Numbers | Checkbox | Days)
        )
}

/// The column that the patch asks for in the place of the old one. 404 when there is none, 422
/// `no_conversion` where the types can't become each other.
pub fn retype(
    list: &List,
    key: &str,
    patch: &ColumnPatch,
    now: DateTime<Utc>,
) -> Result<Retyped, AppError> {
    let old = list.columns.by_key(key).ok_or_else(AppError::not_found)?;
    let name = patch.ty.as_deref().unwrap_or_default();
    if RuleKind::from_name(name).is_some() {
        let message =
            "what people have written is not replaced by what is computed: make a new column";
        return Err(AppError::field("/type", "no_conversion", message));
    }
    let ty = ColumnType::from_request(name).map_err(|error| AppError::fields(vec![error]))?;
    if ty == old.ty && old.options.computed.is_none() {
        let message = "the column has this type already";
        return Err(AppError::field("/type", "same_type", message));
    }
    if !converts(old.ty, ty) {
        let message = format!("a {} can't become a {}", old.type_name(), ty.as_str());
        return Err(AppError::field("/type", "no_conversion", message));
    }
    let id = list.columns.next_id();
    let id = id.ok_or_else(|| AppError::too_large("The list has used up its columns"))?;
    let mut to = Column {
        id,
        ty,
        options: options(old, ty, patch.options.as_ref())?,
        default: None,
        ..old.clone()
    };
    // A default that the new type can't hold is none; it stands with the old column.
    if let Some(default) = &old.default {
        to.default = convert(old, &to, default, &|_| None).unwrap_or_default();
    }
    let (swapped, from) = put_in_place(list, old, to, now);
    let rest = ColumnPatch {
        ty: None,
        options: None,
        on_loss: None,
        ..patch.clone()
    };
    let (list, to) = change_column(&swapped, key, &rest, now)?;
    Ok(Retyped { list, from, to })
}

/// The rule that a patch gives a computed column, if that is another than it has.
pub fn other_rule(old: &Column, patch: &ColumnPatch) -> Result<Option<Rule>, AppError> {
    let Some(computed) = &old.options.computed else {
        return Ok(None);
    };
    let kind = match patch.ty.as_deref() {
        None => Some(computed.rule.kind()),
        Some(name) => RuleKind::from_name(name),
    };
    let sent = patch.options.as_ref();
    let Some((kind, sent)) = kind.zip(sent) else {
        return Ok(None);
    };
    let rule = Rule::from_json(kind, sent).map_err(AppError::fields)?;
    Ok((rule != computed.rule).then_some(rule))
}

/// A computed column by another rule in the place of the old one, whose cells stay as they were. What it
/// holds is still to be said.
pub fn rerule(
    list: &List,
    key: &str,
    rule: Rule,
    patch: &ColumnPatch,
    now: DateTime<Utc>,
) -> Result<Retyped, AppError> {
    let old = list.columns.by_key(key).ok_or_else(AppError::not_found)?;
    let id = list.columns.next_id();
    let id = id.ok_or_else(|| AppError::too_large("The list has used up its columns"))?;
    let to = Column {
        id,
        options: Options {
            computed: Some(Computed::new(rule)),
            ..Options::default()
        },
        ..old.clone()
    };
    let (swapped, from) = put_in_place(list, old, to, now);
    let rest = ColumnPatch {
        ty: None,
        options: None,
        ..patch.clone()
    };
    let (list, to) = change_column(&swapped, key, &rest, now)?;
    Ok(Retyped { list, from, to })
}

/// Puts a column that stands behind another, or stood before it, in its place again.
pub fn swap_back(
    list: &List,
    back: ColumnId,
    gone: ColumnId,
    now: DateTime<Utc>,
) -> Result<Retyped, AppError> {
    let columns = &list.columns;
    let both = columns.by_id(&gone).zip(columns.by_id(&back));
    let (gone, back) = both
        .filter(|(gone, back)| !gone.deleted && back.replaced)
        .ok_or_else(|| AppError::conflict("The column was deleted or changed since"))?;
    let to = Column {
        deleted: false,
        replaced: false,
        position: gone.position,
        ..back.clone()
    };
    let (list, from) = put_in_place(list, gone, to.clone(), now);
    Ok(Retyped { list, from, to })
}

fn put_in_place(list: &List, old: &Column, new: Column, now: DateTime<Utc>) -> (List, Column) {
    let behind = Column {
        deleted: true,
        replaced: true,
        ..old.clone()
    };
    (with(&with(list, behind.clone(), now), new, now), behind)
}

/// Options of the new type: those that were sent, or as many of the old ones as it knows.
fn options(old: &Column, ty: ColumnType, sent: Option<&Value>) -> Result<Options, AppError> {
    if let Some(sent) = sent {
        return Options::from_json(ty, sent, None).map_err(AppError::fields);
    }
    let kept = old.options.to_json();
    let known = |name: &&String| {
        let one = kept.get(name.as_str()).cloned().unwrap_or_default();
        let alone = Value::Object([((*name).clone(), one)].into_iter().collect());
        Options::from_json(ty, &alone, None).is_ok()
    };
    let names: Vec<String> = kept
        .as_object()
        .map(|kept| kept.keys().filter(known).cloned().collect())
        .unwrap_or_default();
    let kept: serde_json::Map<String, Value> = names
        .into_iter()
        .filter_map(|name| Some((name.clone(), kept.get(&name)?.clone())))
        .collect();
    Options::from_json(ty, &Value::Object(kept), None)
        .or_else(|_| Options::from_json(ty, &Value::Null, None))
        .map_err(AppError::fields)
}

/// What a cell becomes, read as imports read what people write; an error where the new column can't hold
/// it. `None`: nothing is left of it to hold. `find_user`: the member whom a text names.
pub fn convert(
    from: &Column,
    to: &Column,
    cell: &Cell,
    find_user: &dyn Fn(&str) -> Option<UserId>,
) -> Result<Option<Cell>, CellError> {
    let Some(cell) = from.shown(cell) else {
        return Ok(None);
    };
    let text = match (cell.as_ref(), to.ty) {
        (Cell::Date(date), ColumnType::DateTime) => {
            return Ok(Some(Cell::DateTime(
                date.and_time(NaiveTime::MIN).and_utc(),
            )));
        }
        (Cell::DateTime(time), ColumnType::Date) if time.time() == NaiveTime::MIN => {
            return Ok(Some(Cell::Date(time.date_naive())));
        }
        (Cell::DateTime(_), ColumnType::Date) => {
            return Err(CellError::new("not_a_date", "it has a time of day"));
        }
        (Cell::Number(_), ty) if ty.is_number() => {
            let nobody = ParseContext {
                members: &|_| false,
            };
            return to.parse_json(&written(from, &cell, &Names::IDS), &nobody);
        }
        (Cell::Bool(bool), ty) if ty.is_number() => u8::from(*bool).to_string(),
        (cell, _) => written(from, cell, &Names::IDS).into_owned(),
    };
    let hints = TextHints {
        find_user,
        ..TextHints::default()
    };
    let nothing = || CellError::new("nothing_left", "it says that there is no value");
    let becomes = to.parse_text(&text, &hints)?.ok_or_else(nothing)?;
    // Of several choices one alone would be left, or a name with a comma in it would be split.
    match (cell.as_ref(), &becomes) {
        (Cell::Choices(before), Cell::Choices(after)) if before.len() != after.len() => Err(
            CellError::new("not_a_choice", "some of its choices are not there"),
        ),
        _ => Ok(Some(becomes)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::schema_change::{ColumnSpec, new_list};
    use crate::ids::ListId;

    fn column(ty: &str, options: Value) -> Column {
        let spec = json!({"key": "K", "type": ty, "options": options}).to_string();
        let spec: ColumnSpec = serde_json::from_str(&spec).unwrap();
        let (id, by) = (ListId(Uuid::nil()), UserId(Uuid::nil()));
        let list = new_list(id, "L", &[spec], 0, by, DateTime::UNIX_EPOCH).unwrap();
        list.columns.by_key("K").unwrap().clone()
    }

    /// What a value of one type becomes of another, or the code of why it can't.
    fn becomes(from: &str, value: &str, to: &str) -> String {
        let choices = json!({"choices": [{"name": "Open"}, {"name": "5"}, {"name": "2026-01-02"}]});
        let of = |ty: &str| match ty {
            "single_select" | "multi_select" => column(ty, choices.clone()),
            _ => column(ty, Value::Null),
        };
        let (from, to) = (of(from), of(to));
        assert!(converts(from.ty, to.ty));
        let cell = from.read_wire_cell(value).unwrap();
        match convert(&from, &to, &cell, &|_| None) {
            Ok(Some(cell)) => {
                let mut wire = String::new();
                to.write_wire_cell(&cell, &mut wire);
                wire
            }
            Ok(None) => "null".to_owned(),
            Err(error) => error.code.to_owned(),
        }
    }

    #[test]
    fn values_become_what_people_would_read_in_them() {
        for (from, value, to, wanted) in [
            ("text", r#""$1,250""#, "currency", "1250"),
            ("text", r#""N/A""#, "number", "nothing_left"),
            ("text", r#""open""#, "single_select", r#""Open""#),
            ("text", r#""Gone""#, "single_select", "not_a_choice"),
            ("text", r#""3/4/2026""#, "date", r#""2026-03-04""#),
            ("text", r#""Yes""#, "checkbox", "true"),
            ("number", "1234.5", "text", r#""1234.5""#),
            ("number", "1234.5", "currency", "1234.5"),
            ("number", "5", "single_select", r#""5""#),
            ("checkbox", "true", "number", "1"),
            ("checkbox", "false", "text", r#""false""#),
            (
                "date",
                r#""2026-01-02""#,
                "date_time",
                r#""2026-01-02T00:00:00Z""#,
            ),
            (
                "date_time",
                r#""2026-01-02T00:00:00Z""#,
                "date",
                r#""2026-01-02""#,
            ),
            (
                "date_time",
                r#""2026-01-02T10:30:00Z""#,
                "date",
                "not_a_date",
            ),
            ("single_select", r#""Open""#, "multi_select", r#"["Open"]"#),
            ("multi_select", r#"["Open"]"#, "single_select", r#""Open""#),
            ("multi_select", r#"["Open","5"]"#, "text", r#""Open, 5""#),
            (
                "multi_select",
                r#"["Open","5"]"#,
                "single_select",
                "not_a_choice",
            ),
            (
                "single_select",
                r#""2026-01-02""#,
                "date",
                r#""2026-01-02""#,
            ),
            (
                "location",
                r#"{"lat":1.5,"lon":-2}"#,
                "text",
                r#""1.5, -2""#,
            ),
            (
                "text",
                r#""1.5, -2""#,
                "location",
                r#"{"lat":1.5,"lon":-2}"#,
            ),
        ] {
            assert_eq!(becomes(from, value, to), wanted, "{from} {value} {to}");
        }
    }

    #[test]
    fn what_has_no_value_of_its_own_never_converts_and_all_else_becomes_text() {
        for from in ColumnType::ALL {
            let own = family(from).is_some();
            assert_eq!(converts(from, ColumnType::Text), own, "{from:?}");
            for to in ColumnType::ALL
                .into_iter()
                .filter(|to| to.is_read_only() || *to == ColumnType::Link)
            {
                assert!(!converts(from, to), "{from:?} {to:?}");
            }
        }
    }
}
