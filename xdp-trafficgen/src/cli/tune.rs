//! The options of `tune`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{Common, CpuList, cpus, quick::mac};
use crate::{
    config::{
        DEFAULT_SIZE,
        literal::{FRAME_SIZE, Problem, parse_seconds},
    },
    host::Mac,
};

/// Options of `tune`.
#[derive(Args, Debug)]
pub struct Tune {
    /// The interface to send out of
    pub interface: String,
    /// Destination MAC address [default: that of the next hop to 198.19.0.1, from the neighbour table]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub dst_mac: Option<Mac>,
    /// Bytes of each frame on the wire, with the 4 of its FCS
    #[arg(
        long, value_name = "BYTES", default_value_t = DEFAULT_SIZE,
        value_parser = clap::value_parser!(u32).range(i64::from(*FRAME_SIZE.start())..=i64::from(*FRAME_SIZE.end()))
    )]
    pub size: u32,
    /// CPUs that may send: a worker each on the first one, the first two, four and so on [default: all that are allowed]
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    pub cpus: Option<CpuList>,
    /// How long to send with each setting, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub seconds: Duration,
    /// Store the best setting in this configuration file: in its ports that send out of INTERFACE, or in a new file
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// Shorter, and a round would be over before it is under way.
const LEAST_SECONDS: Duration = Duration::from_millis(100);
/// Longer, and somebody mistook the unit.
const MOST_SECONDS: Duration = Duration::from_secs(600);

fn seconds(text: &str) -> Result<Duration, Problem> {
    let seconds = parse_seconds(text)?;
    if (LEAST_SECONDS..=MOST_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    let message =
        if seconds < LEAST_SECONDS { "is too short to measure a rate" } else { "is too long for one setting" };
    let limits = (LEAST_SECONDS.as_secs_f64(), MOST_SECONDS.as_secs());
    Err(Problem::new(format!("`{text}` {message}"), format!("give {} to {} seconds", limits.0, limits.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_a_number() {
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.1"), Ok(LEAST_SECONDS));
        for (wrong, message) in [("0", "too short"), ("0.09", "too short"), ("601", "too long"), ("2s", "not a number")]
        {
            let problem = seconds(wrong).unwrap_err();
            assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem}");
        }
    }
}
