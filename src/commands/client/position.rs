//! Where a client stands in a workspace's log, and whether what arrives follows on. Pure.

use serde::{Deserialize, Serialize};

/// A place in the log: the sequence number, and the log's mark there, by which a server notices
/// that it is another log (a restored backup).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub seq: u64,
    pub mark: String,
    /// Opaque name of what the socket may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// The stream does not continue where the client stands: something was left out or repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hole {
    #[error("stands at {at}, and the server goes on after {after}")]
    NotAfter { at: u64, after: u64 },
    #[error("stands at {at} in log {mark}, and the server calls it {theirs}")]
    OtherLog {
        at: u64,
        mark: String,
        theirs: String,
    },
    #[error("a frame from {after} to {through} carries event {seq}")]
    OutOfOrder { after: u64, through: u64, seq: u64 },
}

impl Position {
    /// An `events` frame over `(after, through]` with the events numbered `seqs`. Moves on only
    /// when it follows on.
    ///
    /// # Errors
    /// The hole, and the position stays where it was: resume from it.
    pub fn advance(
        &mut self,
        after: u64,
        through: u64,
        mark: String,
        seqs: impl IntoIterator<Item = u64>,
    ) -> Result<(), Hole> {
        if after != self.seq || through < after {
            return Err(Hole::NotAfter {
                at: self.seq,
                after,
            });
        }
        let mut last = after;
        for seq in seqs {
            if seq <= last || seq > through {
                return Err(Hole::OutOfOrder {
                    after,
                    through,
                    seq,
                });
            }
            last = seq;
        }
        self.seq = through;
        self.mark = mark;
        Ok(())
    }

    /// A `subscribed` after a resume: the server must go on where the client stands. It also
    /// names what the socket may see now.
    ///
    /// # Errors
    /// When it goes on elsewhere.
    pub fn confirm(&mut self, theirs: Position) -> Result<(), Hole> {
        if theirs.seq != self.seq {
            return Err(Hole::NotAfter {
                at: self.seq,
                after: theirs.seq,
            });
        }
        *self = theirs;
        Ok(())
    }

    /// A `beat`: the server says how far it has told everything.
    ///
    /// # Errors
    /// When that is another place than the client's own.
    pub fn check_beat(&self, through: u64, mark: &str) -> Result<(), Hole> {
        if through != self.seq {
            return Err(Hole::NotAfter {
                at: self.seq,
                after: through,
            });
        }
        if mark != self.mark {
            return Err(Hole::OtherLog {
                at: self.seq,
                mark: self.mark.clone(),
                theirs: mark.to_owned(),
            });
        }
        Ok(())
    }

    /// A `reset`: whatever lay between is to be read again.
    pub fn jump(&mut self, seq: u64, mark: String) {
        self.seq = seq;
        self.mark = mark;
        self.audience = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Position {
        Position {
            seq,
            mark: format!("m{seq}"),
            audience: None,
        }
    }

    #[test]
    fn frames_that_follow_on_move_the_position_also_when_they_are_empty() {
        let mut position = at(5);
        position.advance(5, 7, "m7".into(), [6, 7]).unwrap();
        position.advance(7, 9, "m9".into(), []).unwrap();
        assert_eq!(position, at(9));
        position.check_beat(9, "m9").unwrap();
    }

    #[test]
    fn a_hole_is_found_and_the_position_stays() {
        let mut position = at(5);
        for (after, through) in [(6, 8), (4, 8), (5, 4)] {
            assert!(matches!(
                position.advance(after, through, "m".into(), []),
                Err(Hole::NotAfter { at: 5, .. })
            ));
        }
        assert_eq!(position, at(5));
        assert!(position.check_beat(6, "m6").is_err());
    }

    #[test]
    fn events_out_of_order_or_out_of_range_are_a_hole() {
        for seqs in [[7, 6], [6, 6], [5, 6], [6, 9]] {
            let mut position = at(5);
            assert!(matches!(
                position.advance(5, 8, "m8".into(), seqs),
                Err(Hole::OutOfOrder { .. })
            ));
            assert_eq!(position, at(5));
        }
    }

    #[test]
    fn another_log_is_noticed_by_its_mark() {
        assert!(matches!(
            at(5).check_beat(5, "other"),
            Err(Hole::OtherLog { at: 5, .. })
        ));
    }

    #[test]
    fn a_reset_jumps_and_forgets_the_audience() {
        let mut position = Position {
            audience: Some("a".into()),
            ..at(5)
        };
        position.jump(3, "m3".into());
        assert_eq!(position, at(3));
    }
}
