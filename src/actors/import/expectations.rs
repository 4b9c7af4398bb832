//! Real files and what is expected of them, folder by folder: each is imported to the cell, asked
//! about, or refused, as its `EXPECT.json` says. The table is printed: `--nocapture` shows it. Small
//! files stand in `tests/fixtures`; large ones are used where they are, and a line says so when they
//! are not there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::accept;
use super::batch::{BatchSize, Batches};
use super::faults::{columns_of, job};
use super::reader::{Checkpoint, Rows};
use crate::domain::cell::Cell;
use crate::domain::columns::{Column, ColumnSet, ColumnType};
use crate::domain::import::item_id::row_of;
use crate::domain::import::options::Options;
use crate::domain::import::plan::{ImportPlan, PlannedTarget};
use crate::error::AppError;
use crate::store::jobs::JobProgress;

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(super) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub(super) fn plan(path: &Path) -> Result<ImportPlan, AppError> {
    let options = Options {
        create_columns: true,
        ..Options::default()
    };
    accept::plan(path, &options, &ColumnSet::default()).map(|inspected| inspected.plan)
}

/// All records of the file after its header, as text.
pub(super) fn records(path: &Path, plan: &ImportPlan) -> Vec<Vec<String>> {
    let from = Checkpoint {
        bytes: plan.data_start,
        record: 0,
    };
    let mut rows = Rows::open(path, plan.dialect, from).unwrap();
    let mut all = Vec::new();
    while let Some(record) = rows.next_row().unwrap() {
        all.push(record.iter().map(str::to_owned).collect());
    }
    all
}

/// What a person answers to a file that has to be asked about, or that has no header to find.
const ANSWERS: &[(&str, &[(&str, &str)])] = &[
    ("csvkit/no_header_row.csv", &[("header_row", "0")]),
    (
        "csvkit/Datagov_FY10_EDU_recp_by_State.csv",
        &[("header_row", "3")],
    ),
    (
        "csvkit/event-notification-rpt-lastmonth.txt",
        &[("quote", "none")],
    ),
    ("legislators-current.json", &[("nested", "json")]),
    ("testjson_nested.json", &[("nested", "flatten")]),
    ("rollingsales_manhattan.xlsx", &[("header_row", "5")]),
    ("rollingsales_bronx.xlsx", &[("header_row", "5")]),
    ("rollingsales_statenisland.xlsx", &[("header_row", "5")]),
];

/// Files whose expectation leaves room, and what is made of it.
const SETTLED: &[(&str, &str)] = &[
    // "strip or refuse, and say so".
    ("csvkit/null_byte.csv", "nul_byte"),
    // Nothing but errors stands in it.
    ("calamine/errors.xlsx", "empty_file"),
];

/// Files of which there is nothing to tell after all: one claims to be large and is not, one holds
/// only long texts and saved results.
const QUIET: &[&str] = &["calamine/issue_174.xlsx", "sheetjs/large_strings.xlsx"];

/// What came of a file.
enum Came {
    Imported(ImportPlan, tempfile::TempDir),
    Asked(String),
    Refused(String),
}

fn came(path: &Path, said: &[(&str, &str)]) -> Came {
    // Written beside a copy: the files themselves are not ours to add to.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("file");
    fs::copy(path, &copy).unwrap();
    let mut options = Options::parse(said.iter().copied()).unwrap();
    options.create_columns = true;
    match accept::plan(&copy, &options, &ColumnSet::default()) {
        Ok(inspected) => {
            if let Some(rows) = inspected.rows {
                rows.persist(&copy).unwrap();
            }
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "something is left over"
            );
            Came::Imported(inspected.plan, folder)
        }
        Err(error) => {
            assert_eq!(error.code.status(), 422, "{path:?}: {error}");
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "something is left over"
            );
            let field = error.fields.first().expect("a code");
            let told = format!("{}: {}", field.code, field.message);
            if field.path == "/file" {
                Came::Refused(told)
            } else {
                Came::Asked(told)
            }
        }
    }
}

#[test]
fn every_file_becomes_what_is_expected_of_it() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for folder in [
        "messy-csv",
        "messy-xlsx",
        "contacts",
        "contacts/vcards",
        "json",
        "reso-dd",
        "listings-sacramento",
        "listings-nyc",
        "listings-kingcounty",
        "listings-airbnb",
        "sales-uk",
    ] {
        let here = fixtures().join(folder);
        let there = shared.join(folder);
        let expected = [&here, &there].map(|folder| folder.join("EXPECT.json"));
        let Some(expected) = expected.iter().find(|path| path.exists()) else {
            println!("{folder}: not there, not tried");
            continue;
        };
        for (name, expected) in json(expected)["files"].as_object().unwrap() {
            let path = [here.join(name), there.join(name)];
            let Some(path) = path.iter().find(|path| path.exists()) else {
                println!("{name}: not there, not tried");
                continue;
            };
            let outcome = check(name, path, expected);
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes["imported"] >= 90, "{outcomes:?}");
}

fn check(name: &str, path: &Path, expected: &Value) -> &'static str {
    let sha256 = hex::encode(Sha256::digest(fs::read(path).unwrap()));
    assert_eq!(expected["sha256"], sha256, "{name}: its bytes changed");
    check_sheets(name, path, expected);
    let wanted = expected["outcome"].as_str().unwrap_or("clean");
    let answers = ANSWERS.iter().find(|(file, _)| *file == name);
    let mut asked = false;
    let mut outcome = came(path, &[]);
    if let Came::Asked(question) = &outcome {
        asked = true;
        println!("{name:<52} asked     {question}");
        let sheets = expected["sheets"].as_array().into_iter().flatten();
        let told = sheets
            .filter(|sheet| !sheet["used"].is_null())
            .collect::<Vec<_>>();
        let sheet = told.first().and_then(|sheet| sheet["name"].as_str());
        let row = told.first().and_then(|sheet| sheet["header_row"].as_u64());
        let row = row.unwrap_or(0).to_string();
        let for_sheets: &[(&str, &str)] = match sheet {
            Some(sheet) => &[("sheet", sheet), ("header_row", row.as_str())],
            None => &[],
        };
        outcome = came(path, answers.map_or(for_sheets, |(_, said)| said));
    } else if let Some((_, said)) = answers {
        outcome = came(path, said);
    }
    match outcome {
        Came::Imported(plan, folder) => {
            assert_ne!(wanted, "reject", "{name}");
            let rows = folder.path().join("file");
            let failed = check_imported(name, &rows, &plan, expected);
            if wanted == "warn" && !asked && !QUIET.contains(&name) {
                assert!(
                    failed > 0 || !plan.warnings.is_empty(),
                    "{name}: nothing is said"
                );
            }
            if wanted == "clean" && expected["sheets"].is_null() {
                assert_eq!((failed, asked), (0, false), "{name}: {:?}", plan.warnings);
            }
            let said: Vec<&str> = plan.warnings.iter().map(|one| one.code.as_ref()).collect();
            println!(
                "{name:<52} imported  {} rows, {failed} failed, {} columns, {} {}, {said:?}",
                plan.rows,
                plan.columns.len(),
                plan.encoding,
                plan.format.name(),
            );
            "imported"
        }
        Came::Refused(told) | Came::Asked(told) => {
            println!("{name:<52} refused   {told}");
            let settled = SETTLED
                .iter()
                .any(|(file, code)| *file == name && told.starts_with(code));
            assert!(wanted == "reject" || settled, "{name} is {wanted}: {told}");
            "refused"
        }
    }
}

/// How many rows failed.
fn check_imported(name: &str, path: &Path, plan: &ImportPlan, expected: &Value) -> u64 {
    let rows = expected["data_rows"].as_u64().or(expected["rows"].as_u64());
    let rows = rows.or(expected["cards_begun"].as_u64());
    let sheets = expected["sheets"].as_array().into_iter().flatten();
    let mut filled = sheets.filter(|sheet| !sheet["used"].is_null());
    let rows = rows.or(filled.next().and_then(|sheet| sheet["data_rows"].as_u64()));
    let blank = expected["rows_with_only_empty_cells"].as_u64();
    // In a sheet a row of empty cells is no row.
    if let Some(rows) = rows.filter(|_| expected["sheets"].is_null() || blank.is_none()) {
        assert_eq!(plan.rows, rows, "{name}");
    }
    let names: Vec<&str> = plan
        .columns
        .iter()
        .map(|column| column.source.as_str())
        .collect();
    if let Some(wanted) = expected["column_names"].as_array()
        && !wanted.contains(&Value::from("..."))
    {
        assert_eq!(names.len(), wanted.len(), "{name}");
        for (name, wanted) in names.iter().zip(wanted) {
            let wanted = wanted.as_str().unwrap();
            let words: Vec<&str> = wanted.split_whitespace().collect();
            let found: Vec<&str> = name.split_whitespace().collect();
            assert!(
                found == words || wanted.is_empty() && name.starts_with("Column "),
                "{name}"
            );
        }
    }
    if let Some(keys) = expected["keys"].as_object() {
        for key in keys.keys() {
            let path = format!("{key}.");
            assert!(
                names
                    .iter()
                    .any(|name| name == key || name.starts_with(&path)),
                "{name}: {key}"
            );
        }
    }
    let records = records(path, plan);
    for cell in expected["cells"].as_array().into_iter().flatten() {
        let at = |key: &str| usize::try_from(cell[key].as_u64().unwrap()).unwrap() - 1;
        let found = records[at("row")]
            .get(at("column"))
            .map_or("", String::as_str);
        check_text(name, found, cell);
    }
    let columns = columns_of(plan);
    let job = job(path, plan.clone(), &columns);
    let mut batches =
        Batches::open(path, plan, job.target, BatchSize::default(), job.progress).unwrap();
    let (mut items, mut told) = (Vec::new(), JobProgress::default());
    let mut errors = Vec::new();
    while let Some(batch) = batches.next_batch().unwrap() {
        items.extend(
            batch
                .rows
                .into_iter()
                .map(|(item, values)| (row_of(item), values)),
        );
        errors.extend(batch.progress.errors.clone());
        told = batch.progress;
    }
    assert_eq!(told.read, plan.rows, "{name}");
    assert_eq!(
        told.created + told.skipped + told.failed,
        told.read,
        "{name}"
    );
    assert!(
        errors.iter().all(|error| error.code == "too_many_cells"),
        "{name}: types were found that do not fit: {:?}",
        errors.iter().find(|error| error.code != "too_many_cells")
    );
    // Columns that have a place, in the order of those of the list.
    let placed: Vec<usize> = (0..plan.columns.len())
        .filter(|index| matches!(plan.columns[*index].target, PlannedTarget::Create(_)))
        .collect();
    for (row, item) in &items {
        let record = &records[usize::try_from(*row).unwrap() - 1];
        for (column, index) in columns.iter().zip(&placed) {
            let text = record.get(*index).map_or("", String::as_str);
            assert_kept(name, column, text, item.get(&column.id));
        }
    }
    told.failed
}

/// A text as expected: whole, or by its length and digest.
fn check_text(name: &str, found: &str, cell: &Value) {
    if let Some(value) = cell["value"].as_str() {
        assert_eq!(found, value, "{name}: {cell}");
    }
    if let Some(chars) = cell["chars"].as_u64() {
        assert_eq!(
            u64::try_from(found.chars().count()).unwrap(),
            chars,
            "{name}: {cell}"
        );
        let digest = hex::encode(Sha256::digest(found));
        assert!(
            cell["sha256_utf8"].is_null() || cell["sha256_utf8"] == digest,
            "{name}: {cell}"
        );
    }
}

/// Every cell of every sheet that is told about.
fn check_sheets(name: &str, path: &Path, expected: &Value) {
    for sheet in expected["sheets"].as_array().into_iter().flatten() {
        let wanted = sheet["cells"].as_array().unwrap();
        if sheet["used"].is_null() || sheet["kind"] == "chartsheet" {
            continue;
        }
        let grid = grid(path, sheet["name"].as_str().unwrap());
        let differ = sheet["readers_differ"].as_array().into_iter().flatten();
        let right = differ
            .map(|cell| &cell["reader_A"])
            .filter(|cell| !cell["value"].is_null());
        for cell in wanted.iter().chain(right) {
            let place = cell["cell"].as_str().unwrap();
            let found = grid.get(place).map_or("", String::as_str);
            let value = &cell["value"];
            match cell["type"].as_str().unwrap() {
                "number" => assert_eq!(found.parse::<f64>().ok(), value.as_f64(), "{name}: {cell}"),
                "boolean" => assert_eq!(found, value.to_string(), "{name}: {cell}"),
                "duration_s" => {
                    let seconds = found
                        .split(':')
                        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
                    assert_eq!(Some(seconds), value.as_f64(), "{name}: {cell}");
                }
                // A span too long for a clock: the other reader left it as it is stored.
                "text"
                    if value.as_str().is_some_and(|text| {
                        text.strip_prefix("PT")
                            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
                    }) =>
                {
                    assert!(found.contains(':'), "{name}: {cell}");
                }
                "empty" => assert_eq!(found, "", "{name}: {cell}"),
                _ => check_text(name, found, cell),
            }
        }
        for place in sheet["error_cells"]
            .as_object()
            .into_iter()
            .flat_map(|cells| cells.keys())
        {
            assert_eq!(grid.get(place), None, "{name}: {place} holds an error");
        }
    }
}

/// A sheet's filled cells by their names.
fn grid(path: &Path, sheet: &str) -> HashMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("file");
    fs::copy(path, &copy).unwrap();
    let options = Options {
        sheet: Some(sheet.to_owned()),
        ..Options::default()
    };
    let table = super::table::open(&copy, &options)
        .unwrap_or_else(|error| panic!("{path:?} {sheet}: {error}"));
    let text = fs::read_to_string(table.rewritten.unwrap()).unwrap();
    let mut reader = table.dialect.reader().from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let (mut row, mut cells) = (0, HashMap::new());
    loop {
        let start = usize::try_from(reader.position().byte()).unwrap();
        // Blank lines are rows too.
        row += 1 + text[start..]
            .bytes()
            .take_while(|byte| *byte == b'\n')
            .count();
        if !reader.read_record(&mut record).unwrap() {
            return cells;
        }
        for (column, cell) in record
            .iter()
            .enumerate()
            .filter(|(_, cell)| !cell.is_empty())
        {
            let letter = |number: usize| char::from(b'A' + u8::try_from(number).unwrap());
            let mut place = String::new();
            if column >= 26 {
                place.push(letter(column / 26 - 1));
            }
            place.push(letter(column % 26));
            cells.insert(format!("{place}{row}"), cell.to_owned());
        }
    }
}

/// Nothing of the text is lost in the cell.
fn assert_kept(file: &str, column: &Column, text: &str, cell: Option<&Cell>) {
    let place = format!("{file}, {}: {text:?} became {cell:?}", column.key);
    match cell {
        None => assert!(
            text.trim().is_empty() || column.ty != ColumnType::Text,
            "{place}"
        ),
        Some(Cell::Text(kept)) if column.ty == ColumnType::Phone => {
            let digits = |text: &str| -> String {
                let number = text.to_lowercase();
                let number = number.split(['x', 'e']).next().unwrap_or_default();
                number.chars().filter(char::is_ascii_digit).collect()
            };
            assert!(digits(kept).ends_with(&digits(text)), "{place}");
        }
        Some(Cell::Text(kept)) if column.ty != ColumnType::Text => {
            let plain = |text: &str| text.trim().trim_end_matches('/').to_lowercase();
            assert!(plain(kept).ends_with(&plain(text)), "{place}");
        }
        Some(Cell::Text(kept)) => assert_eq!(kept, text, "{place}"),
        Some(Cell::Number(kept)) => {
            assert_eq!(
                *kept,
                text.trim()
                    .replace([',', '$', '%'], "")
                    .parse::<rust_decimal::Decimal>()
                    .unwrap(),
                "{place}"
            );
        }
        Some(Cell::Choice(id)) => assert_eq!(
            column.options.choices.by_id(*id).unwrap().name,
            text,
            "{place}"
        ),
        Some(Cell::Date(date)) => {
            for part in [
                date.format("%Y").to_string(),
                date.format("%-d").to_string(),
            ] {
                assert!(text.contains(&part), "{place}");
            }
        }
        Some(Cell::DateTime(time)) => {
            assert!(text.contains(&time.format("%Y").to_string()), "{place}")
        }
        Some(Cell::Bool(truth)) => {
            let yes = ["y", "yes", "true", "t", "1", "x"];
            assert_eq!(
                yes.contains(&text.trim().to_lowercase().as_str()),
                *truth,
                "{place}"
            );
        }
        Some(other) => panic!("{place}: {other:?}"),
    }
}
