//! What happens to all ports together, and what was found of them.

use tracing::{error, info, warn};

use super::TARGET;
use crate::{
    diagnosis::{Finding, Severity},
    output::PortFinding,
};

/// So many ports are started.
pub fn sending(ports: usize) {
    info!(target: TARGET, ports, "sending");
}

/// The daemon was told to stop.
pub fn stopping() {
    info!(target: TARGET, "stopping");
}

/// It was told to stop before any port had started.
pub fn stopped_before_start() {
    info!(target: TARGET, "stopping: no port has started");
}

/// A port's task panicked: a defect of this program.
pub fn task_failed() {
    error!(target: TARGET, "a port's task failed");
}

/// A decision that was made for the user.
pub fn note(note: &str) {
    info!(target: TARGET, "{note}");
}

/// Memory is short, before any is taken.
pub fn memory_is_short(finding: &Finding) {
    let Finding { code, severity: _, cause, cure } = finding;
    warn!(target: TARGET, code, cause, cure, "memory is short");
}

/// The facts that would explain the counts cannot be read.
pub fn explanations_lacking(error: &str) {
    warn!(target: TARGET, error, "what explains the counts cannot be found out");
}

/// What may cost frames is a warning, and what may cost time a remark.
pub fn foreseen(found: &PortFinding) {
    let PortFinding { port, frames: _, finding: Finding { code, severity, cause, cure } } = found;
    match severity {
        Severity::Blocks | Severity::Loses => {
            warn!(target: TARGET, port, code, cause, cure, "expect losses")
        }
        Severity::Slows => info!(target: TARGET, port, code, cause, cure, "could be faster"),
        Severity::Note => {}
    }
}

/// Why frames were dropped, of the whole time: each cause with all that it cost, as it was when
/// they were dropped.
pub fn concluded(found: &PortFinding) {
    let PortFinding { port, frames, finding: Finding { code, severity: _, cause, cure } } = found;
    match frames {
        Some(count) => {
            warn!(target: TARGET, port, code, cause, cure, count, "frames dropped in all")
        }
        None => info!(target: TARGET, port, code, cause, cure, "remark"),
    }
}
