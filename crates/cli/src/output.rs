//! Standard output: text for people by default, JSON for programs on request.
//!
//! Owns: the choice between the two, tables, colours only on a terminal, lines beside the output.
//! Does not own: the form of errors (`failure`) or log lines (`telemetry`), on standard error too.

use crate::failure::Result;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// A line beside the output: an error, a hint. If standard error cannot be written, nobody reads
/// it, and the work goes on.
pub(crate) fn aside(text: impl AsRef<str>) {
    let _unread = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) terminal: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let colour = terminal && !json && std::env::var_os("NO_COLOR").is_none();
        Self { json, terminal, colour }
    }
    /// One line, at once.
    #[expect(clippy::unused_self, reason = "written through the output that a command was given")]
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", text.as_ref())?;
        Ok(out.flush()?)
    }
    /// One JSON value on a line of its own.
    pub(crate) fn value(self, value: &impl Serialize) -> Result {
        self.line(serde_json::to_string(value).map_err(std::io::Error::from)?)
    }
    /// The value as JSON if that was asked for, the text otherwise.
    pub(crate) fn either(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result {
        if self.json { self.value(value) } else { self.line(text().trim_end()) }
    }
    pub(crate) fn bold(self, text: &str) -> String {
        self.styled(BOLD, text)
    }
    pub(crate) fn dim(self, text: &str) -> String {
        self.styled(DIM, text)
    }
    fn styled(self, style: &str, text: &str) -> String {
        if self.colour { format!("{style}{text}{PLAIN}") } else { text.to_owned() }
    }
    /// Columns as wide as their widest cell; numbers to the right.
    pub(crate) fn table(self, titles: &[&str], rows: &[Vec<String>]) -> String {
        let width = |at: usize| {
            let cells = rows.iter().filter_map(|it| it.get(at)).map(|it| it.chars().count());
            cells.chain(titles.get(at).map(|it| it.chars().count())).max().unwrap_or(0)
        };
        let numeric = |at: usize| {
            let mut cells = rows.iter().filter_map(|it| it.get(at)).peekable();
            let is_number = |it: &String| it.chars().all(|it| it.is_ascii_digit() || it == '-');
            cells.peek().is_some() && cells.all(is_number)
        };
        let line = |cells: &[String]| {
            let padded = cells.iter().enumerate().map(|(at, it)| {
                let width = width(at);
                if numeric(at) { format!("{it:>width$}") } else { format!("{it:<width$}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let titles: Vec<String> = titles.iter().map(|it| (*it).to_owned()).collect();
        let rows = rows.iter().map(|it| format!("\n{}", line(it))).collect::<String>();
        format!("{}{rows}", self.bold(&line(&titles)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_table_aligns_words_left_and_numbers_right() {
        let out = Output { json: false, terminal: false, colour: false };
        let row = |topic: &str, count: &str| vec![topic.to_owned(), count.to_owned()];
        expect![[r"
            TOPIC                 RECORDS
            clinical.observation     1200
            pa                          3"]]
        .assert_eq(
            &out.table(
                &["TOPIC", "RECORDS"],
                &[row("clinical.observation", "1200"), row("pa", "3")],
            ),
        );
    }
}
