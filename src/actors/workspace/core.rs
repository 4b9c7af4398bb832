//! What a workspace's actor knows: the head of its log, its schema, its members, and the items that
//! were touched lately. All of it is a cache of Postgres: changed only after a commit, and read
//! again on any doubt.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::command::{Answer, Command, Request};
use super::recent::Recent;
use super::refill::Progress;
use crate::domain::event::ITEMS_COMPUTED;
use crate::domain::form::Form;
use crate::domain::item::{Item, Place};
use crate::domain::log::{Actor, Hash, mark};
use crate::domain::roles::{Action, Role};
use crate::domain::schema::{List, Schema};
use crate::error::AppError;
use crate::ids::{FormId, ItemId, ListId, UserId, WorkspaceId};
use crate::store::commit::PATIENCE;
use crate::store::link_cache::LinkCache;
use crate::store::log::{Head, LoggedEvent};
use crate::store::{self, Db, Purpose, StoreError, Tx};

/// Items kept in memory, so that an edit of a cell just seen needs no read.
const ITEMS_KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(19_999);
/// And what they may take, for an item may hold megabytes.
const ITEMS_BYTES: usize = 32 << 20;
/// Answers kept in memory, so that a prompt retry needs no read.
const OPS_KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4_095);
const OPS_BYTES: usize = 8 << 20;
/// Longer answers are left to the table of operations: they would fill the memory.
const KEPT_ANSWER: usize = 16 * 1024;

/// What everyone may look at while the lane works.
#[derive(Debug)]
pub struct Snapshot {
    pub id: WorkspaceId,
    pub name: String,
    pub seq: i64,
    pub mark: String,
    pub oldest_seq: i64,
    pub schema_version: i64,
    pub schema: Arc<Schema>,
    pub members: Arc<BTreeMap<UserId, Role>>,
    /// The forms that anybody with a link may send.
    pub forms: Arc<BTreeMap<FormId, Arc<Form>>>,
    pub created_at: DateTime<Utc>,
    pub created_by: UserId,
    pub deleted_at: Option<DateTime<Utc>>,
    /// For whoever reads links.
    pub links: Arc<LinkCache>,
}

impl Snapshot {
    /// The member's role, if the person is one.
    pub fn role_of(&self, user: UserId) -> Option<Role> {
        self.members.get(&user).copied()
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }
}

/// The lane's own state.
pub(super) struct Core {
    pub(super) workspace: store::workspaces::Workspace,
    pub(super) id: WorkspaceId,
    pub(super) seq: i64,
    pub(super) hash: Hash,
    pub(super) schema_version: i64,
    pub(super) schema: Arc<Schema>,
    pub(super) members: Arc<BTreeMap<UserId, Role>>,
    pub(super) forms: Arc<BTreeMap<FormId, Arc<Form>>>,
    pub(super) next_numbers: BTreeMap<ListId, i64>,
    /// How far the computed column has come that is computed anew.
    pub(super) refill: Option<Progress>,
    pub(super) items: Recent<Place, Arc<Item>>,
    pub(super) ops: Recent<(UserId, String), KeptOp>,
    pub(super) links: Arc<LinkCache>,
}

/// An operation's answer, as kept in memory.
#[derive(Clone)]
pub(super) struct KeptOp {
    pub(super) fingerprint: Hash,
    pub(super) seq: i64,
    pub(super) answer: Answer,
}

impl Core {
    /// Reads it all from Postgres; `not_found` when there is no such workspace.
    pub(super) async fn load(db: &Db, id: WorkspaceId) -> Result<Core, AppError> {
        let mut tx = Tx::begin(db, id, Purpose::Snapshot).await?;
        let core = Core::read(&mut tx, id, Arc::default()).await?;
        tx.commit().await?;
        Ok(core)
    }

    /// Reads it all again, inside a transaction that sees one state: a snapshot, or one that holds the head.
    pub(super) async fn reread(&mut self, tx: &mut Tx) -> Result<(), AppError> {
        *self = Core::read(tx, self.id, Arc::clone(&self.links)).await?;
        self.links.all_changed();
        Ok(())
    }

    async fn read(tx: &mut Tx, id: WorkspaceId, links: Arc<LinkCache>) -> Result<Core, AppError> {
        let head = store::log::head(tx, id, false)
            .await?
            .ok_or_else(AppError::not_found)?;
        let workspace = store::workspaces::find(tx, id)
            .await?
            .ok_or_else(AppError::not_found)?;
        let (schema, next_numbers) = store::schema::load(tx, id).await?;
        let members = store::members::roles(tx, id).await?;
        let forms = store::forms::open(tx, id).await?;
        Ok(Core {
            id,
            seq: head.seq,
            hash: head.hash,
            schema_version: head.schema_version,
            schema: Arc::new(schema),
            members: Arc::new(members),
            forms: Arc::new(forms),
            next_numbers,
            refill: None,
            items: Recent::new(ITEMS_KEPT, ITEMS_BYTES),
            ops: Recent::new(OPS_KEPT, OPS_BYTES),
            links,
            workspace,
        })
    }

    /// Moves on to a head that another node's events led to, none of which changed more than items.
    pub(super) fn pass<'a>(
        &mut self,
        head: &Head,
        next_numbers: BTreeMap<ListId, i64>,
        events: impl Iterator<Item = &'a LoggedEvent>,
    ) {
        let mut all = false;
        let seen = events.inspect(|event| all |= event.header.kind == ITEMS_COMPUTED);
        for row in seen.flat_map(|event| &event.rows) {
            if let (Some(list), Some(item)) = (row.list, row.item) {
                self.forget_item(&(list, item));
            }
        }
        // Such an event tells of a page of items without naming them.
        if all {
            self.forget_items();
        }
        self.next_numbers = next_numbers;
        self.seq = head.seq;
        self.hash = head.hash;
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            id: self.id,
            name: self.workspace.name.clone(),
            seq: self.seq,
            mark: mark(&self.hash),
            oldest_seq: self.workspace.oldest_seq,
            schema_version: self.schema_version,
            schema: Arc::clone(&self.schema),
            members: Arc::clone(&self.members),
            forms: Arc::clone(&self.forms),
            created_at: self.workspace.created_at,
            created_by: self.workspace.created_by,
            deleted_at: self.workspace.deleted_at,
            links: Arc::clone(&self.links),
        }
    }

    pub(super) fn role_of(&self, user: UserId) -> Option<Role> {
        self.members.get(&user).copied()
    }

    /// Whether the caller may give this command, as the lane sees it now. What an administrative one
    /// needs, or one that undoes, depends on itself: its answer, asked for again, is given to whoever is
    /// still a member.
    pub(super) fn may(&self, request: &Request) -> Result<(), AppError> {
        if let Actor::Form(form) = request.actor {
            return self.open_form(form).map(drop);
        }
        if matches!(request.command, Command::Admin(_) | Command::Undo(_)) {
            let role = self.role_of(request.user);
            return role.map(drop).ok_or_else(AppError::not_found);
        }
        self.authorize(request.user, Action::WriteItems).map(drop)
    }

    /// The form behind a link, while it and its list are open.
    pub(super) fn open_form(&self, id: FormId) -> Result<(&Form, &List), AppError> {
        let form = self.forms.get(&id).map(Arc::as_ref);
        let form = form.filter(|form| form.is_open(self.role_of(form.owner)));
        let form = form.ok_or_else(AppError::not_found)?;
        let list = self.schema.live(form.list);
        match list.filter(|_| self.workspace.deleted_at.is_none()) {
            Some(list) => Ok((form, list)),
            None => Err(AppError::gone("This form is closed")),
        }
    }

    /// The caller's role if it allows `action`: 404 to a stranger, 403 to a member.
    pub(super) fn authorize(&self, user: UserId, action: Action) -> Result<Role, AppError> {
        let role = self.role_of(user).ok_or_else(AppError::not_found)?;
        if self.workspace.deleted_at.is_some() && action != Action::Own {
            return Err(AppError::gone("The workspace is in the trash"));
        }
        if role.may(action) {
            Ok(role)
        } else {
            Err(AppError::forbidden())
        }
    }

    /// Keeps an operation's answer at hand for a prompt retry.
    pub(super) fn keep_op(&mut self, key: (UserId, String), kept: KeptOp) {
        let body = kept.answer.body.as_ref().map_or(0, |body| body.get().len());
        if body <= KEPT_ANSWER {
            let bytes = size_of::<KeptOp>() + key.1.len() + body;
            self.ops.put(key, kept, bytes);
        }
    }

    /// Keeps an item as it stands now at hand.
    fn keep_item(&mut self, place: Place, item: Arc<Item>) {
        let bytes = item.weight();
        self.items.put(place, item, bytes);
    }

    /// An item was changed by us, and stands like this.
    pub(super) fn changed_item(&mut self, place: Place, item: Arc<Item>) {
        let list = self.schema.lists.get(&place.0);
        let title = list.map(|list| item.title(list).map(Arc::from));
        self.links.changed(place, title);
        self.keep_item(place, item);
    }

    /// An item was changed behind memory's back.
    pub(super) fn forget_item(&mut self, place: &Place) {
        self.links.changed(*place, None);
        self.items.pop(place);
    }

    /// Any item may have been.
    pub(super) fn forget_items(&mut self) {
        self.links.all_changed();
        self.items.clear();
    }

    /// The items at these places, from memory or else from Postgres (in the transaction that holds the
    /// head, where there is one); the missing ones don't exist.
    pub(super) async fn look_up(
        &mut self,
        db: &Db,
        held: Option<&mut Tx>,
        places: impl IntoIterator<Item = Place>,
    ) -> Result<HashMap<Place, Arc<Item>>, StoreError> {
        let mut found = HashMap::new();
        let mut missing: BTreeMap<ListId, Vec<ItemId>> = BTreeMap::new();
        for place in places {
            if let Some(item) = self.items.get(&place) {
                found.insert(place, Arc::clone(item));
            } else if !found.contains_key(&place) {
                missing.entry(place.0).or_default().push(place.1);
            }
        }
        let lists: Vec<_> = missing
            .into_iter()
            .filter_map(|(id, ids)| Some((Arc::clone(self.schema.lists.get(&id)?), ids)))
            .collect();
        if lists.is_empty() {
            return Ok(found);
        }
        let read = async {
            let Some(tx) = held else {
                let mut tx = Tx::begin(db, self.id, Purpose::Commit).await?;
                let stored = store::items::find_places(&mut tx, self.id, &lists).await?;
                tx.commit().await?;
                return Ok::<_, StoreError>(stored);
            };
            store::items::find_places(tx, self.id, &lists).await
        };
        let stored = db.in_time(PATIENCE, read).await?;
        for (place, item) in stored {
            let item = Arc::new(item);
            self.keep_item(place, Arc::clone(&item));
            found.insert(place, item);
        }
        Ok(found)
    }
}
