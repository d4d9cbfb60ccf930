//! The daemon's log on standard error: how it is written, and all that is said there but for the events of a run. A field is one
//! line without escape codes, so that a line of the log is one too, and with `--log-format json` an object.

use std::{
    env::{self, VarError},
    panic::{self, PanicHookInfo},
    sync::OnceLock,
};

use tracing::{error, warn};
use tracing_subscriber::{EnvFilter, filter::Directive};

use crate::{
    cli::LogFormat,
    commands::CommandError,
    config::{Diagnostic, Diagnostics, Origin, Source},
    diagnosis::{Finding, in_full},
    output::streams::{self, losses_are_told, lost_and_told},
};

/// Of the log that was started.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// What this module says is told at whatever level: that the daemon ends, and why, is what an exit status leaves open.
const ALWAYS: &str = concat!(module_path!(), "=warn");

/// Starts it; `RUST_LOG` chooses levels, `info` and above when it is not set or empty.
///
/// # Errors
/// The directives of `RUST_LOG` that mean nothing. The log is started all the same, for these to be said there.
pub(super) fn start(format: LogFormat) -> Result<(), CommandError> {
    let (filter, wrong) = match chosen() {
        Ok(filter) => (filter, None),
        Err(wrong) => (EnvFilter::new(format!("info,{ALWAYS}")), Some(wrong)),
    };
    // A log that cannot be written must not say so on standard error, which it is.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(|| streams::Log);
    match format {
        LogFormat::Text => builder.with_ansi(streams::colour_for_people()).init(),
        LogFormat::Json => {
            builder.json().init();
            panic::set_hook(Box::new(tell_panic));
        }
    }
    FORMAT.get_or_init(|| format);
    streams::say_in_log(|text| warn!("{}", one_line(text)));
    wrong.map_or(Ok(()), |wrong| Err(CommandError::Config(wrong)))
}

/// The filter of the environment.
fn chosen() -> Result<EnvFilter, Diagnostics> {
    let text = match env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) if !text.is_empty() => text,
        Ok(_) | Err(VarError::NotPresent) => "info".to_owned(),
        Err(VarError::NotUnicode(bytes)) => {
            let mut wrong = Diagnostics::new(Source::file(EnvFilter::DEFAULT_ENV, &bytes.to_string_lossy()));
            wrong.push(Diagnostic::new(&Origin::Option(EnvFilter::DEFAULT_ENV), "it is not UTF-8").help(DIRECTIVES));
            return Err(wrong);
        }
    };
    checked(&text)?;
    let of_all = |error| {
        let mut wrong = Diagnostics::new(Source::file(EnvFilter::DEFAULT_ENV, &text));
        wrong.push(Diagnostic::new(&Origin::File(0..text.len()), format!("{error}")).help(DIRECTIVES));
        wrong
    };
    EnvFilter::builder().parse(format!("{text},{ALWAYS}")).map_err(of_all)
}

const DIRECTIVES: &str = "write a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or `TARGET=LEVEL` such as \
                          `xdp_trafficgen=debug`, several with commas between";

/// Each directive means something. A name alone would be one more target, all of whose levels are logged, and nothing of any
/// other: a misspelt level would silence the log.
fn checked(text: &str) -> Result<(), Diagnostics> {
    let mut wrong = Diagnostics::new(Source::file(EnvFilter::DEFAULT_ENV, text));
    let mut start = 0;
    for directive in text.split(',') {
        let place = Origin::File(start..start + directive.len());
        start += directive.len() + 1;
        let name_alone = !directive.contains(['=', '[']) && !is_level(directive);
        let ours = ["xdp_trafficgen", "aya"].iter().any(|known| directive.starts_with(known));
        if directive.is_empty() {
            continue;
        } else if let Err(error) = directive.parse::<Directive>() {
            wrong.push(Diagnostic::new(&place, format!("`{directive}` is no directive: {error}")).help(DIRECTIVES));
        } else if name_alone && !ours {
            wrong.push(Diagnostic::new(&place, format!("`{directive}` is no level")).help(DIRECTIVES));
        }
    }
    wrong.into_result(())
}

fn is_level(text: &str) -> bool {
    text.parse::<tracing::level_filters::LevelFilter>().is_ok()
}

/// Whether standard error is for programs: then that a command failed is said by [`tell_failure`].
pub(crate) fn is_for_programs() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Says why the daemon ends, a line for each thing that is wrong.
pub(crate) fn tell_failure(failure: &CommandError, exit_status: u8) {
    for Complaint { error, place, code, cause, cure } in Complaint::all(failure) {
        error!(error, place, code, cause, cure, exit_status, "the daemon ends");
    }
}

/// Says how many lines of the log were lost, when they are more than were told.
pub(crate) fn tell_losses() {
    let (lost, told) = lost_and_told();
    if lost == told {
        return;
    }
    warn!(log_lines_lost = lost, "the log could not be written; so many lines since the start are missing");
    // This line too may be lost, and then all are told at the next opportunity.
    losses_are_told(lost);
}

/// A mistake of ours, which ends the daemon.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let error = one_line(panic.payload_as_str().unwrap_or_default());
    let place = panic.location().map(ToString::to_string);
    error!(error, place, "the daemon failed by a mistake of its own: please report it");
}

/// One thing that is wrong, as fields of the log.
#[derive(Debug, PartialEq)]
pub(super) struct Complaint {
    pub(super) error: String,
    /// Where in the configuration: `FILE:LINE:COLUMN`, or the option.
    pub(super) place: Option<String>,
    /// Of the finding, where the cause is known.
    pub(super) code: Option<&'static str>,
    pub(super) cause: Option<String>,
    /// What to do about it.
    pub(super) cure: Option<String>,
}

impl Complaint {
    /// All that is said of it; at least one.
    pub(super) fn all(error: &CommandError) -> Vec<Self> {
        if let CommandError::Config(diagnostics) = error {
            let lines = diagnostics.lines().into_iter().map(|(error, place, help)| Self {
                error: one_line(&error),
                place: place.as_deref().map(one_line),
                code: None,
                cause: None,
                cure: help.as_deref().map(one_line),
            });
            return lines.collect();
        }
        let (code, cause, cure) = match error.finding() {
            Some(Finding { code, severity: _, cause, cure }) => {
                (Some(code), Some(one_line(&cause)), Some(one_line(&cure)))
            }
            None => (None, None, None),
        };
        vec![Self { error: one_line(&in_full(error)), place: None, code, cause, cure }]
    }
}

/// Text that may quote anything, in one line and without control characters.
fn one_line(text: &str) -> String {
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

    /// What is wrong, and where.
    fn wrong(text: &str) -> Vec<(String, Option<String>)> {
        let Err(wrong) = checked(text) else { return Vec::new() };
        wrong.lines().into_iter().map(|(error, place, _)| (error, place)).collect()
    }

    #[test]
    fn directives_mean_something() {
        for right in [
            "info",
            "WARN",
            "off",
            "debug,aya=warn",
            "xdp_trafficgen",
            "xdp_trafficgen::daemon=trace,,info",
            "[x]=info",
        ] {
            assert_eq!(wrong(right), [], "{right}");
        }
        let place = |column| Some(format!("RUST_LOG:1:{column}"));
        let two = wrong("info,aya=loud,verbose");
        assert!(two[0].0.starts_with("`aya=loud` is no directive: "), "{two:?}");
        assert_eq!((&two[0].1, &two[1]), (&place(6), &("`verbose` is no level".to_owned(), place(15))));
        assert_eq!(wrong("xdp-trafficgen").len(), 1);
    }

    #[test]
    fn a_field_is_one_line() {
        assert_eq!(one_line("no `a\x1b[31m`\n  here\n"), "no `a\\u{1b}[31m`   here");
    }

    #[test]
    fn what_is_wrong_in_a_file_has_its_place() {
        let mut wrong = Diagnostics::new(Source::file("x.toml", "a = 1\nä = 23\n"));
        wrong.push(Diagnostic::new(&Origin::Option("--size"), "too much"));
        wrong.push(Diagnostic::new(&Origin::File(11..13), "no").help("write\nless"));
        let all = Complaint::all(&CommandError::Config(wrong));
        let told: Vec<_> =
            all.iter().map(|one| (one.error.as_str(), one.place.as_deref(), one.cure.as_deref())).collect();
        assert_eq!(told, [("no", Some("x.toml:2:5"), Some("write less")), ("too much", Some("--size"), None)]);
    }
}
