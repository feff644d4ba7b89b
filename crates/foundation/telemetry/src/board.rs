//! Series that come and go, under names that others made known.
//!
//! Owns: the newest state of such metrics, and their text. Does not own: the metrics of our own
//! services, which are registered once and stay (`metrics`).
//!
//! Whoever measures puts a whole state on its board and thereby takes the last one down, so that
//! what is gone (a group, a client) is gone from the text too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// One place for series. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct Board {
    metrics: Arc<Mutex<BTreeMap<String, Table>>>,
}

/// All series of one metric.
#[derive(Debug, Clone)]
pub struct Table {
    pub help: &'static str,
    pub rows: Vec<Row>,
}

/// One series: its labels and its value.
#[derive(Debug, Clone)]
pub struct Row {
    pub labels: Vec<(&'static str, Arc<str>)>,
    pub value: f64,
}

impl Board {
    /// Shows these metrics by name, and none of those before. They are levels (gauges): what others
    /// count starts anew without our knowing.
    pub fn show(&self, metrics: BTreeMap<String, Table>) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    pub(super) fn write(&self, text: &mut String) {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, table) in &*metrics {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {}.\n# TYPE {name} gauge", table.help);
            for Row { labels, value } in &table.rows {
                text.push_str(name);
                let mut sign = '{';
                for (label, is) in labels {
                    let _ = write!(text, "{sign}{label}=\"{}\"", Escaped(is));
                    sign = ',';
                }
                let end = if labels.is_empty() { "" } else { "}" };
                let _ = writeln!(text, "{end} {value}");
            }
        }
    }
}

/// A label's value as OpenMetrics wants it.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for it in self.0.chars() {
            match it {
                '\\' | '"' => write!(f, "\\{it}")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(it)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Metrics;
    use crate::board::{Row, Table};
    use expect_test::expect;
    use std::collections::BTreeMap;

    #[test]
    fn a_board_shows_what_was_put_there_last_and_label_values_do_no_harm() {
        let metrics = Metrics::default();
        let board = metrics.board();
        let row = |group: &str, value| Row { labels: vec![("group", group.into())], value };
        let lag = |rows| BTreeMap::from([("lag".to_owned(), Table { help: "Records", rows })]);
        board.show(lag(vec![row("gone", 1.0)]));
        let plain = Row { labels: vec![], value: f64::NAN };
        board.show(lag(vec![row("a\"} 1\n\\", 0.5), plain]));
        expect![[r#"
            # HELP lag Records.
            # TYPE lag gauge
            lag{group="a\"} 1\n\\"} 0.5
            lag NaN
            # EOF
        "#]]
        .assert_eq(&metrics.text());
    }
}
