//! What a file for people and other programs holds of a list, pure: which items, which columns, in which
//! form. Reading the items and writing the file are not its business.

mod card;
mod titles;

pub use card::write_card;
pub use titles::titles;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::columns::{Column, ColumnSet};
use crate::domain::schema::List;
use crate::domain::search::Selection;
use crate::domain::sort::Sort;
use crate::error::FieldError;
use crate::ids::UserId;

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Csv,
    Xlsx,
    /// One array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// vCard 4.0 (RFC 6350).
    Vcard,
}

impl Format {
    /// RFC 4180, RFC 8259, RFC 6350 and the registrations of vendors.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Vcard => "text/vcard; charset=utf-8",
        }
    }

    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Xlsx => "xlsx",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Vcard => "vcf",
        }
    }
}

/// How links are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinksAs {
    #[default]
    Titles,
    Ids,
}

/// What is stored with the job of an export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportPlan {
    pub format: Format,
    /// As in a question about items.
    pub filter: Option<Value>,
    pub q: Option<String>,
    pub sort: Vec<String>,
    /// Keys, in the order of the file; None: all.
    pub columns: Option<Vec<String>>,
    #[serde(default)]
    pub links: LinksAs,
}

/// What a plan asks for, as a list's columns understand it.
#[derive(Debug)]
pub struct Asked {
    pub selection: Selection,
    pub sort: Sort,
    /// The columns of the file, in its order.
    pub shown: List,
}

impl ExportPlan {
    /// Refuses with all broken rules at once, as a question about items does. `me`: whom a filter means
    /// by it.
    pub fn asked(
        &self,
        list: &List,
        me: UserId,
        today: NaiveDate,
    ) -> Result<Asked, Vec<FieldError>> {
        let mut errors = Vec::new();
        let filter = self.filter.as_ref().map(Value::to_string);
        let (filter, q) = (filter.as_deref(), self.q.as_deref());
        let selection = Selection::parse(filter, q, &list.columns, me, today, &mut errors);
        let sort = Sort::parse(self.sort.iter().map(String::as_str), &list.columns);
        let sort = sort.map_err(|wrong| errors.push(wrong)).unwrap_or_default();
        let columns = match &self.columns {
            None => list.columns.clone(),
            Some(keys) => {
                let known = (0..).zip(keys).filter_map(|(position, key)| {
                    let column = list.columns.by_key(key);
                    if column.is_none() {
                        errors.push(FieldError {
                            path: "/columns".to_owned(),
                            code: "unknown_column".into(),
                            message: format!("no column {key:?}"),
                        });
                    }
                    // In the order of the file.
                    Some(Column {
                        position,
                        ..column?.clone()
                    })
                });
                ColumnSet::new(known.collect())
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let shown = List {
            columns,
            ..list.clone()
        };
        Ok(Asked {
            selection,
            sort,
            shown,
        })
    }
}

/// What the file is called: the list's name without what a file system or a header minds.
pub fn file_name(list: &str, format: Format) -> String {
    let plain = |char: char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    let name: String = list.chars().filter(|char| plain(*char)).take(80).collect();
    let name = match name.trim() {
        "" => "export",
        name => name,
    };
    format!("{name}.{}", format.extension())
}
