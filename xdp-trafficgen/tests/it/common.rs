//! What every test that needs the real kernel shares.

pub(crate) mod namespace;
pub(crate) mod skip;
pub(crate) mod turn;

use xdp_trafficgen::kernel::probe::probe;

/// Whether this machine lets us test; if not, says why.
pub(crate) fn privileged() -> bool {
    probe().map_err(skip::skipped).is_ok()
}
