//! The whole plan of an import: how the file is read, where each of its columns goes, which columns
//! are to be made first. It is stored with the job and says all that a worker needs beside the file.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::format::Format;
use super::header::Header;
use super::infer::{self, Inferred};
use super::keys::Keys;
use super::mapping::{Target, folded};
use super::options::{Mode, OnError, Options};
use super::{Refusal, Warning, pointer_step};
use crate::domain::columns::{Column, ColumnSet, ColumnType, DateOrder, MAX_COLUMNS, TextHints};
use crate::ids::UserId;

/// What will be done with a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportPlan {
    pub dialect: Dialect,
    /// Which record of the file is its header, from 1, blank lines counted; 0: there is none.
    pub header_record: u32,
    /// Bytes from the file's start to its first row.
    pub data_start: u64,
    /// Rows of the file, blank lines left out.
    pub rows: u64,
    /// One for each column of the file, in its order.
    pub columns: Vec<PlannedColumn>,
    pub on_error: OnError,
    #[serde(default)]
    pub mode: Mode,
    /// Keys of the columns by which rows find their items; none where all are new.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What the file came as.
    #[serde(default)]
    pub format: Format,
    #[serde(default = "utf_8")]
    pub encoding: String,
    /// What a person should know about the file.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

fn utf_8() -> String {
    "UTF-8".to_owned()
}

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedColumn {
    /// Its name in the file.
    pub source: String,
    pub target: PlannedTarget,
    /// How its dates are read.
    pub date_order: Option<DateOrder>,
    /// `1.234` is read as 1234, not as 1 and a bit.
    pub decimal_comma: bool,
    /// The first values that are not blank, as the file has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<String>,
}

/// Where its values go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlannedTarget {
    Skip,
    Existing { key: String },
    Create(NewColumn),
}

/// A column to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewColumn {
    pub key: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// As in a request.
    pub options: Value,
    /// Percent.
    pub confidence: u8,
}

/// A column of the file that goes into a column of the list.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Position in the record, from 0.
    pub field: usize,
    pub column: Column,
    pub date_order: DateOrder,
    pub decimal_comma: bool,
}

impl Binding {
    /// How `Column::parse_text` is to read the field. `find_user`: the member whom a text names.
    pub fn hints<'a>(&self, find_user: &'a dyn Fn(&str) -> Option<UserId>) -> TextHints<'a> {
        TextHints {
            date_order: self.date_order,
            decimal_comma: self.decimal_comma,
            find_user,
        }
    }
}

impl ImportPlan {
    /// Puts together what was found out. `targets` and `inferred`: one for each of the header's
    /// names. Refuses `ambiguous_date_order` (a mapped date column whose days may be months) and
    /// `too_many_columns`, all at once.
    pub fn new(
        dialect: Dialect,
        header: &Header,
        targets: Vec<Target>,
        inferred: Vec<Inferred>,
        rows: u64,
        options: &Options,
        columns: &ColumnSet,
    ) -> Result<Self, Vec<Refusal>> {
        let mut keys = Keys::new(columns.iter().map(|column| column.key.as_str()));
        let mut refusals = Vec::new();
        let mut planned = Vec::with_capacity(header.names.len());
        for (index, ((name, target), verdict)) in
            header.names.iter().zip(targets).zip(inferred).enumerate()
        {
            let (decimal_comma, date_order) = (
                verdict.decimal_comma,
                verdict.date_order.or(options.date_order),
            );
            if let Target::Existing(key) = &target
                && is_date(columns.by_key(key))
                && verdict.date_order_unknown
            {
                refusals.push(ambiguous_dates(name));
            }
            let samples = verdict.samples.clone();
            let target = match target {
                Target::Skip => PlannedTarget::Skip,
                Target::Existing(key) => PlannedTarget::Existing { key },
                Target::New => {
                    PlannedTarget::Create(new_column(keys.key(name, index + 1), name, verdict))
                }
            };
            planned.push(PlannedColumn {
                source: name.clone(),
                target,
                date_order,
                decimal_comma,
                samples,
            });
        }
        let mut plan = Self {
            dialect,
            header_record: header.record,
            data_start: header.data_start,
            rows,
            columns: planned,
            on_error: options.on_error,
            mode: options.mode,
            keys: Vec::new(),
            format: Format::Delimited,
            encoding: utf_8(),
            warnings: header.warnings.clone(),
        };
        match plan.row_key(&options.keys, columns) {
            Ok(keys) => plan.keys = keys,
            Err(refused) => refusals.extend(refused),
        }
        if columns.len() + plan.new_columns().count() > MAX_COLUMNS {
            refusals.push(Refusal::file(
                "too_many_columns",
                format!("With the file's the list would have more than {MAX_COLUMNS} columns"),
            ));
        }
        if refusals.is_empty() {
            Ok(plan)
        } else {
            Err(refusals)
        }
    }

    /// The columns of the key, of those that the person named. Refuses `bad_value` (a key where all rows
    /// are new), `required` (no key, and no unique column in the file), `unknown_key` (not in the file)
    /// and `bad_key` (its values can't be told apart).
    fn row_key(&self, named: &[String], columns: &ColumnSet) -> Result<Vec<String>, Vec<Refusal>> {
        let refused = |code, message: String| Refusal::at("/key", code, message);
        let filled = self
            .columns
            .iter()
            .filter_map(|planned| match &planned.target {
                PlannedTarget::Existing { key } => Some((planned.source.as_str(), key.as_str())),
                _ => None,
            });
        let filled: Vec<(&str, &str)> = filled.collect();
        if self.mode == Mode::Create {
            let message = "rows that are all new need no key; say mode=upsert or mode=update";
            return match named {
                [] => Ok(Vec::new()),
                _ => Err(vec![refused("bad_value", message.to_owned())]),
            };
        }
        if named.is_empty() {
            let is_unique = |key: &str| columns.by_key(key).is_some_and(|column| column.unique);
            let unique = filled.iter().find(|(_, key)| is_unique(key));
            let message = "say by which columns rows find their items";
            return unique
                .map(|(_, key)| vec![(*key).to_owned()])
                .ok_or_else(|| vec![refused("required", message.to_owned())]);
        }
        let (mut keys, mut refusals) = (Vec::new(), Vec::new());
        for name in named {
            let same = |text: &str| folded(text) == folded(name);
            let found = filled
                .iter()
                .find(|(source, key)| same(key) || same(source));
            match found.and_then(|(_, key)| columns.by_key(key)) {
                None => refusals.push(refused(
                    "unknown_key",
                    format!("No column of the file goes to a column `{name}` of the list"),
                )),
                Some(column) if !column.ty.may_be_unique() => refusals.push(refused(
                    "bad_key",
                    format!("Rows can't be told apart by `{name}`"),
                )),
                Some(column) if keys.contains(&column.key) => {}
                Some(column) => keys.push(column.key.clone()),
            }
        }
        if refusals.is_empty() {
            Ok(keys)
        } else {
            Err(refusals)
        }
    }

    /// The columns to be made before the first row is stored.
    pub fn new_columns(&self) -> impl Iterator<Item = &NewColumn> {
        self.columns
            .iter()
            .filter_map(|column| match &column.target {
                PlannedTarget::Create(new) => Some(new),
                _ => None,
            })
    }

    /// The plan's columns as they stand in the list now. Refuses `unknown_column` (deleted since).
    pub fn bind(&self, columns: &ColumnSet) -> Result<Vec<Binding>, Refusal> {
        let mut bindings = Vec::with_capacity(self.columns.len());
        for (field, planned) in self.columns.iter().enumerate() {
            let key = match &planned.target {
                PlannedTarget::Skip => continue,
                PlannedTarget::Existing { key } | PlannedTarget::Create(NewColumn { key, .. }) => {
                    key
                }
            };
            let column = columns.by_key(key).ok_or_else(|| {
                Refusal::at(
                    format!("/mapping/{}", pointer_step(&planned.source)),
                    "unknown_column",
                    format!("The list has no column `{key}` any more"),
                )
            })?;
            bindings.push(Binding {
                field,
                column: column.clone(),
                date_order: planned.date_order.unwrap_or(DateOrder::Mdy),
                decimal_comma: planned.decimal_comma,
            });
        }
        Ok(bindings)
    }
}

fn new_column(key: String, name: &str, verdict: Inferred) -> NewColumn {
    let options = match (verdict.ty, verdict.currency) {
        (ColumnType::Currency, Some(code)) => json!({ "currency": code }),
        (ColumnType::Phone, _) => json!({ "region": infer::PHONE_REGION }),
        (ColumnType::SingleSelect, _) => {
            let choices: Vec<Value> = verdict
                .choices
                .iter()
                .map(|name| json!({ "name": name }))
                .collect();
            json!({ "choices": choices })
        }
        _ => json!({}),
    };
    NewColumn {
        key,
        name: name.to_owned(),
        ty: verdict.ty,
        options,
        confidence: verdict.confidence,
    }
}

fn is_date(column: Option<&Column>) -> bool {
    column.is_some_and(|column| matches!(column.ty, ColumnType::Date | ColumnType::DateTime))
}

fn ambiguous_dates(name: &str) -> Refusal {
    Refusal::at(
        "/date_order",
        "ambiguous_date_order",
        format!(
            "The dates of \"{name}\" can be read day first or month first; say which with `date_order`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::dialect::LineEnd;
    use super::super::infer::Survey;
    use super::*;

    const DIALECT: Dialect = Dialect {
        delimiter: b',',
        quote: Some(b'"'),
        line_end: LineEnd::Lf,
        start: 0,
    };

    fn plan(
        names: &[&str],
        targets: Vec<Target>,
        row: &[&str],
        columns: &ColumnSet,
    ) -> Result<ImportPlan, Vec<Refusal>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut survey = Survey::new(&names, &DIALECT, None);
        survey.take(&csv::StringRecord::from(row.to_vec()));
        let header = Header {
            names,
            unnamed: Vec::new(),
            warnings: Vec::new(),
            record: 1,
            data_start: 10,
        };
        ImportPlan::new(
            DIALECT,
            &header,
            targets,
            survey.finish(),
            1,
            &Options::default(),
            columns,
        )
    }

    fn list_with(ty: ColumnType) -> ColumnSet {
        let id = ColumnSet::default().next_id().unwrap();
        ColumnSet::new(vec![Column {
            id,
            key: "Sold".to_owned(),
            name: "Sold".to_owned(),
            ty,
            options: Default::default(),
            required: false,
            unique: false,
            default: None,
            position: 0,
            deleted: false,
            replaced: false,
        }])
    }

    #[test]
    fn a_plan_survives_being_stored() {
        let plan = plan(
            &["Price", "Sold", "Phone", "x"],
            vec![
                Target::New,
                Target::Existing("Sold".to_owned()),
                Target::New,
                Target::Skip,
            ],
            &["$5", "31/12/2026", "(415) 555-0132", ""],
            &list_with(ColumnType::Date),
        )
        .unwrap();
        assert_eq!(plan.columns[1].date_order, Some(DateOrder::Dmy));
        let made: Vec<_> = plan
            .new_columns()
            .map(|new| (new.ty, new.options.clone()))
            .collect();
        assert_eq!(made[0], (ColumnType::Currency, json!({"currency": "USD"})));
        assert_eq!(made[1], (ColumnType::Phone, json!({"region": "US"})));
        let stored = serde_json::to_value(&plan).unwrap();
        assert_eq!(serde_json::from_value::<ImportPlan>(stored).unwrap(), plan);
    }

    #[test]
    fn a_mapped_date_needs_to_be_read_in_one_way() {
        let sold = || vec![Target::Existing("Sold".to_owned())];
        let refusals = plan(
            &["Sold"],
            sold(),
            &["3/4/2026"],
            &list_with(ColumnType::Date),
        )
        .unwrap_err();
        assert_eq!(
            (refusals[0].path.as_ref(), refusals[0].code),
            ("/date_order", "ambiguous_date_order")
        );
        assert!(
            plan(
                &["Sold"],
                sold(),
                &["3/4/2026"],
                &list_with(ColumnType::Text)
            )
            .is_ok()
        );
    }

    #[test]
    fn a_column_deleted_meanwhile_ends_the_job() {
        let plan = plan(
            &["Sold"],
            vec![Target::Existing("Sold".to_owned())],
            &["x"],
            &list_with(ColumnType::Text),
        )
        .unwrap();
        assert_eq!(plan.bind(&list_with(ColumnType::Text)).unwrap().len(), 1);
        assert_eq!(
            plan.bind(&ColumnSet::default()).unwrap_err().code,
            "unknown_column"
        );
    }
}
