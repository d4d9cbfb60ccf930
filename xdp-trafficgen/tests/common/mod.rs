//! What every test that needs the real kernel shares.

use std::{env, io::Write as _};

use xdp_trafficgen::kernel::probe::probe;

/// Whether this machine lets us test. If not, says why past the harness's capture, so that a skipped test is seen; in CI
/// a skipped test is a failed one.
pub(crate) fn privileged() -> bool {
    let Err(reason) = probe() else { return true };
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "cannot be tested here: {reason}");
    let thread = std::thread::current();
    // In one piece: the harness writes at the same time.
    let line = format!("\n{} SKIPPED: {reason}\n", thread.name().unwrap_or("test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    false
}
