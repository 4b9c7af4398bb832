//! The promise of exports: what goes out comes back in as the same data, in every form, whatever the
//! cells hold.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::write::Writer;
use crate::actors::import::accept;
use crate::actors::import::batch::{BatchSize, Batches, Target};
use crate::domain::cell::{Cell, Values};
use crate::domain::columns::properties::filled;
use crate::domain::columns::testing::{MEMBER, OTHER_MEMBER};
use crate::domain::columns::{Column, ColumnSet, ColumnType};
use crate::domain::export::{Format, LinksAs};
use crate::domain::import::options::Options;
use crate::domain::item::Item;
use crate::domain::schema::List;
use crate::ids::{ItemId, JobId, ListId, UserId};
use crate::store::jobs::JobProgress;

fn user(text: &str) -> UserId {
    UserId(Uuid::parse_str(text).unwrap())
}

fn list(columns: Vec<Column>) -> List {
    List {
        id: ListId(Uuid::nil()),
        name: "Homes".to_owned(),
        position: 0,
        columns: ColumnSet::new(columns),
        created_at: DateTime::UNIX_EPOCH,
        created_by: user(MEMBER),
        updated_at: DateTime::UNIX_EPOCH,
        deleted_at: None,
    }
}

fn item(values: Values) -> Item {
    Item {
        id: ItemId(Uuid::nil()),
        version: 1,
        seq: 1,
        values,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        created_by: user(MEMBER),
        updated_at: DateTime::UNIX_EPOCH,
        updated_by: user(MEMBER),
        deleted_at: None,
    }
}

/// What stands in the list once the rows have gone out and come in again.
fn there_and_back(format: Format, columns: &[Column], rows: &[Values]) -> Vec<Values> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let emails = [
        (MEMBER, "ann@example.com"),
        (OTHER_MEMBER, "ben@example.com"),
    ];
    let people = emails.map(|(id, email)| (user(id), email.to_owned()));
    let shown = Arc::new(list(columns.to_vec()));
    let people = Arc::new(HashMap::from(people));
    let items: Vec<Item> = rows.iter().cloned().map(item).collect();
    let mut writer =
        Writer::create(&path, format, LinksAs::Titles, Arc::clone(&shown), people).unwrap();
    writer.write(&items).unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());

    let options = Options::parse([("date_order", "mdy")]).unwrap();
    let inspected = accept::plan(&path, &options, &shown.columns).unwrap();
    let rows = inspected.rows.as_deref().unwrap_or(&path);
    let named = emails.map(|(id, email)| (email.to_owned(), user(id)));
    let people = Arc::new(HashMap::from(named));
    let job = JobId(Uuid::nil());
    let target = Target::new(job, shown.id, 1, &inspected.plan, &shown.columns, people).unwrap();
    let start = JobProgress {
        checkpoint_bytes: inspected.plan.data_start,
        ..JobProgress::default()
    };
    let mut batches =
        Batches::open(rows, &inspected.plan, target, BatchSize::default(), start).unwrap();
    let mut read = Vec::new();
    while let Some(batch) = batches.next_batch().unwrap() {
        assert_eq!(batch.progress.errors, [], "{format:?}");
        read.extend(batch.rows.into_iter().map(|(_, values)| values));
    }
    read
}

/// What a form can't hold as it is: workbooks know no carriage returns, control characters or dates
/// before 1900 of their own, and count 15 digits.
fn fits(format: Format, cell: &Cell) -> bool {
    match cell {
        Cell::Text(text) if format == Format::Xlsx => !text.chars().any(char::is_control),
        Cell::Number(number) if format == Format::Xlsx => number.scale() <= 9,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_goes_out_comes_back_as_it_was(rows in prop::collection::vec(filled(), 1..5)) {
        for format in [Format::Csv, Format::Json, Format::Ndjson, Format::Xlsx] {
            let writable = |column: &Column| !column.ty.is_read_only();
            let columns: Vec<Column> = rows[0]
                .iter()
                .map(|(column, _)| column.clone())
                .filter(writable)
                .zip(0..)
                .map(|(column, nr)| Column { name: format!("Name {nr}"), ..column })
                .collect();
            let rows: Vec<Values> = rows
                .iter()
                .map(|row| {
                    row.iter()
                        .filter(|(column, cell)| writable(column) && (fits(format, cell) || column.ty == ColumnType::Checkbox))
                        .map(|(column, cell)| (column.id, cell.clone()))
                        .collect()
                })
                .collect();
            prop_assert_eq!(there_and_back(format, &columns, &rows), rows, "{:?}", format);
        }
    }
}
