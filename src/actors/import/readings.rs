//! How real files are understood: which records they are split into, which types their columns get,
//! which columns of a list they go to.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::accept;
use super::batch::{BatchSize, Batches};
use super::expectations::{fixtures, json, plan, records};
use super::faults::{columns_of, job};
use crate::domain::cell::{Cell, ColumnId, Values};
use crate::domain::columns::{Column, ColumnSet, ColumnType, Options as ColumnOptions};
use crate::domain::import::mapping::Mapping;
use crate::domain::import::options::Options;
use crate::domain::import::plan::{ImportPlan, PlannedTarget};
use crate::domain::template;

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
fn a_file_of_todays_list_maps_onto_its_columns() {
    let path = fixtures().join("listings-sacramento/Sacramento_first240.csv");
    let columns = columns_of(&plan(&path).unwrap());
    let plan = accept::plan(&path, &Options::default(), &columns)
        .unwrap()
        .plan;
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
    let plan = accept::plan(&path, &options, &before).unwrap().plan;
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
