//! Contacts of whom some stand twice, as they do in every agency's lists: a slip of the hand, names the other
//! way round, a move, an abbreviation; and households who share a phone and are two persons. Who is whom is
//! known, so that a search can be marked. Pure: a contact is a function of the seed and its number.

use serde_json::{Value, json};

use super::dice::Dice;
use super::words::{FIRST_NAMES, LAST_NAMES, STREETS, TOWNS, WAYS};

const SALT: u64 = 0x6475_706c;
/// Of so many contacts the last is near another one.
const BLOCK: u64 = 10;

/// A list of contacts.
#[derive(Clone, Copy, Debug)]
pub struct NearDuplicates {
    pub seed: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Who it is: contacts of one person have the same.
    pub person: u64,
    pub name: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub street: String,
    pub city: &'static str,
    pub postal_code: &'static str,
}

impl Contact {
    /// `Name`, `Email`, `Phone` and `Address`, as an item's values.
    pub fn values(&self) -> Value {
        json!({
            "Name": self.name, "Email": self.email, "Phone": self.phone,
            "Address": {"line1": self.street, "city": self.city, "postal_code": self.postal_code},
        })
    }
}

impl NearDuplicates {
    pub fn contact(self, number: u64) -> Contact {
        if number % BLOCK < BLOCK - 1 {
            return self.person(number);
        }
        let mut dice = Dice::of(self.seed, SALT + 1, number);
        let near = number - 1 - dice.below(BLOCK - 1);
        let mut contact = self.person(near);
        // Who is entered twice has been entered by another, who knew less.
        let with_phone = dice.chance(50);
        if dice.chance(80) {
            contact.email = None;
        }
        match dice.below(6) {
            0 => slip(&mut contact.name, &mut dice),
            1 => contact.name = turned(&contact.name),
            2 => {
                self.moves(&mut contact, number);
                return contact;
            }
            3 => {
                self.moves(&mut contact, number);
                slip(&mut contact.name, &mut dice);
                return contact;
            }
            4 => contact.street = abbreviated(&contact.street),
            _ => {
                // Another one of the same house.
                let other = self.person(number);
                let (own, last) = contact.name.split_once(' ').unwrap_or_default();
                let firsts = FIRST_NAMES.iter().filter(|first| **first != own);
                let firsts: Vec<&str> = firsts.copied().collect();
                contact.name = format!("{} {last}", dice.pick(&firsts));
                contact.person = number;
                contact.email = other.email;
                return contact;
            }
        }
        if !with_phone {
            contact.phone = None;
        }
        contact
    }

    fn person(self, number: u64) -> Contact {
        let mut dice = Dice::of(self.seed, SALT, number);
        let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
        let town = dice.weighted(TOWNS);
        let street = format!(
            "{} {} {}",
            dice.between(1, 9_999),
            dice.pick(STREETS),
            long_way(dice.weighted(WAYS))
        );
        let mail = last.replace('\'', "").to_lowercase();
        let initial = first
            .chars()
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        // Numbers of Sacramento's area code and its overlay that may be dialled: 2xx to 9xx, no x11.
        let exchange = 212 + (number / 10_000) % 780;
        let exchange = if exchange % 100 == 11 { 210 } else { exchange };
        Contact {
            person: number,
            name: format!("{first} {last}"),
            email: dice
                .chance(60)
                .then(|| format!("{initial}.{mail}{number}@example.com")),
            phone: Some(format!("+1916{exchange}{:04}", number % 10_000)),
            street,
            city: town.name,
            postal_code: dice.pick(town.postal_codes),
        }
    }

    fn moves(self, contact: &mut Contact, number: u64) {
        let there = self.person(number);
        contact.street = there.street;
        contact.city = there.city;
        contact.postal_code = there.postal_code;
    }
}

fn long_way(way: &str) -> &str {
    match way {
        "St" => "Street",
        "Ave" => "Avenue",
        "Dr" => "Drive",
        "Ct" => "Court",
        "Ln" => "Lane",
        "Cir" => "Circle",
        other => other,
    }
}

fn abbreviated(street: &str) -> String {
    let mut words: Vec<&str> = street.split(' ').collect();
    if let Some(way) = words.last_mut() {
        *way = match *way {
            "Street" => "St.",
            "Avenue" => "Ave",
            "Drive" => "Dr",
            "Court" => "Ct.",
            "Lane" => "Ln",
            "Circle" => "CIR",
            other => other,
        };
    }
    words.join(" ")
}

fn turned(name: &str) -> String {
    match name.split_once(' ') {
        Some((first, last)) => format!("{last}, {first}"),
        None => name.to_owned(),
    }
}

/// A letter too few, one twice, or two that changed places, anywhere but at the beginning of a word.
fn slip(name: &mut String, dice: &mut Dice) {
    let mut letters: Vec<char> = name.chars().collect();
    let within =
        |at: usize| at > 0 && letters.get(at - 1) != Some(&' ') && letters.get(at) != Some(&' ');
    let places: Vec<usize> = (1..letters.len()).filter(|at| within(*at)).collect();
    let at = dice.pick(&places);
    match dice.below(3) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters.get(at).copied().unwrap_or('e')),
        _ if letters.get(at + 1).is_some_and(|next| *next != ' ') => letters.swap(at, at + 1),
        _ => letters.insert(at, letters.get(at).copied().unwrap_or('e')),
    }
    *name = letters.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;

    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::cell::Cell;
    use crate::domain::columns::{Column, ParseContext};
    use crate::domain::duplicates::{Likeness, Rule, Search};
    use crate::domain::schema_change::new_list;
    use crate::ids::{ItemId, ListId, UserId};

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
}
