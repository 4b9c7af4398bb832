//! What takes back a change of a list or of a column.

use super::super::core::Core;
use super::Plan;
use super::plan_items::{changes, timeline};
use crate::actors::workspace::AdminCommand;
use crate::domain::past::Before;
use crate::domain::undo::{Later, Reshape, Reshaped, take_back_schema};
use crate::error::AppError;
use crate::store::Tx;
use crate::store::log::LoggedEvent;
use crate::store::past::Reshaping;

pub(super) async fn plan(core: &Core, tx: &mut Tx, event: &LoggedEvent) -> Result<Plan, AppError> {
    let header = &event.header;
    let list = header.list.ok_or_else(AppError::not_found)?;
    let changes = changes(core, tx, header.seq).await?;
    let timeline = timeline(core, &changes);
    let kept = event.rows.get(1).and_then(|row| row.text());
    let before: Before = kept
        .and_then(|kept| serde_json::from_str(kept).ok())
        .unwrap_or_default();
    let later: Vec<Later> = standing(&changes, header.seq)
        .map(|change| Later {
            seq: change.seq,
            actor: change.actor,
            before: change.before.clone(),
        })
        .collect();
    let change = Reshaped {
        list,
        before: &before,
        after: timeline.at(header.seq),
        now: &core.schema,
        later: &later,
    };
    let command = match take_back_schema(&header.kind, &change)? {
        Reshape::DropList => AdminCommand::DeleteList { list },
        Reshape::RestoreList => AdminCommand::RestoreList { list },
        Reshape::ChangeList { name, position } => AdminCommand::UpdateList {
            list,
            name,
            position,
        },
        Reshape::DropColumn { key } => AdminCommand::DeleteColumn { list, key },
        Reshape::RestoreColumn { key } => AdminCommand::RestoreColumn { list, key },
        Reshape::ChangeColumn { key, patch } => AdminCommand::UpdateColumn { list, key, patch },
    };
    Ok(Plan::Schema {
        undoes: header.seq,
        command,
    })
}

/// Those that stand: what was undone since `seq`, and what undid it, is left out.
fn standing(changes: &[Reshaping], seq: i64) -> impl Iterator<Item = &Reshaping> {
    let mut gone = std::collections::BTreeSet::new();
    for change in changes {
        if let (false, Some(undone)) = (gone.contains(&change.seq), change.undoes)
            && undone > seq
        {
            gone.extend([change.seq, undone]);
        }
    }
    changes
        .iter()
        .filter(move |change| !gone.contains(&change.seq))
}
