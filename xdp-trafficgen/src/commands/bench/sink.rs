//! `sink`: counts what another generator sends.

use std::{
    thread,
    time::{Duration, Instant},
};

use xdp_trafficgen_ebpf::abi;

use super::standing;
use crate::{
    cli,
    commands::CommandError,
    kernel::{Sink, sink::SinkAction},
    output::format::emit_text,
    units::Nanos,
};

pub(super) fn sink(options: &cli::BenchSink) -> Result<(), CommandError> {
    let sink = Sink::attach(&options.interface, SinkAction::Drop)?;
    if options.standing_by && !standing::wait_for_the_word()? {
        return Ok(());
    }
    if let Some(warm_up) = options.warm_up {
        standing::warm_up(&sink, warm_up)?;
    }
    let (before, started) = (sink.count()?, Instant::now());
    thread::sleep(options.seconds);
    let (after, elapsed) = (sink.count()?, started.elapsed());
    let count =
        abi::Sink { frames: after.frames - before.frames, bytes: after.bytes - before.bytes };
    report(count, elapsed)
}

fn report(count: abi::Sink, elapsed: Duration) -> Result<(), CommandError> {
    let duration_ns = Nanos::from(elapsed).get();
    let report = serde_json::json!({ "frames_rx": count.frames, "bytes_rx": count.bytes, "duration_ns": duration_ns });
    Ok(emit_text(&format!("{report}\n"))?)
}
