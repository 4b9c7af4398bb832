//! The types of column: their names on the wire and which of them are stored or written by people.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::FieldError;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Text,
    LongText,
    Number,
    Currency,
    Percent,
    Rating,
    Checkbox,
    Date,
    DateTime,
    SingleSelect,
    MultiSelect,
    Email,
    Phone,
    Url,
    Address,
    Location,
    User,
    /// Items of a list. Kept as rows of their own, for they have two ends.
    Link,
    /// Several values: what a computed column holds where each of several linked items has one.
    List,
    /// Counted up once when an item is made; stored and read-only.
    AutoNumber,
    CreatedAt,
    CreatedBy,
    UpdatedAt,
    UpdatedBy,
}

/// Types of the contract that can't be made yet.
const NOT_BUILT: [&str; 1] = ["file"];

impl ColumnType {
    /// All types.
    pub const ALL: [ColumnType; 24] = [
        ColumnType::Text,
        ColumnType::LongText,
        ColumnType::Number,
        ColumnType::Currency,
        ColumnType::Percent,
        ColumnType::Rating,
        ColumnType::Checkbox,
        ColumnType::Date,
        ColumnType::DateTime,
        ColumnType::SingleSelect,
        ColumnType::MultiSelect,
        ColumnType::Email,
        ColumnType::Phone,
        ColumnType::Url,
        ColumnType::Address,
        ColumnType::Location,
        ColumnType::User,
        ColumnType::Link,
        ColumnType::List,
        ColumnType::AutoNumber,
        ColumnType::CreatedAt,
        ColumnType::CreatedBy,
        ColumnType::UpdatedAt,
        ColumnType::UpdatedBy,
    ];

    /// The name on the wire and in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::LongText => "long_text",
            ColumnType::Number => "number",
            ColumnType::Currency => "currency",
            ColumnType::Percent => "percent",
            ColumnType::Rating => "rating",
            ColumnType::Checkbox => "checkbox",
            ColumnType::Date => "date",
            ColumnType::DateTime => "date_time",
            ColumnType::SingleSelect => "single_select",
            ColumnType::MultiSelect => "multi_select",
            ColumnType::Email => "email",
            ColumnType::Phone => "phone",
            ColumnType::Url => "url",
            ColumnType::Address => "address",
            ColumnType::Location => "location",
            ColumnType::User => "user",
            ColumnType::Link => "link",
            ColumnType::List => "list",
            ColumnType::AutoNumber => "auto_number",
            ColumnType::CreatedAt => "created_at",
            ColumnType::CreatedBy => "created_by",
            ColumnType::UpdatedAt => "updated_at",
            ColumnType::UpdatedBy => "updated_by",
        }
    }

    /// The type of that name, if there is one.
    pub fn from_name(name: &str) -> Option<ColumnType> {
        ColumnType::ALL.into_iter().find(|ty| ty.as_str() == name)
    }

    /// The type that a request names; `not_built` for the contract's types that are still to come,
    /// `unknown_type` for others. The path is `/type`.
    pub fn from_request(name: &str) -> Result<ColumnType, FieldError> {
        let made = ColumnType::from_name(name).filter(|ty| *ty != ColumnType::List);
        made.ok_or_else(|| {
            let (code, message) = if NOT_BUILT.contains(&name) {
                (
                    "not_built",
                    format!("columns of type {name} can't be made yet"),
                )
            } else {
                ("unknown_type", "there is no such column type".to_owned())
            };
            FieldError {
                path: "/type".to_owned(),
                code: Cow::Borrowed(code),
                message,
            }
        })
    }

    /// Whether cells of this type are kept with the item's values. The others are read from the
    /// item's own fields, and links from their own table.
    pub fn is_stored(self) -> bool {
        !matches!(
            self,
            ColumnType::Link
                | ColumnType::CreatedAt
                | ColumnType::CreatedBy
                | ColumnType::UpdatedAt
                | ColumnType::UpdatedBy
        )
    }

    /// Whether people can't write such cells.
    pub fn is_read_only(self) -> bool {
        matches!(self, ColumnType::AutoNumber | ColumnType::List)
            || !(self.is_stored() || self == ColumnType::Link)
    }

    /// Whether cells hold a number.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            ColumnType::Number
                | ColumnType::Currency
                | ColumnType::Percent
                | ColumnType::Rating
                | ColumnType::AutoNumber
        )
    }

    /// Whether cells hold a plain text.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            ColumnType::Text
                | ColumnType::LongText
                | ColumnType::Email
                | ColumnType::Phone
                | ColumnType::Url
        )
    }

    /// Whether cells hold a date or a time.
    pub fn is_moment(self) -> bool {
        matches!(
            self,
            ColumnType::Date | ColumnType::DateTime | ColumnType::CreatedAt | ColumnType::UpdatedAt
        )
    }

    /// Whether cells hold choices.
    pub fn is_select(self) -> bool {
        matches!(self, ColumnType::SingleSelect | ColumnType::MultiSelect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back_and_agree_with_serde() {
        for ty in ColumnType::ALL
            .into_iter()
            .filter(|ty| *ty != ColumnType::List)
        {
            assert_eq!(ColumnType::from_request(ty.as_str()), Ok(ty));
            assert_eq!(serde_json::to_value(ty).unwrap(), ty.as_str());
        }
    }

    #[test]
    fn types_to_come_are_refused_by_name() {
        for name in NOT_BUILT {
            assert_eq!(
                ColumnType::from_request(name).unwrap_err().code,
                "not_built"
            );
        }
        assert_eq!(
            ColumnType::from_request("blob").unwrap_err().code,
            "unknown_type"
        );
    }
}
