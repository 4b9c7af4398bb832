//! A figure of the report: what was measured, beside what it must be, with the raw numbers it
//! was made of, so that a reader can judge the ratio and the machine apart.

use std::fmt;

use serde::Serialize;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    AtLeast(f64),
    AtMost(f64),
}

/// One measured promise.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    /// `×` for ratios, else `ms`, `s`, `/s`, `KiB`, `MB`, `cores`.
    pub unit: &'static str,
    pub must: Must,
    /// The numbers behind it, with their units.
    pub raw: Vec<(String, String)>,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, must: Must) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            must,
            raw: Vec::new(),
        }
    }

    /// With one more raw number beside it.
    pub fn with(mut self, label: impl Into<String>, number: impl Into<String>) -> Self {
        self.raw.push((label.into(), number.into()));
        self
    }

    /// Whether it is what it must be; what could not be computed is not.
    pub fn passes(&self) -> bool {
        match self.must {
            Must::AtLeast(least) => self.value >= least,
            Must::AtMost(most) => self.value <= most,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passes() { "PASS" } else { "MISS" };
        let (sign, bound) = match self.must {
            Must::AtLeast(bound) => ('≥', bound),
            Must::AtMost(bound) => ('≤', bound),
        };
        let Self {
            name, value, unit, ..
        } = self;
        write!(
            f,
            "{verdict}  {name}: {value:.2} {unit} (must be {sign} {bound} {unit})"
        )?;
        for (label, number) in &self.raw {
            write!(f, "\n        {label:<34} {number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_passes_at_its_bound_and_never_as_a_nan() {
        let figure = |value, must| Figure::new("f", value, "×", must).passes();
        assert!(figure(5.0, Must::AtLeast(5.0)) && !figure(4.9, Must::AtLeast(5.0)));
        assert!(figure(60.0, Must::AtMost(60.0)) && !figure(60.1, Must::AtMost(60.0)));
        assert!(!figure(f64::NAN, Must::AtMost(1.0)) && !figure(f64::NAN, Must::AtLeast(1.0)));
    }

    #[test]
    fn the_raw_numbers_stand_beside_the_ratio() {
        let figure = Figure::new("edits", 21.3, "×", Must::AtLeast(5.0)).with("ours", "14 000/s");
        let text = figure.to_string();
        assert!(text.starts_with("PASS  edits: 21.30 × (must be ≥ 5 ×)\n"));
        assert!(text.ends_with("14 000/s"));
    }
}
