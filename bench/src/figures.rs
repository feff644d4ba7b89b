//! Figures of several runs.
//!
//! Owns: minimum, median, maximum, and percentiles of samples. Does not own: units.

use std::fmt;

/// One figure, once per round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }
    pub(crate) fn median(&self) -> f64 {
        percentile(&mut self.0.clone(), 0.5)
    }
    /// This over `other`, round by round: what was measured in the same minute is compared.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs).collect())
    }
}

impl fmt::Display for Figures {
    /// `median (minimum to maximum)`, with as many digits as mean something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(0.0, f64::max);
        write!(f, "{} ({} to {})", short(self.median()), short(least), short(most))
    }
}

/// Three significant digits below a thousand, grouped thousands above.
fn short(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The value below which `share` (0 to 1) of the samples lie; 0 for none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sample counts are far below 2^52 and shares lie between 0 and 1"
)]
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let at = (samples.len().saturating_sub(1) as f64 * share).round() as usize;
    samples.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_their_spread() {
        let mut it = Figures::default();
        for figure in [123_456.0, 98_765.4, 1_234_567.0] {
            it.push(figure);
        }
        assert_eq!(it.to_string(), "123,456 (98,765 to 1,234,567)");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let (mut ours, mut theirs) = (Figures::default(), Figures::default());
        for (a, b) in [(2.0, 1.0), (30.0, 10.0), (8.0, 8.0)] {
            ours.push(a);
            theirs.push(b);
        }
        assert_eq!(ours.over(&theirs).to_string(), "2.00 (1.00 to 3.00)");
    }
}
