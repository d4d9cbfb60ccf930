//! What is logged at whatever level: that the daemon ends, and why, is what an exit status leaves
//! open.

use std::panic::PanicHookInfo;

use tracing::{error, warn};

use super::{Complaint, one_line};
use crate::output::streams::{losses_are_reported, lost_and_reported};

/// The target of these events.
pub(super) const TARGET: &str = "xdp_trafficgen::daemon::log";

/// A remark that commands make to people.
pub(super) fn remark(text: &str) {
    warn!(target: TARGET, "{}", one_line(text));
}

/// Says why the daemon ends, a line for each thing that is wrong.
pub fn report_failure(failure: Vec<Complaint>, exit_status: u8) {
    for Complaint { error, place, code, cause, cure } in failure {
        error!(target: TARGET, error, place, code, cause, cure, exit_status, "the daemon ends");
    }
}

/// Says how many lines of the log were lost, if more than were reported.
pub fn report_losses() {
    let (lost, reported) = lost_and_reported();
    if lost == reported {
        return;
    }
    warn!(
        target: TARGET,
        log_lines_lost = lost,
        "the log could not be written; so many lines since the start are missing"
    );
    // This line too may be lost; the next call then reports all of them.
    losses_are_reported(lost);
}

/// A defect of this program, which ends the daemon.
pub(super) fn report_panic(panic: &PanicHookInfo<'_>) {
    let error = one_line(panic.payload_as_str().unwrap_or_default());
    let place = panic.location().map(ToString::to_string);
    error!(target: TARGET, error, place, "the daemon failed because of a defect in it: please report it");
}
