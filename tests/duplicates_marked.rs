//! The search of duplicates, marked: over contacts of whom it is known who stands twice, how many of the pairs
//! that it finds are right (precision), and how many of those that there are it finds (recall).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::DateTime;
use serde_json::json;
use uuid::Uuid;

use estatebase::commands::seed::near_duplicates::NearDuplicates;
use estatebase::domain::cell::Cell;
use estatebase::domain::columns::{Column, ParseContext};
use estatebase::domain::duplicates::{Likeness, Rule, Search};
use estatebase::domain::schema_change::new_list;
use estatebase::ids::{ItemId, ListId, UserId};

const CONTACTS: u64 = 10_000;

type Pairs = HashSet<(u64, u64)>;

fn columns() -> Vec<Arc<Column>> {
    let specs = [
        ("Name", "text"),
        ("Email", "email"),
        ("Phone", "phone"),
        ("Address", "address"),
    ];
    let specs = specs.map(|(key, ty)| {
        serde_json::from_value(json!({"key": key, "name": key, "type": ty})).unwrap()
    });
    let (id, by) = (ListId(Uuid::nil()), UserId(Uuid::nil()));
    let list = new_list(id, "L", &specs, 0, by, DateTime::UNIX_EPOCH).unwrap();
    list.columns
        .iter()
        .map(|column| Arc::new(column.clone()))
        .collect()
}

fn rules(columns: &[Arc<Column>]) -> Vec<Rule> {
    use Likeness::{Same, Similar};
    let rule = |named: &[usize], likeness| Rule {
        columns: named.iter().map(|at| Arc::clone(&columns[*at])).collect(),
        likeness,
    };
    vec![
        rule(&[1], Same),
        rule(&[2, 0], Same),
        rule(&[0, 3], Similar),
        rule(&[0, 2], Similar),
    ]
}

/// The pairs that are found, and those that there are.
fn marked(seed: u64, rules: Vec<Rule>) -> (Pairs, Pairs) {
    let nobody = ParseContext {
        members: &|_| false,
    };
    let mut search = Search::new(rules);
    let columns = search.columns();
    let mut persons: HashMap<u64, Vec<u64>> = HashMap::new();
    for number in 0..CONTACTS {
        let contact = NearDuplicates { seed }.contact(number);
        let values = contact.values();
        let cells: Vec<Option<Cell>> = columns
            .iter()
            .map(|column| {
                column
                    .parse_json(&values[&column.key].to_string(), &nobody)
                    .unwrap()
            })
            .collect();
        search
            .take(ItemId(Uuid::from_u128(number.into())), &cells)
            .unwrap();
        persons.entry(contact.person).or_default().push(number);
    }
    let pairs = |of: Vec<Vec<u64>>| -> Pairs {
        let of = of.into_iter();
        of.flat_map(|group| {
            let pair = |a: u64| group.iter().filter(move |b| a < **b).map(move |b| (a, *b));
            group.iter().flat_map(|a| pair(*a)).collect::<Vec<_>>()
        })
        .collect()
    };
    let number = |id: &ItemId| u64::try_from(id.uuid().as_u128()).unwrap();
    let found = search.find().into_iter();
    let found = found.map(|group| group.items.iter().map(number).collect());
    (
        pairs(found.collect()),
        pairs(persons.into_values().collect()),
    )
}

fn share(part: usize, whole: usize) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap());
    float(part) / float(whole.max(1))
}

#[test]
fn a_search_finds_nearly_all_and_hardly_anything_else() {
    for seed in 1..=3 {
        let (found, there) = marked(seed, rules(&columns()));
        let right = found.intersection(&there).count();
        let (precision, recall) = (share(right, found.len()), share(right, there.len()));
        println!("duplicates, seed {seed}: precision {precision:.3}, recall {recall:.3}");
        assert!(precision >= 0.97 && recall >= 0.95, "{:?}", {
            let mut wrong: Vec<_> = found.symmetric_difference(&there).collect();
            wrong.sort_unstable();
            let told = wrong.iter().take(8).map(|(a, b)| {
                let of = |nr: u64| NearDuplicates { seed }.contact(nr);
                (of(*a), of(*b))
            });
            told.collect::<Vec<_>>()
        });
    }
}

#[test]
fn strict_rules_find_nobody_who_is_another() {
    let (found, there) = marked(7, rules(&columns()).into_iter().take(2).collect());
    assert!(found.is_subset(&there) && !found.is_empty());
}

#[test]
fn the_same_list_gives_the_same_groups() {
    let once = marked(5, rules(&columns())).0;
    assert_eq!(once, marked(5, rules(&columns())).0);
}
