//! The one error type that may reach a caller, and the ONE table of error codes. What is internal
//! (SQL, paths, sources) stays in `source` for the log and never enters a problem document.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

/// One broken rule of the input, by JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where in the request, e.g. `/items/3/values/ListPrice`.
    pub path: String,
    /// Machine-readable rule name, e.g. `not_a_number`.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub message: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $title:literal, $retryable:literal;)*) => {
        /// Every code that a problem document may carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// The whole table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code on the wire; also the last part of the problem's `type`.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// The HTTP status (RFC 9110).
            pub fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }

            /// A short, constant summary.
            pub fn title(self) -> &'static str {
                match self { $(ErrorCode::$variant => $title,)* }
            }

            /// Whether the same request may succeed later.
            pub fn retryable(self) -> bool {
                match self { $(ErrorCode::$variant => $retryable,)* }
            }
        }
    };
}

codes! {
    /// The body or a parameter can't be read.
    Malformed = "validation", 400, "The request can't be read", false;
    /// It was read, and breaks a rule.
    Invalid = "validation", 422, "The request breaks a rule", false;
    Unauthenticated = "unauthenticated", 401, "Sign in first", false;
    Forbidden = "forbidden", 403, "Your role does not allow this", false;
    WrongRecipient = "wrong_recipient", 403, "The invitation is for another address", false;
    NotFound = "not_found", 404, "Not found", false;
    MethodNotAllowed = "method_not_allowed", 405, "This path does not know that method", false;
    Conflict = "conflict", 409, "The state does not allow this", false;
    NotUnique = "not_unique", 409, "Another item holds this value", false;
    LastOwner = "last_owner", 409, "A workspace needs an owner", false;
    Gone = "gone", 410, "It was deleted or is no longer kept", false;
    PreconditionFailed = "precondition_failed", 412, "It has changed since you read it", false;
    TooLarge = "too_large", 413, "Too large", false;
    UnsupportedMediaType = "unsupported_media_type", 415, "This content type is not understood", false;
    IdempotencyMismatch = "idempotency_mismatch", 422, "The key was used for another request", false;
    UpgradeRequired = "upgrade_required", 426, "This path speaks another protocol", false;
    PreconditionRequired = "precondition_required", 428, "Say which version you mean", false;
    RateLimited = "rate_limited", 429, "Too many requests", true;
    Internal = "internal", 500, "Something went wrong on our side", true;
    Unavailable = "unavailable", 503, "Busy or not ready; try again", true;
}

/// Why a request was refused or failed.
#[derive(Debug)]
pub struct AppError {
    pub code: ErrorCode,
    /// A sentence for the caller; nothing internal.
    pub detail: Cow<'static, str>,
    /// The broken rules of the input.
    pub fields: Vec<FieldError>,
    /// The thing as it stands (JSON), for 409 and 412.
    pub current: Option<String>,
    /// Seconds after which a retry makes sense, for 429 and 503.
    pub retry_after: Option<u32>,
    /// The internal half: logged, never sent.
    pub source: Option<anyhow::Error>,
}

impl AppError {
    /// An error of that code with a sentence for the caller.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            current: None,
            retry_after: if code.retryable() { Some(1) } else { None },
            source: None,
        }
    }

    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Malformed, detail)
    }

    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Invalid, detail)
    }

    /// 422 with one broken rule.
    pub fn field(
        path: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self::fields(vec![FieldError {
            path: path.into(),
            code: code.into(),
            message: message.into(),
        }])
    }

    /// 422 with all broken rules. `fields` should not be empty.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let detail = fields.first().map_or_else(
            || Cow::Borrowed("The request breaks a rule"),
            |first| match first.path.as_str() {
                "" => Cow::Owned(first.message.clone()),
                path => Cow::Owned(format!("{path}: {}", first.message)),
            },
        );
        let mut error = Self::new(ErrorCode::Invalid, detail);
        error.fields = fields;
        error
    }

    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Unauthenticated, detail)
    }

    pub fn forbidden() -> Self {
        Self::new(
            ErrorCode::Forbidden,
            "Your role in this workspace does not allow it",
        )
    }

    /// The same answer for what does not exist and for what is not the caller's to see.
    pub fn not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is nothing here that you may see",
        )
    }

    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Conflict, detail)
    }

    pub fn gone(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Gone, detail)
    }

    pub fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::TooLarge, detail)
    }

    /// 503: refused early or the database is away; nothing was written.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Unavailable, detail)
    }

    /// 500: a fault of ours. `source` goes to the log alone.
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(ErrorCode::Internal, "The fault was logged; try again later");
        error.source = Some(source.into());
        error
    }

    /// The same error with `prefix` before each field's path (a batch names its member so).
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        for field in &mut self.fields {
            field.path.insert_str(0, prefix);
        }
        self
    }

    /// The same error, naming the place in the request.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, code: &'static str) -> Self {
        self.fields.push(FieldError {
            path: path.into(),
            code: code.into(),
            message: self.detail.to_string(),
        });
        self
    }

    #[must_use]
    pub fn with_current(mut self, current: String) -> Self {
        self.current = Some(current);
        self
    }

    #[must_use]
    pub fn with_source(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The problem document (RFC 9457).
    pub fn problem<'e>(&'e self, request_id: &'e str) -> Problem<'e> {
        let name = self.code.name();
        let current = self.current.as_deref();
        Problem {
            r#type: format!("/problems/{name}"),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: name,
            request_id,
            errors: &self.fields,
            current: current.and_then(|current| serde_json::from_str(current).ok()),
        }
    }
}

/// RFC 9457.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem<'e> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'e str,
    /// Machine-readable.
    code: &'static str,
    request_id: &'e str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'e [FieldError],
    /// The thing as it stands, with 409 and 412.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = serde_json::Value, required = false)]
    pub current: Option<&'e RawValue>,
}

impl Problem<'_> {
    pub fn to_text(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for AppError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_never_carries_its_internal_half() {
        let error = AppError::internal(anyhow::anyhow!("relation \"items\" does not exist"));
        let told = error.problem("r1").to_text();
        assert!(!told.contains("items"));
        assert!(told.contains("\"request_id\":\"r1\""));
    }

    #[test]
    fn a_batch_names_its_member() {
        let error =
            AppError::field("/values/ListPrice", "not_a_number", "not a number").under("/items/3");
        assert_eq!(error.fields[0].path, "/items/3/values/ListPrice");
    }
}
