//! `latency`: how long the program takes from its start to the first frame, and from the signal to
//! its end, as a user who waits for it sees it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{product, unable};
use crate::{
    cli,
    commands::{CommandError, demo::CountedPairs},
    output::format::emit_text,
};

/// How often the receivers are looked at.
const LOOK: Duration = Duration::from_micros(200);
/// How long a start may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it sends before it is stopped: it is in its usual state then.
const STEADY: Duration = Duration::from_millis(100);

pub(super) fn latency(options: &cli::BenchLatency) -> Result<(), CommandError> {
    let pairs = CountedPairs::set(options.ports)?;
    let file = tempfile::Builder::new()
        .suffix(".toml")
        .tempfile()
        .and_then(|file| fs::write(file.path(), toml(options)).map(|()| file))
        .map_err(|source| CommandError::System { what: "cannot write the file", source })?;
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..options.times {
        let before = counts(&pairs)?;
        let started = Instant::now();
        let mut child = Command::new(product()?)
            .arg("run")
            .arg(file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| CommandError::System { what: "cannot start the program", source })?;
        let sending = wait_for_all(&pairs, &before, &mut child);
        starts.push(started.elapsed().as_secs_f64() * 1e3);
        thread::sleep(STEADY);
        let stopped = Instant::now();
        // A child that has ended cannot be signalled, and says so by its status.
        let _ = kill_process(Pid::from_child(&child), Signal::INT);
        let status = child
            .wait()
            .map_err(|source| CommandError::System { what: "the program is lost", source })?;
        stops.push(stopped.elapsed().as_secs_f64() * 1e3);
        if !sending? || !status.success() {
            return Err(unable("not every port sent: run it by hand to see why"));
        }
    }
    Ok(emit_text(&format!("{}\n", json!({ "start_ms": starts, "stop_ms": stops })))?)
}

/// Ports at full speed or a rate, each on one CPU.
fn toml(options: &cli::BenchLatency) -> String {
    let rate = options.rate.as_ref().map_or_else(String::new, |rate| format!("rate = '{rate}'\n"));
    (0..options.ports)
        .map(|number| {
            let cpu = options.cpus.0[number as usize % options.cpus.0.len()];
            format!(
                "[[ports]]\nname = 'p{number}'\ninterface = '{}'\ncpus = '{cpu}'\n{rate}\
                 [[flows]]\nname = 'f{number}'\nport = 'p{number}'\n\
                 packet = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{ dst_port = {{ increment = {{ start = 1024, count = 1000 }} }} }} }}]\n",
                CountedPairs::sender(number)
            )
        })
        .collect()
}

fn counts(pairs: &CountedPairs) -> Result<Vec<u64>, CommandError> {
    pairs.sinks.iter().map(|sink| Ok(sink.count()?.frames)).collect()
}

/// Whether a frame of each port arrived before the program ended or patience did.
fn wait_for_all(
    pairs: &CountedPairs,
    before: &[u64],
    child: &mut Child,
) -> Result<bool, CommandError> {
    let deadline = Instant::now() + PATIENCE;
    let mut waiting: Vec<usize> = (0..before.len()).collect();
    while Instant::now() < deadline {
        let mut left = Vec::new();
        for port in waiting {
            if pairs.sinks[port].count()?.frames == before[port] {
                left.push(port);
            }
        }
        waiting = left;
        if waiting.is_empty() {
            return Ok(true);
        }
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
    Ok(false)
}
