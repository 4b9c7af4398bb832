//! Members of a workspace, and the memberships of a person.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use entity::{members, profiles};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use super::{Db, StoreError, Tx};
use crate::domain::roles::Role;
use crate::ids::{UserId, WorkspaceId};

/// A member with what others see of the person.
#[derive(Clone, Debug)]
pub struct Member {
    pub user: UserId,
    pub role: Role,
    pub joined_at: DateTime<Utc>,
    pub email: Option<String>,
    pub display_name: String,
}

/// The roles of all members.
pub async fn roles(tx: &Tx, workspace: WorkspaceId) -> Result<BTreeMap<UserId, Role>, StoreError> {
    members::Entity::find()
        .filter(members::Column::WorkspaceId.eq(workspace))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| Ok((row.user_id, role(&row.role)?)))
        .collect()
}

/// Whether a person is a member.
pub async fn is_member(tx: &Tx, workspace: WorkspaceId, user: UserId) -> Result<bool, StoreError> {
    let member = members::Entity::find_by_id((workspace, user))
        .one(tx)
        .await?;
    Ok(member.is_some())
}

/// All members by the time they joined, with their profiles.
pub async fn list(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
    let rows = members::Entity::find()
        .filter(members::Column::WorkspaceId.eq(workspace))
        .order_by_asc(members::Column::JoinedAt)
        .order_by_asc(members::Column::UserId)
        .all(tx)
        .await?;
    let people: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
    let mut profiles: BTreeMap<UserId, profiles::Model> = profiles::Entity::find()
        .filter(profiles::Column::UserId.is_in(people))
        .all(tx)
        .await?
        .into_iter()
        .map(|profile| (profile.user_id, profile))
        .collect();
    rows.into_iter()
        .map(|row| {
            let profile = profiles.remove(&row.user_id);
            let (email, display_name) = profile
                .map(|p| (p.email, p.display_name))
                .unwrap_or_default();
            Ok(Member {
                user: row.user_id,
                role: role(&row.role)?,
                joined_at: row.joined_at,
                email,
                display_name,
            })
        })
        .collect()
}

/// All members by what people write for them: their ids and e-mail addresses, in lower case.
pub async fn named(tx: &Tx, workspace: WorkspaceId) -> Result<HashMap<String, UserId>, StoreError> {
    let mut named = HashMap::new();
    for member in list(tx, workspace).await? {
        named.insert(member.user.to_string(), member.user);
        let email = member.email.map(|email| email.to_lowercase());
        named.extend(email.map(|email| (email, member.user)));
    }
    Ok(named)
}

/// Adds a member or changes a member's role.
pub async fn upsert(
    tx: &Tx,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = members::ActiveModel {
        workspace_id: Set(workspace),
        user_id: Set(user),
        role: Set(role.as_str().to_owned()),
        joined_at: Set(now),
    };
    members::Entity::insert(row)
        .on_conflict(
            sea_orm::sea_query::OnConflict::columns([
                members::Column::WorkspaceId,
                members::Column::UserId,
            ])
            .update_column(members::Column::Role)
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

pub async fn delete(tx: &Tx, workspace: WorkspaceId, user: UserId) -> Result<(), StoreError> {
    members::Entity::delete_many()
        .filter(members::Column::WorkspaceId.eq(workspace))
        .filter(members::Column::UserId.eq(user))
        .exec(tx)
        .await?;
    Ok(())
}

/// A workspace that a person belongs to.
#[derive(Clone, Debug)]
pub struct Membership {
    pub workspace: WorkspaceId,
    pub name: String,
    pub role: Role,
    pub joined_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// The workspaces of a person, in the order they joined. Across tenants, hence through a definer
/// function that takes the person and nothing else.
pub async fn of_person(db: &Db, person: UserId) -> Result<Vec<Membership>, StoreError> {
    let rows = sqlx::query_as::<_, (uuid::Uuid, String, String, DateTime<Utc>, DateTime<Utc>)>(
        "SELECT workspace_id, name, role, joined_at, created_at FROM estatebase.memberships_of($1)",
    )
    .bind(person.uuid())
    .fetch_all(db.outside())
    .await?;
    rows.into_iter()
        .map(|(workspace, name, named, joined_at, created_at)| {
            let workspace = WorkspaceId(workspace);
            Ok(Membership {
                workspace,
                name,
                role: role(&named)?,
                joined_at,
                created_at,
            })
        })
        .collect()
}

fn role(name: &str) -> Result<Role, StoreError> {
    Role::from_name(name).ok_or_else(|| StoreError::corrupt("a member's role"))
}
