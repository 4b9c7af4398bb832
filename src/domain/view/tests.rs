//! What a view may be set to, who may see and change it, and what stays of it when columns go.

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::schema_change::{ColumnSpec, drop_column, new_list};

const OWNER: UserId = UserId(Uuid::from_u128(1));
const OTHER: UserId = UserId(Uuid::from_u128(2));

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn list() -> List {
    let specs: Vec<ColumnSpec> = serde_json::from_value(json!([
        {"key": "Price", "type": "number"},
        {"key": "Name", "type": "text"},
        {"key": "Status", "type": "single_select", "options": {"choices": [{"name": "Open"}]}},
        {"key": "Due", "type": "date"},
        {"key": "Place", "type": "location"},
        {"key": "Photo", "type": "url"},
        {"key": "Agent", "type": "user"},
        {"key": "No", "type": "auto_number"},
    ]))
    .unwrap();
    let id = ListId(Uuid::from_u128(9));
    new_list(id, "Homes", &specs, 0, OWNER, now()).unwrap()
}

fn made(kind: &str, config: Value, shared: bool) -> Result<View, AppError> {
    let new = NewView {
        id: ViewId(Uuid::from_u128(3)),
        name: "Mine".into(),
        kind: kind.into(),
        config: config.as_object().unwrap().clone(),
        shared,
    };
    View::make(&new, &list(), OWNER, now())
}

fn wrong(kind: &str, config: Value) -> Vec<(String, String)> {
    let error = made(kind, config, false).unwrap_err();
    let fields = error.fields.into_iter();
    fields.map(|e| (e.path, e.code.into_owned())).collect()
}

#[test]
fn each_kind_is_set_to_what_it_can_show() {
    for (kind, config) in [
        (
            "grid",
            json!({"filter": {"column": "Price", "op": "gt", "value": 1}, "sort": "-Price",
            "columns": ["Name", "Price"], "group_by": "Status", "colors": {"column": "Status"},
            "widths": {"Name": 240}}),
        ),
        ("grid", json!({})),
        ("kanban", json!({"group_by": "Status", "sort": ["Price"]})),
        ("calendar", json!({"date": "Due", "end_date": null})),
        ("gallery", json!({"cover": "Photo"})),
        ("map", json!({"location": "Place"})),
        (
            "form",
            json!({"columns": ["Name", "Status"], "required": ["Name"], "title": "Hello"}),
        ),
    ] {
        assert!(made(kind, config.clone(), true).is_ok(), "{kind} {config}");
    }
}

#[test]
fn what_a_view_can_not_be_set_to_is_named_by_path_and_code() {
    for (kind, config, path, code) in [
        ("kanban", json!({}), "/config/group_by", "required"),
        (
            "kanban",
            json!({"group_by": "Name"}),
            "/config/group_by",
            "bad_type",
        ),
        (
            "kanban",
            json!({"group_by": null}),
            "/config/group_by",
            "required",
        ),
        ("calendar", json!({}), "/config/date", "required"),
        (
            "calendar",
            json!({"date": "Name"}),
            "/config/date",
            "bad_type",
        ),
        (
            "map",
            json!({"location": "Due"}),
            "/config/location",
            "bad_type",
        ),
        (
            "gallery",
            json!({"cover": "Name"}),
            "/config/cover",
            "bad_type",
        ),
        ("grid", json!({"date": "Due"}), "/config/date", "bad_kind"),
        (
            "grid",
            json!({"columns": ["Nope"]}),
            "/config/columns/0",
            "unknown_column",
        ),
        (
            "grid",
            json!({"columns": ["Name", "Name"]}),
            "/config/columns/1",
            "duplicate",
        ),
        (
            "grid",
            json!({"columns": "Name"}),
            "/config/columns",
            "malformed",
        ),
        (
            "grid",
            json!({"sort": "Nope"}),
            "/config/sort",
            "unknown_column",
        ),
        (
            "grid",
            json!({"widths": {"Name": 5}}),
            "/config/widths/Name",
            "out_of_range",
        ),
        (
            "grid",
            json!({"colors": {"column": "Price"}}),
            "/config/colors/column",
            "bad_type",
        ),
        (
            "grid",
            json!({"colour": 1}),
            "/config/colour",
            "unknown_setting",
        ),
        ("grid", json!({"group_by": "\0"}), "/config", "bad_text"),
        (
            "grid",
            json!({"filter": {"and": [{"column": "Nope", "op": "eq", "value": 1}]}}),
            "/config/filter/and/0/column",
            "unknown_column",
        ),
        ("form", json!({}), "/config/columns", "required"),
        (
            "form",
            json!({"columns": ["Agent"]}),
            "/config/columns/0",
            "bad_type",
        ),
        (
            "form",
            json!({"columns": ["No"]}),
            "/config/columns/0",
            "bad_type",
        ),
        (
            "form",
            json!({"columns": ["Name"], "required": ["Price"]}),
            "/config/required/0",
            "unknown_column",
        ),
        (
            "form",
            json!({"columns": ["Name"], "filter": {"and": []}}),
            "/config/filter",
            "bad_kind",
        ),
    ] {
        let found = wrong(kind, config.clone());
        assert_eq!(
            found,
            [(path.to_owned(), code.to_owned())],
            "{kind} {config}"
        );
    }
    assert_eq!(
        wrong("table", json!({})),
        [("/kind".to_owned(), "unknown_kind".to_owned())]
    );
}

#[test]
fn what_a_deleted_column_leaves_is_flagged_and_nothing_is_lost() {
    let config = json!({"columns": ["Name", "Price"], "sort": "-Price", "group_by": "Status"});
    let view = made("grid", config.clone(), false).unwrap();
    let (list, _) = drop_column(&list(), "Price", now()).unwrap();
    let paths: Vec<String> = view.problems(&list).into_iter().map(|e| e.path).collect();
    assert_eq!(paths, ["/config/columns/1", "/config/sort"]);
    assert_eq!(Value::from(view.config.clone()), config);
    // What is not sent anew is not judged anew.
    let patch = ViewPatch {
        name: Some("Other".into()),
        ..ViewPatch::default()
    };
    assert!(view.changed(&patch, &list, OWNER, now()).is_ok());
}

proptest! {
    #[test]
    fn a_private_view_is_its_owners_alone_whatever_the_role(role in 0usize..5) {
        let view = made("grid", json!({}), false).unwrap();
        let role = Role::ALL[role];
        prop_assert_eq!(view.writable_by(OTHER, role).unwrap_err().code.status(), 404);
        let own = view.writable_by(OWNER, role).is_ok();
        prop_assert_eq!(own, role.may(Action::WriteViews));
    }

    #[test]
    fn a_shared_view_is_changed_by_its_owner_and_by_admins(role in 0usize..5) {
        let view = made("grid", json!({}), true).unwrap();
        let role = Role::ALL[role];
        prop_assert_eq!(view.writable_by(OTHER, role).is_ok(), role.may(Action::ManageViews));
        let hide = ViewPatch { shared: Some(false), ..ViewPatch::default() };
        prop_assert!(view.changed(&hide, &list(), OTHER, now()).is_err());
        prop_assert!(view.changed(&hide, &list(), OWNER, now()).is_ok());
    }

    #[test]
    fn no_config_makes_the_check_panic(text in "\\PC{0,40}", key in "[a-z_]{1,12}") {
        for kind in ViewKind::ALL {
            for value in [json!(text), json!([text]), json!({ key.as_str(): text }), json!(3)] {
                for part in ["filter", "sort", "columns", "colors", "widths", key.as_str()] {
                    let config = json!({ part: value }).as_object().unwrap().clone();
                    check(kind, &config, &list().columns, OWNER);
                }
            }
        }
    }
}
