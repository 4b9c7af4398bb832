//! Real files and what is expected of them: each that is UTF-8 and marked `clean` is imported
//! exactly, every other one is refused with a code. The table is printed: `--nocapture` shows it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::accept;
use super::batch::{BatchSize, Batches};
use super::faults::{columns_of, job};
use super::reader::{Checkpoint, Rows};
use crate::domain::cell::{Cell, ColumnId, Values};
use crate::domain::columns::{Column, ColumnSet, ColumnType, Options as ColumnOptions};
use crate::domain::import::mapping::Mapping;
use crate::domain::import::options::Options;
use crate::domain::import::plan::{ImportPlan, PlannedTarget};
use crate::domain::template;
use crate::error::AppError;

const FOLDERS: [&str; 2] = ["messy-csv", "listings-sacramento"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn plan(path: &Path) -> Result<ImportPlan, AppError> {
    let options = Options {
        create_columns: true,
        ..Options::default()
    };
    accept::plan(path, &options, &ColumnSet::default())
}

/// All records of the file after its header, as text.
fn records(path: &Path, plan: &ImportPlan) -> Vec<Vec<String>> {
    let from = Checkpoint {
        bytes: plan.data_start,
        record: 0,
    };
    let mut rows = Rows::open(path, plan.dialect, plan.columns.len(), from).unwrap();
    let mut all = Vec::new();
    while let Some(record) = rows.next_row().unwrap() {
        all.push(record.iter().map(str::to_owned).collect());
    }
    all
}

/// All items, as they would be stored.
fn items(path: &Path, plan: &ImportPlan, columns: &ColumnSet) -> Vec<Values> {
    let job = job(path, plan.clone(), columns);
    let mut batches =
        Batches::open(path, plan, job.target, BatchSize::default(), job.progress).unwrap();
    let mut items = Vec::new();
    while let Some(batch) = batches.next_batch().unwrap() {
        assert_eq!(
            (batch.progress.errors, batch.progress.skipped),
            (Vec::new(), 0)
        );
        items.extend(batch.rows.into_iter().map(|(_, values)| values));
    }
    items
}

#[test]
fn every_file_is_imported_exactly_or_refused_with_a_code() {
    let mut imported = 0;
    let mut refused = 0;
    for folder in FOLDERS {
        let folder = fixtures().join(folder);
        let expected = json(&folder.join("EXPECT.json"));
        for (name, expected) in expected["files"].as_object().unwrap() {
            let path = folder.join(name);
            let sha256 = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
            assert_eq!(expected["sha256"], sha256, "{name}: its bytes changed");
            if expected["outcome"] == "clean" && expected["encoding"] == "utf-8" {
                let plan = plan(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
                check_imported(name, &path, &plan, expected);
                imported += 1;
            } else {
                let error = plan(&path)
                    .err()
                    .unwrap_or_else(|| panic!("{name} was not refused"));
                let field = error.fields.first().expect("a code");
                assert_eq!(error.code.status(), 422, "{name}");
                println!("{name:<48} refused   {}: {}", field.code, field.message);
                refused += 1;
            }
        }
    }
    assert_eq!((imported, refused), (27, 17));
}

fn check_imported(name: &str, path: &Path, plan: &ImportPlan, expected: &Value) {
    let names: Vec<&str> = plan
        .columns
        .iter()
        .map(|column| column.source.as_str())
        .collect();
    assert_eq!(Value::from(names), expected["column_names"], "{name}");
    assert_eq!(
        Value::from(plan.header_record),
        expected["header_record"],
        "{name}"
    );
    assert_eq!(Value::from(plan.rows), expected["data_rows"], "{name}");
    assert_eq!(
        Value::from(char::from(plan.dialect.delimiter).to_string()),
        expected["delimiter"],
        "{name}"
    );

    let columns = columns_of(plan);
    let made: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(
        Value::from(made),
        expected["column_names"],
        "{name}: the list's columns"
    );
    let records = records(path, plan);
    let items = items(path, plan, &columns);
    assert_eq!(items.len(), records.len(), "{name}: every row is an item");
    for cell in expected["cells"].as_array().unwrap() {
        let at = |key: &str| usize::try_from(cell[key].as_u64().unwrap()).unwrap() - 1;
        let found = &records[at("row")][at("column")];
        match &cell["value"] {
            Value::String(value) => assert_eq!(found, value, "{name}: {cell}"),
            _ => assert!(!found.is_empty(), "{name}: {cell}"),
        }
    }
    for (record, item) in records.iter().zip(&items) {
        for (column, text) in columns.iter().zip(record) {
            assert_kept(name, column, text, item.get(&column.id));
        }
    }
    let kinds: BTreeMap<String, usize> =
        columns.iter().fold(BTreeMap::new(), |mut kinds, column| {
            *kinds.entry(format!("{:?}", column.ty)).or_default() += 1;
            kinds
        });
    println!("{name:<48} imported  {} rows, {kinds:?}", items.len());
}

/// Nothing of the text is lost in the cell.
fn assert_kept(file: &str, column: &Column, text: &str, cell: Option<&Cell>) {
    let place = format!("{file}, {}: {text:?} became {cell:?}", column.key);
    match cell {
        None => assert!(
            text.trim().is_empty() || column.ty != ColumnType::Text,
            "{place}"
        ),
        Some(Cell::Text(kept)) => assert_eq!(kept, text, "{place}"),
        Some(Cell::Number(kept)) => {
            assert_eq!(
                *kept,
                text.trim()
                    .replace(',', "")
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
        Some(other) => panic!("{place}: {other:?}"),
    }
}

#[test]
fn the_records_of_csv_spectrum_are_those_of_its_author() {
    let folder = fixtures().join("messy-csv/csv-spectrum");
    let mut compared = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let plan = plan(&path).unwrap();
        let found: Vec<HashMap<String, String>> = records(&path, &plan)
            .into_iter()
            .map(|record| {
                plan.columns
                    .iter()
                    .map(|column| column.source.clone())
                    .zip(record)
                    .collect()
            })
            .collect();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "location_coordinates" {
            // Its author's result holds another phone number than the file.
            assert_eq!(found[0]["Contact Phone Number"], "2095257564");
            continue;
        }
        let expected = json(&folder.join("expected-json").join(format!("{name}.json")));
        assert_eq!(serde_json::to_value(found).unwrap(), expected, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 11);
}

#[test]
fn columns_get_the_types_that_a_person_would_give_them() {
    let types = |name: &str| -> Vec<ColumnType> {
        let plan = plan(&fixtures().join(name)).unwrap();
        plan.new_columns().map(|column| column.ty).collect()
    };
    use ColumnType::{Date, Number, SingleSelect, Text};
    assert_eq!(
        types("listings-sacramento/Sacramentorealestatetransactions.csv"),
        [
            Text,
            SingleSelect,
            Text,
            SingleSelect,
            Number,
            Number,
            Number,
            SingleSelect,
            Date,
            Number,
            Number,
            Number
        ]
    );
    assert_eq!(types("messy-csv/csvkit/test_date_format.csv"), [Date]);
    assert_eq!(
        types("messy-csv/csvkit/test_numeric_date_format.csv"),
        [Date]
    );
    assert_eq!(types("messy-csv/csvkit/date_like_number.csv"), [Number]);
    assert_eq!(
        types("messy-csv/csvkit/test_no_leading_zeroes.csv"),
        [Text, Text, Number]
    );
    assert_eq!(
        types("messy-csv/csvkit/test_locale.csv"),
        [Text, Text, Text]
    );
    assert_eq!(types("messy-csv/csvkit/blanks.csv"), [Text; 6]);
    assert_eq!(
        types("messy-csv/csv-spectrum/location_coordinates.csv"),
        [Text; 4]
    );
}

#[test]
fn days_and_months_are_not_mixed_up() {
    let first = |name: &str, column: usize| {
        let path = fixtures().join(name);
        let plan = plan(&path).unwrap();
        let columns = columns_of(&plan);
        let id = columns.iter().nth(column).unwrap().id;
        match &items(&path, &plan, &columns)[0][&id] {
            Cell::Date(date) => date.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        first("messy-csv/csvkit/test_date_format.csv", 0),
        "2014-01-02"
    );
    assert_eq!(
        first("messy-csv/csvkit/test_numeric_date_format.csv", 0),
        "2014-01-02"
    );
    assert_eq!(first("messy-csv/csvkit/ks_1033_data.csv", 9), "2006-05-19");
    assert_eq!(
        first(
            "listings-sacramento/Sacramentorealestatetransactions.csv",
            8
        ),
        "2008-05-21"
    );
}

#[test]
fn each_refusal_says_what_is_wrong() {
    for (name, code) in [
        ("bad.csv", "ragged_row"),
        ("bad_skip_lines.csv", "ragged_row"),
        ("empty.csv", "empty_file"),
        ("no_header_row.csv", "no_header"),
        ("null_byte.csv", "nul_byte"),
        ("test_empty_columns.csv", "empty_header"),
        ("test_empty_columns_long_row.csv", "ragged_row"),
        ("test_empty_columns_short_row.csv", "ragged_row"),
        ("test_extra_header.csv", "ragged_row"),
        ("test_header_newline.csv", "bad_header"),
        ("test_latin1.csv", "not_utf8"),
        ("test_utf16_big.csv", "not_utf8"),
        ("test_utf16_little.csv", "not_utf8"),
        ("test_join_short_rows.csv", "ragged_row"),
        ("Datagov_FY10_EDU_recp_by_State.csv", "header_not_first"),
        ("FY09_EDU_Recipients_by_State.csv", "empty_header"),
        ("event-notification-rpt-lastmonth.txt", "empty_header"),
    ] {
        let error = plan(&fixtures().join("messy-csv/csvkit").join(name)).unwrap_err();
        assert_eq!(error.fields[0].code, code, "{name}: {error}");
    }
}

#[test]
fn a_file_of_todays_list_maps_onto_its_columns() {
    let path = fixtures().join("listings-sacramento/Sacramento_first240.csv");
    let columns = columns_of(&plan(&path).unwrap());
    let plan = accept::plan(&path, &Options::default(), &columns).unwrap();
    let keys: Vec<&str> = plan
        .columns
        .iter()
        .map(|column| match &column.target {
            PlannedTarget::Existing { key } => key.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        keys,
        columns
            .iter()
            .map(|column| column.key.as_str())
            .collect::<Vec<_>>()
    );
}

#[test]
fn sales_of_sacramento_go_into_the_lists_of_the_template() {
    let path = fixtures().join("listings-sacramento/Sacramentorealestatetransactions.csv");
    let template = template::real_estate();
    let list = template
        .iter()
        .find(|list| list.name == "Properties")
        .unwrap();
    let columns: Vec<Column> = (0..)
        .zip(&list.columns)
        .map(|(number, column)| Column {
            id: ColumnId::nth(number).unwrap(),
            key: column.key.to_owned(),
            name: column.name.to_owned(),
            ty: column.ty,
            options: ColumnOptions::from_json(column.ty, &column.options, None).unwrap(),
            required: column.required,
            unique: false,
            default: None,
            position: 0,
            deleted: false,
            replaced: false,
        })
        .collect();
    let said = [
        ("street", "UnparsedAddress"),
        ("zip", "PostalCode"),
        ("beds", "BedroomsTotal"),
        ("baths", "BathroomsTotalInteger"),
        ("sq__ft", "LivingArea"),
        ("price", "ListPrice"),
    ];
    let known = |key: &str| columns.iter().any(|column| column.key == key);
    let mapping: Mapping = said
        .iter()
        .filter(|(_, key)| known(key))
        .map(|(source, key)| ((*source).to_owned(), Some((*key).to_owned())))
        .collect();
    assert!(mapping.contains_key("price"), "{columns:?}");
    let options = Options {
        create_columns: true,
        mapping,
        ..Options::default()
    };
    let before = ColumnSet::new(columns.clone());
    let plan = accept::plan(&path, &options, &before).unwrap();
    let made = columns_of(&plan);
    let after = made.iter().cloned().map(|column| Column {
        id: ColumnId::nth(column.id.number() + 500).unwrap(),
        ..column
    });
    let all = ColumnSet::new(columns.into_iter().chain(after).collect());
    let job = job(&path, plan.clone(), &all);
    let mut batches =
        Batches::open(&path, &plan, job.target, BatchSize::default(), job.progress).unwrap();
    let batch = batches.next_batch().unwrap().unwrap();
    assert_eq!(batch.progress.errors, []);
    assert_eq!((batch.progress.read, batch.progress.created), (985, 985));
}
