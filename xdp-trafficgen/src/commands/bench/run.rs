//! `run`: sends as one case says, and counts what arrives.

use std::process::{Command, Stdio};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    cases::{self, Limits},
    config, role, unable,
};
use crate::{
    cli,
    commands::{
        CommandError,
        demo::{CountedPair, RECEIVER},
        probe_kernel,
        send::{drive, settled, work_out},
    },
    engine::{Loaded, Start},
    kernel::TracePoint,
    output::format::emit_text,
    plan::DefaultRoute,
    stats::Punctuality,
    units::Nanos,
};

pub(super) fn run(options: &cli::BenchRun) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let busy_ns = options.slow_receiver_ns.unwrap_or(0);
    let stage = CountedPair::slow(Some(options.cpus.0.clone()), options.queues, busy_ns)?;
    if busy_ns > 0 {
        receive_elsewhere()?;
    }
    let limits = Limits {
        duration: options.seconds,
        packets: options.packets,
        batch_size: options.batch_size,
    };
    let config = config(options.case, &stage, limits)?;
    let plan = work_out(&config, Some(capabilities), DefaultRoute::Refuse)?;
    let loaded = Loaded::with(
        plan,
        role(options.case),
        if options.uncounted { &[] } else { &TracePoint::ALL },
    )?;
    let (snapshot, failure) = drive(loaded, Start::Now, &CancellationToken::new(), None)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let received = settled(&stage.sink, &snapshot)?;
    let port = snapshot.ports.first().cloned().unwrap_or_default();
    let Punctuality { late, unsent, .. } = port.punctuality.unwrap_or_default();
    let report = json!({
        "frames_rx": received.frames,
        "bytes_rx": received.bytes,
        "duration_ns": Nanos::from(snapshot.elapsed).get(),
        "frames_attempted": port.frames_attempted,
        "frames_tx": port.frames_tx,
        "frames_dropped": port.drops.iter().map(|(_, count)| count).sum::<u64>(),
        "frames_late": late,
        "frames_unsent": unsent,
        // What the case asks for, worked out beside the plan; none without a rate.
        "frames_due": cases::due(options.case, options.seconds),
        "frames_of_workers": port.workers.iter().map(|worker| worker.frames_attempted).collect::<Vec<_>>(),
    });
    Ok(emit_text(&format!("{report}\n"))?)
}

/// Gives the receive work to a thread of its own, which the scheduler keeps away from the CPUs that
/// send. Otherwise the CPU that sends would do it, batch by batch, and no receiver would be slower
/// than its sender. sysfs shows the interfaces of the namespace that it is mounted in.
fn receive_elsewhere() -> Result<(), CommandError> {
    let script =
        format!("mount -t sysfs sysfs /sys && echo 1 > /sys/class/net/{RECEIVER}/threaded");
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .stdin(Stdio::null())
        .status()
        .map_err(|source| CommandError::System { what: "cannot run unshare", source })?;
    if status.success() {
        Ok(())
    } else {
        Err(unable("the receive work cannot be moved to a thread of its own"))
    }
}
