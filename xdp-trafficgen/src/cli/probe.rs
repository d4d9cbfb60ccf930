//! The options of `probe`.

use clap::Args;

use super::{Common, Output, quick::mac};
use crate::{host::Mac, output::probe::ProbeReport};

/// Options of `probe`.
#[derive(Args, Debug)]
pub struct Probe {
    /// The interface to look at [default: the kernel, the CPUs, and a line on each interface]
    pub interface: Option<String>,
    /// Send 64 UDP frames of 64 bytes out of INTERFACE too, and see what becomes of them
    #[arg(long, requires = "interface")]
    pub send: bool,
    /// Where these frames go [default: an address that no interface has]
    #[arg(long, value_name = "MAC", requires = "send", value_parser = mac)]
    pub dst_mac: Option<Mac>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<ProbeReport>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}
