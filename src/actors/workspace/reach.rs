//! What a group must know for the computed cells that follow from it, read before it is judged: cells of
//! links generation by generation, and none where nothing is computed from what it changes.

use super::command::{Command, Job};
use super::core::Core;
use super::links::read_cells;
use crate::domain::computed::Reach;
use crate::domain::edit::ItemCommand;
use crate::domain::item::Place;
use crate::domain::links::Book;
use crate::error::AppError;
use crate::store::{Db, Purpose, StoreError, Tx};

/// Why it could not be read.
pub(super) enum Unread {
    /// More follows from the commands than may.
    Beyond(AppError),
    Store(StoreError),
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Unread::Store(error)
    }
}

impl From<Unread> for AppError {
    fn from(unread: Unread) -> AppError {
        match unread {
            Unread::Beyond(error) => error,
            Unread::Store(error) => error.into(),
        }
    }
}

/// Reads it into the book, and gives the items that the group must know too.
pub(super) async fn read(
    db: &Db,
    held: Option<&mut Tx>,
    core: &Core,
    jobs: &[Job],
    book: &mut Book,
) -> Result<Vec<Place>, Unread> {
    if core.schema.graph().is_empty() {
        return Ok(Vec::new());
    }
    let commands = jobs.iter().filter_map(|job| match &job.request.command {
        Command::Items(command) => Some(command),
        _ => None,
    });
    let commands: Vec<&ItemCommand> = commands.collect();
    let mut reach = Reach::of(&core.schema, commands.into_iter());
    let mut asks = reach.next(book).map_err(Unread::Beyond)?;
    if !asks.is_empty() {
        let mut own = None;
        let tx = match held {
            Some(tx) => tx,
            None => own.insert(Tx::begin(db, core.id, Purpose::Commit).await?),
        };
        while !asks.is_empty() {
            read_cells(tx, core, book, &asks).await?;
            asks = reach.next(book).map_err(Unread::Beyond)?;
        }
        if let Some(own) = own {
            own.commit().await?;
        }
    }
    Ok(reach.places().collect())
}
