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
