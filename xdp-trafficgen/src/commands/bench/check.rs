//! `check`: how long the program's own `check` takes over a case, and how much memory.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    cases::{self, Limits},
    product, unable,
};
use crate::{
    cli,
    commands::{
        CommandError,
        demo::{CountedPair, SENDER},
    },
    host::show_mac,
    output::format::emit_text,
    units::Nanos,
};

/// How often the memory is looked at. What is taken in the last of these is missed.
const LOOK: Duration = Duration::from_millis(2);

pub(super) fn check(options: &cli::BenchCheck) -> Result<(), CommandError> {
    let stage = CountedPair::set(Some(vec![0]), None)?;
    let limits = Limits::of(Duration::from_secs(1));
    let receiver = show_mac(stage.receiver_mac);
    let text = cases::toml(options.case, SENDER, &receiver, &stage.cpus, limits);
    let file = tempfile::Builder::new()
        .suffix(".toml")
        .tempfile()
        .and_then(|file| fs::write(file.path(), &text).map(|()| file))
        .map_err(|source| CommandError::System { what: "cannot write the case's file", source })?;
    let started = Instant::now();
    let mut child = Command::new(product()?)
        .arg("check")
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|source| CommandError::System { what: "cannot start check", source })?;
    let mut most = 0;
    let status = loop {
        let ended = child
            .try_wait()
            .map_err(|source| CommandError::System { what: "check is lost", source })?;
        if let Some(status) = ended {
            break status;
        }
        most = most.max(resident(child.id()).unwrap_or(0));
        thread::sleep(LOOK);
    };
    let took = started.elapsed();
    if !status.success() {
        return Err(unable("check refused the case: it says why above"));
    }
    let flows = cases::flow_count(options.case);
    let report =
        json!({ "flows": flows, "duration_ns": Nanos::from(took).get(), "memory_bytes": most });
    Ok(emit_text(&format!("{report}\n"))?)
}

/// The most bytes of memory that a process has had resident; none once it has ended.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))?;
    Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
}
