//! The options of `probe`.

use clap::Args;

use super::{Common, quick::mac};
use crate::host::Mac;

/// Options of `probe`.
#[derive(Args, Debug)]
pub struct Probe {
    /// The interface to look at [default: the kernel, the CPUs, and a line on each interface]
    pub interface: Option<String>,
    /// Send 64 UDP frames of 64 bytes out of INTERFACE too, and see what becomes of them
    #[arg(long, requires = "interface")]
    pub send: bool,
    /// Where these frames go [default: an address that is nobody's]
    #[arg(long, value_name = "MAC", requires = "send", value_parser = mac)]
    pub dst_mac: Option<Mac>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}
