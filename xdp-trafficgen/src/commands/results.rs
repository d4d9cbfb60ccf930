//! What becomes of a command whose result could not be written.

use crate::{
    commands::CommandError,
    output::{format::EmitError, streams::say},
};

/// The outcome of a command that has also written its result: its own failure is the more important
/// one.
pub(super) fn both(
    outcome: Result<(), CommandError>,
    written: Result<(), EmitError>,
) -> Result<(), CommandError> {
    let written = written.map_err(CommandError::from);
    if let (Err(_), Err(unwritten)) = (&outcome, &written) {
        say(unwritten.render());
    }
    outcome.and(written)
}
