//! The options of a column, checked by its type, with the choices of selects. On the wire choices
//! are names and colours; in Postgres they carry ids, which stay with a name for as long as it is
//! listed and are never given to another.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use regex::{Regex, RegexBuilder};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{CellError, ColumnType, MAX_TEXT, check_name, json, number};
use crate::domain::cell::ChoiceId;
use crate::domain::fold::folded;
use crate::error::FieldError;

/// The most choices in one column.
pub const MAX_CHOICES: usize = 1_000;
/// The most decimals that `precision` may ask for.
const MAX_PRECISION: u32 = 10;
/// The most stars of a rating.
const MAX_STARS: u32 = 10;
/// The longest pattern, in characters.
const MAX_PATTERN: usize = 500;
/// What a compiled pattern may weigh, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

/// The colours that choices get when nothing is said, in turn.
const PALETTE: [&str; 10] = [
    "blue", "green", "yellow", "red", "purple", "orange", "teal", "pink", "brown", "gray",
];

/// A column's options. Those that its type does not have are at their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// text, long_text: the most characters.
    pub max_length: Option<u32>,
    /// text, long_text: what the whole text must match.
    pub pattern: Option<Pattern>,
    /// number, currency, percent: the most decimals.
    pub precision: Option<u32>,
    /// Numbers: the least value. A rating's is 0 when not said.
    pub min: Option<Decimal>,
    /// Numbers: the greatest value. A rating's is 5 when not said.
    pub max: Option<Decimal>,
    /// currency: ISO 4217, three capitals.
    pub currency: Option<String>,
    /// date_time and the times of an item: an IANA zone, for display.
    pub time_zone: Option<String>,
    /// single_select, multi_select.
    pub choices: Choices,
    /// phone: ISO 3166-1, two capitals; numbers without a country code are of this country.
    pub region: Option<String>,
    /// user: whether a cell may name several.
    pub multiple: bool,
}

impl Options {
    /// Checks the `options` of a request (`null` for none) as the complete new options of a column
    /// of type `ty`. With the `previous` ones choices keep their ids by name, and a choice may carry
    /// `"was": "Old name"`. Paths of errors begin with `/options`.
    pub fn from_json(
        ty: ColumnType,
        sent: &Value,
        previous: Option<&Options>,
    ) -> Result<Options, Vec<FieldError>> {
        let empty = Map::new();
        let mut errors = Vec::new();
        let fields = match sent {
            Value::Null => &empty,
            Value::Object(fields) => fields,
            _ => {
                return Err(vec![error(
                    "/options",
                    "not_an_object",
                    "options are an object",
                )]);
            }
        };
        let mut options = Options::default();
        for (name, value) in fields {
            if value.is_null() {
                continue;
            }
            if !has_option(ty, name) {
                let message = format!("a column of type {} has no such option", ty.as_str());
                errors.push(error(
                    &format!("/options/{}", pointer(name)),
                    "unknown_option",
                    &message,
                ));
            } else if name == "choices" {
                match Choices::from_json(value, previous.map(|previous| &previous.choices)) {
                    Ok(choices) => options.choices = choices,
                    Err(mut wrong) => errors.append(&mut wrong),
                }
            } else if let Err(wrong) = options.set(ty, name, value) {
                errors.push(error(
                    &format!("/options/{name}"),
                    wrong.code,
                    &wrong.message,
                ));
            }
        }
        if ty.is_select() && options.choices.is_empty() && !fields.contains_key("choices") {
            // Not said is not "none": the choices stay.
            options.choices = previous
                .map(|previous| previous.choices.clone())
                .unwrap_or_default();
        }
        if options
            .min
            .zip(options.max)
            .is_some_and(|(min, max)| min > max)
        {
            errors.push(error(
                "/options/min",
                "too_large",
                "min is greater than max",
            ));
        }
        if errors.is_empty() {
            Ok(options)
        } else {
            Err(errors)
        }
    }

    /// Sets one option that the type has.
    fn set(&mut self, ty: ColumnType, name: &str, value: &Value) -> Result<(), CellError> {
        match name {
            "max_length" => {
                self.max_length = Some(whole(
                    value,
                    1,
                    u32::try_from(MAX_TEXT).unwrap_or(u32::MAX),
                )?)
            }
            "pattern" => self.pattern = Some(Pattern::new(text(value)?)?),
            "precision" => self.precision = Some(whole(value, 0, MAX_PRECISION)?),
            "min" | "max" if ty == ColumnType::Rating => {
                let stars = Some(Decimal::from(whole(value, 0, MAX_STARS)?));
                if name == "min" {
                    self.min = stars
                } else {
                    self.max = stars
                }
            }
            "min" => self.min = Some(decimal(value)?),
            "max" => self.max = Some(decimal(value)?),
            "currency" => self.currency = Some(currency(text(value)?)?),
            "time_zone" => self.time_zone = Some(time_zone(text(value)?)?),
            "region" => self.region = Some(region(text(value)?)?),
            "multiple" => {
                self.multiple = value
                    .as_bool()
                    .ok_or_else(|| CellError::new("not_a_bool", "true or false"))?;
            }
            _ => return Err(CellError::new("unknown_option", "there is no such option")),
        }
        Ok(())
    }

    /// The options for the wire: an object of those that are set; choices without ids.
    pub fn to_json(&self, ty: ColumnType) -> Value {
        let mut fields = self.plain();
        if ty.is_select() {
            let choices = self
                .choices
                .iter()
                .map(|choice| json!({"name": choice.name, "color": choice.color}));
            fields.insert("choices".to_owned(), choices.collect());
        }
        Value::Object(fields)
    }

    /// The options for Postgres: choices with their ids and the counter of these.
    pub fn to_stored(&self) -> Value {
        let mut fields = self.plain();
        if self.choices.next > 0 {
            let choices = self
                .choices
                .iter()
                .map(|c| json!({"id": c.id, "name": c.name, "color": c.color}));
            fields.insert("choices".to_owned(), choices.collect());
            fields.insert("next_choice".to_owned(), json!(self.choices.next));
        }
        Value::Object(fields)
    }

    /// Reads what [`to_stored`](Self::to_stored) made. What this version no longer accepts (it was
    /// checked on its way in) is left out.
    pub fn from_stored(ty: ColumnType, stored: &Value) -> Options {
        let mut options = Options::default();
        for (name, value) in stored.as_object().into_iter().flatten() {
            if name == "choices" {
                let next = stored
                    .get("next_choice")
                    .and_then(Value::as_u64)
                    .and_then(|n| u32::try_from(n).ok());
                options.choices = Choices::from_stored(value, next.unwrap_or_default());
            } else {
                let _ = options.set(ty, name, value);
            }
        }
        options
    }

    fn plain(&self) -> Map<String, Value> {
        let number = |number: Decimal| {
            let mut text = String::new();
            json::write_number(number, &mut text);
            serde_json::from_str(&text).unwrap_or(Value::Null)
        };
        let fields = [
            ("max_length", self.max_length.map(Value::from)),
            (
                "pattern",
                self.pattern.as_ref().map(|pattern| pattern.source().into()),
            ),
            ("precision", self.precision.map(Value::from)),
            ("min", self.min.map(number)),
            ("max", self.max.map(number)),
            ("currency", self.currency.clone().map(Value::from)),
            ("time_zone", self.time_zone.clone().map(Value::from)),
            ("region", self.region.clone().map(Value::from)),
            ("multiple", self.multiple.then_some(Value::Bool(true))),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

fn has_option(ty: ColumnType, name: &str) -> bool {
    let names: &[&str] = match ty {
        ColumnType::Text | ColumnType::LongText => &["max_length", "pattern"],
        ColumnType::Number | ColumnType::Percent => &["precision", "min", "max"],
        ColumnType::Currency => &["precision", "min", "max", "currency"],
        ColumnType::Rating => &["min", "max"],
        ColumnType::DateTime | ColumnType::CreatedAt | ColumnType::UpdatedAt => &["time_zone"],
        ColumnType::SingleSelect | ColumnType::MultiSelect => &["choices"],
        ColumnType::Phone => &["region"],
        ColumnType::User => &["multiple"],
        ColumnType::Checkbox
        | ColumnType::Date
        | ColumnType::Email
        | ColumnType::Url
        | ColumnType::Address
        | ColumnType::Location
        | ColumnType::AutoNumber
        | ColumnType::CreatedBy
        | ColumnType::UpdatedBy => &[],
    };
    names.contains(&name)
}

fn whole(value: &Value, least: u32, most: u32) -> Result<u32, CellError> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            CellError::new(
                "bad_option",
                format!("a whole number from {least} to {most}"),
            )
        })
}

fn text(value: &Value) -> Result<&str, CellError> {
    value
        .as_str()
        .ok_or_else(|| CellError::new("not_text", "a text"))
}

fn decimal(value: &Value) -> Result<Decimal, CellError> {
    match value {
        Value::Number(number) => number::read(&number.to_string()),
        _ => Err(CellError::new("not_a_number", "a number")),
    }
}

fn currency(code: &str) -> Result<String, CellError> {
    match iso_currency::Currency::from_code(code) {
        Some(currency) => Ok(currency.code().to_owned()),
        None => Err(CellError::new(
            "bad_option",
            "a currency of ISO 4217, like USD",
        )),
    }
}

fn region(code: &str) -> Result<String, CellError> {
    match code.parse::<phonenumber::country::Id>() {
        Ok(_) => Ok(code.to_owned()),
        Err(_) => Err(CellError::new(
            "bad_option",
            "a country of ISO 3166-1, like US",
        )),
    }
}

/// Checks the shape of a zone's name. The zones themselves change too often to be known here.
fn time_zone(name: &str) -> Result<String, CellError> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    let shaped =
        name.len() <= 64 && name.split('/').all(part) && (name.contains('/') || name == "UTC");
    if shaped {
        Ok(name.to_owned())
    } else {
        Err(CellError::new(
            "bad_option",
            "a time zone of the IANA, like America/Los_Angeles",
        ))
    }
}

fn error(path: &str, code: &'static str, message: &str) -> FieldError {
    FieldError {
        path: path.to_owned(),
        code: code.into(),
        message: message.to_owned(),
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a whole text must match. Compiled once; matching takes time linear in the text.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern in the syntax of the `regex` crate: no look-around, no back-references.
    pub fn new(source: &str) -> Result<Pattern, CellError> {
        let refused = |_| {
            CellError::new(
                "bad_pattern",
                "not a pattern that can be matched in linear time",
            )
        };
        if source.chars().count() > MAX_PATTERN {
            return Err(CellError::new(
                "too_long",
                format!("a pattern has at most {MAX_PATTERN} characters"),
            ));
        }
        let build = |text: &str| {
            RegexBuilder::new(text)
                .size_limit(PATTERN_SIZE)
                .dfa_size_limit(PATTERN_SIZE)
                .nest_limit(50)
                .build()
        };
        // Alone first: what is no pattern must not become one by the brackets around it.
        build(source).map_err(refused)?;
        let regex = build(&format!("\\A(?:{source})\\z")).map_err(refused)?;
        Ok(Pattern {
            source: source.to_owned(),
            regex,
        })
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

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

    fn from_json(sent: &Value, previous: Option<&Choices>) -> Result<Choices, Vec<FieldError>> {
        let at = |at: usize, field: &str| format!("/options/choices/{at}{field}");
        let Some(members) = sent.as_array() else {
            return Err(vec![error(
                "/options/choices",
                "not_an_array",
                "choices are an array of {\"name\",\"color\"}",
            )]);
        };
        if members.len() > MAX_CHOICES {
            return Err(vec![error(
                "/options/choices",
                "too_many",
                "at most 1000 choices in a column",
            )]);
        }
        let mut errors = Vec::new();
        let mut drafts = Vec::new();
        for (index, member) in members.iter().enumerate() {
            match Draft::read(member) {
                Ok(draft) => drafts.push(draft),
                Err((field, wrong)) => {
                    errors.push(error(&at(index, &field), wrong.code, &wrong.message))
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut names = HashSet::new();
        let mut taken = HashSet::new();
        for (index, draft) in drafts.iter_mut().enumerate() {
            if !names.insert(folded(draft.name).into_owned()) {
                errors.push(error(
                    &at(index, "/name"),
                    "duplicate",
                    "two choices of one name",
                ));
            }
            if let Some(was) = draft.was {
                draft.id = previous
                    .and_then(|previous| previous.by_name(was))
                    .map(|choice| choice.id);
                if draft.id.is_none_or(|id| !taken.insert(id)) {
                    errors.push(error(
                        &at(index, "/was"),
                        "not_a_choice",
                        "no choice of that name is left to be renamed",
                    ));
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut next = previous.map_or(1, |previous| previous.next.max(1));
        let mut list = Vec::with_capacity(drafts.len());
        for draft in drafts {
            // A name in another case is the same choice.
            let kept = previous.and_then(|previous| match draft.id {
                Some(id) => previous.by_id(id),
                None => previous
                    .by_name_loosely(draft.name)
                    .filter(|choice| taken.insert(choice.id)),
            });
            let id = match kept {
                Some(choice) => choice.id,
                None => {
                    let Some(id) = ChoiceId::nth(next) else {
                        return Err(vec![error(
                            "/options/choices",
                            "too_many",
                            "this column has used up its choices",
                        )]);
                    };
                    next += 1;
                    id
                }
            };
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

    fn from_stored(stored: &Value, next: u32) -> Choices {
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
