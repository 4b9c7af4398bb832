//! Public forms and the links to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::edit::RawValues;
use crate::domain::form::Form;
use crate::domain::item::time;
use crate::domain::schema::List;
use crate::ids::{FormId, UserId, ViewId};

/// A public link to a form.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FormLinkOut {
    /// Also the actor `{"form": id}` of what comes in by it, and the `created_by` of its items.
    #[schema(value_type = uuid::Uuid)]
    pub id: FormId,
    #[schema(value_type = uuid::Uuid)]
    pub view_id: ViewId,
    #[schema(value_type = uuid::Uuid)]
    pub created_by: UserId,
    pub created_at: String,
    /// Shown once, when the link is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where the form is, below the server's address; shown with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A form as strangers see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FormOut {
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is asked for, in order.
    pub columns: Vec<QuestionOut>,
}

/// A column that a form asks for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct QuestionOut {
    pub key: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    /// Choices and limits, as in a column.
    #[schema(value_type = Object)]
    pub options: Value,
    pub required: bool,
}

/// The answers to a form.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormAnswersIn {
    /// By the keys of the form's columns.
    #[schema(value_type = Object)]
    pub values: RawValues,
}

/// What whoever sent a form gets to know.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FormReceipt {
    /// Of the item that was made: to ask after it.
    pub id: uuid::Uuid,
}

impl FormLinkOut {
    pub fn new(link: FormId, view: ViewId, by: UserId, at: chrono::DateTime<chrono::Utc>) -> Self {
        FormLinkOut {
            id: link,
            view_id: view,
            created_by: by,
            created_at: time(at),
            token: None,
            path: None,
        }
    }
}

impl FormOut {
    pub fn new(form: &Form, list: &List) -> FormOut {
        let questions = form.questions(list).into_iter().map(|column| QuestionOut {
            key: column.key.clone(),
            name: column.name.clone(),
            ty: column.ty.as_str().to_owned(),
            options: column.options.to_json(),
            required: form.requires(column),
        });
        FormOut {
            title: form.title.clone(),
            description: form.description.clone(),
            columns: questions.collect(),
        }
    }
}
