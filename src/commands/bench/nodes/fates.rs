//! What became of each of very many edits: a number an edit, so that millions fit. Pure.

use crate::commands::loadtest::stamp::Stamp;

/// Seqs begin above it.
const UNANSWERED: u64 = 0;
const REFUSED: u64 = u64::MAX;
/// Nobody knew: to be asked again by the same op.
const IN_DOUBT: u64 = u64::MAX - 1;

/// Of the edits of each socket, by their counters: the seq that was acknowledged, or what else.
#[derive(Debug)]
pub struct Fates {
    /// Of each socket, its edits.
    told: Vec<Vec<u64>>,
    waiting: Vec<u64>,
    tally: Tally,
    /// In the log as they were acknowledged; in the log otherwise, or again.
    confirmed: u64,
    denied: u64,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: u64,
    pub acked: u64,
    /// As the contract says that too many are refused.
    pub refused: u64,
    /// Answered as unavailable, of which the contract says that it may have taken effect.
    pub in_doubt: u64,
    pub unanswered: u64,
    /// Answers to what was not asked, second ones, and refusals of another kind.
    pub wrong: u64,
}

impl Fates {
    /// Of so many sockets.
    pub fn of(sockets: u16) -> Self {
        let sockets = usize::from(sockets);
        Self {
            told: vec![Vec::new(); sockets],
            waiting: vec![0; sockets],
            tally: Tally::default(),
            confirmed: 0,
            denied: 0,
        }
    }

    /// The socket's next edit goes out.
    pub fn sent(&mut self, editor: u16) {
        let editor = usize::from(editor);
        if let (Some(told), Some(waiting)) =
            (self.told.get_mut(editor), self.waiting.get_mut(editor))
        {
            told.push(UNANSWERED);
            *waiting += 1;
            self.tally.sent += 1;
        }
    }

    /// Whether an answer to the socket is missing.
    pub fn waits(&self, editor: u16) -> bool {
        self.waiting
            .get(usize::from(editor))
            .is_some_and(|waiting| *waiting > 0)
    }

    pub fn acked(&mut self, edit: Option<Stamp>, seq: u64) {
        if self.answered(edit, seq) {
            self.tally.acked += 1;
        }
    }

    pub fn refused(&mut self, edit: Option<Stamp>, code: &str) {
        let fate = match code {
            "unavailable" => IN_DOUBT,
            _ => REFUSED,
        };
        if self.answered(edit, fate) {
            let count = match code {
                "unavailable" => &mut self.tally.in_doubt,
                "rate_limited" => &mut self.tally.refused,
                _ => &mut self.tally.wrong,
            };
            *count += 1;
        }
    }

    /// The log has the edit under `seq`; whether its caller was told that nobody knew, and must ask again.
    /// What it has of an edit without an answer is left open.
    pub fn logged(&mut self, edit: Stamp, seq: u64) -> bool {
        match self.of_edit(edit) {
            Some(told) if *told == seq => {
                // Once is right: what comes again is not.
                *told = REFUSED;
                self.confirmed += 1;
            }
            Some(told) if *told == UNANSWERED => {}
            Some(told) if *told == IN_DOUBT => {
                *told = REFUSED;
                return true;
            }
            _ => self.denied += 1,
        }
        false
    }

    /// Whoever asked again was not told what the log has.
    pub fn denied_again(&mut self) {
        self.denied += 1;
    }

    pub fn tally(&self) -> Tally {
        Tally {
            unanswered: self.waiting.iter().sum(),
            ..self.tally
        }
    }

    /// After the whole log: acknowledged edits that it lacks.
    pub fn lost(&self) -> u64 {
        self.tally.acked.saturating_sub(self.confirmed)
    }

    /// Edits that the log has although they were refused, under another seq or twice.
    pub fn denied(&self) -> u64 {
        self.denied
    }

    /// Notes the first answer; whether it is that.
    fn answered(&mut self, edit: Option<Stamp>, fate: u64) -> bool {
        let editor = edit.map(|edit| usize::from(edit.editor));
        let Some(told) = edit
            .and_then(|edit| self.of_edit(edit))
            .filter(|told| **told == UNANSWERED)
        else {
            self.tally.wrong += 1;
            return false;
        };
        *told = fate;
        if let Some(waiting) = editor.and_then(|editor| self.waiting.get_mut(editor)) {
            *waiting -= 1;
        }
        true
    }

    fn of_edit(&mut self, edit: Stamp) -> Option<&mut u64> {
        let told = self.told.get_mut(usize::from(edit.editor))?;
        told.get_mut(usize::try_from(edit.counter).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::loadtest::clock::Moment;

    fn edit(counter: u32) -> Stamp {
        Stamp {
            intended: Moment(1),
            nonce: 1,
            editor: 0,
            counter,
        }
    }

    /// Four edits: acknowledged under 7, refused, refused oddly, never answered.
    fn four() -> Fates {
        let mut fates = Fates::of(1);
        (0..4).for_each(|_| fates.sent(0));
        fates.acked(Some(edit(0)), 7);
        fates.refused(Some(edit(1)), "rate_limited");
        fates.refused(Some(edit(2)), "internal");
        fates
    }

    #[test]
    fn every_edit_has_one_fate() {
        let mut fates = four();
        let tally = Tally {
            sent: 4,
            acked: 1,
            refused: 1,
            in_doubt: 0,
            unanswered: 1,
            wrong: 1,
        };
        assert_eq!(fates.tally(), tally);
        assert!(fates.waits(0));
        fates.acked(Some(edit(3)), 8);
        assert!(!fates.waits(0));
        fates.acked(Some(edit(3)), 8);
        fates.acked(Some(edit(9)), 9);
        fates.acked(None, 10);
        assert_eq!((fates.tally().wrong, fates.tally().acked), (4, 2));
    }

    #[test]
    fn the_log_must_have_what_was_acknowledged_once_and_nothing_that_was_refused() {
        let contradicted = |logged: &[(u32, u64)]| {
            let mut fates = four();
            logged
                .iter()
                .for_each(|(counter, seq)| assert!(!fates.logged(edit(*counter), *seq)));
            (fates.lost(), fates.denied())
        };
        assert_eq!(contradicted(&[(0, 7)]), (0, 0));
        assert_eq!(
            contradicted(&[(0, 7), (3, 8)]),
            (0, 0),
            "nobody said that it had failed"
        );
        assert_eq!(contradicted(&[]), (1, 0), "lost");
        assert_eq!(contradicted(&[(0, 7), (0, 9)]), (0, 1), "doubled");
        let refused = contradicted(&[(0, 7), (1, 8)]);
        assert_eq!(refused, (0, 1), "refused, and done");
    }

    #[test]
    fn who_was_told_that_nobody_knows_asks_again_once() {
        let mut fates = Fates::of(1);
        (0..2).for_each(|_| fates.sent(0));
        fates.refused(Some(edit(0)), "unavailable");
        fates.refused(Some(edit(1)), "unavailable");
        assert_eq!(fates.tally().in_doubt, 2);
        assert!(fates.logged(edit(0), 7));
        assert_eq!(fates.denied(), 0);
        assert!(!fates.logged(edit(0), 8));
        assert_eq!(fates.denied(), 1, "doubled");
        fates.denied_again();
        assert_eq!(fates.denied(), 2);
    }
}
