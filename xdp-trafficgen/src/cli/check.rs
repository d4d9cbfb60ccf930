//! The options of `check`.

use std::path::PathBuf;

use clap::Args;

use super::{Overrides, RateOptions, Scale};

/// Options of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file (TOML); `-` is standard input
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// Accept interfaces that carry this machine's default route
    #[arg(long)]
    pub allow_default_route: bool,
    /// Accept interfaces that have an XDP program in the way
    #[arg(long)]
    pub replace_xdp: bool,
}
