//! The table that the tests of situations print when the process exits: what was tried, what the
//! user saw, and how it ended.

#![expect(
    unsafe_code,
    reason = "the standard harness calls nothing after its last test, `exit` calls what `atexit` was given"
)]

use std::{
    fmt,
    io::Write as _,
    sync::{Mutex, Once, PoisonError},
};

/// A case by its letter or number in the list of situations: `1`, `8`, `8a`. Cases sort by number
/// first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case(u32, String);

impl Case {
    #[track_caller]
    fn parse(text: &str) -> Self {
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let number = text[..digits]
            .parse()
            .unwrap_or_else(|_| panic!("a case begins with its number: {text}"));
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

static PRINTED_AT_EXIT: Once = Once::new();
static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// Adds a row once all of its checks have passed. `exit` is the exit status, or a signal's name;
/// `figures` is what was measured, empty where nothing is.
#[track_caller]
pub(crate) fn row(case: &str, command: &str, sees: &str, exit: impl fmt::Display, figures: &str) {
    let one_line =
        |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    PRINTED_AT_EXIT.call_once(|| {
        // SAFETY: the handler takes nothing and does not unwind.
        assert_eq!(unsafe { libc::atexit(print) }, 0, "room for a handler");
    });
    let cells = [one_line(command), one_line(sees), exit.to_string(), one_line(figures)];
    ROWS.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Row { case: Case::parse(case), cells });
}

/// Writes all rows in the order of their cases, in one piece.
extern "C" fn print() {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    rows.sort();
    let mut text =
        "\n| case | command | what the user sees | exit | figures |\n|---|---|---|---|---|\n"
            .to_owned();
    for Row { case, cells } in rows.iter() {
        text += &format!("| {case} | {} |\n", cells.join(" | "));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
