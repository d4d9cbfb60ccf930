//! Receivers that are there before a generator of somebody else starts, and count from when they
//! are told to.
//!
//! Some generators ask beforehand whether the interface sends XDP frames (xdp-tools' does:
//! check_iface_support of its xdp-trafficgen.c), and of a veth that is so once its peer has a
//! native program.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{commands::CommandError, kernel::Sink, output::format::emit_text};

/// Says on standard output that it is there, in a line of its own, and waits for a line on standard
/// input. Whether one came; none comes to one that is only to be there.
pub(super) fn wait_for_the_word() -> Result<bool, CommandError> {
    emit_text(&format!("{}\n", json!({ "standing_by": true })))?;
    let mut word = String::new();
    let bytes = io::stdin()
        .read_line(&mut word)
        .map_err(|source| CommandError::System { what: "cannot read standard input", source })?;
    Ok(bytes > 0)
}

/// How long a first frame may take: others load files and programs, and wait for the kernel.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a first frame, and so long after it. That none came is seen in what is counted then.
pub(super) fn warm_up(sink: &Sink, time: Duration) -> Result<(), CommandError> {
    let (before, started) = (sink.count()?.frames, Instant::now());
    while sink.count()?.frames == before && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(time);
    Ok(())
}
