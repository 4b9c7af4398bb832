//! Ready-made lists for a new workspace. Fields that the RESO Data Dictionary 2.0 knows bear its
//! standard names and values; only the choices in use here are listed.

use serde_json::{Value, json};

use super::columns::ColumnType;
use crate::ids::ListId;

/// A list to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ListTemplate {
    pub name: &'static str,
    /// In order.
    pub columns: Vec<ColumnTemplate>,
}

/// A column to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnTemplate {
    pub key: &'static str,
    pub name: &'static str,
    pub ty: ColumnType,
    /// As a request would send them; `null` for none.
    pub options: Value,
    pub required: bool,
}

impl ColumnTemplate {
    fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// A link column to be made between two of the lists, with its inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTemplate {
    /// The names of the lists.
    pub list: &'static str,
    pub to: &'static str,
    pub key: &'static str,
    pub name: &'static str,
    pub multiple: bool,
    pub inverse_key: &'static str,
    pub inverse_multiple: bool,
    pub on_delete: &'static str,
}

impl LinkTemplate {
    /// The options of a request, with the id of the list that it points to.
    pub fn options(&self, to: ListId) -> Value {
        json!({
            "list_id": to, "multiple": self.multiple, "inverse_key": self.inverse_key,
            "inverse_multiple": self.inverse_multiple, "on_delete": self.on_delete,
        })
    }
}

/// How the lists of [`real_estate`] hang together: a deal is about one property and keeps it, and has its
/// buyers and sellers; a showing is of one property, to people, perhaps for a deal.
pub fn real_estate_links() -> Vec<LinkTemplate> {
    let link = |list, key, name, to, inverse_key| LinkTemplate {
        list,
        to,
        key,
        name,
        multiple: false,
        inverse_key,
        inverse_multiple: true,
        on_delete: "unlink",
    };
    let several = |link: LinkTemplate| LinkTemplate {
        multiple: true,
        ..link
    };
    vec![
        several(link(
            "Properties",
            "Owners",
            "Owners",
            "Contacts",
            "OwnedProperties",
        )),
        LinkTemplate {
            on_delete: "restrict",
            ..link("Deals", "Property", "Property", "Properties", "Deals")
        },
        several(link("Deals", "Buyers", "Buyers", "Contacts", "BuyerDeals")),
        several(link(
            "Deals",
            "Sellers",
            "Sellers",
            "Contacts",
            "SellerDeals",
        )),
        link("Showings", "Property", "Property", "Properties", "Showings"),
        several(link(
            "Showings", "Contacts", "Contacts", "Contacts", "Showings",
        )),
        link("Showings", "Deal", "Deal", "Deals", "Showings"),
        link(
            "Contacts",
            "ReferredBy",
            "Referred By",
            "Contacts",
            "Referrals",
        ),
    ]
}

/// The lists of a template by its name in the API; `None` for an unknown name.
pub fn by_name(name: &str) -> Option<Vec<ListTemplate>> {
    (name == "real_estate").then(real_estate)
}

/// A residential agency in the United States: Contacts, Properties, Deals, Showings.
pub fn real_estate() -> Vec<ListTemplate> {
    vec![contacts(), properties(), deals(), showings()]
}

fn contacts() -> ListTemplate {
    ListTemplate {
        name: "Contacts",
        columns: vec![
            column("FullName", "Full Name", ColumnType::Text).required(),
            column("FirstName", "First Name", ColumnType::Text),
            column("LastName", "Last Name", ColumnType::Text),
            choices(
                "ContactType",
                "Contact Type",
                ColumnType::MultiSelect,
                &[
                    "Lead",
                    "Prospect",
                    "Ready to Buy",
                    "Buyer",
                    "Seller",
                    "Landlord",
                    "Tenant",
                    "Loan Officer",
                    "Other",
                ],
            ),
            choices(
                "ContactStatus",
                "Contact Status",
                ColumnType::SingleSelect,
                &["Active", "Inactive"],
            ),
            column("Email", "Email", ColumnType::Email),
            phone("MobilePhone", "Mobile Phone"),
            phone("HomePhone", "Home Phone"),
            choices(
                "PreferredPhone",
                "Preferred Phone",
                ColumnType::SingleSelect,
                &["Mobile", "Home", "Office"],
            ),
            column("Company", "Company", ColumnType::Text),
            column("HomeAddress", "Home Address", ColumnType::Address),
            column("LeadSource", "Lead Source", ColumnType::Text),
            column("Birthdate", "Birthdate", ColumnType::Date),
            column("OwnerMember", "Owner Member", ColumnType::User),
            column("Notes", "Notes", ColumnType::LongText),
        ],
    }
}

fn properties() -> ListTemplate {
    ListTemplate {
        name: "Properties",
        columns: vec![
            column("UnparsedAddress", "Unparsed Address", ColumnType::Text).required(),
            column("City", "City", ColumnType::Text),
            column("StateOrProvince", "State Or Province", ColumnType::Text),
            column("PostalCode", "Postal Code", ColumnType::Text),
            choices(
                "StandardStatus",
                "Standard Status",
                ColumnType::SingleSelect,
                &[
                    "Coming Soon",
                    "Active",
                    "Active Under Contract",
                    "Pending",
                    "Closed",
                    "Hold",
                    "Withdrawn",
                    "Canceled",
                    "Expired",
                ],
            ),
            money("ListPrice", "List Price"),
            money("ClosePrice", "Close Price"),
            choices(
                "PropertyType",
                "Property Type",
                ColumnType::SingleSelect,
                &[
                    "Residential",
                    "Residential Income",
                    "Residential Lease",
                    "Land",
                    "Commercial Sale",
                ],
            ),
            choices(
                "PropertySubType",
                "Property Sub Type",
                ColumnType::SingleSelect,
                &[
                    "Single Family Residence",
                    "Condominium",
                    "Townhouse",
                    "Multi Family",
                    "Duplex",
                    "Apartment",
                    "Manufactured Home",
                    "Unimproved Land",
                ],
            ),
            count("BedroomsTotal", "Bedrooms Total"),
            count("BathroomsTotalInteger", "Bathrooms Total Integer"),
            area("LivingArea", "Living Area"),
            area("LotSizeSquareFeet", "Lot Size Square Feet"),
            ColumnTemplate {
                options: json!({"precision": 0, "min": 1500, "max": 2200}),
                ..column("YearBuilt", "Year Built", ColumnType::Number)
            },
            column("ListingId", "Listing ID", ColumnType::Text),
            column(
                "ListingContractDate",
                "Listing Contract Date",
                ColumnType::Date,
            ),
            column("CloseDate", "Close Date", ColumnType::Date),
            column("Coordinates", "Coordinates", ColumnType::Location),
            column("ListAgent", "List Agent", ColumnType::User),
            column("ListingURL", "Listing URL", ColumnType::Url),
            column("PublicRemarks", "Public Remarks", ColumnType::LongText),
        ],
    }
}

fn deals() -> ListTemplate {
    ListTemplate {
        name: "Deals",
        columns: vec![
            column("Name", "Name", ColumnType::Text).required(),
            choices(
                "Stage",
                "Stage",
                ColumnType::SingleSelect,
                &[
                    "New",
                    "Qualified",
                    "Showing",
                    "Offer",
                    "Under Contract",
                    "Won",
                    "Lost",
                ],
            ),
            money("ListPrice", "List Price"),
            money("ClosePrice", "Close Price"),
            ColumnTemplate {
                options: json!({"precision": 2, "min": 0, "max": 100}),
                ..column("CommissionRate", "Commission Rate", ColumnType::Percent)
            },
            choices(
                "BuyerFinancing",
                "Buyer Financing",
                ColumnType::SingleSelect,
                &[
                    "Cash",
                    "Conventional",
                    "FHA",
                    "VA",
                    "Seller Financing",
                    "Other",
                ],
            ),
            column(
                "PurchaseContractDate",
                "Purchase Contract Date",
                ColumnType::Date,
            ),
            column("CloseDate", "Close Date", ColumnType::Date),
            column("Contingency", "Contingency", ColumnType::Text),
            column("BuyerAgent", "Buyer Agent", ColumnType::User),
            column("ListAgent", "List Agent", ColumnType::User),
            column("Notes", "Notes", ColumnType::LongText),
        ],
    }
}

fn showings() -> ListTemplate {
    ListTemplate {
        name: "Showings",
        columns: vec![
            column("ShowingId", "Showing ID", ColumnType::AutoNumber),
            column("ListingId", "Listing ID", ColumnType::Text),
            column(
                "ShowingStartTimestamp",
                "Showing Start Timestamp",
                ColumnType::DateTime,
            )
            .required(),
            column(
                "ShowingEndTimestamp",
                "Showing End Timestamp",
                ColumnType::DateTime,
            ),
            choices(
                "ShowingAppointmentStatus",
                "Showing Appointment Status",
                ColumnType::SingleSelect,
                &["Pending", "Confirmed", "Denied", "Cancelled"],
            ),
            choices(
                "ShowingRequestType",
                "Showing Request Type",
                ColumnType::MultiSelect,
                &[
                    "First",
                    "Second",
                    "Broker Preview",
                    "Inspection",
                    "Walk-through",
                ],
            ),
            column("ShowingAgent", "Showing Agent", ColumnType::User),
            column(
                "ShowingAttendedYN",
                "Showing Attended Yes/No",
                ColumnType::Checkbox,
            ),
            column("Interest", "Interest", ColumnType::Rating),
            column(
                "ShowingRequestNotes",
                "Showing Request Notes",
                ColumnType::LongText,
            ),
        ],
    }
}

fn column(key: &'static str, name: &'static str, ty: ColumnType) -> ColumnTemplate {
    ColumnTemplate {
        key,
        name,
        ty,
        options: Value::Null,
        required: false,
    }
}

fn choices(
    key: &'static str,
    name: &'static str,
    ty: ColumnType,
    choices: &[&str],
) -> ColumnTemplate {
    let choices: Value = choices
        .iter()
        .map(|choice| json!({"name": choice}))
        .collect();
    ColumnTemplate {
        options: json!({"choices": choices}),
        ..column(key, name, ty)
    }
}

fn money(key: &'static str, name: &'static str) -> ColumnTemplate {
    ColumnTemplate {
        options: json!({"currency": "USD", "precision": 2, "min": 0}),
        ..column(key, name, ColumnType::Currency)
    }
}

fn count(key: &'static str, name: &'static str) -> ColumnTemplate {
    ColumnTemplate {
        options: json!({"precision": 0, "min": 0}),
        ..column(key, name, ColumnType::Number)
    }
}

fn area(key: &'static str, name: &'static str) -> ColumnTemplate {
    ColumnTemplate {
        options: json!({"precision": 2, "min": 0}),
        ..column(key, name, ColumnType::Number)
    }
}

fn phone(key: &'static str, name: &'static str) -> ColumnTemplate {
    ColumnTemplate {
        options: json!({"region": "US"}),
        ..column(key, name, ColumnType::Phone)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::columns::{MAX_COLUMNS, Options, check_key, check_name};

    #[test]
    fn every_list_of_the_template_can_be_made() {
        let lists = real_estate();
        assert_eq!(
            lists.iter().map(|list| list.name).collect::<Vec<_>>(),
            ["Contacts", "Properties", "Deals", "Showings"]
        );
        for list in lists {
            assert!(check_name(list.name).is_ok() && list.columns.len() <= MAX_COLUMNS);
            let mut keys = HashSet::new();
            for column in &list.columns {
                assert!(
                    check_key(column.key).is_ok() && keys.insert(column.key),
                    "{}",
                    column.key
                );
                assert!(check_name(column.name).is_ok());
                assert!(
                    Options::from_json(column.ty, &column.options, None).is_ok(),
                    "{}",
                    column.key
                );
                assert!(
                    !(column.required && column.ty.is_read_only()),
                    "{}",
                    column.key
                );
            }
            assert!(list.columns.iter().any(|column| column.required));
        }
    }

    #[test]
    fn templates_are_found_by_name() {
        assert_eq!(by_name("real_estate"), Some(real_estate()));
        assert_eq!(by_name("zoo"), None);
    }
}
