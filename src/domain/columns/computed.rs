//! The options of computed columns: what such a column is made of, and their form on the wire and in
//! Postgres. What its cells come to is `domain::computed`'s to say. The column's own type is that of its
//! results, so that they are filtered, sorted, grouped and shown like any other cell.

use serde_json::{Map, Value};

use super::options::{error, pointer, text};
use super::{CellError, ColumnType, check_key};
use crate::domain::formula::{Fold, Scalar};
use crate::error::FieldError;

/// The types of computed columns, by their names in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    Lookup,
    Rollup,
    Count,
    Formula,
}

/// Where the cells of a computed column come from. Columns stand there by key.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// What stands in a column of the linked items.
    Lookup {
        link: String,
        column: String,
    },
    /// What that comes to.
    Rollup {
        link: String,
        column: String,
        op: Fold,
    },
    /// How many items are linked.
    Count {
        link: String,
    },
    Formula {
        expression: String,
    },
}

/// What a computed column has beside its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    pub rule: Rule,
    /// What the members of its lists are, where the results are lists.
    pub of: Option<Scalar>,
    /// Its cells have all been computed; until then some may be missing or old.
    pub settled: bool,
}

impl RuleKind {
    pub const ALL: [RuleKind; 4] = [
        RuleKind::Lookup,
        RuleKind::Rollup,
        RuleKind::Count,
        RuleKind::Formula,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RuleKind::Lookup => "lookup",
            RuleKind::Rollup => "rollup",
            RuleKind::Count => "count",
            RuleKind::Formula => "formula",
        }
    }

    pub fn from_name(name: &str) -> Option<RuleKind> {
        RuleKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            RuleKind::Lookup => &["link", "column"],
            RuleKind::Rollup => &["link", "column", "op"],
            RuleKind::Count => &["link"],
            RuleKind::Formula => &["expression"],
        }
    }
}

impl Rule {
    /// Checks the options of a request. Whether the columns are there is not judged yet. Paths begin
    /// with `/options`.
    pub fn from_json(kind: RuleKind, sent: &Value) -> Result<Rule, Vec<FieldError>> {
        let empty = Map::new();
        let fields = match sent {
            Value::Null => &empty,
            Value::Object(fields) => fields,
            _ => {
                let message = "options are an object";
                return Err(vec![error("/options", "not_an_object", message)]);
            }
        };
        let mut errors: Vec<FieldError> = fields
            .keys()
            .filter(|name| !kind.options().contains(&name.as_str()))
            // What the server says of a column may be sent back.
            .filter(|name| !["result", "settled"].contains(&name.as_str()))
            .map(|name| {
                let message = format!("a column of type {} has no such option", kind.as_str());
                let path = format!("/options/{}", pointer(name));
                error(&path, "unknown_option", &message)
            })
            .collect();
        let mut part = |name: &str, check: &dyn Fn(&str) -> Result<(), CellError>| {
            let value = fields.get(name).filter(|value| !value.is_null());
            let missing = || CellError::new("required", "this must be said");
            let read = value.ok_or_else(missing).and_then(text);
            let read = read.and_then(|text| check(text).map(|()| text.to_owned()));
            read.map_err(|wrong| {
                let path = format!("/options/{name}");
                errors.push(error(&path, wrong.code, &wrong.message));
            })
            .ok()
        };
        let any = |_: &str| Ok(());
        let fold = |name: &str| match Fold::from_name(name) {
            Some(_) => Ok(()),
            None => Err(CellError::new("unknown_op", "there is no such rollup")),
        };
        let rule = match kind {
            RuleKind::Lookup => {
                let (link, column) = (part("link", &check_key), part("column", &check_key));
                link.zip(column)
                    .map(|(link, column)| Rule::Lookup { link, column })
            }
            RuleKind::Rollup => {
                let (link, column) = (part("link", &check_key), part("column", &check_key));
                let op = part("op", &fold).and_then(|name| Fold::from_name(&name));
                let all = link.zip(column).zip(op);
                all.map(|((link, column), op)| Rule::Rollup { link, column, op })
            }
            RuleKind::Count => part("link", &check_key).map(|link| Rule::Count { link }),
            RuleKind::Formula => {
                part("expression", &any).map(|expression| Rule::Formula { expression })
            }
        };
        match rule {
            Some(rule) if errors.is_empty() => Ok(rule),
            _ => Err(errors),
        }
    }

    pub fn kind(&self) -> RuleKind {
        match self {
            Rule::Lookup { .. } => RuleKind::Lookup,
            Rule::Rollup { .. } => RuleKind::Rollup,
            Rule::Count { .. } => RuleKind::Count,
            Rule::Formula { .. } => RuleKind::Formula,
        }
    }

    /// The options as they were sent.
    pub(super) fn write(&self, to: &mut Map<String, Value>) {
        let mut put = |name: &str, value: &str| to.insert(name.to_owned(), value.into());
        match self {
            Rule::Lookup { link, column } => {
                put("link", link);
                put("column", column);
            }
            Rule::Rollup { link, column, op } => {
                put("link", link);
                put("column", column);
                put("op", op.as_str());
            }
            Rule::Count { link } => drop(put("link", link)),
            Rule::Formula { expression } => drop(put("expression", expression)),
        }
    }
}

impl Computed {
    /// What it holds is not known yet.
    pub fn new(rule: Rule) -> Computed {
        Computed {
            rule,
            of: None,
            settled: true,
        }
    }

    /// The options for the wire: those that were sent, and what comes of them.
    pub(super) fn to_json(&self, ty: ColumnType) -> Value {
        let mut fields = Map::new();
        self.rule.write(&mut fields);
        fields.insert("result".to_owned(), ty.as_str().into());
        if !self.settled {
            fields.insert("settled".to_owned(), false.into());
        }
        Value::Object(fields)
    }

    pub(super) fn to_stored(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), self.rule.kind().as_str().into());
        self.rule.write(&mut fields);
        if let Some(of) = self.of {
            fields.insert("of".to_owned(), of.as_str().into());
        }
        fields.insert("settled".to_owned(), self.settled.into());
        Value::Object(fields)
    }

    pub(super) fn from_stored(stored: &Value) -> Option<Computed> {
        let text = |name: &str| stored.get(name).and_then(Value::as_str);
        let kind = RuleKind::from_name(text("type")?)?;
        let options = kind.options().iter();
        let sent =
            options.filter_map(|name| Some(((*name).to_owned(), stored.get(*name)?.clone())));
        Some(Computed {
            rule: Rule::from_json(kind, &Value::Object(sent.collect())).ok()?,
            of: text("of").and_then(Scalar::from_name),
            settled: stored.get("settled") == Some(&Value::Bool(true)),
        })
    }
}
