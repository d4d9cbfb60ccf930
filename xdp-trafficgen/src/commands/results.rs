//! How a command's result is printed, and what becomes of the command when it cannot be.

use crate::{
    commands::CommandError,
    output::streams::{give, say},
};

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Format {
    pub(super) const fn json_if(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Prints one of the two renderings on standard output; where that takes no more, on standard error.
pub(crate) fn print(
    format: Format,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> serde_json::Result<String>,
) -> Result<(), CommandError> {
    let mut written = match format {
        Format::Text => text(),
        Format::Json => {
            json().map_err(|error| CommandError::System { what: "cannot write JSON", source: error.into() })? + "\n"
        }
    };
    give(&written).map_err(|error| {
        // What was measured for hours is not had again.
        written.truncate(written.trim_end().len());
        say(format_args!("standard output takes no more; this is the result:\n{written}"));
        CommandError::Output(error)
    })
}

/// Prints what can be had again.
pub(super) fn print_text(text: &str) -> Result<(), CommandError> {
    give(text).map_err(CommandError::Output)
}

/// What a command came to that has also printed its result: its own failure is the more important one.
pub(super) fn both(outcome: Result<(), CommandError>, printed: Result<(), CommandError>) -> Result<(), CommandError> {
    if let (Err(_), Err(unprinted)) = (&outcome, &printed) {
        say(unprinted.render());
    }
    outcome.and(printed)
}
