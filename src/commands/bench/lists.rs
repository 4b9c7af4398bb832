//! Lists as the groups of figures make them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::client::rest::{Call, Column, Rest, list_path};
use crate::ids::{ListId, WorkspaceId};

/// Columns by key and type.
///
/// # Errors
/// Never, of what can be written as JSON.
pub fn columns(named: &[(&str, &str)]) -> anyhow::Result<Vec<Column>> {
    let column = |(key, ty): &(&str, &str)| {
        serde_json::from_value(json!({"key": key, "name": key, "type": ty}))
    };
    Ok(named.iter().map(column).collect::<Result<_, _>>()?)
}

/// Adds a column that takes options.
///
/// # Errors
/// When the server refuses it.
pub async fn add_column(
    rest: &Rest,
    (workspace, list): (WorkspaceId, ListId),
    key: &str,
    ty: &str,
    options: Value,
) -> anyhow::Result<()> {
    let path = format!("{}/columns", list_path(workspace, list));
    let spec = json!({"key": key, "type": ty, "options": options});
    rest.send(Call::new(Method::POST, path).json(&spec)?)
        .await?;
    Ok(())
}
