//! Every route of the API, in one table: who may call it, what it takes, what it answers. The
//! router, the OpenAPI document and the matrix test of roles are all read from it.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use super::{
    asyncapi, columns, imports, invites, items, items_query, jobs, lists, log, me, members,
    openapi, workspaces,
};
use crate::domain::roles::Action;

/// Where the API stands.
pub const BASE: &str = "/api/v1";

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anybody.
    Nothing,
    /// A signed-in person.
    Person,
    /// A member of the workspace whose role allows it.
    Member(Action),
}

/// One route.
pub struct Route {
    pub method: Method,
    /// Below [`BASE`], with `{names}`.
    pub path: &'static str,
    pub needs: Needs,
    pub summary: &'static str,
    /// The name of the body's schema.
    pub body: Option<&'static str>,
    pub query: &'static [&'static str],
    pub status: u16,
    /// The name of the answer's schema.
    pub answer: Option<&'static str>,
    mount: fn() -> actix_web::Route,
}

macro_rules! routes {
    ($($method:ident $path:literal $needs:expr, $handler:path, $summary:literal
        $([$($query:literal)*])? $(($body:literal))? => $status:literal $($answer:literal)?;)*) => {
        vec![$(Route {
            method: Method::$method,
            path: $path,
            needs: $needs,
            summary: $summary,
            body: routes!(@one $($body)?),
            query: &[$($($query),*)?],
            status: $status,
            answer: routes!(@one $($answer)?),
            mount: || web::method(Method::$method).to($handler),
        },)*]
    };
    (@one) => { None };
    (@one $one:literal) => { Some($one) };
}

/// The table.
pub fn table() -> Vec<Route> {
    use Action::{
        Leave, ManageMembers, ManageWorkspace, Own, Read, ReadAudit, WriteItems, WriteSchema,
    };
    use Needs::{Member, Nothing, Person};
    routes! {
        GET "/me" Person, me::show, "The caller's profile and memberships" => 200 "MeOut";
        PATCH "/me" Person, me::update, "Change the own profile" ("ProfilePatch") => 200 "MeOut";
        GET "/workspaces" Person, workspaces::index, "The caller's workspaces" ["limit" "cursor"] => 200 "MembershipsPage";
        POST "/workspaces" Person, workspaces::create, "Make a workspace; the caller owns it" ("WorkspaceIn") => 201 "WorkspaceOut";
        POST "/invites/accept" Person, invites::accept, "Join a workspace by an invitation's token" ("AcceptIn") => 200 "MembershipOut";

        GET "/workspaces/{workspace_id}" Member(Read), workspaces::show, "A workspace" => 200 "WorkspaceOut";
        PATCH "/workspaces/{workspace_id}" Member(ManageWorkspace), workspaces::update, "Rename a workspace" ("WorkspacePatch") => 200;
        DELETE "/workspaces/{workspace_id}" Member(Own), workspaces::delete, "Put a workspace into the trash, for 30 days" => 204;
        POST "/workspaces/{workspace_id}/restore" Member(Own), workspaces::restore, "Take a workspace out of the trash" => 200;

        GET "/workspaces/{workspace_id}/members" Member(Read), members::index, "Members" ["limit" "cursor"] => 200 "MembersPage";
        PATCH "/workspaces/{workspace_id}/members/{user_id}" Member(Leave), members::update, "Change a member's role" ("MemberPatch") => 200;
        DELETE "/workspaces/{workspace_id}/members/{user_id}" Member(Leave), members::delete, "Take a member out; leave" => 204;

        GET "/workspaces/{workspace_id}/invites" Member(ManageMembers), invites::index, "Open invitations" ["limit" "cursor"] => 200 "InvitesPage";
        POST "/workspaces/{workspace_id}/invites" Member(ManageMembers), invites::create, "Invite a person; the token is shown once" ("InviteIn") => 201 "InviteOut";
        DELETE "/workspaces/{workspace_id}/invites/{invite_id}" Member(ManageMembers), invites::delete, "Take an invitation back" => 204;

        GET "/workspaces/{workspace_id}/lists" Member(Read), lists::index, "Lists with their columns" ["limit" "cursor"] => 200 "ListsPage";
        POST "/workspaces/{workspace_id}/lists" Member(WriteSchema), lists::create, "Make a list" ("ListIn") => 201 "ListOut";
        GET "/workspaces/{workspace_id}/trash" Member(Read), lists::trash, "Lists in the trash" ["limit" "cursor"] => 200 "ListsPage";
        GET "/workspaces/{workspace_id}/lists/{list_id}" Member(Read), lists::show, "A list" => 200 "ListOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}" Member(WriteSchema), lists::update, "Rename or move a list" ("ListPatch") => 200 "ListOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}" Member(WriteSchema), lists::delete, "Put a list into the trash" => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/restore" Member(WriteSchema), lists::restore, "Take a list out of the trash" => 200 "ListOut";

        GET "/workspaces/{workspace_id}/lists/{list_id}/columns" Member(Read), columns::index, "Columns of a list" ["limit" "cursor"] => 200 "ColumnsPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/columns" Member(WriteSchema), columns::create, "Make a column" ("ColumnSpec") => 201 "ColumnOut";
        GET "/workspaces/{workspace_id}/lists/{list_id}/columns/{key}" Member(Read), columns::show, "A column" => 200 "ColumnOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/columns/{key}" Member(WriteSchema), columns::update, "Change a column" ("ColumnPatch") => 200 "ColumnOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/columns/{key}" Member(WriteSchema), columns::delete, "Take a column away" => 204;

        GET "/workspaces/{workspace_id}/lists/{list_id}/items" Member(Read), items_query::index, "A page of items" ["filter" "sort" "columns" "limit" "cursor" "count"] => 200 "ItemsPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/items" Member(WriteItems), items::create, "Make one item or many" ["typecast"] ("ItemsIn") => 201 "ItemOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/items" Member(WriteItems), items::update_many, "Change many items, all or none" ["typecast"] ("PatchesIn") => 200 "ItemsPage";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/items" Member(WriteItems), items::delete_many, "Put items into the trash" ("IdsIn") => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/delete" Member(WriteItems), items::delete_many, "The same, for clients that can't send a body with DELETE" ("IdsIn") => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/query" Member(Read), items_query::post, "A page of items, for long filters" ("ItemsQueryIn") => 200 "ItemsPage";
        GET "/workspaces/{workspace_id}/lists/{list_id}/trash" Member(Read), items::trash, "Items in the trash" ["limit" "cursor" "columns" "count"] => 200 "ItemsPage";
        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}" Member(Read), items::show, "An item" => 200 "ItemOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}" Member(WriteItems), items::update, "Change an item" ["typecast"] ("ItemPatchIn") => 200 "ItemOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}" Member(WriteItems), items::delete, "Put an item into the trash" => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/restore" Member(WriteItems), items::restore, "Take an item out of the trash" => 200 "ItemOut";
        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/history" Member(Read), items::history, "Every change of an item, newest first" ["limit" "cursor"] => 200 "HistoryPage";

        POST "/workspaces/{workspace_id}/lists/{list_id}/imports" Member(WriteItems), imports::into_list, "Import a file into a list; the body is the file (text/csv)" ["mode" "mapping" "create_columns" "on_error" "delimiter" "encoding" "header_row" "date_order"] => 202 "JobOut";
        POST "/workspaces/{workspace_id}/imports" Member(WriteSchema), imports::into_new_list, "Make a list from a file; the body is the file (text/csv)" ["list_name" "mapping" "on_error" "delimiter" "encoding" "header_row" "date_order"] => 202 "JobOut";
        GET "/workspaces/{workspace_id}/jobs" Member(Read), jobs::index, "Jobs, newest first" ["limit" "cursor"] => 200 "JobsPage";
        GET "/workspaces/{workspace_id}/jobs/{job_id}" Member(Read), jobs::show, "How a job stands" => 200 "JobOut";
        GET "/workspaces/{workspace_id}/jobs/{job_id}/errors" Member(Read), jobs::errors, "The rows that a job could not store" ["limit" "cursor" "format"] => 200 "ErrorsPage";
        POST "/workspaces/{workspace_id}/jobs/{job_id}/cancel" Member(WriteItems), jobs::cancel, "End a job; what it has stored stays" => 200;

        GET "/workspaces/{workspace_id}/events" Member(Read), log::events, "The ordered change feed" ["after_seq" "limit"] => 200 "EventsPage";
        GET "/workspaces/{workspace_id}/audit" Member(ReadAudit), log::audit, "The audit log, newest first" ["actor" "kind" "list" "item" "from" "to" "after_seq" "limit" "cursor"] => 200 "AuditPage";
        GET "/workspaces/{workspace_id}/audit/verify" Member(ReadAudit), log::verify, "Check the log's hash chain" => 200 "VerifyOut";

        GET "/openapi.json" Nothing, openapi::document, "This document" => 200;
        GET "/asyncapi.json" Nothing, asyncapi::document, "The websocket's messages, as an AsyncAPI document" => 200;
    }
}

/// Mounts the table.
pub fn configure(config: &mut ServiceConfig) {
    for route in table() {
        let path = format!("{BASE}{}", route.path);
        config.route(&path, (route.mount)());
    }
}

/// The methods that some route of the API knows at this path.
pub fn methods_of(path: &str) -> Vec<String> {
    let Some(path) = path.strip_prefix(BASE) else {
        return Vec::new();
    };
    table()
        .iter()
        .filter(|route| matches(route.path, path))
        .map(|route| route.method.to_string())
        .collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_route_stands_twice() {
        let mut seen = HashSet::new();
        for route in table() {
            assert!(
                seen.insert((route.method.clone(), route.path)),
                "{} {}",
                route.method,
                route.path
            );
        }
    }

    #[test]
    fn a_path_knows_its_methods() {
        assert_eq!(methods_of("/api/v1/me"), ["GET", "PATCH"]);
        assert!(methods_of("/api/v1/nowhere").is_empty());
    }
}
