//! The options of a column: which each type has, their limits, their form on the wire and in Postgres.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::choices::Choices;
use super::computed::Computed;
use super::link::LinkOptions;
use super::pattern::Pattern;
use super::{CellError, ColumnType, MAX_TEXT, json, number};
use crate::error::FieldError;

/// The most decimals that `precision` may ask for.
const MAX_PRECISION: u32 = 10;
/// The most stars of a rating.
const MAX_STARS: Decimal = Decimal::from_parts(10, 0, 0, false, 0);

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
    /// user, link: whether a cell may name several.
    pub multiple: bool,
    /// link: where it points.
    pub link: Option<LinkOptions>,
    /// What its cells are computed from; none where people write them.
    pub computed: Option<Computed>,
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
            if !has_option(ty, name) {
                let message = format!("a column of type {} has no such option", ty.as_str());
                errors.push(error(
                    &format!("/options/{}", pointer(name)),
                    "unknown_option",
                    &message,
                ));
            } else if name == "choices" || LINK.contains(&name.as_str()) {
                // Read below: they take up the previous ones even when none are sent.
            } else if value.is_null() {
                // As if it were not sent.
            } else if let Err(wrong) = options.set(name, value) {
                errors.push(error(
                    &format!("/options/{name}"),
                    wrong.code,
                    &wrong.message,
                ));
            }
        }
        if ty.is_select() {
            let previous = previous.map(|previous| &previous.choices);
            match Choices::from_json(fields.get("choices"), previous) {
                Ok(choices) => options.choices = choices,
                Err(mut wrong) => errors.append(&mut wrong),
            }
        }
        if ty == ColumnType::Link {
            if let (None, Some(previous)) = (fields.get("multiple"), previous) {
                options.multiple = previous.multiple;
            }
            match LinkOptions::from_json(fields, previous.and_then(|old| old.link.as_ref())) {
                Ok(link) => options.link = Some(link),
                Err(mut wrong) => errors.append(&mut wrong),
            }
        }
        if ty == ColumnType::Rating {
            errors.extend(options.wrong_stars());
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
    fn set(&mut self, name: &str, value: &Value) -> Result<(), CellError> {
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

    /// A rating's bounds that are no stars.
    fn wrong_stars(&self) -> impl Iterator<Item = FieldError> {
        let bounds = [("/options/min", self.min), ("/options/max", self.max)];
        bounds
            .into_iter()
            .filter(|(_, bound)| {
                bound.is_some_and(|stars| {
                    !stars.is_integer() || stars.is_sign_negative() || stars > MAX_STARS
                })
            })
            .map(|(path, _)| error(path, "bad_option", "a whole number from 0 to 10"))
    }

    /// The options for the wire: an object of those that are set; choices without ids.
    pub fn to_json(&self) -> Value {
        let mut fields = self.plain();
        if self.choices.next() > 0 {
            fields.insert("choices".to_owned(), self.choices.to_json());
        }
        Value::Object(fields)
    }

    /// The options for Postgres: choices with their ids and the counter of these.
    pub fn to_stored(&self) -> Value {
        let mut fields = self.plain();
        if self.choices.next() > 0 {
            fields.insert("choices".to_owned(), self.choices.to_stored());
            fields.insert("next_choice".to_owned(), self.choices.next().into());
        }
        if let Some(link) = &self.link {
            link.write_stored(&mut fields);
        }
        if let Some(computed) = &self.computed {
            fields.insert("computed".to_owned(), computed.to_stored());
        }
        Value::Object(fields)
    }

    /// Reads what [`to_stored`](Self::to_stored) made. It was checked on its way in; what this
    /// version can't read is left out.
    pub fn from_stored(stored: &Value) -> Options {
        let mut options = Options::default();
        for (name, value) in stored.as_object().into_iter().flatten() {
            if name == "choices" {
                let next = stored.get("next_choice").and_then(Value::as_u64);
                let next = next
                    .and_then(|next| u32::try_from(next).ok())
                    .unwrap_or_default();
                options.choices = Choices::from_stored(value, next);
            } else {
                let _ = options.set(name, value);
            }
        }
        options.link = stored.as_object().and_then(LinkOptions::from_stored);
        options.computed = stored.get("computed").and_then(Computed::from_stored);
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
        let mut fields: Map<String, Value> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        if let Some(link) = &self.link {
            fields.insert("multiple".to_owned(), self.multiple.into());
            link.write(&mut fields);
        }
        fields
    }
}

/// The options that [`LinkOptions`] reads.
const LINK: [&str; 4] = ["list_id", "inverse_key", "inverse_multiple", "on_delete"];

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
        ColumnType::Link => &[
            "list_id",
            "inverse_key",
            "inverse_multiple",
            "on_delete",
            "multiple",
        ],
        ColumnType::Checkbox
        | ColumnType::Date
        | ColumnType::Email
        | ColumnType::Url
        | ColumnType::Address
        | ColumnType::Location
        | ColumnType::List
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

pub(super) fn text(value: &Value) -> Result<&str, CellError> {
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

pub(super) fn error(path: &str, code: &'static str, message: &str) -> FieldError {
    FieldError {
        path: path.to_owned(),
        code: code.into(),
        message: message.to_owned(),
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
pub(super) fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(ty: ColumnType, sent: Value) -> Result<Options, Vec<(String, String)>> {
        Options::from_json(ty, &sent, None).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| (error.path, error.code.into_owned()))
                .collect()
        })
    }

    #[test]
    fn options_go_to_the_wire_and_to_postgres_and_back() {
        for (ty, sent) in [
            (
                ColumnType::Text,
                json!({"max_length": 20, "pattern": "[A-Z]+"}),
            ),
            (
                ColumnType::Number,
                json!({"precision": 2, "min": -0.5, "max": 100000}),
            ),
            (
                ColumnType::Currency,
                json!({"currency": "USD", "precision": 2}),
            ),
            (ColumnType::Percent, json!({"min": 0, "max": 100})),
            (ColumnType::Rating, json!({"max": 10})),
            (
                ColumnType::DateTime,
                json!({"time_zone": "America/Argentina/Buenos_Aires"}),
            ),
            (ColumnType::CreatedAt, json!({"time_zone": "UTC"})),
            (
                ColumnType::SingleSelect,
                json!({"choices": [{"name": "A", "color": "red"}, {"name": "B", "color": "#00ff00"}]}),
            ),
            (ColumnType::MultiSelect, json!({"choices": []})),
            (ColumnType::Phone, json!({"region": "US"})),
            (ColumnType::User, json!({"multiple": true})),
            (ColumnType::Date, json!({})),
        ] {
            let read = options(ty, sent.clone()).unwrap();
            assert_eq!(read.to_json(), sent);
            let back = Options::from_stored(&read.to_stored());
            assert_eq!(back, read);
            assert_eq!(
                Options::from_json(ty, &read.to_json(), Some(&back)).unwrap(),
                read
            );
        }
    }

    #[test]
    fn null_options_are_as_if_not_sent() {
        assert_eq!(
            options(ColumnType::Text, Value::Null),
            Ok(Options::default())
        );
        assert_eq!(
            options(ColumnType::Text, json!({"pattern": null})),
            Ok(Options::default())
        );
        let select = options(
            ColumnType::SingleSelect,
            json!({"choices": [{"name": "A"}]}),
        )
        .unwrap();
        for sent in [json!(null), json!({}), json!({"choices": null})] {
            assert_eq!(
                Options::from_json(ColumnType::SingleSelect, &sent, Some(&select)).unwrap(),
                select
            );
        }
    }

    #[test]
    fn what_a_type_does_not_have_or_take_is_refused_by_path() {
        for (ty, sent, path, code) in [
            (ColumnType::Text, json!([]), "/options", "not_an_object"),
            (
                ColumnType::Text,
                json!({"choices": []}),
                "/options/choices",
                "unknown_option",
            ),
            (
                ColumnType::Text,
                json!({"precision": null}),
                "/options/precision",
                "unknown_option",
            ),
            (
                ColumnType::Text,
                json!({"a/b~": 1}),
                "/options/a~1b~0",
                "unknown_option",
            ),
            (
                ColumnType::Number,
                json!({"unique": true}),
                "/options/unique",
                "unknown_option",
            ),
            (
                ColumnType::Number,
                json!({"currency": "USD"}),
                "/options/currency",
                "unknown_option",
            ),
            (
                ColumnType::Text,
                json!({"max_length": 0}),
                "/options/max_length",
                "bad_option",
            ),
            (
                ColumnType::Text,
                json!({"max_length": 100_001}),
                "/options/max_length",
                "bad_option",
            ),
            (
                ColumnType::Text,
                json!({"pattern": "("}),
                "/options/pattern",
                "bad_pattern",
            ),
            (
                ColumnType::Text,
                json!({"pattern": 1}),
                "/options/pattern",
                "not_text",
            ),
            (
                ColumnType::Number,
                json!({"precision": 11}),
                "/options/precision",
                "bad_option",
            ),
            (
                ColumnType::Number,
                json!({"min": "1"}),
                "/options/min",
                "not_a_number",
            ),
            (
                ColumnType::Number,
                json!({"min": 0.12345678901234567}),
                "/options/min",
                "too_precise",
            ),
            (
                ColumnType::Number,
                json!({"min": 2, "max": 1}),
                "/options/min",
                "too_large",
            ),
            (
                ColumnType::Rating,
                json!({"max": 11}),
                "/options/max",
                "bad_option",
            ),
            (
                ColumnType::Rating,
                json!({"max": 2.5}),
                "/options/max",
                "bad_option",
            ),
            (
                ColumnType::Currency,
                json!({"currency": "usd"}),
                "/options/currency",
                "bad_option",
            ),
            (
                ColumnType::Currency,
                json!({"currency": "ABC"}),
                "/options/currency",
                "bad_option",
            ),
            (
                ColumnType::DateTime,
                json!({"time_zone": "Mars"}),
                "/options/time_zone",
                "bad_option",
            ),
            (
                ColumnType::DateTime,
                json!({"time_zone": "a/../b"}),
                "/options/time_zone",
                "bad_option",
            ),
            (
                ColumnType::Phone,
                json!({"region": "usa"}),
                "/options/region",
                "bad_option",
            ),
            (
                ColumnType::User,
                json!({"multiple": 1}),
                "/options/multiple",
                "not_a_bool",
            ),
            (
                ColumnType::SingleSelect,
                json!({"choices": [{}]}),
                "/options/choices/0/name",
                "required",
            ),
        ] {
            assert_eq!(
                options(ty, sent.clone()),
                Err(vec![(path.to_owned(), code.to_owned())]),
                "{sent}"
            );
        }
    }

    #[test]
    fn every_wrong_option_is_named() {
        let wrong = options(
            ColumnType::Text,
            json!({"max_length": 0, "pattern": "(", "x": 1}),
        )
        .unwrap_err();
        assert_eq!(wrong.len(), 3);
    }
}
