//! What tests share that need the real kernel: a network namespace of their own, a port of the
//! crate or the running program in it, and what arrives at the other end.

mod arrival;
mod capture;
mod commands;
mod cpus;
mod namespace;
mod net;
mod port;
mod program;
pub(crate) mod raw;
pub(crate) mod report;
mod skip;
mod stage;
mod turn;

use xdp_trafficgen::kernel::probe::probe;

pub(crate) use self::{
    arrival::{assert_arrived, reached, sink, wait_until},
    capture::{Capture, frames},
    commands::{Transmitted, ethtool, ip, transmitted},
    cpus::{allowed_cpus, cpu_lists, pin},
    net::TestNet,
    port::{Counts, PACKET, Port},
    program::{Finished, Running, trafficgen},
    report::{Finding, Report},
    skip::skipped,
    stage::{RECEIVER_MAC, Stage},
};

/// Whether this machine lets tests use its kernel; prints why not.
pub(crate) fn privileged() -> bool {
    probe().map_err(skipped).is_ok()
}
