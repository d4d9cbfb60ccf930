//! The options of `show`.

use std::path::PathBuf;

use clap::Args;

use super::{Overrides, RateOptions, Scale, values::count};

/// Options of `show`.
#[derive(Args, Debug)]
pub struct Show {
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
    /// How many frames of each port
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count)]
    pub packets: u64,
    /// Describe only this flow; may be given several times [default: all, up to 20 of a port]
    #[arg(long, value_name = "NAME")]
    pub flow: Vec<String>,
    /// Write them to this file too, in the pcap format; `-` is standard output, which then has
    /// nothing else
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}
