//! A believable agency in and around Sacramento, row by row: homes whose price follows from town,
//! size and age, the people who look for one, deals and showings about listings that exist. Pure:
//! every row is a function of the seed and its number, so any number of rows streams in constant
//! memory, and more rows never change the earlier ones.

use std::borrow::Cow;
use std::fmt;

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use serde_json::Value;

use super::dice::Dice;
use super::tables::{APPOINTMENTS, CONTACT_TYPES, FINANCING, REQUESTS, Table};
use super::words::{
    FEATURES, FIRST_NAMES, LAST_NAMES, OPENINGS, PLACES, SOURCES, STREETS, TOWNS, WAYS,
};

/// The day on which the agency stands still; nothing was listed later.
const TODAY: NaiveDate = match NaiveDate::from_ymd_opt(2026, 1, 31) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

const AGENTS: u64 = 24;

/// The value of one cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Empty,
    Text(Cow<'static, str>),
    Whole(u64),
    Percent(f64),
    Yes(bool),
    Day(NaiveDate),
    Time(NaiveDateTime),
    Choices(Vec<&'static str>),
}

/// An agency with so many properties, and other things in proportion.
#[derive(Clone, Copy, Debug)]
pub struct Agency {
    pub seed: u64,
    pub properties: u64,
}

/// What the rest of a listing's story follows from.
struct Listing {
    id: String,
    address: String,
    city: &'static str,
    price: u64,
    listed: NaiveDate,
    row: Vec<Cell>,
}

impl Agency {
    /// How many rows a table has.
    pub fn count(&self, table: Table) -> u64 {
        match table {
            Table::Properties => self.properties,
            Table::Contacts => self.properties.div_ceil(2),
            Table::Deals => self.properties.div_ceil(10),
            Table::Showings => self.properties.div_ceil(4),
        }
    }

    /// All rows of a table, each with one cell for each of the table's fields.
    pub fn rows(self, table: Table) -> impl Iterator<Item = Vec<Cell>> {
        (0..self.count(table)).map(move |index| self.row(table, index))
    }

    /// Row `index` of a table.
    pub fn row(&self, table: Table, index: u64) -> Vec<Cell> {
        match table {
            Table::Properties => self.listing(index).row,
            Table::Contacts => self.contact(index),
            Table::Deals => self.deal(index),
            Table::Showings => self.showing(index),
        }
    }

    fn listing(&self, index: u64) -> Listing {
        let mut dice = Dice::of(self.seed, 1, index);
        let town = dice.weighted(TOWNS);
        let sub_type = dice.weighted(&[
            ("Single Family Residence", 68),
            ("Condominium", 12),
            ("Townhouse", 8),
            ("Duplex", 3),
            ("Multi Family", 2),
            ("Manufactured Home", 3),
            ("Unimproved Land", 4),
        ]);
        let address = address(&mut dice, sub_type);
        let postal_code = dice.pick(town.postal_codes);
        let home = Home::of(&mut dice, sub_type);
        let price = home.price(&mut dice, town.dollars_a_foot);
        let listed = days_before_today(dice.below(36) * 30 + dice.below(30));
        let status = status(&mut dice, listed);
        let agent = self.agent(dice.below(AGENTS));
        let id = format!("SAC{:08}", 20_000_000 + index);
        let remarks = home.remarks(&mut dice);
        Listing {
            row: vec![
                Cell::Text(address.clone().into()),
                Cell::Text(town.name.into()),
                Cell::Text("CA".into()),
                Cell::Text(postal_code.into()),
                Cell::Text(status.into()),
                Cell::Whole(price),
                Cell::Text(sub_type.into()),
                whole(home.beds),
                whole(home.baths),
                whole(home.area),
                whole(home.built),
                Cell::Text(id.clone().into()),
                Cell::Day(listed),
                Cell::Text(agent.into()),
                Cell::Text(remarks.into()),
            ],
            id,
            address,
            city: town.name,
            price,
            listed,
        }
    }

    fn contact(&self, index: u64) -> Vec<Cell> {
        let mut dice = Dice::of(self.seed, 2, index);
        let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
        let mut types = vec![dice.pick(CONTACT_TYPES)];
        if types == ["Seller"] && dice.chance(40) {
            types.insert(0, "Buyer");
        }
        let status = dice.weighted(&[("Active", 4), ("Inactive", 1)]);
        let mailbox: String = last.chars().filter(char::is_ascii_alphabetic).collect();
        let email = format!("{first}.{mailbox}{index}@example.com").to_lowercase();
        // Numbers of 555-0100 to 555-0199 are set aside for stories like this one.
        let area = dice.pick(&["916", "530", "279"]);
        let phone = format!("({area}) 555-01{:02}", dice.below(100));
        let note = match dice.below(4) {
            0 => format!("Looking in {}.", dice.weighted(TOWNS).name),
            1 => format!("Prefers {}.", dice.pick(FEATURES)),
            _ => String::new(),
        };
        vec![
            Cell::Text(format!("{first} {last}").into()),
            Cell::Text(first.into()),
            Cell::Text(last.into()),
            Cell::Choices(types),
            Cell::Text(status.into()),
            Cell::Text(email.into()),
            Cell::Text(phone.into()),
            Cell::Text(dice.pick(SOURCES).into()),
            text(note),
        ]
    }

    fn deal(&self, index: u64) -> Vec<Cell> {
        let mut dice = Dice::of(self.seed, 3, index);
        let listing = self.listing(dice.below(self.properties));
        let buyer = self.contact_name(dice.below(self.count(Table::Contacts)));
        let stage = dice.weighted(&[
            ("New", 15),
            ("Qualified", 15),
            ("Showing", 15),
            ("Offer", 10),
            ("Under Contract", 15),
            ("Won", 20),
            ("Lost", 10),
        ]);
        let signed = matches!(stage, "Under Contract" | "Won");
        let contract = listed_after(listing.listed, dice.between(5, 60)).filter(|_| signed);
        let close = contract
            .and_then(|day| day.checked_add_days(Days::new(dice.between(21, 45))))
            .filter(|_| stage == "Won");
        let paid = listing.price * dice.between(94, 104) / 100;
        // In quarters of a percent, which any float holds exactly.
        let quarters = u8::try_from(dice.between(8, 12)).unwrap_or(10);
        vec![
            Cell::Text(format!("{}, {}", listing.address, listing.city).into()),
            Cell::Text(stage.into()),
            Cell::Whole(listing.price),
            close.map_or(Cell::Empty, |_| Cell::Whole(paid)),
            Cell::Percent(f64::from(quarters) / 4.0),
            Cell::Text(dice.pick(FINANCING).into()),
            contract.map_or(Cell::Empty, Cell::Day),
            close.map_or(Cell::Empty, Cell::Day),
            Cell::Text(format!("Buyer: {buyer}. Listing {}.", listing.id).into()),
        ]
    }

    fn showing(&self, index: u64) -> Vec<Cell> {
        let mut dice = Dice::of(self.seed, 4, index);
        let listing = self.listing(dice.below(self.properties));
        let visitor = self.contact_name(dice.below(self.count(Table::Contacts)));
        let day = listed_after(listing.listed, dice.between(1, 40)).unwrap_or(listing.listed);
        // Office hours in Sacramento are 17:00 to 01:00 UTC; half an hour each.
        let half_hours = i64::try_from(dice.below(16)).unwrap_or_default();
        let start = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(17 * 60 + half_hours * 30);
        let status = dice.pick(APPOINTMENTS);
        let attended = status == "Confirmed" && day <= TODAY && dice.chance(85);
        let interest = if attended {
            Cell::Whole(dice.between(1, 5))
        } else {
            Cell::Empty
        };
        vec![
            Cell::Text(listing.id.into()),
            Cell::Time(start),
            Cell::Time(start + TimeDelta::minutes(30)),
            Cell::Text(status.into()),
            Cell::Choices(vec![dice.pick(REQUESTS)]),
            Cell::Yes(attended),
            interest,
            Cell::Text(format!("For {visitor}.").into()),
        ]
    }

    fn agent(&self, number: u64) -> String {
        full_name(&mut Dice::of(self.seed, 5, number))
    }

    fn contact_name(&self, index: u64) -> String {
        full_name(&mut Dice::of(self.seed, 2, index))
    }
}

/// The building, or none.
struct Home {
    beds: Option<u64>,
    baths: Option<u64>,
    area: Option<u64>,
    built: Option<u64>,
}

impl Home {
    fn of(dice: &mut Dice, sub_type: &str) -> Self {
        if sub_type == "Unimproved Land" {
            return Self {
                beds: None,
                baths: None,
                area: None,
                built: None,
            };
        }
        let beds = match sub_type {
            "Condominium" | "Townhouse" | "Manufactured Home" => dice.between(1, 3),
            "Multi Family" => dice.between(4, 12),
            _ => dice.weighted(&[(2, 14), (3, 44), (4, 30), (5, 10), (6, 2)]),
        };
        let usual = 460 + beds * 390;
        // Two throws make the very old and the very new rare.
        let built = 1926 + dice.below(50) + dice.below(50);
        Self {
            beds: Some(beds),
            baths: Some(dice.between(beds.div_ceil(2), beds.min(5).max(beds.div_ceil(2)))),
            area: Some(usual * dice.between(78, 128) / 100),
            built: Some(built),
        }
    }

    /// In dollars, as sellers round it.
    fn price(&self, dice: &mut Dice, dollars_a_foot: u64) -> u64 {
        let price = match (self.area, self.built) {
            (Some(area), Some(built)) => {
                let age_percent = 88 + (built - 1926) * 24 / 100;
                area * dollars_a_foot * age_percent / 100 * dice.between(86, 117) / 100
            }
            _ => dice.between(60, 420) * 1000,
        };
        let rounded = price / 1000 * 1000;
        if dice.chance(45) {
            rounded + 900
        } else {
            rounded
        }
    }

    fn remarks(&self, dice: &mut Dice) -> String {
        if self.beds.is_none() {
            return format!("Level lot, utilities at the street. {}", dice.pick(PLACES))
                .trim_end()
                .to_owned();
        }
        let (opening, one, place) = (dice.pick(OPENINGS), dice.pick(FEATURES), dice.pick(PLACES));
        let other = dice.pick(FEATURES);
        let features = if other == one {
            one.to_owned()
        } else {
            format!("{one} and {other}")
        };
        format!("{opening}, with {features}. {place}")
            .trim_end()
            .to_owned()
    }
}

impl Cell {
    /// As the API takes it; `None` for an empty cell, which is left out.
    pub fn to_json(&self) -> Option<Value> {
        match self {
            Self::Empty => None,
            Self::Text(text) => Some(text.as_ref().into()),
            Self::Whole(number) => Some((*number).into()),
            Self::Percent(number) => Some((*number).into()),
            Self::Yes(yes) => Some((*yes).into()),
            Self::Day(_) | Self::Time(_) => Some(self.to_string().into()),
            Self::Choices(names) => Some(names.as_slice().into()),
        }
    }
}

/// As a CSV file has it.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => number.fmt(f),
            Self::Percent(number) => number.fmt(f),
            Self::Yes(yes) => yes.fmt(f),
            Self::Day(day) => day.format("%Y-%m-%d").fmt(f),
            Self::Time(time) => time.format("%Y-%m-%dT%H:%M:%SZ").fmt(f),
            Self::Choices(names) => f.write_str(&names.join(", ")),
        }
    }
}

fn address(dice: &mut Dice, sub_type: &str) -> String {
    let (number, street) = (dice.between(1, 9899), dice.pick(STREETS));
    let way = dice.weighted(WAYS);
    match sub_type {
        "Condominium" => format!("{number} {street} {way} #{}", dice.between(1, 240)),
        "Duplex" => format!("{number} {street} {way} Unit {}", dice.pick(&["A", "B"])),
        _ => format!("{number} {street} {way}"),
    }
}

/// What is long on the market is mostly sold.
fn status(dice: &mut Dice, listed: NaiveDate) -> &'static str {
    let age = TODAY.signed_duration_since(listed).num_days();
    if age < 14 {
        dice.weighted(&[("Coming Soon", 2), ("Active", 7), ("Pending", 1)])
    } else if age < 120 {
        dice.weighted(&[
            ("Active", 45),
            ("Active Under Contract", 10),
            ("Pending", 20),
            ("Closed", 18),
            ("Hold", 2),
            ("Withdrawn", 3),
            ("Canceled", 2),
        ])
    } else {
        dice.weighted(&[
            ("Active", 4),
            ("Closed", 80),
            ("Expired", 7),
            ("Withdrawn", 4),
            ("Canceled", 5),
        ])
    }
}

fn full_name(dice: &mut Dice) -> String {
    let first = dice.pick(FIRST_NAMES);
    format!("{first} {}", dice.pick(LAST_NAMES))
}

fn days_before_today(days: u64) -> NaiveDate {
    TODAY.checked_sub_days(Days::new(days)).unwrap_or(TODAY)
}

fn listed_after(listed: NaiveDate, days: u64) -> Option<NaiveDate> {
    listed.checked_add_days(Days::new(days))
}

fn whole(number: Option<u64>) -> Cell {
    number.map_or(Cell::Empty, Cell::Whole)
}

fn text(text: String) -> Cell {
    if text.is_empty() {
        Cell::Empty
    } else {
        Cell::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::csv::write_csv;
    use super::super::tables::{STAGES, STATUSES, SUB_TYPES};
    use super::*;
    use sha2::{Digest, Sha256};

    fn agency(seed: u64, properties: u64) -> Agency {
        Agency { seed, properties }
    }

    fn digest(agency: Agency) -> String {
        let mut bytes = Vec::new();
        for table in Table::ALL {
            write_csv(agency, table, &mut bytes).unwrap();
        }
        hex::encode(Sha256::digest(&bytes))
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_every_machine() {
        assert_eq!(
            digest(agency(1, 1000)),
            "42065cb3b459e84ef954036e5a3c15b36513cdd1be09c4eeb71e8a0ffcf806b6"
        );
        assert_ne!(digest(agency(1, 1000)), digest(agency(2, 1000)));
    }

    #[test]
    fn more_rows_do_not_change_the_first_ones() {
        for index in [0, 7, 99] {
            for table in [Table::Properties, Table::Contacts] {
                assert_eq!(
                    agency(5, 100).row(table, index),
                    agency(5, 1_000_000).row(table, index)
                );
            }
        }
    }

    #[test]
    fn every_row_has_a_cell_a_field_and_only_known_choices() {
        let agency = agency(3, 2000);
        for table in Table::ALL {
            for row in agency.rows(table) {
                assert_eq!(row.len(), table.fields().len());
            }
        }
        let text = |cell: &Cell| cell.to_string();
        for row in agency.rows(Table::Properties) {
            assert!(STATUSES.contains(&text(&row[4]).as_str()));
            assert!(SUB_TYPES.contains(&text(&row[6]).as_str()));
        }
        for row in agency.rows(Table::Deals) {
            assert!(STAGES.contains(&text(&row[1]).as_str()));
        }
    }

    #[test]
    fn prices_are_those_of_homes_and_grow_with_their_size() {
        let mut by_size = [(0_u64, 0_u64); 2];
        for row in agency(9, 5000).rows(Table::Properties) {
            let (Cell::Whole(price), Cell::Whole(area)) = (&row[5], &row[9]) else {
                continue;
            };
            assert!((60_000..5_000_000).contains(price), "{price} for {area}");
            let of = &mut by_size[usize::from(*area > 1700)];
            *of = (of.0 + price, of.1 + 1);
        }
        let mean = |(sum, count): (u64, u64)| sum / count;
        assert!(mean(by_size[1]) > mean(by_size[0]) * 14 / 10);
    }

    #[test]
    fn deals_and_showings_are_about_listings_that_exist() {
        let agency = agency(4, 300);
        let ids: Vec<String> = agency
            .rows(Table::Properties)
            .map(|row| row[11].to_string())
            .collect();
        for row in agency.rows(Table::Showings) {
            assert!(ids.contains(&row[0].to_string()));
        }
    }
}
