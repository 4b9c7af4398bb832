//! A form that anybody with its link may send: which columns it asks for, and what may come back. Pure.
//!
//! A form makes items of its list and nothing else, of the columns that its view shows and no others.
//! Of everything else in the workspace it says nothing, also not by a refusal.

use serde_json::{Map, Value};

use super::columns::Column;
use super::edit::{ItemCommand, RawValues};
use super::roles::{Action, Role};
use super::schema::List;
use super::view::{View, may_be_asked};
use crate::error::{AppError, FieldError};
use crate::ids::{FormId, ListId, UserId, ViewId};

/// Links to one form at most.
pub const MAX_LINKS: usize = 20;

/// A form behind a link.
#[derive(Clone, Debug)]
pub struct Form {
    pub id: FormId,
    pub view: ViewId,
    pub list: ListId,
    /// The view's: a private one's form is open as long as its owner may write it.
    pub owner: UserId,
    shared: bool,
    pub title: String,
    pub description: Option<String>,
    /// Keys of columns, in the order in which they are asked for.
    asks: Vec<String>,
    /// Keys among them that must be answered, beside those that the list requires.
    required: Vec<String>,
}

impl Form {
    /// The form that a view is.
    pub fn of(id: FormId, view: &View) -> Form {
        let text = |part| view.config.get(part).and_then(Value::as_str);
        let title = text("title").filter(|title| !title.trim().is_empty());
        Form {
            id,
            view: view.id,
            list: view.list,
            owner: view.owner,
            shared: view.shared,
            title: title.unwrap_or(&view.name).to_owned(),
            description: text("description").map(str::to_owned),
            asks: keys(&view.config, "columns"),
            required: keys(&view.config, "required"),
        }
    }

    /// Whether it lets anything in, its owner being of that role: what nobody in the workspace may see
    /// any more, nobody sends any more.
    pub fn is_open(&self, owner: Option<Role>) -> bool {
        self.shared || owner.is_some_and(|role| role.may(Action::WriteViews))
    }

    /// The columns that are asked for, of those that the list has.
    pub fn questions<'l>(&self, list: &'l List) -> Vec<&'l Column> {
        let columns = self.asks.iter().filter_map(|key| list.columns.by_key(key));
        columns.filter(|column| may_be_asked(column.ty)).collect()
    }

    /// Whether the question must be answered.
    pub fn requires(&self, column: &Column) -> bool {
        (column.required && column.default.is_none()) || self.required.contains(&column.key)
    }

    /// Whether every column that the list requires is filled by the form or by itself.
    pub fn is_complete(&self, list: &List) -> bool {
        list.columns.iter().all(|column| {
            !column.required || column.default.is_some() || self.asks.contains(&column.key)
        })
    }

    /// Judges what was sent: answers to the form's questions alone, and to all that must be answered.
    /// What the answers may be is judged with the item.
    pub fn judge(&self, list: &List, command: &ItemCommand) -> Result<(), AppError> {
        let ItemCommand::Create { items, .. } = command else {
            return Err(AppError::forbidden());
        };
        if !self.is_complete(list) {
            return Err(AppError::conflict("This form can't be sent at the moment"));
        }
        let questions = self.questions(list);
        let mut errors = Vec::new();
        for (index, item) in items.iter().enumerate() {
            self.judge_answers(&questions, &item.values, index, &mut errors);
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(AppError::fields(errors))
        }
    }

    fn judge_answers(
        &self,
        questions: &[&Column],
        answers: &RawValues,
        index: usize,
        errors: &mut Vec<FieldError>,
    ) {
        let mut refuse = |key: &str, code: &'static str, message: String| {
            let key = key.replace('~', "~0").replace('/', "~1");
            errors.push(FieldError {
                path: format!("/items/{index}/values/{key}"),
                code: code.into(),
                message,
            });
        };
        for (key, _) in &answers.0 {
            if !questions.iter().any(|column| column.key == *key) {
                refuse(key, "unknown_column", format!("no column {key:?}"));
            }
        }
        for column in questions.iter().filter(|column| self.requires(column)) {
            let answer = answers.0.iter().find(|(key, _)| *key == column.key);
            if answer.is_none_or(|(_, json)| is_blank(json.get())) {
                let message = "this column may not be empty";
                refuse(&column.key, "required", message.to_owned());
            }
        }
    }
}

fn keys(config: &Map<String, Value>, part: &str) -> Vec<String> {
    let keys = config.get(part).and_then(Value::as_array);
    let keys = keys.into_iter().flatten().filter_map(Value::as_str);
    keys.map(str::to_owned).collect()
}

/// Whether it answers nothing.
fn is_blank(json: &str) -> bool {
    match serde_json::from_str(json) {
        Ok(Value::Null) => true,
        Ok(Value::String(text)) => text.trim().is_empty(),
        Ok(Value::Array(each)) => each.is_empty(),
        Ok(Value::Object(each)) => each.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::json;
    use uuid::Uuid;

    use super::super::edit::NewItem;
    use super::super::schema_change::{ColumnSpec, add_columns, drop_column, new_list};
    use super::super::view::NewView;
    use super::*;
    use crate::ids::ItemId;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn specs(columns: Value) -> Vec<ColumnSpec> {
        serde_json::from_value(columns).unwrap()
    }

    fn list() -> List {
        let columns = specs(json!([
            {"key": "Name", "type": "text", "required": true},
            {"key": "Mail", "type": "email"},
            {"key": "Budget", "type": "number"},
            {"key": "Source", "type": "text", "required": true, "default": "Web"},
        ]));
        let id = ListId(Uuid::from_u128(1));
        new_list(id, "Leads", &columns, 0, UserId(Uuid::nil()), NOW).unwrap()
    }

    fn form(config: Value) -> Form {
        let new = NewView {
            id: ViewId(Uuid::from_u128(2)),
            name: "Contact us".into(),
            kind: "form".into(),
            config: config.as_object().unwrap().clone(),
            shared: false,
        };
        let view = View::make(&new, &list(), UserId(Uuid::nil()), NOW).unwrap();
        Form::of(FormId(Uuid::from_u128(3)), &view)
    }

    fn sent(form: &Form, list: &List, values: Value) -> Result<(), (u16, Vec<(String, String)>)> {
        let item = NewItem {
            id: ItemId(Uuid::from_u128(4)),
            fresh: true,
            values: serde_json::from_value(values).unwrap(),
        };
        let command = ItemCommand::Create {
            list: list.id,
            items: vec![item],
            typecast: false,
        };
        form.judge(list, &command).map_err(|error| {
            let fields = error.fields.into_iter();
            let fields = fields.map(|e| (e.path, e.code.into_owned())).collect();
            (error.code.status(), fields)
        })
    }

    fn refused(path: &str, code: &str) -> Result<(), (u16, Vec<(String, String)>)> {
        let path = format!("/items/0/values/{path}");
        Err((422, vec![(path, code.to_owned())]))
    }

    #[test]
    fn a_form_takes_answers_to_its_own_questions_and_no_others() {
        let (form, list) = (
            form(json!({"columns": ["Mail", "Name"], "required": ["Mail"]})),
            list(),
        );
        let keys: Vec<&str> = form
            .questions(&list)
            .iter()
            .map(|c| c.key.as_str())
            .collect();
        assert_eq!(keys, ["Mail", "Name"]);
        let full = json!({"Name": "Ada", "Mail": "ada@example.com"});
        assert_eq!(sent(&form, &list, full.clone()), Ok(()));
        for (key, value) in [
            ("Budget", json!(1)),
            ("Nope", json!(1)),
            ("Source", json!("x")),
        ] {
            let mut more = full.clone();
            more[key] = value;
            assert_eq!(sent(&form, &list, more), refused(key, "unknown_column"));
        }
        for blank in [json!(null), json!(" "), json!([])] {
            let answers = json!({"Name": "Ada", "Mail": blank});
            assert_eq!(sent(&form, &list, answers), refused("Mail", "required"));
        }
        let unnamed = json!({"Mail": "ada@example.com"});
        assert_eq!(sent(&form, &list, unnamed), refused("Name", "required"));
    }

    #[test]
    fn a_form_that_can_not_fill_its_list_says_so_and_names_no_column() {
        let form = form(json!({"columns": ["Name"]}));
        let more = specs(json!([{"key": "Hidden", "type": "text", "required": true}]));
        let list = add_columns(&list(), &more, |_| String::new(), NOW).unwrap();
        let answer = sent(&form, &list, json!({"Name": "Ada"}));
        assert_eq!(answer, Err((409, Vec::new())));
    }

    #[test]
    fn a_column_that_went_is_not_asked_for() {
        let form = form(json!({"columns": ["Name", "Mail"], "required": ["Mail"]}));
        let (list, _) = drop_column(&list(), "Mail", NOW).unwrap();
        assert_eq!(form.questions(&list).len(), 1);
        assert_eq!(sent(&form, &list, json!({"Name": "Ada"})), Ok(()));
        let stale = json!({"Name": "Ada", "Mail": "ada@example.com"});
        assert_eq!(sent(&form, &list, stale), refused("Mail", "unknown_column"));
    }
}
