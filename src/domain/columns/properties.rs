//! Promises that hold for every type at once, under generated values.

use chrono::{DateTime, NaiveDate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use rust_decimal::Decimal;

use super::testing::{MEMBER, OTHER_MEMBER, column, hints, parse_json};
use super::*;
use crate::domain::cell::{Address, AddressLines, ChoiceId, Location, write_stored};
use crate::domain::written::{Names, written as people_read};

const CHOICES: &str =
    r#"{"choices":[{"name":"A"},{"name":"Ä \"quoted\", and\\more"},{"name":"🏠"},{"name":"N/A"}]}"#;

/// A column of each type that is stored, with roomy options; its place is its id.
fn every_column() -> Vec<Column> {
    let stored = ColumnType::ALL.into_iter().filter(|ty| ty.is_stored());
    let numbered = stored.zip(0..).map(|(ty, number)| Column {
        id: ColumnId::nth(number * 7).unwrap(),
        key: format!("Key{number}"),
        position: i32::try_from(number).unwrap(),
        ..column(
            ty,
            match ty {
                ColumnType::SingleSelect | ColumnType::MultiSelect => CHOICES,
                ColumnType::User => r#"{"multiple":true}"#,
                ColumnType::Phone => r#"{"region":"US"}"#,
                _ => "null",
            },
        )
    });
    numbered.collect()
}

fn text() -> impl Strategy<Value = String> {
    // Any characters, among them many that JSON must escape.
    vec(
        prop_oneof![
            any::<char>(),
            select(vec!['"', '\\', '\n', '\u{1}', '\u{7f}', '\u{2028}', 'é'])
        ],
        1..40,
    )
    .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect::<String>() + "x")
}

fn line() -> impl Strategy<Value = String> {
    text().prop_map(|text| {
        text.chars()
            .filter(|c| !c.is_control())
            .collect::<String>()
            .trim()
            .to_owned()
    })
}

fn choice() -> impl Strategy<Value = ChoiceId> {
    (1_u32..=4).prop_map(|number| ChoiceId::nth(number).unwrap())
}

/// A cell that a column of this type may hold.
fn cell(ty: ColumnType) -> BoxedStrategy<Cell> {
    match ty {
        ColumnType::Text | ColumnType::LongText => text().prop_map(Cell::Text).boxed(),
        ColumnType::Number
        | ColumnType::Currency
        | ColumnType::Percent
        | ColumnType::AutoNumber => (-999_999_999_999_999_i64..=999_999_999_999_999, 0_u32..=20)
            .prop_map(|(mantissa, scale)| Cell::Number(Decimal::new(mantissa, scale).normalize()))
            .boxed(),
        ColumnType::Rating => (0_u32..=5)
            .prop_map(|stars| Cell::Number(stars.into()))
            .boxed(),
        ColumnType::Checkbox => any::<bool>().prop_map(Cell::Bool).boxed(),
        ColumnType::Date => (1_i32..=3_652_059)
            .prop_map(|days| Cell::Date(NaiveDate::from_num_days_from_ce_opt(days).unwrap()))
            .boxed(),
        ColumnType::DateTime => prop_oneof![
            (-62_135_596_800_000_000_i64..=253_402_300_799_999_999),
            (-62_135_596_800_000_i64..=253_402_300_799_999).prop_map(|millis| millis * 1_000),
        ]
        .prop_map(|micros| Cell::DateTime(DateTime::from_timestamp_micros(micros).unwrap()))
        .boxed(),
        ColumnType::SingleSelect => choice().prop_map(Cell::Choice).boxed(),
        ColumnType::MultiSelect => subsequence((1_u32..=4).collect::<Vec<_>>(), 1..=4)
            .prop_shuffle()
            .prop_map(|ids| {
                Cell::Choices(
                    ids.into_iter()
                        .map(|id| ChoiceId::nth(id).unwrap())
                        .collect(),
                )
            })
            .boxed(),
        ColumnType::List => {
            let member = prop_oneof![
                text().prop_map(Cell::Text),
                any::<bool>().prop_map(Cell::Bool),
                (-999_999_i64..=999_999).prop_map(|number| Cell::Number(number.into())),
            ];
            prop::collection::vec(member, 1..=5)
                .prop_map(Cell::List)
                .boxed()
        }
        ColumnType::Email => "[a-z0-9]{1,20}@[a-z]{1,20}\\.[a-z]{2,4}"
            .prop_map(Cell::Text)
            .boxed(),
        ColumnType::Phone => prop_oneof![
            "\\+1[2-9][02-9][0-9][2-9][02-9][0-9]{5}",
            select(vec![
                "+442079460018",
                "+390236618300",
                "+4930901820",
                "+33142685300",
                "+81312345678",
                "+5511961234567"
            ])
            .prop_map(str::to_owned),
        ]
        .prop_map(Cell::Text)
        .boxed(),
        ColumnType::Url => "https?://[a-z]{1,20}\\.[a-z]{2,4}(/[a-zA-Z0-9\"\\\\%é]{0,20})?"
            .prop_map(Cell::Text)
            .boxed(),
        ColumnType::Address => (line(), line(), line(), line(), line(), line())
            .prop_filter_map(
                "an empty address is no cell",
                |(line1, line2, city, region, postal_code, country)| {
                    Address::new(AddressLines {
                        line1,
                        line2,
                        city,
                        region,
                        postal_code,
                        country,
                    })
                    .map(Cell::Address)
                },
            )
            .boxed(),
        ColumnType::Location => (-90.0_f64..=90.0, -180.0_f64..=180.0)
            .prop_map(|(lat, lon)| Cell::Location(Location::new(lat, lon).unwrap()))
            .boxed(),
        ColumnType::User => subsequence(vec![MEMBER, OTHER_MEMBER], 1..=2)
            .prop_map(|ids| Cell::Users(ids.into_iter().filter_map(user::read).collect()))
            .boxed(),
        ColumnType::Link
        | ColumnType::CreatedAt
        | ColumnType::CreatedBy
        | ColumnType::UpdatedAt
        | ColumnType::UpdatedBy => {
            unreachable!("not stored")
        }
    }
}

/// Every column with a cell of its own.
pub(crate) fn filled() -> impl Strategy<Value = Vec<(Column, Cell)>> {
    let cells: Vec<_> = every_column()
        .into_iter()
        .map(|column| (Just(column.clone()), cell(column.ty)))
        .collect();
    cells
}

/// Any cell of any type.
fn any_cell() -> impl Strategy<Value = Cell> {
    select(every_column()).prop_flat_map(|column| cell(column.ty))
}

/// JSON of any shape, not only of those that cells have.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[0-9]{1,25}(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,12})?",
        text().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[bfnrt\"/]|[a-z0-9/:@+.-]){0,12}\"",
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = select(vec!["lat", "lon", "city", "line1", "country", "other"]);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|members| format!("[{}]", members.join(","))),
            vec((key, inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn written(column: &Column, cell: &Cell) -> String {
    let mut out = String::new();
    column.write_wire_cell(cell, &mut out);
    out
}

proptest! {
    #[test]
    fn what_people_are_shown_is_read_back(cells in filled()) {
        let emails = |user: UserId| match user.to_string().as_str() {
            MEMBER => Some("ann@example.com"),
            _ => Some("ben@example.com"),
        };
        let names = Names { user: &emails, links_as_ids: false };
        for (column, cell) in cells {
            if !column.ty.is_read_only() {
                let text = people_read(&column, &cell, &names).into_owned();
                prop_assert_eq!(column.parse_text(&text, &hints()), Ok(Some(cell)), "{}", text);
            }
        }
    }

    #[test]
    fn what_is_written_to_the_wire_is_read_back(cells in filled()) {
        for (column, cell) in cells {
            let wire = written(&column, &cell);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&wire).is_ok(), "{}", wire);
            if !column.ty.is_read_only() {
                prop_assert_eq!(parse_json(&column, &wire), Ok(Some(cell)), "{}", wire);
            }
        }
    }

    #[test]
    fn what_is_stored_is_read_back(cells in filled(), dropped in any::<proptest::sample::Index>()) {
        let columns = ColumnSet::new(cells.iter().map(|(column, _)| column.clone()).collect());
        let mut values: Values = cells.into_iter().map(|(column, cell)| (column.id, cell)).collect();
        let gone = *dropped.get(&values.keys().copied().collect::<Vec<_>>());
        values.remove(&gone);
        let mut stored = String::new();
        write_stored(&values, &mut stored);
        prop_assert_eq!(&read_stored(&columns, &stored), &values);
        // Postgres writes JSONB with blanks and in an order of its own.
        let tree: serde_json::Value = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(tree.as_object().unwrap().len(), values.len());
        let spaced = stored.replace("\":", "\" : ");
        if serde_json::from_str::<serde_json::Value>(&spaced).is_ok_and(|same| same == tree) {
            prop_assert_eq!(&read_stored(&columns, &spaced), &values);
        }
    }

    #[test]
    fn an_item_on_the_wire_is_one_object_by_key_in_column_order(cells in filled()) {
        let columns = ColumnSet::new(cells.iter().map(|(column, _)| column.clone()).collect());
        let values: Values = cells.iter().map(|(column, cell)| (column.id, cell.clone())).collect();
        let mut wire = String::new();
        write_wire(&columns, &values, &mut wire);
        let each: Vec<_> = cells.iter().map(|(column, cell)| format!("\"{}\":{}", column.key, written(column, cell))).collect();
        prop_assert_eq!(wire, format!("{{{}}}", each.join(",")));
    }

    #[test]
    fn no_json_makes_a_column_panic_and_what_passes_round_trips(raw in prop_oneof![any_json(), any::<String>()]) {
        for column in every_column() {
            if let Ok(Some(cell)) = parse_json(&column, &raw) {
                let wire = written(&column, &cell);
                prop_assert_eq!(parse_json(&column, &wire), Ok(Some(cell.clone())), "{}", wire);
                let mut stored = String::new();
                cell.write_stored(&mut stored);
                prop_assert_eq!(column.read_stored_cell(&stored), Some(cell));
            }
            let _ = column.read_stored_cell(&raw);
        }
        let _ = read_stored(&ColumnSet::new(every_column()), &raw);
    }

    #[test]
    fn no_text_makes_a_column_panic_and_what_passes_is_valid(
        text in prop_oneof![
            any::<String>(),
            "[-+(]?[$€]?[0-9.,' ]{1,20}[%kM)]?",
            "[0-9]{1,4}[-/. ][A-Za-z0-9]{1,9}[-/. ,][0-9]{1,4}([T ][0-9]{1,2}:[0-9]{1,2}(:[0-9.]{1,12})? ?[A-Za-z+:0-9-]{0,6})?",
            "\\+?[0-9() .-]{3,22}",
        ],
        date_order in select(vec![DateOrder::Mdy, DateOrder::Dmy, DateOrder::Ymd]),
        decimal_comma: bool,
    ) {
        for column in every_column() {
            if let Ok(Some(cell)) = column.parse_text(&text, &TextHints { date_order, decimal_comma, ..hints() }) {
                let wire = written(&column, &cell);
                prop_assert_eq!(parse_json(&column, &wire), Ok(Some(cell)), "{}", wire);
            }
        }
    }

    #[test]
    fn the_order_of_cells_is_total(cells in vec(any_cell(), 3)) {
        let [a, b, c] = cells.as_slice() else { unreachable!() };
        prop_assert_eq!(a.compare(b), b.compare(a).reverse());
        prop_assert_eq!(a.compare(b) == Ordering::Equal, a == b);
        if a.compare(b).is_le() && b.compare(c).is_le() {
            prop_assert!(a.compare(c).is_le());
        }
    }

    #[test]
    fn the_order_within_a_column_is_total(cells in select(every_column()).prop_flat_map(|column| (Just(column.clone()), vec(cell(column.ty), 3)))) {
        let (column, cells) = cells;
        let [a, b, c] = cells.as_slice() else { unreachable!() };
        prop_assert_eq!(column.compare(a, b), column.compare(b, a).reverse());
        prop_assert_eq!(column.compare(a, b) == Ordering::Equal, a == b);
        if column.compare(a, b).is_le() && column.compare(b, c).is_le() {
            prop_assert!(column.compare(a, c).is_le());
        }
    }
}

#[test]
fn cells_of_another_kind_and_unknown_columns_are_left_out() {
    let columns = ColumnSet::new(vec![Column {
        deleted: true,
        ..column(ColumnType::Text, "null")
    }]);
    let kept = Values::from([(ColumnId::nth(1).unwrap(), Cell::Text("x".to_owned()))]);
    assert_eq!(
        read_stored(&columns, r#"{"1": "x", "2": "y", "é": 1}"#),
        kept,
        "a deleted column keeps its cells"
    );
    assert_eq!(read_stored(&columns, r#"{"1": 5}"#), Values::new());
    assert_eq!(read_stored(&columns, "[]"), Values::new());
    assert_eq!(read_stored(&columns, "{}"), Values::new());
}

#[test]
fn a_choice_that_is_gone_is_not_shown() {
    let gone = ChoiceId::nth(9).unwrap();
    let a = ChoiceId::nth(1).unwrap();
    let one = Column {
        id: ColumnId::nth(1).unwrap(),
        key: "One".to_owned(),
        ..column(ColumnType::SingleSelect, CHOICES)
    };
    let many = Column {
        id: ColumnId::nth(2).unwrap(),
        key: "Many".to_owned(),
        ..column(ColumnType::MultiSelect, CHOICES)
    };
    let (one_id, many_id) = (one.id, many.id);
    let columns = ColumnSet::new(vec![one, many]);
    let mut out = String::new();
    write_wire(
        &columns,
        &Values::from([
            (one_id, Cell::Choice(gone)),
            (many_id, Cell::Choices(vec![gone, a])),
        ]),
        &mut out,
    );
    assert_eq!(out, r#"{"Many":["A"]}"#);
}

#[test]
fn an_items_own_fields_show_as_columns() {
    let stamped = [
        ColumnType::CreatedAt,
        ColumnType::CreatedBy,
        ColumnType::UpdatedAt,
        ColumnType::UpdatedBy,
    ];
    let columns = stamped.into_iter().zip(1..).map(|(ty, number)| Column {
        id: ColumnId::nth(number).unwrap(),
        key: ty.as_str().to_owned(),
        ..column(ty, "null")
    });
    let columns = ColumnSet::new(columns.collect());
    let stamps = Stamps {
        created_at: DateTime::from_timestamp_micros(1_500).unwrap(),
        created_by: user::read(MEMBER),
        updated_at: DateTime::from_timestamp_micros(2_000_000).unwrap(),
        updated_by: None,
    };
    let mut out = String::new();
    write_wire_stamped(&columns, &Values::new(), &stamps, &mut out);
    let wanted = format!(
        r#"{{"created_at":"1970-01-01T00:00:00.001500Z","created_by":"{MEMBER}","updated_at":"1970-01-01T00:00:02Z"}}"#
    );
    assert_eq!(out, wanted);
}
