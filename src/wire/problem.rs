//! A problem document (RFC 9457) as it is described; it is written by `error`.

use serde::Serialize;

use crate::error::FieldError;

/// RFC 9457.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// Machine-readable.
    pub code: String,
    pub request_id: String,
    #[schema(nullable = false)]
    pub errors: Option<Vec<FieldError>>,
    /// The thing as it stands, with 409 and 412.
    #[schema(value_type = serde_json::Value, required = false)]
    pub current: Option<serde_json::Value>,
}
