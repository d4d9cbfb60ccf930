//! The table that this binary prints at its end: what was tried, what the user saw, and how it ended.

use std::{
    fmt,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use libtest_mimic::Trial;

/// A case by its letter or number in the list of situations: `1`, `8`, `8a`. Sorted as a reader counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case(u32, String);

impl Case {
    #[track_caller]
    fn parse(text: &str) -> Self {
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let number = text[..digits].parse().unwrap_or_else(|_| panic!("a case begins with its number: {text}"));
        Self(number, text[digits..].to_owned())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.0, self.1)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    case: Case,
    cells: [String; 4],
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// Adds a row, once all of it has been checked. `exit` is the exit status, or a signal's name; `figures` what was measured,
/// empty where there is nothing to measure.
#[track_caller]
pub(crate) fn row(case: &str, command: &str, sees: &str, exit: impl fmt::Display, figures: &str) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let cells = [one_line(command), one_line(sees), exit.to_string(), one_line(figures)];
    ROWS.lock().unwrap_or_else(PoisonError::into_inner).push(Row { case: Case::parse(case), cells });
}

/// Prints all rows in the order of their cases, in one piece.
pub(crate) fn print() {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    if rows.is_empty() {
        return;
    }
    rows.sort();
    let mut text = "\n| case | command | what the user sees | exit | figures |\n|---|---|---|---|---|\n".to_owned();
    for Row { case, cells } in rows.iter() {
        text += &format!("| {case} | {} |\n", cells.join(" | "));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A test of this binary, for which libtest's attribute does not work: the table must be printed after the last of them.
pub(crate) fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
