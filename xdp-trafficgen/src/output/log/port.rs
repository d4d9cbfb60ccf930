//! What happens to one port under supervision.

use std::time::Duration;

use tracing::{error, info, warn};

use super::{Complaint, TARGET};
use crate::{diagnosis::Finding, stats::PortCount};

/// A line for the failure, and one for each other thing that is wrong with its configuration by
/// now.
pub fn port_failed(port: &str, complaints: Vec<Complaint>, pause: Duration) {
    for (index, Complaint { error, place, code, cause, cure }) in complaints.into_iter().enumerate()
    {
        if index == 0 {
            error!(
                target: TARGET,
                port,
                error,
                place,
                code,
                cause,
                cure,
                "port failed, it starts again in {pause:?}, with its rates and the values of its fields from their beginning"
            );
        } else {
            error!(target: TARGET, port, error, place, code, cause, cure, "port cannot start for this too");
        }
    }
}

/// It sends again; `outage`: what it cost that it did not.
pub fn port_restarted(count: &PortCount, outage: &Finding) {
    let Finding { code, severity: _, cause, cure } = outage;
    let frames_unsent = count.punctuality.map(|punctuality| punctuality.unsent);
    warn!(target: TARGET, port = count.name, code, cause, cure, frames_unsent, "port sends again");
}

/// It sends no more.
pub fn port_ended(port: &str) {
    info!(target: TARGET, port, "port ended");
}
