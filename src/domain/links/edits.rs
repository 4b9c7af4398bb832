//! The links that one command changes: collected while its items are judged, then tried together. What
//! goes, goes first, so that two items may change their places in one command.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::book::{Diff, Draft, Drafted, Row};
use super::{Book, CellAt, End, MAX_LINKS, Pair, Side};
use crate::domain::columns::{SHOWN_LINKS, use_link_paths};
use crate::domain::edit::Errors;
use crate::domain::item::{Item, Place};
use crate::domain::schema::Schema;
use crate::error::AppError;
use crate::ids::{ItemId, ListId};

/// How ids that are sent change a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Add,
    /// The cell holds these and no others, in this order.
    Replace,
    Remove,
}

/// A change of one cell.
#[derive(Clone, Debug)]
pub struct CellEdit {
    pub end: End,
    pub item: ItemId,
    pub how: How,
    pub ids: Vec<ItemId>,
    /// Where the ids stand in the request.
    pub path: String,
    /// Among an item's values: of a short cell alone.
    pub short: bool,
}

/// The links of one command.
pub struct Edits<'b> {
    schema: &'b Schema,
    items: &'b HashMap<Place, Arc<Item>>,
    draft: Draft<'b>,
    edits: Vec<CellEdit>,
    /// Items that this command makes or takes out of the trash.
    living: HashSet<Place>,
    /// Items that it takes to the trash while links are still to be tried.
    leaving: HashSet<Place>,
    /// Positions of this command begin here.
    base: i64,
    next: i64,
}

impl<'b> Edits<'b> {
    pub fn new(
        schema: &'b Schema,
        items: &'b HashMap<Place, Arc<Item>>,
        book: &'b Book,
        seq: i64,
    ) -> Self {
        Edits {
            schema,
            items,
            draft: Draft::new(book),
            edits: Vec::new(),
            living: HashSet::new(),
            leaving: HashSet::new(),
            base: seq.saturating_mul(1 << 20),
            next: 0,
        }
    }

    pub fn push(&mut self, edit: CellEdit) {
        self.edits.push(edit);
    }

    /// An item that this command makes.
    pub fn born(&mut self, list: ListId, item: ItemId) {
        self.living.insert((list, item));
        for end in self.schema.ends(list) {
            self.draft.born(end.cell(item));
        }
    }

    /// Tries what was collected. What breaks a rule by itself is noted; what the state does not allow
    /// is an error.
    pub(in crate::domain) fn apply(&mut self, errors: &mut Errors) -> Result<(), AppError> {
        let edits = std::mem::take(&mut self.edits);
        for edit in &edits {
            self.remove(edit, errors)?;
        }
        let mut conflict = None;
        for edit in &edits {
            if let Err(refusal) = self.add(edit, errors) {
                conflict.get_or_insert(refusal);
            }
        }
        match conflict {
            Some(conflict) if errors.is_empty() => Err(conflict),
            _ => Ok(()),
        }
    }

    fn remove(&mut self, edit: &CellEdit, errors: &mut Errors) -> Result<(), AppError> {
        let at = edit.end.cell(edit.item);
        let gone: Vec<ItemId> = match edit.how {
            How::Add => return Ok(()),
            How::Remove => edit.ids.clone(),
            How::Replace => {
                if edit.short && self.draft.count(&at)? > SHOWN_LINKS {
                    let wrong = use_link_paths();
                    errors.note(edit.path.clone(), wrong.code, wrong.message);
                    return Ok(());
                }
                let kept: HashSet<ItemId> = edit.ids.iter().copied().collect();
                let all = self.draft.all(&at)?;
                all.into_iter().filter(|id| !kept.contains(id)).collect()
            }
        };
        for id in gone {
            if self.is_live(&edit.end, edit.item, id)? {
                self.draft.set(&edit.end, edit.item, id, None)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, edit: &CellEdit, errors: &mut Errors) -> Result<(), AppError> {
        if edit.how == How::Remove {
            return Ok(());
        }
        let at = edit.end.cell(edit.item);
        if edit.end.single && edit.ids.len() > 1 {
            let message = "this column holds one link at most";
            errors.note(edit.path.clone(), "too_many", message);
            return Ok(());
        }
        if edit.short && self.draft.count(&at)? > SHOWN_LINKS {
            return Ok(()); // Noted already.
        }
        for (index, id) in edit.ids.iter().enumerate() {
            let path = || format!("{}/{index}", edit.path);
            if self.is_live(&edit.end, edit.item, *id)? {
                continue;
            }
            if let Some((code, message)) = self.why_not(edit.end.other_list, *id) {
                errors.note(path(), code, message);
                errors.stop_if_many()?;
                continue;
            }
            let count = self.draft.count(&at)?;
            if edit.end.single && count > 0 {
                let detail = "The cell holds a link already, and one at most: replace it";
                return Err(AppError::conflict(detail).at(path(), "too_many"));
            }
            if count >= MAX_LINKS {
                let detail = format!("A cell holds at most {MAX_LINKS} links");
                return Err(AppError::too_large(detail).at(path(), "too_many"));
            }
            let beyond = edit.end.other_cell(*id);
            if edit.end.other_single && self.draft.count(&beyond)? > 0 {
                let detail = "That item is linked already, and may be linked once";
                return Err(AppError::conflict(detail).at(path(), "taken"));
            }
            let position = self.position();
            let row = Row {
                from_position: position,
                to_position: position,
                live: true,
            };
            self.draft.set(&edit.end, edit.item, *id, Some(row))?;
        }
        if edit.how == How::Replace && errors.is_empty() {
            self.order(edit)?;
        }
        Ok(())
    }

    /// Puts a replaced cell into the order that was sent.
    fn order(&mut self, edit: &CellEdit) -> Result<(), AppError> {
        let at = edit.end.cell(edit.item);
        if self.draft.all(&at)? == edit.ids {
            return Ok(());
        }
        for id in &edit.ids {
            let pair = edit.end.pair(edit.item, *id);
            if let Some(row) = self.draft.row(&pair)? {
                let row = row.at(edit.end.side, self.position());
                self.draft.set(&edit.end, edit.item, *id, Some(row))?;
            }
        }
        Ok(())
    }

    fn position(&mut self) -> i64 {
        self.next += 1;
        self.base.saturating_add(self.next)
    }

    fn is_live(&self, end: &End, here: ItemId, there: ItemId) -> Result<bool, AppError> {
        let row = self.draft.row(&end.pair(here, there))?;
        Ok(row.is_some_and(|row| row.live))
    }

    /// Why an item can't be linked: it is nowhere to be seen, or in the trash.
    fn why_not(&self, list: ListId, id: ItemId) -> Option<(&'static str, &'static str)> {
        let place = (list, id);
        if self.living.contains(&place) {
            return None;
        }
        match self.items.get(&place) {
            None => Some(("unknown_item", "the linked list has no such item")),
            Some(item) if item.deleted_at.is_some() || self.leaving.contains(&place) => {
                Some(("deleted_item", "this item is in the trash"))
            }
            Some(_) => None,
        }
    }

    /// Items go into the trash: their links rest. 409 where a link holds one.
    pub fn trash(&mut self, list: ListId, ids: &[ItemId]) -> Result<(), AppError> {
        self.rest(list, ids, true)
    }

    /// The same where another item takes their links over: none holds them.
    pub fn lay_to_rest(&mut self, list: ListId, ids: &[ItemId]) -> Result<(), AppError> {
        self.leaving.extend(ids.iter().map(|id| (list, *id)));
        self.rest(list, ids, false)
    }

    fn rest(&mut self, list: ListId, ids: &[ItemId], held: bool) -> Result<(), AppError> {
        let ends = self.schema.ends(list);
        if ends.is_empty() {
            return Ok(());
        }
        let going: BTreeSet<ItemId> = ids.iter().copied().collect();
        for (index, id) in ids.iter().enumerate() {
            for end in ends {
                for other in self.draft.all(&end.cell(*id))? {
                    let goes_too = end.other_list == list && going.contains(&other);
                    if held && end.held && !goes_too {
                        let detail = "The item is linked where that keeps it from the trash";
                        let path = format!("/ids/{index}");
                        return Err(AppError::conflict(detail).at(path, "restricted"));
                    }
                    let row = self.draft.row(&end.pair(*id, other))?;
                    let row = row.map(|row| Row { live: false, ..row });
                    self.draft.set(end, *id, other, row)?;
                }
            }
        }
        Ok(())
    }

    /// Items come out of the trash: their links live again where both ends do and their places are
    /// free.
    pub fn restore(&mut self, list: ListId, ids: &[ItemId]) -> Result<(), AppError> {
        let ends = self.schema.ends(list);
        self.living.extend(ids.iter().map(|id| (list, *id)));
        for (id, end) in ids
            .iter()
            .flat_map(|id| ends.iter().map(move |end| (id, end)))
        {
            for other in self.draft.resting(&end.cell(*id)) {
                if self.why_not(end.other_list, other).is_some() {
                    continue;
                }
                let taken = end.single && self.draft.count(&end.cell(*id))? > 0
                    || end.other_single && self.draft.count(&end.other_cell(other))? > 0;
                let row = self.draft.row(&end.pair(*id, other))?;
                let row = row.filter(|_| !taken).map(|row| Row { live: true, ..row });
                self.draft.set(end, *id, other, row)?;
            }
        }
        Ok(())
    }

    /// Whether a link lives, or can't for want of an end that does.
    pub fn may_stand(&self, pair: &Pair) -> Result<bool, AppError> {
        let ends = self
            .schema
            .lists
            .keys()
            .flat_map(|list| self.schema.ends(*list));
        let mut of_it = ends.filter(|end| end.relation == pair.relation && end.side == Side::From);
        let Some(end) = of_it.next() else {
            return Ok(true);
        };
        let dead = self.why_not(end.list, pair.from).is_some()
            || self.why_not(end.other_list, pair.to).is_some();
        Ok(dead || self.is_live(end, pair.from, pair.to)?)
    }

    pub fn is_empty(&self) -> bool {
        self.draft.is_empty() && self.edits.is_empty()
    }

    /// What the command did to each cell that a column shows.
    pub fn diffs(&self) -> BTreeMap<Place, BTreeMap<CellAt, Diff>> {
        self.draft.diffs()
    }

    /// The first links of a cell and their number, as the command leaves it.
    pub fn shown(&self, at: &CellAt) -> (Vec<ItemId>, usize) {
        self.draft.shown(at, SHOWN_LINKS)
    }

    /// The same before it.
    pub fn was_shown(&self, at: &CellAt) -> (Vec<ItemId>, usize) {
        self.draft.was_shown(at, SHOWN_LINKS)
    }

    /// The order of a cell, which was replaced: before and after.
    pub fn orders(&self, at: &CellAt) -> (Vec<ItemId>, Vec<ItemId>) {
        let (was, _) = self.draft.was_shown(at, usize::MAX);
        let (is, _) = self.draft.shown(at, usize::MAX);
        (was, is)
    }

    /// How many links a cell has, as the command leaves it.
    pub fn count(&self, at: &CellAt) -> Result<usize, AppError> {
        self.draft.count(at)
    }

    /// All of them, in order.
    pub fn all(&self, at: &CellAt) -> Result<Vec<ItemId>, AppError> {
        self.draft.all(at)
    }

    pub fn book(&self) -> &'b Book {
        self.draft.base()
    }

    /// The end that shows a cell, of the item's list.
    pub fn end_at(&self, list: ListId, at: &CellAt) -> Option<&'b End> {
        let same = |end: &&End| end.relation == at.relation && end.side == at.side;
        self.schema.ends(list).iter().find(same)
    }

    pub fn into_drafted(self) -> Drafted {
        self.draft.into_drafted()
    }
}
