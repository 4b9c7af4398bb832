//! What a group must know of unique columns, read before it is judged: one question however many commands
//! there are, and none where no list of theirs has such a column.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::command::{Command, Job};
use super::core::Core;
use crate::domain::item::{Item, Place};
use crate::domain::unique::{Holders, Key, claims};
use crate::store::commit::PATIENCE;
use crate::store::{self, Db, Purpose, StoreError, Tx};

/// Who holds what the commands may come to hold. `items` are those that they name.
pub(super) async fn read(
    db: &Db,
    held: Option<&mut Tx>,
    core: &Core,
    jobs: &[Job],
    items: &HashMap<Place, Arc<Item>>,
) -> Result<Holders, StoreError> {
    let commands = jobs.iter().filter_map(|job| match &job.request.command {
        Command::Items(command) => Some(command),
        _ => None,
    });
    let claimed: BTreeSet<Key> = commands
        .flat_map(|command| claims(&core.schema, command, items))
        .collect();
    if claimed.is_empty() {
        return Ok(Holders::default());
    }
    let read = async {
        let Some(tx) = held else {
            let mut tx = Tx::begin(db, core.id, Purpose::Commit).await?;
            let asked = store::unique::holders(&mut tx, core.id, &claimed).await?;
            tx.commit().await?;
            return Ok(asked);
        };
        store::unique::holders(tx, core.id, &claimed).await
    };
    Ok(Holders::asked(db.in_time(PATIENCE, read).await?))
}
