//! The daemon's log on standard error. A field is one line without escape codes, so that a line of
//! the log is one too, and with `--log-format json` an object.
//!
//! Fields have the names of the JSON report. Targets are named here instead of taken from modules,
//! so that a `RUST_LOG` in a unit file keeps its meaning.

mod counts;
mod ends;
mod filter;
mod port;
mod run;

use std::{panic, sync::OnceLock};

use clap::ValueEnum;

pub use self::{
    counts::{counts, flows},
    ends::{report_failure, report_losses},
    port::{port_ended, port_failed, port_restarted},
    run::{
        concluded, explanations_lacking, foreseen, memory_is_short, note, sending,
        stopped_before_start, stopping, task_failed,
    },
};
use crate::{
    config::Diagnostics,
    output::streams::{self, say_in_log},
};

/// How the daemon writes its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Of the log that was started.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The target of events in the life of the daemon.
const TARGET: &str = "xdp_trafficgen::daemon";

/// Starts it; `RUST_LOG` chooses levels, `info` and above when it is not set or empty.
///
/// # Errors
/// The directives of `RUST_LOG` that mean nothing. The log is started all the same, to report them
/// there.
pub fn start(format: LogFormat) -> Result<(), Diagnostics> {
    let (filter, wrong) = match filter::chosen() {
        Ok(filter) => (filter, None),
        Err(wrong) => (filter::usual(), Some(wrong)),
    };
    // A log that cannot be written must not say so on standard error, which it is.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(|| streams::Log);
    match format {
        LogFormat::Text => builder.with_ansi(streams::colour_for_people()).init(),
        LogFormat::Json => {
            builder.json().init();
            panic::set_hook(Box::new(ends::report_panic));
        }
    }
    FORMAT.get_or_init(|| format);
    say_in_log(ends::remark);
    wrong.map_or(Ok(()), Err)
}

/// Whether standard error is for programs: [`report_failure`] then says that a command failed.
pub fn is_for_programs() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// One thing that is wrong, as fields of the log.
#[derive(Debug, PartialEq)]
pub struct Complaint {
    /// What is wrong.
    pub error: String,
    /// Where in the configuration: `FILE:LINE:COLUMN`, or the option.
    pub place: Option<String>,
    /// Of the finding, where the cause is known.
    pub code: Option<&'static str>,
    /// Why.
    pub cause: Option<String>,
    /// What to do about it.
    pub cure: Option<String>,
}

impl Complaint {
    /// Each thing that is wrong with a configuration.
    pub fn of_config(diagnostics: &Diagnostics) -> Vec<Self> {
        let lines = diagnostics.lines().into_iter().map(|(error, place, help)| Self {
            error: one_line(&error),
            place: place.as_deref().map(one_line),
            code: None,
            cause: None,
            cure: help.as_deref().map(one_line),
        });
        lines.collect()
    }
}

/// Text that may quote anything, in one line and without control characters.
pub fn one_line(text: &str) -> String {
    let plain = |character: char| match character {
        '\n' | '\t' | '\r' => ' '.to_string(),
        control if control.is_control() => control.escape_unicode().to_string(),
        other => other.to_string(),
    };
    text.trim_end().chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Diagnostic, Origin, Source};

    #[test]
    fn a_field_is_one_line() {
        assert_eq!(one_line("no `a\x1b[31m`\n  here\n"), "no `a\\u{1b}[31m`   here");
    }

    #[test]
    fn what_is_wrong_in_a_file_has_its_place() {
        let mut wrong = Diagnostics::new(Source::file("x.toml", "a = 1\nä = 23\n"));
        wrong.push(Diagnostic::new(&Origin::Option("--size"), "too much"));
        wrong.push(Diagnostic::new(&Origin::File(11..13), "no").help("write\nless"));
        let all = Complaint::of_config(&wrong);
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.error.as_str(), one.place.as_deref(), one.cure.as_deref()))
            .collect();
        assert_eq!(
            told,
            [("no", Some("x.toml:2:5"), Some("write less")), ("too much", Some("--size"), None)]
        );
    }
}
