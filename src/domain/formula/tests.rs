//! The language, case by case, and whatever may be written in it.

use proptest::prelude::*;

use super::*;

fn columns(key: &str) -> Named {
    let column = |id: u32, kind: Kind| match ColumnId::nth(id) {
        Some(id) => Named::Column(id, kind),
        None => Named::Unknown,
    };
    match key {
        "Price" => column(0, Kind::one(Scalar::Number)),
        "Fee" => column(1, Kind::one(Scalar::Number)),
        "City" => column(2, Kind::one(Scalar::Text)),
        "Sold" => column(3, Kind::one(Scalar::Bool)),
        "Listed" => column(4, Kind::one(Scalar::Date)),
        "Seen" => column(5, Kind::one(Scalar::Time)),
        "Prices" => column(6, Kind::list(Scalar::Number)),
        "Tags" => column(7, Kind::list(Scalar::Text)),
        "Nothing" => column(8, Kind::one(Scalar::Number)),
        "Broken" => column(9, Kind::one(Scalar::Number)),
        "Place" => Named::Unsupported("location"),
        _ => Named::Unknown,
    }
}

fn cell(id: ColumnId) -> Result<Option<Value>, Fault> {
    let text = |text: &str| Value::Text(text.to_owned());
    let number = |number: i64| Value::Number(number.into());
    Ok(match id.number() {
        0 => Some(number(350_000)),
        1 => Some(number(3)),
        2 => Some(text("Sacramento")),
        3 => Some(Value::Bool(true)),
        4 => Some(Value::Date("2026-01-31".parse().unwrap())),
        5 => Some(Value::Time("2026-02-15T10:30:00Z".parse().unwrap())),
        6 => Some(Value::List(vec![number(1), number(2), number(4)])),
        7 => Some(Value::List(vec![text("b"), text("A"), text("B")])),
        9 => return Err(Fault::DivisionByZero),
        _ => None,
    })
}

/// What a formula comes to, or the code of why it doesn't.
fn comes_to(text: &str) -> String {
    match compile(text, &columns) {
        Err(wrong) => format!("{}@{}", wrong.code, wrong.at),
        Ok(formula) => match formula.value(&cell) {
            Ok(None) => "empty".to_owned(),
            Ok(Some(value)) => value.text().unwrap(),
            Err(fault) => format!("!{}", fault.code()),
        },
    }
}

#[test]
fn formulas_come_to_what_people_expect() {
    for (text, wanted) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 - 3 - 4", "-5"),
        ("-2 * -3", "6"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0.333333333333333"),
        ("10 % 4", "2"),
        ("Price * Fee / 100", "10500"),
        ("{Price} / 1000", "350"),
        ("Price / 0", "!division_by_zero"),
        ("Nothing + 1", "empty"),
        ("COALESCE(Nothing, 0) + 1", "1"),
        ("IF(Nothing > 1, 'a', 'b')", "b"),
        ("Nothing = EMPTY()", "true"),
        ("City & ', ' & Price", "Sacramento, 350000"),
        ("City & Nothing", "Sacramento"),
        ("City = 'SACRAMENTO'", "true"),
        ("City < 'T'", "true"),
        ("IF(Sold, 'yes')", "yes"),
        ("if(not(Sold), 'yes')", "empty"),
        ("IF(AND(Price > 1, OR(Sold, FALSE)), 1, 2)", "1"),
        ("SWITCH(City, 'Davis', 1, 'sacramento', 2, 3)", "2"),
        ("SWITCH(City, 'Davis', 1)", "empty"),
        ("SWITCH(City, 'Davis', 1, 9)", "9"),
        ("IF_ERROR(Broken, -1)", "-1"),
        ("Broken + 1", "!division_by_zero"),
        ("IF(TRUE, 1, Broken)", "1"),
        ("IS_EMPTY(Nothing)", "true"),
        ("ROUND(2.345, 2)", "2.35"),
        ("ROUND(-2.5)", "-3"),
        ("ROUND(1250, -2)", "1300"),
        ("FLOOR(-1.5)", "-2"),
        ("CEILING(1.2)", "2"),
        ("TRUNC(-1.9)", "-1"),
        ("MOD(-7, 3)", "-1"),
        ("POWER(2, 10)", "1024"),
        ("POWER(2, -1)", "0.5"),
        ("POWER(0, -1)", "!division_by_zero"),
        ("POWER(10, 99)", "!out_of_range"),
        ("SQRT(2)", "1.41421356237310"),
        ("SQRT(144)", "12"),
        ("SQRT(-1)", "!out_of_range"),
        ("SUM(Prices, 3, Nothing)", "10"),
        ("AVERAGE(Prices, 5)", "3"),
        ("MEDIAN(Prices, 100)", "3"),
        ("MIN(Prices)", "1"),
        ("MAX(Listed, DATE(2026, 3, 1))", "2026-03-01"),
        ("COUNT(Prices, Nothing, City)", "4"),
        ("LEN('äö')", "2"),
        ("LEN(TEXT(EMPTY()))", "0"),
        ("UPPER('straße')", "STRASSE"),
        ("LEFT(City, 3) & RIGHT(City, 2)", "Sacto"),
        ("MID(City, 2, 3)", "acr"),
        ("REPLACE('a-b-c', '-', '+')", "a+b+c"),
        ("CONTAINS(City, 'CRAM')", "true"),
        ("STARTS_WITH(City, 'sac')", "true"),
        ("ENDS_WITH(City, 'x')", "false"),
        ("'it''s' & \"a \"\"b\"\"\"", "it'sa \"b\""),
        ("NUMBER(' 12.50 ')", "12.5"),
        ("NUMBER('12a')", "!not_a_number"),
        ("DATE(2026, 2, 30)", "!not_a_date"),
        ("DATE_ADD(Listed, 1, 'month')", "2026-02-28"),
        ("DATE_ADD(Listed, -1, 'days')", "2026-01-30"),
        ("DATE_ADD(Seen, 90, 'minutes')", "2026-02-15T12:00:00Z"),
        ("DATE_ADD(Listed, 1, 'hours')", "!bad_argument"),
        ("DATE_ADD(Listed, 9999, 'years')", "!out_of_range"),
        ("DATE_DIFF(Listed, TO_DATE(Seen), 'days')", "15"),
        ("DATE_DIFF(Listed, DATE(2026, 2, 28), 'months')", "0"),
        ("DATE_DIFF(Listed, DATE(2025, 1, 31), 'years')", "-1"),
        ("WEEKDAY(Listed)", "6"),
        ("YEAR(Seen) * 100 + MONTH(Seen)", "202602"),
        ("HOUR(Seen)", "10"),
        ("TO_DATE('2026-02-15') = TO_DATE(Seen)", "true"),
        ("FIRST(Tags) & LAST(Tags)", "bB"),
        ("JOIN(UNIQUE(Tags), '/')", "b/A"),
        ("HAS(Tags, 'a')", "true"),
        ("HAS(Prices, 3)", "false"),
    ] {
        let got = comes_to(text);
        let got = got
            .parse::<rust_decimal::Decimal>()
            .map_or(got, |n| n.normalize().to_string());
        let wanted = wanted
            .parse::<rust_decimal::Decimal>()
            .map_or(wanted.to_owned(), |n| n.normalize().to_string());
        assert_eq!(got, wanted, "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (text, wanted) in [
        ("", "syntax@0"),
        ("1 +", "syntax@3"),
        ("1 2", "syntax@2"),
        ("(1", "syntax@2"),
        ("'open", "syntax@0"),
        ("{Price", "syntax@0"),
        ("1.2.3", "syntax@0"),
        ("§", "syntax@0"),
        ("Rent + 1", "unknown_column@0"),
        ("1 + Place", "unsupported_column@4"),
        ("SUMME(1)", "unknown_function@0"),
        ("ROUND()", "wrong_count@0"),
        ("NOT(TRUE, FALSE)", "wrong_count@0"),
        ("1 + City", "wrong_type@4"),
        ("City > 1", "wrong_type@7"),
        ("Sold < TRUE", "wrong_type@5"),
        ("IF(Price, 1, 2)", "wrong_type@3"),
        ("IF(Sold, 1, 'a')", "wrong_type@12"),
        ("SUM(City)", "wrong_type@4"),
        ("HAS(Tags, 1)", "wrong_type@10"),
        ("FIRST(City)", "wrong_type@6"),
        ("EMPTY()", "wrong_type@0"),
    ] {
        assert_eq!(comes_to(text), wanted, "{text}");
    }
}

#[test]
fn a_formula_is_never_longer_deeper_or_larger_than_it_may_be() {
    let code = |text: &str| compile(text, &columns).unwrap_err().code;
    assert_eq!(code(&"1+".repeat(5_000)), "too_long");
    assert_eq!(code(&"(".repeat(1_000)), "too_deep");
    assert_eq!(code(&"-".repeat(1_000)), "too_deep");
    assert_eq!(code(&"ABS(".repeat(400)), "too_deep");
    assert_eq!(code(&format!("1{}", "+1".repeat(600))), "too_large");
    assert!(compile(&format!("1{}", "+1".repeat(240)), &columns).is_ok());
}

#[test]
fn texts_never_outgrow_a_cell() {
    let mut formula = "City".to_owned();
    for _ in 0..16 {
        formula = format!("REPLACE({formula}, 'a', 'aaaaaaaaaaaaaaaa')");
    }
    assert_eq!(comes_to(&formula), "!too_long");
}

#[test]
fn inputs_are_named_once() {
    let formula = compile("Price + Fee + Price", &columns).unwrap();
    assert_eq!(formula.inputs().len(), 2);
    assert_eq!(formula.kind(), Kind::one(Scalar::Number));
}

#[test]
fn every_function_is_documented_as_it_is() {
    let page = include_str!("../../../FORMULAS.md");
    for function in functions() {
        let (name, shape, about) = (function.name, function.shape, function.about);
        let row = format!("| `{name}({shape})` | {about} |");
        assert!(page.contains(&row), "FORMULAS.md lacks {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), functions().len());
}

#[test]
fn every_function_has_a_name_of_its_own() {
    let mut names: Vec<&str> = functions().iter().map(|function| function.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), functions().len());
}

proptest! {
    #[test]
    fn any_text_is_a_formula_or_refused(text in ".{0,80}") {
        let _ = compile(&text, &columns);
    }

    #[test]
    fn whatever_is_put_together_is_of_its_kind_or_a_fault(
        words in prop::collection::vec(prop::sample::select(vec![
            "Price", "Fee", "City", "Sold", "Listed", "Seen", "Prices", "Tags", "Nothing", "Broken",
            "1", "0", "2.5", "'x'", "TRUE", "+", "-", "*", "/", "%", "&", "=", "<", "(", ")", ",",
            "IF(", "SUM(", "MAX(", "COALESCE(", "LEFT(", "DATE_ADD(", "'days'", "POWER(", "JOIN(",
        ]), 0..14),
    ) {
        if let Ok(formula) = compile(&words.join(" "), &columns)
            && let Ok(Some(value)) = formula.value(&cell)
        {
            prop_assert_eq!(value.kind(), formula.kind());
        }
    }
}
