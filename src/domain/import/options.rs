//! What a person may say about an import, beside the file: the parameters of the request. One that
//! is unknown is refused: nothing is accepted and ignored.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::dialect::DELIMITERS;
use super::format::Format;
use super::mapping::Mapping;
use crate::domain::columns::DateOrder;

/// What becomes of a file with rows that can't be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The good rows are stored, the bad ones reported.
    #[default]
    Skip,
    /// Nothing is stored unless every row is good.
    Abort,
}

/// What rows become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New items.
    #[default]
    Create,
    /// Changes of the items that have their key; new items where there is none.
    Upsert,
    /// Changes alone; a row without its item is skipped.
    Update,
}

/// What a quote mark means in delimited text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quote {
    /// It opens and closes a cell (RFC 4180).
    #[default]
    Double,
    /// Itself.
    None,
}

/// What becomes of objects in the objects of a JSON file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// Columns named by their path.
    Flatten,
    /// JSON text in one cell.
    Json,
}

/// The parameters of an import.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub mapping: Mapping,
    /// Columns of the file that the list lacks are made (needs an admin).
    pub create_columns: bool,
    pub on_error: OnError,
    pub mode: Mode,
    /// By what rows find their items: keys of columns of the list, or names in the file. None: the first
    /// unique column that the file has.
    pub keys: Vec<String>,
    /// Nothing is stored: the answer is what would be.
    pub dry_run: bool,
    /// One of `, ; | TAB`; None: found out.
    pub delimiter: Option<u8>,
    pub quote: Quote,
    /// A label of the WHATWG Encoding Standard; None: found out.
    pub encoding: Option<String>,
    /// Which sheet of a workbook; None: the only one with anything in it.
    pub sheet: Option<String>,
    /// Which file of an archive; None: the only one.
    pub entry: Option<String>,
    /// None: a file with objects in objects is asked about.
    pub nested: Option<Nested>,
    /// What the sender calls the file, where that means anything.
    pub declared: Option<Format>,
    /// Which record is the header, from 1, blank lines counted; 0: there is none; None: found out.
    pub header_row: Option<u32>,
    /// None: found out.
    pub date_order: Option<DateOrder>,
}

impl Options {
    /// Reads the parameters of the request. Refuses, all at once: `unknown_parameter`, `bad_value`.
    pub fn parse<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<Refusal>> {
        let mut options = Self::default();
        let refusals: Vec<Refusal> = parameters
            .into_iter()
            .filter_map(|(name, value)| options.set(name, value).err())
            .collect();
        if refusals.is_empty() {
            Ok(options)
        } else {
            Err(refusals)
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match (name, value) {
            ("mode", "create") => self.mode = Mode::Create,
            ("mode", "upsert") => self.mode = Mode::Upsert,
            ("mode", "update") => self.mode = Mode::Update,
            ("key", names) => {
                let names = names.split(',').map(str::trim);
                self.keys
                    .extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
            }
            ("dry_run", flag) => {
                self.dry_run = flag.parse().map_err(|_| bad(name, "true or false"))?
            }
            ("encoding", encoding) => self.encoding = Some(encoding.to_owned()),
            ("sheet", name) => self.sheet = Some(name.to_owned()),
            ("entry", name) => self.entry = Some(name.to_owned()),
            ("nested", "flatten") => self.nested = Some(Nested::Flatten),
            ("nested", "json") => self.nested = Some(Nested::Json),
            ("nested", _) => return Err(bad(name, "flatten or json")),
            ("quote", "\"" | "double") => self.quote = Quote::Double,
            ("quote", "none") => self.quote = Quote::None,
            ("quote", _) => return Err(bad(name, "double or none")),
            ("mapping", json) => {
                self.mapping = serde_json::from_str(json)
                    .map_err(|_| bad(name, "a JSON object of names to keys or null"))?
            }
            ("create_columns", flag) => {
                self.create_columns = flag.parse().map_err(|_| bad(name, "true or false"))?
            }
            ("on_error", "skip") => self.on_error = OnError::Skip,
            ("on_error", "abort") => self.on_error = OnError::Abort,
            ("delimiter", text) => self.delimiter = Some(delimiter(text)?),
            ("header_row", row) => {
                self.header_row = Some(
                    row.parse()
                        .map_err(|_| bad(name, "a whole number from 0"))?,
                )
            }
            ("date_order", "mdy") => self.date_order = Some(DateOrder::Mdy),
            ("date_order", "dmy") => self.date_order = Some(DateOrder::Dmy),
            ("date_order", "ymd") => self.date_order = Some(DateOrder::Ymd),
            ("mode", _) => return Err(bad(name, "create, upsert or update")),
            ("on_error", _) => return Err(bad(name, "skip or abort")),
            ("date_order", _) => return Err(bad(name, "mdy, dmy or ymd")),
            _ => {
                return Err(Refusal::at(
                    format!("/{}", super::pointer_step(name)),
                    "unknown_parameter",
                    format!("An import has no parameter `{name}`"),
                ));
            }
        }
        Ok(())
    }
}

fn delimiter(text: &str) -> Result<u8, Refusal> {
    let byte = match text {
        "tab" | "\\t" => Some(b'\t'),
        "comma" => Some(b','),
        "semicolon" => Some(b';'),
        "pipe" => Some(b'|'),
        _ => DELIMITERS
            .into_iter()
            .find(|byte| text.as_bytes() == [*byte]),
    };
    byte.ok_or_else(|| bad("delimiter", "a comma, a semicolon, a tab or a pipe"))
}

fn bad(name: &str, wanted: &str) -> Refusal {
    Refusal::at(
        format!("/{name}"),
        "bad_value",
        format!("`{name}` is {wanted}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_known_is_read() {
        let options = Options::parse([
            ("mode", "create"),
            ("mapping", r#"{"Price":"ListPrice","Notes":null}"#),
            ("create_columns", "true"),
            ("on_error", "abort"),
            ("delimiter", ";"),
            ("header_row", "3"),
            ("date_order", "dmy"),
            ("encoding", "UTF-8"),
            ("sheet", "Sales"),
            ("nested", "json"),
            ("quote", "none"),
        ])
        .unwrap();
        assert_eq!(options.mapping["Price"].as_deref(), Some("ListPrice"));
        assert_eq!(options.mapping["Notes"], None);
        assert!(options.create_columns && options.on_error == OnError::Abort);
        assert_eq!(
            (options.delimiter, options.header_row),
            (Some(b';'), Some(3))
        );
        assert_eq!(options.date_order, Some(DateOrder::Dmy));
        assert_eq!(
            (options.sheet.as_deref(), options.nested),
            (Some("Sales"), Some(Nested::Json))
        );
        assert_eq!(options.quote, Quote::None);
    }

    #[test]
    fn nothing_is_accepted_and_ignored() {
        let refused = |name, value| Options::parse([(name, value)]).unwrap_err()[0].code;
        for (name, value) in [
            ("mode", "x"),
            ("mapping", "[]"),
            ("mapping", "{\"a\":1}"),
            ("delimiter", "ab"),
            ("header_row", "-1"),
            ("date_order", "x"),
            ("on_error", "x"),
            ("nested", "x"),
            ("quote", "x"),
            ("create_columns", "1"),
            ("dry_run", "1"),
        ] {
            assert_eq!(refused(name, value), "bad_value", "{name}={value}");
        }
        assert_eq!(refused("list", "x"), "unknown_parameter");
    }
}
