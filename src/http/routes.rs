//! Every route of the API, in one table: who may call it, what it takes, what it answers. The
//! router, the OpenAPI document and the matrix test of roles are all read from it; and a parameter or
//! a condition that a route doesn't take is refused here, before its handler.

use std::collections::HashSet;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard};
use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, ResponseError, body::BoxBody};

use super::extract::Caller;
use super::{
    aggregate, asyncapi, columns, comments, duplicates, exports, forms, import_runs, imports,
    invites, items, items_query, jobs, links, lists, log, me, members, openapi, search, undo,
    views, workspaces,
};
use crate::domain::roles::Action;
use crate::error::{AppError, FieldError};

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
            mount: || web::route().to($handler),
        },)*]
    };
    (@one) => { None };
    (@one $one:literal) => { Some($one) };
}

/// The table.
pub fn table() -> Vec<Route> {
    use Action::{
        Comment, Leave, ManageMembers, ManageWorkspace, Own, Read, ReadAudit, WriteItems,
        WriteSchema, WriteViews,
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
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/columns/{key}" Member(WriteSchema), columns::delete, "Take a column away; a link column with its inverse" => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/columns/{key}/preview" Member(WriteSchema), columns::preview, "What another `type` would do to the column's values; the body is the change" ("ColumnPatch") => 200 "OutlookOut";
        POST "/workspaces/{workspace_id}/lists/{list_id}/columns/{key}/restore" Member(WriteSchema), columns::restore, "Take back the column that was deleted last under this key, with its cells; a link column with its inverse and its links" => 200 "ColumnOut";

        GET "/workspaces/{workspace_id}/lists/{list_id}/items" Member(Read), items_query::index, "A page of items" ["filter" "q" "sort" "columns" "expand" "limit" "cursor" "count" "as_of"] => 200 "ItemsPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/items" Member(WriteItems), items::create, "Make one item or many" ["typecast"] ("ItemsIn") => 201 "ItemOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/items" Member(WriteItems), items::update_many, "Change many items, all or none" ["typecast"] ("PatchesIn") => 200 "ItemsPage";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/items" Member(WriteItems), items::delete_many, "Put items into the trash" ("IdsIn") => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/duplicates" Member(Read), duplicates::search, "Items that are probably one, in groups, by rules over columns" ("DuplicatesIn") => 200 "DuplicatesOut";
        POST "/workspaces/{workspace_id}/lists/{list_id}/merge" Member(WriteItems), items::merge, "Make several items one, by one change that can be undone: what is empty in the kept one is filled from the others, which go into the trash; their links, comments and history are its own from then on" ("MergeIn") => 200 "ItemOut";
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/delete" Member(WriteItems), items::delete_many, "The same, for clients that can't send a body with DELETE" ("IdsIn") => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/query" Member(Read), items_query::post, "A page of items, for long filters" ("ItemsQueryIn") => 200 "ItemsPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/aggregate" Member(Read), aggregate::post, "Figures over items, in groups" ("AggregateIn") => 200 "AggregateOut";
        GET "/workspaces/{workspace_id}/lists/{list_id}/trash" Member(Read), items::trash, "Items in the trash" ["limit" "cursor" "columns" "count"] => 200 "ItemsPage";
        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}" Member(Read), items::show, "An item, or as it stood at a position of the log" ["expand" "as_of"] => 200 "ItemOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}" Member(WriteItems), items::update, "Change an item" ["typecast"] ("ItemPatchIn") => 200 "ItemOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}" Member(WriteItems), items::delete, "Put an item into the trash" => 204;
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/restore" Member(WriteItems), items::restore, "Take an item out of the trash" => 200 "ItemOut";
        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/history" Member(Read), items::history, "Every change of an item, newest first" ["limit" "cursor"] => 200 "HistoryPage";
        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/links/{column}" Member(Read), links::index, "The links of a cell, in order" ["limit" "cursor"] => 200 "LinksPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/links/{column}" Member(WriteItems), links::add, "Link further items, behind the others" ("LinksIn") => 200 "ItemOut";
        PUT "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/links/{column}" Member(WriteItems), links::replace, "Link these items and no others, in this order" ("LinksIn") => 200 "ItemOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/links/{column}" Member(WriteItems), links::remove, "Unlink these items; what is not linked is left alone" ("LinksIn") => 204;

        GET "/workspaces/{workspace_id}/lists/{list_id}/views" Member(Read), views::index, "Views of a list: the shared ones and the caller's own" ["limit" "cursor"] => 200 "ViewsPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/views" Member(WriteViews), views::create, "Save a view" ("ViewIn") => 201 "ViewOut";
        GET "/workspaces/{workspace_id}/lists/{list_id}/views/{view_id}" Member(Read), views::show, "A view; another's private one is 404" => 200 "ViewOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/views/{view_id}" Member(WriteViews), views::update, "Change an own view, or, as an admin, a shared one" ("ViewPatchIn") => 200 "ViewOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/views/{view_id}" Member(WriteViews), views::delete, "Delete a view, and with it the links to its form" => 204;

        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/comments" Member(Read), comments::index, "Comments on an item, oldest first" ["limit" "cursor"] => 200 "CommentsPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/comments" Member(Comment), comments::create, "Comment on an item; who is mentioned must be a member" ("CommentIn") => 201 "CommentOut";
        GET "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/comments/{comment_id}" Member(Read), comments::show, "A comment" => 200 "CommentOut";
        PATCH "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/comments/{comment_id}" Member(Comment), comments::update, "Change an own comment" ("CommentPatchIn") => 200 "CommentOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/items/{item_id}/comments/{comment_id}" Member(Comment), comments::delete, "Delete an own comment, or, as an admin, any" => 204;

        POST "/workspaces/{workspace_id}/lists/{list_id}/imports" Member(WriteItems), imports::into_list, "Import a file into a list: delimited text, a workbook, JSON, vCards, also packed; as the body, or as the part `file` of a form" ["mode" "key" "dry_run" "mapping" "create_columns" "on_error" "delimiter" "quote" "encoding" "header_row" "sheet" "entry" "nested" "date_order"] => 202 "JobOut";
        POST "/workspaces/{workspace_id}/imports" Member(WriteSchema), imports::into_new_list, "Make a list from a file, which is sent as for an import" ["list_name" "mode" "dry_run" "mapping" "create_columns" "on_error" "delimiter" "quote" "encoding" "header_row" "sheet" "entry" "nested" "date_order"] => 202 "JobOut";
        POST "/workspaces/{workspace_id}/lists/{list_id}/exports" Member(WriteItems), exports::create, "Export items of a list into a file: CSV, a workbook, JSON, JSON Lines or vCards; texts that a spreadsheet would run as formulas are guarded by an apostrophe, which an import takes off" ("ExportIn") => 202 "JobOut";
        GET "/workspaces/{workspace_id}/jobs" Member(Read), jobs::index, "Jobs, newest first" ["limit" "cursor"] => 200 "JobsPage";
        GET "/workspaces/{workspace_id}/jobs/{job_id}" Member(Read), jobs::show, "How a job stands" => 200 "JobOut";
        GET "/workspaces/{workspace_id}/jobs/{job_id}/errors" Member(Read), jobs::errors, "The rows that a job could not store" ["limit" "cursor" "format"] => 200 "ErrorsPage";
        POST "/workspaces/{workspace_id}/jobs/{job_id}/run" Member(WriteItems), import_runs::run, "Run an import that needs input, or plan it anew: the parameters are answers, each in the place of what was said before; with `dry_run=true` nothing is stored yet" ["mode" "key" "dry_run" "mapping" "create_columns" "on_error" "delimiter" "quote" "encoding" "header_row" "sheet" "entry" "nested" "date_order"] => 202 "JobOut";
        GET "/workspaces/{workspace_id}/jobs/{job_id}/result" Member(WriteItems), exports::result, "The file of an export that has ended; kept for a week" => 200;
        POST "/workspaces/{workspace_id}/jobs/{job_id}/cancel" Member(WriteItems), jobs::cancel, "End a job; what it has stored stays" => 200;

        POST "/workspaces/{workspace_id}/jobs/{job_id}/revert" Member(WriteItems), undo::revert, "Take an import back: its rows go into the trash, a batch at a time, unless one of them has been changed since. The events have the job's id as their `change`" => 200;

        POST "/workspaces/{workspace_id}/undo" Member(Comment), undo::undo, "Take back the caller's last change, or the one at `seq`, by one compensating change whose event carries `undoes`. All or nothing: 409 lists in `current.changed` what has been changed since" ("UndoIn") => 200 "Undone";
        POST "/workspaces/{workspace_id}/redo" Member(Comment), undo::redo, "Take back the caller's last undoing, or the one at `seq`; a new change of the caller's ends what can be redone" ("UndoIn") => 200 "Undone";
        POST "/workspaces/{workspace_id}/lists/{list_id}/restore-to" Member(WriteItems), undo::restore_to, "Bring the items of a list back to how they stood at `seq`, in place, by one change that can be undone. Columns stay as they are. At most 10 000 items may differ" ("RestoreToIn") => 200 "Undone";

        GET "/workspaces/{workspace_id}/search" Member(Read), search::index, "Words, in the items of every list" ["q" "limit"] => 200 "FoundPage";
        GET "/workspaces/{workspace_id}/events" Member(Read), log::events, "The ordered change feed" ["after_seq" "limit"] => 200 "EventsPage";
        GET "/workspaces/{workspace_id}/audit" Member(ReadAudit), log::audit, "The audit log, newest first; of another's private view, that it changed and not what it says" ["actor" "kind" "list" "item" "from" "to" "after_seq" "limit" "cursor"] => 200 "AuditPage";
        GET "/workspaces/{workspace_id}/audit/verify" Member(ReadAudit), log::verify, "Check the log's hash chain" => 200 "VerifyOut";

        GET "/workspaces/{workspace_id}/lists/{list_id}/views/{view_id}/form-links" Member(WriteViews), forms::index, "Public links to a view's form, without their tokens" ["limit" "cursor"] => 200 "FormLinksPage";
        POST "/workspaces/{workspace_id}/lists/{list_id}/views/{view_id}/form-links" Member(WriteViews), forms::open, "Make a public link to a view's form; the token is shown once" => 201 "FormLinkOut";
        DELETE "/workspaces/{workspace_id}/lists/{list_id}/views/{view_id}/form-links/{link_id}" Member(WriteViews), forms::revoke, "Take a public link back" => 204;
        GET "/forms/{token}" Nothing, forms::show, "A public form: its title, its columns and their choices" => 200 "FormOut";
        POST "/forms/{token}" Nothing, forms::send, "Send a public form: one item. The event's actor is `{\"form\": link}`, and so is the item's `created_by`. At most 20 a minute from one address and 300 from all, a form" ("FormAnswersIn") => 201 "FormReceipt";

        GET "/openapi.json" Nothing, openapi::document, "This document" => 200;
        GET "/asyncapi.json" Nothing, asyncapi::document, "The websocket's messages, as an AsyncAPI document" => 200;
    }
}

/// Parameters of the contract that no route, or not every one of the contract's, takes yet.
const NOT_BUILT: [&str; 6] = ["as_of", "at", "count", "expand", "q", "typecast"];

/// Mounts the table.
pub fn configure(config: &mut ServiceConfig) {
    for route in table() {
        let path = format!("{BASE}{}", route.path);
        let (known, needs, conditional) = (route.query, route.needs, route.takes_if_match());
        let mounted =
            (route.mount)()
                .guard(answers(route.method))
                .wrap(from_fn(move |request, next| {
                    only_known_parameters(known, conditional, needs, request, next)
                }));
        config.route(&path, mounted);
    }
}

/// A route of GET, and of HEAD with it.
pub fn read() -> actix_web::Route {
    web::route().guard(answers(Method::GET))
}

/// Which methods a route answers: HEAD wherever GET is (RFC 9110, section 9.1).
fn answers(method: Method) -> impl Guard {
    let head = method == Method::GET;
    guard::fn_guard(move |context| {
        let asked = &context.head().method;
        *asked == method || head && *asked == Method::HEAD
    })
}

impl Route {
    /// Whether `If-Match` is heeded: where one thing that has a version is changed. What is about several
    /// says `if_version` for each.
    pub fn takes_if_match(&self) -> bool {
        let changes = [Method::PATCH, Method::DELETE].contains(&self.method);
        let versioned = ["/{item_id}", "/{comment_id}", "/{view_id}"];
        changes && versioned.iter().any(|end| self.path.ends_with(end))
            || self.method != Method::GET && self.path.ends_with("/links/{column}")
    }
}

/// Nothing is accepted and ignored: a parameter that the route doesn't take is 422, and so are one that
/// stands twice and an `If-Match` that would be heeded nowhere.
async fn only_known_parameters(
    known: &[&str],
    conditional: bool,
    needs: Needs,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut seen = HashSet::new();
    let mut wrong: Vec<FieldError> = url::form_urlencoded::parse(request.query_string().as_bytes())
        .filter_map(|(name, _)| {
            let wrong = if !known.contains(&name.as_ref()) {
                Some(unknown(&name))
            } else if seen.contains(&name) {
                Some(refused(&name, "duplicate", "this stands twice"))
            } else {
                None
            };
            seen.insert(name);
            wrong
        })
        .collect();
    if !conditional && request.headers().contains_key(header::IF_MATCH) {
        let message = "If-Match is taken where one item is changed or deleted";
        wrong.push(refused("If-Match", "unknown_parameter", message));
    }
    if wrong.is_empty() {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body);
    }
    // Who asks comes first, here as everywhere.
    let refused = match needs {
        Needs::Nothing => AppError::fields(wrong),
        Needs::Person | Needs::Member(_) => match request.extract::<Caller>().await {
            Ok(_) => AppError::fields(wrong),
            Err(stranger) => stranger,
        },
    };
    Ok(request.into_response(refused.error_response()))
}

fn unknown(name: &str) -> FieldError {
    let (code, message) = if NOT_BUILT.contains(&name) {
        ("not_built", "this is not built yet")
    } else {
        ("unknown_parameter", "there is no such parameter here")
    };
    refused(name, code, message)
}

fn refused(name: &str, code: &'static str, message: &str) -> FieldError {
    FieldError {
        path: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        code: code.into(),
        message: message.to_owned(),
    }
}

/// The methods that the API knows at this path; none where it has no route.
pub fn methods_of(path: &str) -> Vec<Method> {
    let Some(path) = path.strip_prefix(BASE) else {
        return Vec::new();
    };
    let mut methods: Vec<Method> = table()
        .into_iter()
        .filter(|route| matches(route.path, path))
        .map(|route| route.method)
        .collect();
    if path == "/ws" {
        methods.push(Method::GET);
    }
    methods
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
        assert_eq!(methods_of("/api/v1/me"), [Method::GET, Method::PATCH]);
        assert!(methods_of("/api/v1/nowhere").is_empty());
    }
}
