//! The options of `tune`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    Common, Output,
    quick::mac,
    values::{cpus, frame_size},
};
use crate::{
    config::{
        DEFAULT_SIZE,
        literal::{Problem, parse_duration},
    },
    host::Mac,
    output::tune::TuneReport,
    units::CpuList,
};

/// Options of `tune`.
#[derive(Args, Debug)]
pub struct Tune {
    /// The interface to send out of
    pub interface: String,
    /// Destination MAC address [default: that of the next hop to 198.19.0.1, resolved by the
    /// kernel (ARP, neighbour discovery)]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub dst_mac: Option<Mac>,
    /// Bytes of each frame on the wire, with the 4 of its FCS
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_SIZE, value_parser = frame_size)]
    pub size: u32,
    /// CPUs that may send: a worker each on the first one, the first two, four and so on [default:
    /// all that are allowed]
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    pub cpus: Option<CpuList>,
    /// How long to send with each setting: `2s`, `500ms`
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub duration: Duration,
    /// Store the best setting in this configuration file: in its ports that send out of INTERFACE,
    /// or in a new file
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<TuneReport>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// Shorter, and a round would be over before it is under way.
const LEAST: Duration = Duration::from_millis(100);
/// Longer times are taken for a mistaken unit.
const MOST: Duration = Duration::from_secs(600);

fn duration(text: &str) -> Result<Duration, Problem> {
    let duration = parse_duration(text)?;
    if (LEAST..=MOST).contains(&duration) {
        return Ok(duration);
    }
    let message = if duration < LEAST {
        "is too short to measure a rate"
    } else {
        "is too long for one setting"
    };
    let [least, most] = [LEAST, MOST].map(humantime::format_duration);
    Err(Problem::new(format!("`{text}` {message}"), format!("give {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_takes_its_time_and_not_too_much() {
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("100ms"), Ok(LEAST));
        for (wrong, message) in [("99ms", "too short"), ("601s", "too long"), ("2", "`2`")] {
            let problem = duration(wrong).unwrap_err();
            assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem}");
        }
    }
}
