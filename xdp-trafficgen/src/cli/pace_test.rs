//! The options of `pace-test`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args};

use super::{
    Common, Output,
    values::{cpus, duration, frame_size},
};
use crate::{
    config::{
        Rate,
        literal::{self, Problem},
        rate::parse_rate,
    },
    output::pace_test::PaceTestReport,
    stats::gaps,
    units::CpuList,
};

/// Options of `pace-test`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("where").required(true).args(["interface", "itself"])))]
pub struct PaceTest {
    /// The interface to send out of; with --receive-only the one to receive at
    pub interface: Option<String>,
    /// Send from one end of a veth pair to the other, in a namespace of its own
    #[arg(long = "self")]
    pub itself: bool,
    /// The interface of this machine at which the frames arrive [default: the other end, where
    /// INTERFACE is one of a veth pair]
    #[arg(long, value_name = "INTERFACE", conflicts_with_all = ["itself", "receive_only"])]
    pub receiver: Option<String>,
    /// Send nothing: measure the gaps between all frames that arrive at INTERFACE from elsewhere,
    /// and drop them
    #[arg(long, conflicts_with_all = ["itself", "cpus", "size"])]
    pub receive_only: bool,
    /// The rate to send at, or that the frames should arrive at: `500kpps`, `1.5Mpps`
    #[arg(long, default_value = "500kpps", value_parser = parse_rate)]
    pub rate: Rate,
    /// How long to send, or to receive: `2s`, `500ms`
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub duration: Duration,
    /// Leave out the gaps of this time at the start
    #[arg(long, value_name = "DURATION", default_value_t = WarmUp(gaps::WARM_UP), value_parser = warm_up)]
    pub warm_up: WarmUp,
    /// Bytes of each frame on the wire, with the 4 of its FCS
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = frame_size)]
    pub size: u32,
    /// A worker on each of these CPUs, which take turns: `0,2-3` [default: the first of those
    /// allowed that have the fewest workers, those of other instances counted]
    #[arg(long, value_parser = cpus)]
    pub cpus: Option<CpuList>,
    /// Draw the histogram to this file, too
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<PaceTestReport>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// A time that may be zero, shown as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp(pub Duration);

impl std::fmt::Display for WarmUp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

fn warm_up(text: &str) -> Result<WarmUp, Problem> {
    if matches!(text, "0" | "0s") {
        Ok(WarmUp(Duration::ZERO))
    } else {
        literal::parse_duration(text).map(WarmUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_warm_up_is_a_choice() {
        assert_eq!(warm_up("0"), Ok(WarmUp(Duration::ZERO)));
        assert_eq!(warm_up("50ms"), Ok(WarmUp(Duration::from_millis(50))));
        assert_eq!(WarmUp(gaps::WARM_UP).to_string(), "100ms");
    }
}
