//! The options of `demo`.

use std::time::Duration;

use clap::Args;

use super::{Output, Strict, values::duration};
use crate::output::Report;

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// How long to send: `5s`, `500ms`, `1m 30s`
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub duration: Duration,
    /// How fast to send, all CPUs together: `500kpps`, `10Gbps`, or a table such as `{ poisson =
    /// "10kpps" }` [default: as fast as it can]
    #[arg(long)]
    pub rate: Option<String>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<Report>,
    /// Whether it must all be sent.
    #[command(flatten)]
    pub strict: Strict,
}
