//! Filters, from their JSON to the items they are true of.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::grammar::{Op, is_set};
use super::*;
use crate::domain::cell::Values;
use crate::domain::columns::{Column, ColumnType, Options, ParseContext};
use crate::domain::item::Item;
use crate::ids::ItemId;

const ME: UserId = UserId(Uuid::from_u128(1));
const TODAY: NaiveDate = match NaiveDate::from_ymd_opt(2026, 2, 15) {
    Some(day) => day,
    None => NaiveDate::MIN,
};
const OTHER: UserId = UserId(Uuid::from_u128(2));

/// One column of each type, its key the type's name; selects may hold `New`, `Old` and `Gone`.
fn columns() -> ColumnSet {
    let choices = json!({"choices": [{"name": "New"}, {"name": "Old"}, {"name": "Gone"}]});
    let column = |(at, ty): (u32, ColumnType)| Column {
        id: ColumnId::nth(at).unwrap(),
        key: ty.as_str().to_owned(),
        name: ty.as_str().to_owned(),
        ty,
        options: match ty {
            _ if ty.is_select() => Options::from_json(ty, &choices, None).unwrap(),
            ColumnType::Phone => Options::from_json(ty, &json!({"region": "US"}), None).unwrap(),
            ColumnType::User => Options::from_json(ty, &json!({"multiple": true}), None).unwrap(),
            _ => Options::default(),
        },
        required: false,
        unique: false,
        default: None,
        position: 0,
        deleted: false,
        replaced: false,
    };
    ColumnSet::new((0..).zip(ColumnType::ALL).map(column).collect())
}

fn item(columns: &ColumnSet, values: Value) -> Item {
    let cells = values
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(key, value)| {
            let column = columns.by_key(key).unwrap();
            let cell = column.parse_json(&value.to_string(), &ParseContext { members: &|_| true });
            Some((column.id, cell.unwrap()?))
        });
    Item {
        id: ItemId(Uuid::nil()),
        version: 1,
        seq: 1,
        values: cells.collect::<Values>(),
        created_at: DateTime::parse_from_rfc3339("2026-02-15T10:00:00Z")
            .unwrap()
            .to_utc(),
        created_by: ME,
        updated_at: DateTime::UNIX_EPOCH,
        updated_by: OTHER,
        deleted_at: None,
    }
}

fn filled(columns: &ColumnSet) -> Item {
    let values = json!({
        "text": "Straße in OAKLAND", "number": 10, "checkbox": false, "date": "2026-02-15",
        "date_time": "2026-02-15T10:00:00.5Z", "single_select": "Old",
        "multi_select": ["Old", "New"], "phone": "(415) 555-0132", "user": [ME, OTHER],
        "address": {"line1": "1 Main St", "city": "Sacramento"},
        "location": {"lat": 38.5, "lon": -121.4},
    });
    item(columns, values)
}

fn wrong(json: &str) -> (String, String) {
    let error = Filter::parse(json, &columns(), ME, TODAY)
        .expect_err(json)
        .remove(0);
    (error.path, error.code.into_owned())
}

#[test]
fn conditions_hold_of_filled_cells() {
    let columns = columns();
    let item = filled(&columns);
    let cases = [
        ("text", "eq", json!("STRAßE IN oakland"), true),
        ("text", "eq", json!("strasse in oakland"), false),
        ("text", "lte", json!("straße in oakland"), true),
        ("text", "lt", json!("straße in oakland"), false),
        ("text", "gt", json!("S"), true),
        ("text", "contains", json!("oak"), true),
        ("text", "not_contains", json!("oak"), false),
        ("text", "starts_with", json!("STRAẞ"), true),
        ("text", "in", json!(["x", "sTRAßE in oakland"]), true),
        ("text", "not_in", json!([]), true),
        ("number", "gt", json!(9.5), true),
        ("number", "eq", json!(10.0), true),
        ("number", "ne", json!(10), false),
        ("number", "in", json!([1, 10]), true),
        ("checkbox", "eq", json!(false), true),
        ("date", "gte", json!("2026-02-15"), true),
        (
            "date_time",
            "lt",
            json!("2026-02-15T11:00:00.6+01:00"),
            true,
        ),
        ("created_at", "eq", json!("2026-02-15T10:00:00Z"), true),
        ("single_select", "gt", json!("New"), true),
        ("single_select", "lt", json!("Gone"), true),
        ("multi_select", "eq", json!(["New", "Old"]), true),
        ("multi_select", "eq", json!(["Old"]), false),
        ("multi_select", "has_any", json!(["Gone", "Old"]), true),
        ("multi_select", "has_all", json!(["Gone", "Old"]), false),
        ("multi_select", "not_in", json!(["Gone"]), true),
        ("phone", "eq", json!("+1 415 555 0132"), true),
        ("phone", "starts_with", json!("+1415"), true),
        ("user", "has_any", json!([{"me": true}]), true),
        ("user", "eq", json!({"me": true}), false),
        ("user", "eq", json!([OTHER, {"me": true}]), true),
        ("created_by", "eq", json!({"me": true}), true),
        ("updated_by", "in", json!([{"me": true}]), false),
        ("address", "contains", json!("main st"), true),
        (
            "address",
            "eq",
            json!({"line1": "1 MAIN st", "city": "sacramento"}),
            true,
        ),
        ("location", "eq", json!({"lat": 38.5, "lon": -121.4}), true),
    ];
    for (key, op, value, holds) in cases {
        let json = json!({"column": key, "op": op, "value": value}).to_string();
        let filter = Filter::parse(&json, &columns, ME, TODAY).expect(&json);
        assert_eq!(filter.matches(&columns, &item), holds, "{json}");
    }
}

#[test]
fn of_empty_cells_only_emptiness_and_opposites_hold() {
    let columns = columns();
    let (empty, filled) = (item(&columns, json!({})), filled(&columns));
    let cases = [
        ("is_empty", None, true),
        ("not_empty", None, false),
        ("eq", Some("oak"), false),
        ("ne", Some("oak"), true),
        ("lt", Some("oak"), false),
        ("gte", Some("oak"), false),
        ("contains", Some("oak"), false),
        ("not_contains", Some("oak"), true),
        ("starts_with", Some("oak"), false),
    ];
    for (op, value, holds) in cases {
        let json = json!({"column": "text", "op": op, "value": value}).to_string();
        let filter = Filter::parse(&json, &columns, ME, TODAY).expect(&json);
        assert_eq!(filter.matches(&columns, &empty), holds, "{json}");
        let json = format!(r#"{{"not":{json}}}"#);
        let filter = Filter::parse(&json, &columns, ME, TODAY).expect(&json);
        assert_eq!(filter.matches(&columns, &empty), !holds, "{json}");
    }
    let is_empty = r#"{"column":"text","op":"is_empty"}"#;
    assert!(
        !Filter::parse(is_empty, &columns, ME, TODAY)
            .unwrap()
            .matches(&columns, &filled)
    );
}

#[test]
fn groups_without_members_are_everything_and_nothing() {
    let columns = columns();
    let item = item(&columns, json!({}));
    let holds = |json| {
        Filter::parse(json, &columns, ME, TODAY)
            .unwrap()
            .matches(&columns, &item)
    };
    assert!(holds(r#"{"and":[]}"#));
    assert!(!holds(r#"{"or":[]}"#));
    assert!(holds(r#"{"or":[{"or":[]},{"not":{"or":[]}}]}"#));
}

#[test]
fn a_choice_that_is_gone_is_an_empty_cell() {
    let before = columns();
    let item = item(
        &before,
        json!({"single_select": "Gone", "multi_select": ["Gone", "Old"]}),
    );
    let fewer = json!({"choices": [{"name": "New"}, {"name": "Old"}]});
    let after = ColumnSet::new(
        before
            .iter()
            .cloned()
            .map(|mut column| {
                if column.ty.is_select() {
                    let options = Options::from_json(column.ty, &fewer, Some(&column.options));
                    column.options = options.unwrap();
                }
                column
            })
            .collect(),
    );
    let holds = |json| {
        Filter::parse(json, &after, ME, TODAY)
            .unwrap()
            .matches(&after, &item)
    };
    assert!(holds(r#"{"column":"single_select","op":"is_empty"}"#));
    assert!(holds(
        r#"{"column":"multi_select","op":"eq","value":["Old"]}"#
    ));
}

#[test]
fn a_broken_rule_is_named_by_its_place() {
    let condition = |op: &str, value: &str| {
        format!(
            r#"{{"and":[{{"column":"text","op":"eq","value":"a"}},{{"not":{{"column":"number","op":"{op}","value":{value}}}}}]}}"#
        )
    };
    let at = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    for (json, path, code) in [
        ("[]", "/filter", "malformed"),
        ("{}", "/filter", "malformed"),
        (r#"{"and":[],"or":[]}"#, "/filter", "malformed"),
        (r#"{"and":[],"and":[]}"#, "/filter", "malformed"),
        (r#"{"column":"text","value":1}"#, "/filter", "malformed"),
        (r#"{"nor":[]}"#, "/filter", "malformed"),
        (r#"{"and":{}}"#, "/filter/and", "not_an_array"),
        (r#"{"and":[3]}"#, "/filter/and/0", "malformed"),
        (
            r#"{"column":"Nowhere","op":"eq","value":1}"#,
            "/filter/column",
            "unknown_column",
        ),
        (
            r#"{"column":"text","op":"like","value":"a"}"#,
            "/filter/op",
            "unknown_op",
        ),
        (
            r#"{"column":"text","op":"is_empty","value":1}"#,
            "/filter/value",
            "malformed",
        ),
        (
            r#"{"column":"text","op":"eq"}"#,
            "/filter/value",
            "missing_value",
        ),
        (
            r#"{"column":"text","op":"eq","value":null}"#,
            "/filter/value",
            "missing_value",
        ),
        (
            r#"{"column":"text","op":"contains","value":""}"#,
            "/filter/value",
            "missing_value",
        ),
        (
            r#"{"column":"text","op":"eq","value":"a\u0000"}"#,
            "/filter/value",
            "bad_text",
        ),
        (
            r#"{"column":"text","op":"eq","value":{"me":true}}"#,
            "/filter/value",
            "not_text",
        ),
        (
            r#"{"column":"user","op":"eq","value":{"me":false}}"#,
            "/filter/value",
            "not_a_member",
        ),
        (
            r#"{"column":"user","op":"in","value":{"me":true}}"#,
            "/filter/value",
            "not_an_array",
        ),
        (
            r#"{"column":"single_select","op":"eq","value":"new"}"#,
            "/filter/value",
            "not_a_choice",
        ),
        (
            r#"{"column":"date","op":"in","value":["2026-02-15","soon"]}"#,
            "/filter/value/1",
            "not_a_date",
        ),
    ] {
        assert_eq!(wrong(json), at(path, code), "{json}");
    }
    for (column, op, value, code) in [
        ("date", "within", r#"{"this":"hour"}"#, "malformed"),
        ("created_at", "within", r#"{"last_days":0}"#, "out_of_range"),
        (
            "location",
            "within_km",
            r#"{"lat":1,"lon":2,"km":-1}"#,
            "too_small",
        ),
        ("location", "within_box", "null", "malformed"),
    ] {
        let json = format!(r#"{{"column":"{column}","op":"{op}","value":{value}}}"#);
        assert_eq!(wrong(&json), at("/filter/value", code), "{json}");
    }
    assert_eq!(
        wrong(&condition("lt", "\"1\"")),
        at("/filter/and/1/not/value", "not_a_number")
    );
    assert_eq!(
        wrong(&condition("contains", "1")),
        at("/filter/and/1/not/op", "bad_op")
    );
}

#[test]
fn every_type_knows_its_ops() {
    let all = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let names = "eq ne lt lte gt gte in not_in contains not_contains starts_with is_empty not_empty has_any has_all linked_to within within_box within_km";
    for ty in ColumnType::ALL {
        let suits: Vec<_> = all(names)
            .into_iter()
            .filter(|name| Op::of(name).unwrap().0.suits(ty))
            .collect();
        let expected = match ty {
            ColumnType::Checkbox => "eq ne in not_in is_empty not_empty",
            ColumnType::Address => "eq ne contains not_contains starts_with is_empty not_empty",
            ColumnType::Location => "eq ne is_empty not_empty within_box within_km",
            ColumnType::Link => "is_empty not_empty linked_to",
            ColumnType::List => {
                "eq ne in not_in contains not_contains is_empty not_empty has_any has_all"
            }
            _ if ty.is_moment() => "eq ne lt lte gt gte in not_in is_empty not_empty within",
            _ if is_set(ty) => "eq ne in not_in is_empty not_empty has_any has_all",
            _ if ty.is_text() => {
                "eq ne lt lte gt gte in not_in contains not_contains starts_with is_empty not_empty"
            }
            _ => "eq ne lt lte gt gte in not_in is_empty not_empty",
        };
        assert_eq!(suits, all(expected), "{ty:?}");
    }
}

#[test]
fn limits_stand_exactly() {
    let columns = columns();
    let one = r#"{"column":"text","op":"is_empty"}"#;
    let nested = |depth: usize| format!("{}{one}{}", r#"{"not":"#.repeat(depth), "}".repeat(depth));
    assert!(Filter::parse(&nested(MAX_DEPTH), &columns, ME, TODAY).is_ok());
    let inside = "/not".repeat(MAX_DEPTH);
    assert_eq!(
        wrong(&nested(MAX_DEPTH + 1)),
        (format!("/filter{inside}"), "too_deep".to_owned())
    );
    assert_eq!(wrong(&nested(10_000)).1, "too_deep");

    let many = |count: usize| format!(r#"{{"or":[{}]}}"#, vec![one; count].join(","));
    assert!(Filter::parse(&many(MAX_CONDITIONS), &columns, ME, TODAY).is_ok());
    assert_eq!(
        wrong(&many(MAX_CONDITIONS + 1)),
        ("/filter/or/100".to_owned(), "too_many".to_owned())
    );
    let empty_groups = format!(r#"{{"or":[{}]}}"#, vec![r#"{"and":[]}"#; 101].join(","));
    assert_eq!(wrong(&empty_groups).1, "too_many");

    let values = |count: usize| {
        format!(
            r#"{{"column":"number","op":"in","value":[{}]}}"#,
            vec!["1"; count].join(",")
        )
    };
    assert!(Filter::parse(&values(MAX_VALUES), &columns, ME, TODAY).is_ok());
    assert_eq!(wrong(&values(MAX_VALUES + 1)).1, "too_many");
    assert_eq!(wrong(&" ".repeat(MAX_LENGTH + 1)).1, "too_long");
}

/// Any JSON, with a liking for the words of the grammar.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("and"),
        Just("or"),
        Just("not"),
        Just("column"),
        Just("op"),
        Just("value"),
        Just("eq"),
        Just("in"),
        Just("has_any"),
        Just("contains"),
        Just("me"),
        Just("text"),
        Just("number"),
        Just("user"),
        Just("multi_select"),
        Just("location"),
        Just("New"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    let key = prop_oneof![4 => word.prop_map(str::to_owned), 1 => any::<String>()];
    leaf.prop_recursive(8, 64, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(json in any_json()) {
        let columns = columns();
        for json in [json.to_string(), json!({"and": [json.clone()]}).to_string()] {
            if let Ok(filter) = Filter::parse(&json, &columns, ME, TODAY) {
                filter.matches(&columns, &filled(&columns));
            }
        }
    }

    #[test]
    fn no_value_makes_it_panic(value in any_json(), at in 0_usize..22, op in 0_usize..18) {
        let columns = columns();
        let ops = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains",
            "not_contains", "starts_with", "is_empty", "not_empty", "has_any", "has_all", "within", "within_box",
            "within_km"];
        let json = json!({"column": ColumnType::ALL[at].as_str(), "op": ops[op], "value": value});
        if let Ok(filter) = Filter::parse(&json.to_string(), &columns, ME, TODAY) {
            filter.matches(&columns, &filled(&columns));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = Filter::parse(&text, &columns(), ME, TODAY);
    }
}
