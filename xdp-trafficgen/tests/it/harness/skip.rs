//! The message of a test that cannot run here.

use std::{env, fmt::Display, io::Write as _};

/// Prints the reason past the test harness's capture, so that a skipped test is seen; in CI a
/// skipped test fails.
pub(crate) fn skipped(reason: impl Display) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "cannot be tested here: {reason}");
    let thread = std::thread::current();
    // In one piece, because the test harness writes at the same time.
    let line = format!("\n{} SKIPPED: {reason}\n", thread.name().unwrap_or("test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}
