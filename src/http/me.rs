//! The caller: profile and memberships.

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::extract::{Body, Caller, state};
use crate::error::AppError;
use crate::ids::UserId;
use crate::store;
use crate::wire::people::MembershipOut;

/// The caller's profile and workspaces.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MeOut {
    user: UserOut,
    memberships: Vec<MembershipOut>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UserOut {
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    email: Option<String>,
    display_name: String,
}

/// What a person may change of the own profile.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfilePatch {
    display_name: String,
}

pub async fn show(request: HttpRequest, caller: Caller) -> Result<HttpResponse, AppError> {
    let state = state(&request)?;
    let person = &caller.0;
    let profile = store::profiles::visit(
        &state.db,
        person.user,
        person.email.as_deref(),
        person.name.as_deref(),
    )
    .await?;
    let memberships = store::members::of_person(&state.db, person.user).await?;
    Ok(HttpResponse::Ok().json(MeOut {
        user: UserOut {
            id: person.user,
            email: profile.email,
            display_name: profile.display_name,
        },
        memberships: memberships.iter().map(MembershipOut::new).collect(),
    }))
}

pub async fn update(
    request: HttpRequest,
    caller: Caller,
    body: Body<ProfilePatch>,
) -> Result<HttpResponse, AppError> {
    let name = body.value.display_name.trim();
    crate::domain::columns::check_name(name)
        .map_err(|error| AppError::field("/display_name", error.code, error.message))?;
    let person = &caller.0;
    let state = state(&request)?;
    store::profiles::visit(&state.db, person.user, person.email.as_deref(), None).await?;
    store::profiles::rename(&state.db, person.user, name).await?;
    show(request, caller).await
}
