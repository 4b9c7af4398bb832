//! Whether the values of a column are days or times, and whether the day or the month comes first.

use super::Probes;
use super::written::may_be_date;
use crate::domain::columns::{ColumnType, DateOrder};

/// In which orders every value so far is a day, or a day with a time.
pub(super) struct Dates {
    month_first: bool,
    day_first: bool,
    /// No value had a time other than midnight.
    days: bool,
    /// Every value so far is a date of some kind at all.
    any: bool,
    /// Some value means another day in the other order.
    order_matters: bool,
    seen: bool,
}

impl Dates {
    pub(super) fn new() -> Self {
        Self {
            month_first: true,
            day_first: true,
            days: true,
            any: true,
            order_matters: false,
            seen: false,
        }
    }

    pub(super) fn possible(&self) -> bool {
        self.any && (self.month_first || self.day_first)
    }

    pub(super) fn take(&mut self, value: &str, probes: &Probes) {
        if !self.possible() {
            return;
        }
        if !may_be_date(value) {
            self.any = false;
            return;
        }
        self.seen = true;
        let month_first = probes.time(value, &probes.month_first);
        let day_first = probes.time(value, &probes.day_first);
        self.order_matters = self.order_matters || month_first != day_first;
        self.month_first = self.month_first && month_first.is_some();
        self.day_first = self.day_first && day_first.is_some();
        self.days = self.days
            && (probes.date.fits(value, &probes.month_first)
                || probes.date.fits(value, &probes.day_first));
    }

    /// The order that the values themselves settle.
    pub(super) fn settled(&self) -> Option<DateOrder> {
        match (
            self.seen && self.any && self.order_matters,
            self.month_first,
            self.day_first,
        ) {
            (true, true, false) => Some(DateOrder::Mdy),
            (true, false, true) => Some(DateOrder::Dmy),
            _ => None,
        }
    }

    /// All are dates, and nothing tells the day from the month.
    pub(super) fn unsettled(&self, file_order: Option<DateOrder>) -> bool {
        self.seen
            && self.possible()
            && self.order_matters
            && self.settled().or(file_order).is_none()
    }

    pub(super) fn decide(
        &self,
        file_order: Option<DateOrder>,
    ) -> Option<(ColumnType, Option<DateOrder>)> {
        if !self.seen || !self.possible() {
            return None;
        }
        let ty = if self.days {
            ColumnType::Date
        } else {
            ColumnType::DateTime
        };
        match (self.order_matters, self.settled().or(file_order)) {
            (false, _) => Some((ty, None)),
            (true, Some(order)) => Some((ty, Some(order))),
            // A day or a month: nobody knows, so it stays as it was written.
            (true, None) => None,
        }
    }
}
