//! What a group must know of links, read before it is judged: as many questions however many commands
//! there are, and none where no command has to do with links.

use super::command::{Command, Job};
use super::core::Core;
use crate::domain::item::Place;
use crate::domain::links::{Asked, Book, CellAsk, Wanted};
use crate::store::{self, Db, Purpose, StoreError, Tx};

/// Reads it, with the items at other ends that the group must know too.
pub(super) async fn read(
    db: &Db,
    held: Option<&mut Tx>,
    core: &Core,
    jobs: &[Job],
) -> Result<(Book, Vec<Place>), StoreError> {
    let commands = jobs.iter().filter_map(|job| match &job.request.command {
        Command::Items(command) => Some(Asked {
            command,
            show: job.request.shape.shows_items() || command.is_conditional(),
        }),
        _ => None,
    });
    let mut wanted = Wanted::of(&core.schema, commands);
    if wanted.is_empty() {
        return Ok((Book::default(), Vec::new()));
    }
    let book = match held {
        Some(tx) => read_in(tx, core, &mut wanted).await?,
        None => {
            let mut tx = Tx::begin(db, core.id, Purpose::Commit).await?;
            let book = read_in(&mut tx, core, &mut wanted).await?;
            tx.commit().await?;
            book
        }
    };
    Ok((book, wanted.places().collect()))
}

async fn read_in(tx: &mut Tx, core: &Core, wanted: &mut Wanted) -> Result<Book, StoreError> {
    let mut book = Book::default();
    read_cells(tx, core, &mut book, &wanted.cells_that_may_go()).await?;
    let resting: Vec<_> = wanted.resting.iter().copied().collect();
    for (at, other, row) in store::links::resting(tx, core.id, &resting).await? {
        book.read_resting(at, other, row);
    }
    let pairs: Vec<_> = wanted.pairs.iter().copied().collect();
    let rows = store::links::pairs(tx, core.id, &pairs).await?;
    for pair in pairs {
        book.read_pair(pair, rows.get(&pair).copied());
    }
    let others = wanted.other_cells(&book);
    read_cells(tx, core, &mut book, &others).await?;
    Ok(book)
}

pub(super) async fn read_cells(
    tx: &mut Tx,
    core: &Core,
    book: &mut Book,
    asks: &[CellAsk],
) -> Result<(), StoreError> {
    let read = store::links::cells(tx, core.id, asks).await?;
    for (ask, cell) in asks.iter().zip(read) {
        let first = cell.first.iter().map(|link| (link.other, link.row));
        book.read_cell(ask.at, cell.count, ask.most, first);
        if ask.titled {
            for link in cell.first {
                book.read_title((ask.end.other_list, link.other), link.title);
            }
        }
    }
    Ok(())
}
