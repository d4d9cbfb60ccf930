//! What arrives at the other end. Tests wait for arrivals, and never sleep for a fixed time.

use std::{
    thread,
    time::{Duration, Instant},
};

use xdp_trafficgen::kernel::{AttachError, KernelError, Sink, sink::SinkAction};

/// A counting receiver in the driver of `interface`. An earlier receiver may stay a moment longer
/// than its owner: a process that another thread has just forked holds its descriptor too, until it
/// executes another program.
pub(crate) fn sink(interface: &str) -> Sink {
    let mut sink = None;
    let attached = reached(|| {
        let attempt = Sink::attach(interface, SinkAction::Drop);
        let busy = matches!(&attempt, Err(KernelError::Attach(AttachError::InTheWay { .. })));
        sink = Some(attempt);
        !busy
    });
    assert!(attached, "another program stays on {interface}");
    sink.unwrap().unwrap()
}

/// Waits until as many frames have arrived as were sent, and checks that there are no more.
#[track_caller]
pub(crate) fn assert_arrived(sink: &Sink, frames: u64) {
    let arrived = || sink.count().unwrap().frames;
    // The last frames of a veth may wait for a softirq. Missing frames show in the comparison.
    reached(|| arrived() >= frames);
    assert_eq!(arrived(), frames, "frames that arrived, and frames that should have");
}

/// Waits until `condition` holds; fails if it never does.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(reached(condition), "this never happened: {what}");
}

/// Polls until `condition` holds, and gives up after a time that no healthy machine takes.
pub(crate) fn reached(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}
