//! The options of `daemon`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{Common, Overrides, RateOptions, Scale, output, values::duration};
use crate::output::{Format, Report, log::LogFormat};

/// Options of `daemon`.
#[derive(Args, Debug)]
pub struct Daemon {
    /// The configuration file (TOML); `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// How the log is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// How often the counts are logged
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub report_interval: Duration,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// Write a report at the end, on standard output and in this format
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value_if("json", "true", "json"),
        value_parser = output::format::<Report>()
    )]
    pub output: Option<&'static Format<Report>>,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}
