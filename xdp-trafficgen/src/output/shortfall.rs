//! The sentence about departures that no frame left at.

use crate::{
    diagnosis,
    output::numbers::{counted, pps},
    stats::PortCount,
};

/// What to say of a port that did not send all that was due.
pub fn shortfall(port: &PortCount) -> Option<String> {
    let punctuality = port.punctuality.filter(|punctuality| punctuality.unsent > 0)?;
    let asked =
        punctuality.requested.map_or_else(String::new, |rate| format!("asked for {}, ", pps(rate)));
    let sent = punctuality
        .achieved
        .map_or_else(|| "sent less".to_owned(), |rate| format!("sent {}", pps(rate)));
    Some(format!(
        "{asked}{sent}: {} ({:.2} %) had no frame, for {}",
        counted(punctuality.unsent, "departure"),
        punctuality.shortfall(port.frames_attempted) * 100.0,
        diagnosis::of_unsent(port)
    ))
}
