//! The sole owner of signals: the first SIGINT, SIGTERM or SIGHUP asks for an orderly end, the
//! second ends at once.

use std::process;

use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels.
///
/// # Errors
/// When this process has a handler for these signals already, which is a defect of this program.
pub(crate) fn stop_token() -> Result<CancellationToken, ctrlc::Error> {
    let stop = CancellationToken::new();
    let handler = stop.clone();
    ctrlc::set_handler(move || {
        if handler.is_cancelled() {
            // Nothing stays behind: the kernel frees everything when this process's descriptors
            // close. But a program that was replaced (--replace-xdp) is not put back.
            process::exit(EXIT_SECOND_SIGNAL);
        }
        handler.cancel();
    })?;
    Ok(stop)
}

/// 128 + SIGINT, as shells have it.
const EXIT_SECOND_SIGNAL: i32 = 130;
