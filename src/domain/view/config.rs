//! What a view may be set to: an object whose parts are checked against the list's columns when it is
//! written, and again when it is read, for columns go. Nothing is dropped on the way: what no longer
//! holds is named with its path, and a client leaves those parts alone.
//!
//! | part | of | value |
//! |---|---|---|
//! | `filter` | all but form | a filter, or null |
//! | `sort` | all but form | `"-ListPrice"`, or an array of keys |
//! | `columns` | all | keys, in the order in which they are shown; a form needs some |
//! | `group_by` | grid, kanban | a column; a kanban needs one, of single choices |
//! | `colors` | all but form | `{"column"}`: of choices, whose colours the items take |
//! | `widths` | grid | pixels (20–2000) by key |
//! | `date`, `end_date` | calendar | columns of dates; it needs the first |
//! | `location` | map | a column of locations or addresses; it needs one |
//! | `cover` | gallery | a column of addresses in the web |
//! | `title`, `description`, `required` | form | texts; keys among its `columns` that must be answered |

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::ViewKind;
use crate::domain::columns::{Column, ColumnSet, ColumnType};
use crate::domain::filter::Filter;
use crate::domain::sort::Sort;
use crate::error::FieldError;
use crate::ids::UserId;

/// Bytes of a config's JSON at most.
pub const MAX_CONFIG_BYTES: usize = 64 * 1024;
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 10_000;

/// Every rule that the config breaks, by path from `/config` on. `me` is whom a filter's `{"me": true}`
/// means.
pub fn check(
    kind: ViewKind,
    config: &Map<String, Value>,
    columns: &ColumnSet,
    me: UserId,
) -> Vec<FieldError> {
    let mut checker = Checker {
        kind,
        columns,
        me,
        errors: Vec::new(),
    };
    checker.run(config);
    checker.errors
}

struct Checker<'a> {
    kind: ViewKind,
    columns: &'a ColumnSet,
    me: UserId,
    errors: Vec<FieldError>,
}

impl Checker<'_> {
    fn run(&mut self, config: &Map<String, Value>) {
        if Value::from(config.clone()).to_string().len() > MAX_CONFIG_BYTES {
            let message = format!("longer than {MAX_CONFIG_BYTES} bytes");
            return self.refuse("", "too_long", message);
        }
        if config.iter().any(|(key, value)| has_nul(key, value)) {
            let message = "text can't hold the NUL character";
            return self.refuse("", "bad_text", message);
        }
        for (part, value) in config {
            let path = format!("/{}", part.replace('~', "~0").replace('/', "~1"));
            match kinds_with(part) {
                None => self.refuse(&path, "unknown_setting", "there is no such setting"),
                Some(kinds) if !kinds.contains(&self.kind) => {
                    let message = format!("a {} has no such setting", self.kind.as_str());
                    self.refuse(&path, "bad_kind", message);
                }
                Some(_) => self.part(part, value, &path, config),
            }
        }
        let needs = match self.kind {
            ViewKind::Kanban => "group_by",
            ViewKind::Calendar => "date",
            ViewKind::Map => "location",
            ViewKind::Form => "columns",
            ViewKind::Grid | ViewKind::Gallery => return,
        };
        if config.get(needs).is_none_or(Value::is_null) {
            let message = format!("a {} needs it", self.kind.as_str());
            self.refuse(&format!("/{needs}"), "required", message);
        }
    }

    fn part(&mut self, part: &str, value: &Value, path: &str, config: &Map<String, Value>) {
        if value.is_null() {
            return;
        }
        match part {
            "filter" => self.filter(value),
            "sort" => self.sort(value),
            "columns" => self.shown(value, path),
            "group_by" => self.one(value, path, |kind, ty| match kind {
                ViewKind::Kanban => ty == ColumnType::SingleSelect,
                _ => !matches!(ty, ColumnType::LongText | ColumnType::Location),
            }),
            "colors" => match value.as_object() {
                Some(colors) if colors.len() == 1 && colors.contains_key("column") => {
                    let column = colors.get("column").unwrap_or(&Value::Null);
                    self.one(column, &format!("{path}/column"), |_, ty| ty.is_select());
                }
                _ => self.refuse(path, "malformed", "expected {\"column\"}"),
            },
            "widths" => self.widths(value, path),
            "date" | "end_date" => self.one(value, path, |_, ty| {
                matches!(ty, ColumnType::Date | ColumnType::DateTime)
            }),
            "location" => self.one(value, path, |_, ty| {
                matches!(ty, ColumnType::Location | ColumnType::Address)
            }),
            "cover" => self.one(value, path, |_, ty| ty == ColumnType::Url),
            "title" => self.text(value, path, MAX_TITLE),
            "description" => self.text(value, path, MAX_DESCRIPTION),
            "required" => self.required(value, path, config.get("columns")),
            _ => {}
        }
    }

    fn filter(&mut self, value: &Value) {
        // It is only looked at here: any day will do.
        let today = chrono::NaiveDate::default();
        if let Err(wrong) = Filter::parse(&value.to_string(), self.columns, self.me, today) {
            self.errors.extend(wrong.into_iter().map(under_config));
        }
    }

    fn sort(&mut self, value: &Value) {
        let keys: Option<Vec<&str>> = match value {
            Value::String(line) => Some(line.split(',').map(str::trim).collect()),
            Value::Array(each) => each.iter().map(Value::as_str).collect(),
            _ => None,
        };
        match keys.map(|keys| Sort::parse(keys, self.columns)) {
            None => self.refuse("/sort", "malformed", "keys of columns"),
            Some(Err(wrong)) => self.errors.push(under_config(wrong)),
            Some(Ok(_)) => {}
        }
    }

    /// The columns that are shown; of a form, those that are asked for.
    fn shown(&mut self, value: &Value, path: &str) {
        let Some(keys) = value.as_array() else {
            return self.refuse(path, "malformed", "an array of keys");
        };
        if keys.is_empty() && self.kind == ViewKind::Form {
            self.refuse(path, "required", "a form asks for something");
        }
        let mut seen = HashSet::new();
        for (at, key) in keys.iter().enumerate() {
            let path = format!("{path}/{at}");
            if !seen.insert(key.as_str()) {
                self.refuse(&path, "duplicate", "this stands twice");
                continue;
            }
            self.one(key, &path, |kind, ty| {
                kind != ViewKind::Form || may_be_asked(ty)
            });
        }
    }

    fn widths(&mut self, value: &Value, path: &str) {
        let Some(widths) = value.as_object() else {
            return self.refuse(path, "malformed", "pixels by key");
        };
        for (key, width) in widths {
            let path = format!("{path}/{key}");
            if self.columns.by_key(key).is_none() {
                self.unknown(&path, key);
            } else if !width.as_u64().is_some_and(|px| (20..=2_000).contains(&px)) {
                self.refuse(&path, "out_of_range", "20 to 2000");
            }
        }
    }

    fn required(&mut self, value: &Value, path: &str, asked: Option<&Value>) {
        let Some(keys) = value.as_array() else {
            return self.refuse(path, "malformed", "an array of keys");
        };
        let asked = asked.and_then(Value::as_array);
        for (at, key) in keys.iter().enumerate() {
            if !asked.is_some_and(|asked| asked.contains(key)) {
                let message = "not among the form's columns";
                self.refuse(&format!("{path}/{at}"), "unknown_column", message);
            }
        }
    }

    fn text(&mut self, value: &Value, path: &str, most: usize) {
        match value.as_str() {
            None => self.refuse(path, "not_text", "expected a text"),
            Some(text) if text.chars().count() > most => {
                self.refuse(path, "too_long", format!("longer than {most} characters"));
            }
            Some(_) => {}
        }
    }

    /// A key of a column of a type that will do.
    fn one(&mut self, key: &Value, path: &str, suits: impl Fn(ViewKind, ColumnType) -> bool) {
        let Some(key) = key.as_str() else {
            return self.refuse(path, "malformed", "expected a column's key");
        };
        let found: Option<ColumnType> = self.columns.by_key(key).map(|column: &Column| column.ty);
        match found {
            None => self.unknown(path, key),
            Some(ty) if !suits(self.kind, ty) => {
                let message = format!("a column of type {} does not do here", ty.as_str());
                self.refuse(path, "bad_type", message);
            }
            Some(_) => {}
        }
    }

    fn unknown(&mut self, path: &str, key: &str) {
        self.refuse(path, "unknown_column", format!("no column {key:?}"));
    }

    fn refuse(&mut self, path: &str, code: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError {
            path: format!("/config{path}"),
            code: code.into(),
            message: message.into(),
        });
    }
}

/// Which kinds of view have that part.
fn kinds_with(part: &str) -> Option<&'static [ViewKind]> {
    use ViewKind::{Calendar, Form, Gallery, Grid, Kanban, Map};
    Some(match part {
        "columns" => &ViewKind::ALL,
        "filter" | "sort" | "colors" => &[Grid, Kanban, Calendar, Gallery, Map],
        "group_by" => &[Grid, Kanban],
        "widths" => &[Grid],
        "date" | "end_date" => &[Calendar],
        "location" => &[Map],
        "cover" => &[Gallery],
        "title" | "description" | "required" => &[Form],
        _ => return None,
    })
}

/// Whether a stranger may be asked for such a cell: neither computed nor the people of the workspace.
pub fn may_be_asked(ty: ColumnType) -> bool {
    ty.is_text()
        || ty.is_select()
        || (ty.is_number() && !ty.is_read_only())
        || matches!(
            ty,
            ColumnType::Checkbox
                | ColumnType::Date
                | ColumnType::DateTime
                | ColumnType::Address
                | ColumnType::Location
        )
}

fn under_config(mut wrong: FieldError) -> FieldError {
    wrong.path.insert_str(0, "/config");
    wrong
}

fn has_nul(key: &str, value: &Value) -> bool {
    key.contains('\0')
        || match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(each) => each.iter().any(|value| has_nul("", value)),
            Value::Object(each) => each.iter().any(|(key, value)| has_nul(key, value)),
            _ => false,
        }
}
