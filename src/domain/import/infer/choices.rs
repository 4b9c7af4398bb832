//! Whether the values of a column are few enough, and repeat themselves enough, to be choices.

use std::collections::HashSet;

use crate::domain::fold::folded;

/// Most different values of a column that becomes a selection.
const MAX_CHOICES: usize = 50;
/// A selection repeats itself: on average each value at least so often.
const CHOICE_REPEATS: u64 = 10;
const MAX_CHOICE_CHARS: usize = 60;

/// The different values, as long as they are few and are names as a choice may have them.
#[derive(Default)]
pub(super) struct Choices {
    seen: HashSet<String>,
    folded: HashSet<String>,
    in_order: Vec<String>,
}

impl Choices {
    /// False: this can't be a selection.
    pub(super) fn take(&mut self, text: &str) -> bool {
        if self.seen.contains(text) {
            return true;
        }
        let nameable = text.trim() == text
            && text.chars().count() <= MAX_CHOICE_CHARS
            && !text.chars().any(char::is_control);
        // "Oak St" and "OAK ST" would be one choice, and one of them would be lost.
        if !nameable
            || self.in_order.len() == MAX_CHOICES
            || !self.folded.insert(folded(text).into_owned())
        {
            return false;
        }
        self.seen.insert(text.to_owned());
        self.in_order.push(text.to_owned());
        true
    }

    pub(super) fn worth_it(self, filled: u64) -> Option<Vec<String>> {
        let different = u64::try_from(self.in_order.len()).unwrap_or(u64::MAX);
        (different > 0 && filled >= different.saturating_mul(CHOICE_REPEATS))
            .then_some(self.in_order)
    }
}
