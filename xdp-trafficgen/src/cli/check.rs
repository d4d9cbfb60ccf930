//! The options of `check`.

use std::path::PathBuf;

use clap::Args;

use super::{Common, Overrides, RateOptions, Scale};
use crate::plan::Consent;

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

impl Check {
    /// What the user has agreed to.
    pub const fn consent(&self) -> Consent {
        let Self { allow_default_route, replace_xdp, .. } = *self;
        Common { allow_default_route, replace_xdp }.consent()
    }
}
