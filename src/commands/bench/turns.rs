//! Two sides that are measured by turns: what the disk and the machine do meanwhile, they do to both.
//! The ratio told is that of the middle turn.

use super::figure::{Figure, Must};

/// What each side made of its turns, and their ratios.
#[derive(Debug, Default)]
pub struct Turns(Vec<Turn>);

#[derive(Clone, Copy, Debug)]
struct Turn {
    ours: f64,
    plain: f64,
}

impl Turn {
    fn ratio(self) -> f64 {
        self.ours / self.plain
    }
}

impl Turns {
    pub fn push(&mut self, ours: f64, plain: f64) {
        self.0.push(Turn { ours, plain });
    }

    /// The ratio of the middle turn, with each turn beside it; `unit` and `digits` are those of both
    /// sides.
    pub fn figure(
        self,
        name: &str,
        must: Must,
        sides: [&str; 2],
        unit: &str,
        digits: usize,
    ) -> Figure {
        let mut turns = self.0;
        turns.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
        let all = |pick: fn(&Turn) -> f64, digits: usize, unit: &str| {
            let each = turns.iter().map(|turn| format!("{:.digits$}", pick(turn)));
            format!("{} {unit}", each.collect::<Vec<_>>().join(" "))
        };
        let ratio = turns
            .get(turns.len() / 2)
            .map_or(f64::NAN, |turn| turn.ratio());
        let [ours, plain] = sides;
        Figure::new(name, ratio, "×", must)
            .with("each turn", all(|turn| turn.ratio(), 2, "×"))
            .with(ours, all(|turn| turn.ours, digits, unit))
            .with(plain, all(|turn| turn.plain, digits, unit))
    }
}
