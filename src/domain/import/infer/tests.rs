//! What columns of values are taken for, and what is left as it was written.

use proptest::prelude::*;

use super::super::dialect::LineEnd;
use super::*;

fn dialect(delimiter: u8) -> Dialect {
    Dialect {
        delimiter,
        quote: Some(b'"'),
        line_end: LineEnd::Lf,
        start: 0,
    }
}

fn infer_as(name: &str, values: &[&str], delimiter: u8, declared: Option<DateOrder>) -> Inferred {
    let mut survey = Survey::new(&[name.to_owned()], &dialect(delimiter), declared);
    for value in values {
        survey.take(&StringRecord::from(vec![*value]));
    }
    survey.finish().remove(0)
}

fn infer(values: &[&str]) -> ColumnType {
    infer_as("a", values, b',', None).ty
}

#[test]
fn values_tell_their_type() {
    use ColumnType::*;
    for (values, ty) in [
        (&["12", "-0.5", "1,250,000"][..], Number),
        (&["12", "N/A", "-", ""], Number),
        (&["$1,250,000", "$5", "n/a"], Currency),
        (&["$5", "€5"], Text),
        (&["2026-02-15", "2026-12-31"], Date),
        (&["5/19/2006 0:00:00", "1/2/2006 0:00:00"], Date),
        (&["5/19/2006 13:30", "1/2/2006 0:00"], DateTime),
        (&["2026-02-15T10:30:00Z"], DateTime),
        (&["yes", "No"], Checkbox),
        (&["yes", "yes"], Text),
        (&["ann@example.com"], Email),
        (&["(415) 555-0132", "415-555-0133"], Phone),
        (&["+14155550132"], Phone),
        (&["4155550132"], Number),
        (&["https://example.com/a"], Url),
        (&["01", "02"], Text),
        (&["1234567890123456"], Text),
        (&["1,7", "200.000.000"], Text),
        (&["1e5"], Text),
        (&["N/A", "-"], Text),
        (&[""], Text),
        (&["one\ntwo"], LongText),
    ] {
        assert_eq!(infer(values), ty, "{values:?}");
    }
}

#[test]
fn codes_stay_text_whatever_their_digits() {
    for name in [
        "zip",
        "Zip Code",
        "PostalCode",
        "Contact Phone Number",
        "FIPS",
    ] {
        assert_eq!(
            infer_as(name, &["95838", "2095257564"], b',', None).ty,
            ColumnType::Text,
            "{name}"
        );
    }
}

#[test]
fn a_day_that_may_be_a_month_is_never_guessed() {
    let order = |values: &[&str], declared| {
        let verdict = infer_as("a", values, b',', declared);
        (verdict.ty, verdict.date_order, verdict.date_order_unknown)
    };
    use DateOrder::{Dmy, Mdy};
    assert_eq!(
        order(&["02/01/2014", "31/12/2012"], None),
        (ColumnType::Date, Some(Dmy), false)
    );
    assert_eq!(
        order(&["02/01/2014", "12/31/2012"], None),
        (ColumnType::Date, Some(Mdy), false)
    );
    assert_eq!(order(&["02/01/2014"], None), (ColumnType::Text, None, true));
    assert_eq!(
        order(&["02/01/2014"], Some(Dmy)),
        (ColumnType::Date, None, false),
        "said, so nothing to settle"
    );
    assert_eq!(order(&["12/31/2014"], Some(Dmy)).0, ColumnType::Text);
    assert_eq!(
        order(&["02/02/2014", "2014-03-04"], None),
        (ColumnType::Date, None, false)
    );
    assert_eq!(
        order(&["31/12/2012", "12/31/2012"], None).0,
        ColumnType::Text
    );
}

#[test]
fn one_column_of_dates_settles_the_others() {
    let names = ["listed".to_owned(), "sold".to_owned()];
    let mut survey = Survey::new(&names, &dialect(b','), None);
    survey.take(&StringRecord::from(vec!["1/2/2026", "28/2/2026"]));
    let verdicts = survey.finish();
    assert_eq!(verdicts[0].date_order, Some(DateOrder::Dmy));
    assert_eq!(verdicts[0].ty, ColumnType::Date);
}

#[test]
fn a_comma_before_decimals_is_noticed() {
    assert!(infer_as("a", &["1,7", "1.234"], b';', None).decimal_comma);
    assert!(!infer_as("a", &["1.7", "1,234"], b',', None).decimal_comma);
    assert_eq!(
        infer_as("a", &["1,234"], b';', None).ty,
        ColumnType::Text,
        "1234, or a bit more than 1"
    );
}

#[test]
fn a_selection_repeats_itself() {
    let values: Vec<&str> = ["Condo", "Residential"].repeat(10);
    let verdict = infer_as("a", &values, b',', None);
    assert_eq!(
        (verdict.ty, verdict.choices),
        (
            ColumnType::SingleSelect,
            vec!["Condo".to_owned(), "Residential".to_owned()]
        )
    );
    let values: Vec<&str> = ["Condo", "CONDO"].repeat(10);
    assert_eq!(
        infer(&values),
        ColumnType::Text,
        "one choice would swallow the other"
    );
    assert_eq!(infer(&["Condo", "Condo", "Land"]), ColumnType::Text);
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,6}(\\.[0-9]{1,4})?",
        "[0-9]{1,3}(,[0-9]{3}){1,3}",
        "[$£€][0-9]{1,3}(,[0-9]{3})?",
        "[0-9]{1,2}[/.-][0-9]{1,2}[/.-](19|20)?[0-9]{2}( [0-9]{1,2}:[0-9]{2})?",
        "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
        "\\(?[2-9][0-9]{2}\\)?[ -][2-9][0-9]{2}-[0-9]{4}",
        "[a-z]{1,3}@[a-z]{1,4}\\.(com|org)",
        "https?://[a-z]{1,5}\\.com/?",
        prop_oneof![
            Just("yes"),
            Just("No"),
            Just("Y"),
            Just("n"),
            Just("TRUE"),
            Just("N/A"),
            Just("-"),
            Just("")
        ]
        .prop_map(str::to_owned),
        "\\PC{0,12}",
        " ?[A-C] ?",
    ]
}

/// A column of one kind of value, or of a mixture.
fn values() -> impl Strategy<Value = Vec<String>> {
    (
        value(),
        proptest::collection::vec(value(), 0..6),
        1usize..25,
    )
        .prop_map(|(first, mut rest, times)| {
            rest.push(first);
            std::iter::repeat_n(rest, times).flatten().collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_column_made_from_a_file_takes_every_value_of_it(values in values()) {
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let verdict = infer_as("a", &texts, b',', None);
        let header = super::super::header::Header { names: vec!["a".to_owned()], unnamed: Vec::new(), warnings: Vec::new(), record: 1, data_start: 0 };
        let order = verdict.date_order.unwrap_or_default();
        let plan = super::super::plan::ImportPlan::new(
            dialect(b','), &header, vec![super::super::mapping::Target::New], vec![verdict], 1,
            &super::super::options::Options::default(), &Default::default(),
        ).unwrap();
        let new = plan.new_columns().next().unwrap();
        let Probe(column) = Probe::new(new.ty);
        let column = Column { options: Options::from_json(new.ty, &new.options, None).unwrap(), ..column.unwrap() };
        let hints = TextHints { date_order: order, ..TextHints::default() };
        for text in texts {
            let cell = column.parse_text(text, &hints);
            prop_assert!(cell.is_ok(), "{text:?} in {:?}: {cell:?}", new.ty);
            if let (ColumnType::Text | ColumnType::LongText, Ok(Some(cell))) = (new.ty, &cell) {
                prop_assert_eq!(cell, &Cell::Text(text.to_owned()));
            }
            if let (ColumnType::Number, Ok(Some(Cell::Number(number)))) = (new.ty, &cell) {
                prop_assert_eq!(*number, text.trim().replace(',', "").parse::<rust_decimal::Decimal>().unwrap());
            }
        }
    }
}
