//! The four lists of an agency and their columns: the names and values of the RESO Data
//! Dictionary, as the template `real_estate` has them, so that a seeded workspace looks like one
//! that people have filled.

use serde_json::{Value, json};

use crate::commands::client::rest::Column;

/// A list of the agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Table {
    Properties,
    Contacts,
    Deals,
    Showings,
}

/// A column that the generator fills.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub key: &'static str,
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    LongText,
    Email,
    Phone,
    Date,
    DateTime,
    Checkbox,
    Rating,
    Percent,
    Money,
    Whole,
    One(&'static [&'static str]),
    Many(&'static [&'static str]),
}

pub const STATUSES: &[&str] = &[
    "Coming Soon",
    "Active",
    "Active Under Contract",
    "Pending",
    "Closed",
    "Hold",
    "Withdrawn",
    "Canceled",
    "Expired",
];
pub const SUB_TYPES: &[&str] = &[
    "Single Family Residence",
    "Condominium",
    "Townhouse",
    "Multi Family",
    "Duplex",
    "Manufactured Home",
    "Unimproved Land",
];
pub const CONTACT_TYPES: &[&str] = &[
    "Lead",
    "Prospect",
    "Ready to Buy",
    "Buyer",
    "Seller",
    "Landlord",
    "Tenant",
];
pub const STAGES: &[&str] = &[
    "New",
    "Qualified",
    "Showing",
    "Offer",
    "Under Contract",
    "Won",
    "Lost",
];
pub const FINANCING: &[&str] = &["Cash", "Conventional", "FHA", "VA", "Seller Financing"];
pub const APPOINTMENTS: &[&str] = &["Pending", "Confirmed", "Denied", "Cancelled"];
pub const REQUESTS: &[&str] = &["First", "Second", "Inspection", "Walk-through"];

const PROPERTIES: &[Field] = &[
    field("UnparsedAddress", "Unparsed Address", Kind::Text),
    field("City", "City", Kind::Text),
    field("StateOrProvince", "State Or Province", Kind::Text),
    field("PostalCode", "Postal Code", Kind::Text),
    field("StandardStatus", "Standard Status", Kind::One(STATUSES)),
    field("ListPrice", "List Price", Kind::Money),
    field("PropertySubType", "Property Sub Type", Kind::One(SUB_TYPES)),
    field("BedroomsTotal", "Bedrooms Total", Kind::Whole),
    field(
        "BathroomsTotalInteger",
        "Bathrooms Total Integer",
        Kind::Whole,
    ),
    field("LivingArea", "Living Area", Kind::Whole),
    field("YearBuilt", "Year Built", Kind::Whole),
    field("ListingId", "Listing ID", Kind::Text),
    field("ListingContractDate", "Listing Contract Date", Kind::Date),
    field("ListAgentFullName", "List Agent Full Name", Kind::Text),
    field("PublicRemarks", "Public Remarks", Kind::LongText),
];

const CONTACTS: &[Field] = &[
    field("FullName", "Full Name", Kind::Text),
    field("FirstName", "First Name", Kind::Text),
    field("LastName", "Last Name", Kind::Text),
    field("ContactType", "Contact Type", Kind::Many(CONTACT_TYPES)),
    field(
        "ContactStatus",
        "Contact Status",
        Kind::One(&["Active", "Inactive"]),
    ),
    field("Email", "Email", Kind::Email),
    field("MobilePhone", "Mobile Phone", Kind::Phone),
    field("LeadSource", "Lead Source", Kind::Text),
    field("Notes", "Notes", Kind::LongText),
];

const DEALS: &[Field] = &[
    field("Name", "Name", Kind::Text),
    field("Stage", "Stage", Kind::One(STAGES)),
    field("ListPrice", "List Price", Kind::Money),
    field("ClosePrice", "Close Price", Kind::Money),
    field("CommissionRate", "Commission Rate", Kind::Percent),
    field("BuyerFinancing", "Buyer Financing", Kind::One(FINANCING)),
    field("PurchaseContractDate", "Purchase Contract Date", Kind::Date),
    field("CloseDate", "Close Date", Kind::Date),
    field("Notes", "Notes", Kind::LongText),
];

const SHOWINGS: &[Field] = &[
    field("ListingId", "Listing ID", Kind::Text),
    field(
        "ShowingStartTimestamp",
        "Showing Start Timestamp",
        Kind::DateTime,
    ),
    field(
        "ShowingEndTimestamp",
        "Showing End Timestamp",
        Kind::DateTime,
    ),
    field(
        "ShowingAppointmentStatus",
        "Showing Appointment Status",
        Kind::One(APPOINTMENTS),
    ),
    field(
        "ShowingRequestType",
        "Showing Request Type",
        Kind::Many(REQUESTS),
    ),
    field(
        "ShowingAttendedYN",
        "Showing Attended Yes/No",
        Kind::Checkbox,
    ),
    field("Interest", "Interest", Kind::Rating),
    field(
        "ShowingRequestNotes",
        "Showing Request Notes",
        Kind::LongText,
    ),
];

impl Table {
    /// In the order in which a workspace is filled.
    pub const ALL: [Table; 4] = [
        Table::Properties,
        Table::Contacts,
        Table::Deals,
        Table::Showings,
    ];

    /// The list's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Properties => "Properties",
            Self::Contacts => "Contacts",
            Self::Deals => "Deals",
            Self::Showings => "Showings",
        }
    }

    /// The columns, in the order of a row's cells.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Properties => PROPERTIES,
            Self::Contacts => CONTACTS,
            Self::Deals => DEALS,
            Self::Showings => SHOWINGS,
        }
    }
}

impl Field {
    /// The column as a request makes it.
    pub fn column(&self) -> Column {
        let (ty, options) = match self.kind {
            Kind::Text => ("text", Value::Null),
            Kind::LongText => ("long_text", Value::Null),
            Kind::Email => ("email", Value::Null),
            Kind::Phone => ("phone", json!({ "region": "US" })),
            Kind::Date => ("date", Value::Null),
            Kind::DateTime => ("date_time", Value::Null),
            Kind::Checkbox => ("checkbox", Value::Null),
            Kind::Rating => ("rating", Value::Null),
            Kind::Percent => ("percent", json!({ "precision": 2, "min": 0, "max": 100 })),
            Kind::Money => (
                "currency",
                json!({ "currency": "USD", "precision": 2, "min": 0 }),
            ),
            Kind::Whole => ("number", json!({ "precision": 0, "min": 0 })),
            Kind::One(choices) => ("single_select", choices_of(choices)),
            Kind::Many(choices) => ("multi_select", choices_of(choices)),
        };
        Column {
            key: self.key.into(),
            name: self.name.into(),
            ty: ty.into(),
            options,
        }
    }
}

const fn field(key: &'static str, name: &'static str, kind: Kind) -> Field {
    Field { key, name, kind }
}

fn choices_of(names: &[&str]) -> Value {
    let choices: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
    json!({ "choices": choices })
}
