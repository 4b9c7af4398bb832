//! Commands on the public links to forms. Whoever may change the view may open and close its form. Which
//! forms are open is cached under the version of the schema: a link that is revoked, here or by another
//! node, lets nothing in from the next commit on.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::core::Core;
use super::super::durable::Attempt;
use super::effect::{Change, Effect};
use super::views::{find, stub};
use crate::domain::edit::list_of;
use crate::domain::form::{Form, MAX_LINKS};
use crate::domain::roles::Action;
use crate::domain::view::ViewKind;
use crate::error::AppError;
use crate::ids::{FormId, ListId, UserId, ViewId};
use crate::store::forms::FormLink;
use crate::store::{self, Tx};
use crate::wire::forms::FormLinkOut;

/// A command on the links to a form.
#[derive(Debug)]
pub enum FormCommand {
    /// `token_hash` is all that is kept of the secret.
    Open {
        id: FormId,
        token_hash: Vec<u8>,
        location: String,
    },
    Revoke {
        id: FormId,
    },
}

pub(super) async fn judge(
    core: &Core,
    tx: &Tx,
    (list, view): (ListId, ViewId),
    command: &FormCommand,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Effect, Attempt> {
    let role = core.authorize(by, Action::WriteViews)?;
    let list = list_of(list, &core.schema)?;
    let view = find(core, tx, list, view).await?;
    view.writable_by(by, role)?;
    match command {
        FormCommand::Open {
            id,
            token_hash,
            location,
        } => {
            if view.kind != ViewKind::Form {
                return Err(AppError::conflict("Only a form has public links").into());
            }
            let form = Form::of(*id, &view);
            let problems = view.problems(list);
            if !problems.is_empty() {
                return Err(AppError::fields(problems).into());
            }
            if !form.is_complete(list) {
                let message = "the form leaves out a column that the list requires";
                return Err(AppError::field("/config/columns", "required", message).into());
            }
            if store::forms::of_view(tx, core.id, view.id).await?.len() >= MAX_LINKS {
                let message = format!("A form has at most {MAX_LINKS} links");
                return Err(AppError::too_large(message).into());
            }
            let out = json!(FormLinkOut::new(*id, view.id, by, now));
            let link = FormLink {
                workspace_id: core.id,
                id: *id,
                view_id: view.id,
                token_hash: token_hash.clone(),
                created_by: by,
                created_at: now,
                revoked_at: None,
            };
            let data = json!({"view": stub(&view), "link": out});
            Ok(Effect::new("view.link_created", data, 201, Some(out))
                .on(view.list)
                .at(format!("{location}/{id}"))
                .with(Change::NewFormLink(Box::new(link))))
        }
        FormCommand::Revoke { id } => {
            let link = store::forms::find(tx, core.id, *id).await?;
            let link = link
                .filter(|link| link.view_id == view.id)
                .ok_or_else(AppError::not_found)?;
            if link.revoked_at.is_some() {
                return Err(AppError::gone("The link was taken back").into());
            }
            let data = json!({"view": stub(&view), "link": {"id": id}});
            Ok(Effect::new("view.link_revoked", data, 204, None)
                .on(view.list)
                .with(Change::RevokeFormLink(Box::new(link))))
        }
    }
}
