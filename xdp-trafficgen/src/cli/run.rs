//! The options of `run`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    Common, Output, Overrides, RateOptions, Scale, Session,
    values::{count, duration},
};
use crate::output::Report;

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file (TOML); `-` is standard input
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Send for this long, whatever the file says
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Send this many frames of each flow, whatever the file says: `1000000`, `1M` or `1e6`
    #[arg(long, value_name = "N", value_parser = count)]
    pub packets: Option<u64>,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// What a run has that a daemon has not.
    #[command(flatten)]
    pub session: Session,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<Report>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}
