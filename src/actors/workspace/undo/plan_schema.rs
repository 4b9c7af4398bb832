//! What takes back a change of a list or of a column.

use super::super::core::Core;
use super::Plan;
use super::plan_items::{changes, timeline};
use crate::actors::workspace::AdminCommand;
use crate::domain::cell::ColumnId;
use crate::domain::columns::Column;
use crate::domain::log::Actor;
use crate::domain::past::Before;
use crate::domain::undo::{Later, Obstacle, Reshape, Reshaped, refused, take_back_schema};
use crate::error::AppError;
use crate::ids::ListId;
use crate::store::log::LoggedEvent;
use crate::store::past::Reshaping;
use crate::store::retype::Pair;
use crate::store::{self, Tx};

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
        Reshape::SwapColumn { back, gone } => {
            check_values(core, tx, list, (back, gone), header.seq).await?;
            AdminCommand::SwapColumn { list, back, gone }
        }
        Reshape::ChangeColumn { key, patch } => AdminCommand::UpdateColumn { list, key, patch },
    };
    Ok(Plan::Schema {
        undoes: header.seq,
        command,
    })
}

/// The one column says what the change of type made of the other: no value was written since that would go
/// with it.
async fn check_values(
    core: &Core,
    tx: &mut Tx,
    list: ListId,
    (back, gone): (ColumnId, ColumnId),
    seq: i64,
) -> Result<(), AppError> {
    let columns = core.schema.live(list).map(|list| &list.columns);
    let by_id = |id: ColumnId| columns.and_then(|columns| columns.by_id(&id));
    // The newer was made of the older.
    // What was computed, nobody has written.
    if by_id(gone).is_some_and(Column::is_read_only) {
        return Ok(());
    }
    let both = by_id(back.min(gone)).zip(by_id(back.max(gone)));
    let (from, to) = both.ok_or_else(AppError::not_found)?;
    let pair = Pair {
        list,
        from,
        to,
        people: &store::members::named(tx, core.id).await?,
    };
    let differing = store::retype::differing(tx, core.id, pair, seq).await?;
    let obstacles: Vec<Obstacle> = differing
        .into_iter()
        .map(|item| Obstacle {
            list: Some(list),
            item: Some(item.item),
            column: Some(to.key.clone()),
            actor: Actor::User(item.by),
            seq: item.seq,
        })
        .collect();
    match obstacles.as_slice() {
        [] => Ok(()),
        obstacles => Err(refused(obstacles)),
    }
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
