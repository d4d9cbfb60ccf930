//! The formats a report can be written in, and the one function that writes it: [`emit`].
//!
//! A format is one file with one `FORMAT`, which the report's list ([`Formats::FORMATS`]) names.
//! The command line takes the names of that list, so a format that a report lacks is refused there,
//! before anything is sent.

use std::io;

use crate::output::streams::{give, say};

/// One way to write a report.
#[derive(Debug)]
pub struct Format<R> {
    /// What `--output` calls it.
    pub name: &'static str,
    /// What `--help` says of it.
    pub help: &'static str,
    /// All that is to be written.
    pub render: fn(&R) -> io::Result<String>,
}

/// A report that can be written.
pub trait Formats: Sized + 'static {
    /// All of its formats; the first one is written unless another one is asked for.
    const FORMATS: &'static [Format<Self>];

    /// The format with this name.
    fn format(name: &str) -> Option<&'static Format<Self>> {
        Self::FORMATS.iter().find(|format| format.name == name)
    }
}

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The format cannot express the report.
    #[error("cannot write the result as {format}")]
    Render {
        /// The format's name.
        format: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Standard output took no more.
    #[error("cannot write to standard output")]
    StandardOutput(#[source] io::Error),
}

/// Writes a report on standard output; where that takes no more, on standard error, since the
/// frames it counts are not sent again. A reader that has gone is no failure.
///
/// # Errors
/// Standard output takes no more, or the format cannot express the report.
pub fn emit<R>(report: &R, format: &Format<R>) -> Result<(), EmitError> {
    let render = |source| EmitError::Render { format: format.name, source };
    let text = (format.render)(report).map_err(render)?;
    give(&text).map_err(|error| {
        say(format_args!(
            "standard output takes no more; this is the result:\n{}",
            text.trim_end()
        ));
        EmitError::StandardOutput(error)
    })
}

/// Writes text that the same command would produce again; if that fails, it is not kept.
///
/// # Errors
/// Standard output takes no more.
pub fn emit_text(text: &str) -> Result<(), EmitError> {
    give(text).map_err(EmitError::StandardOutput)
}
