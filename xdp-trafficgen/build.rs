//! Compiles the eBPF object and leaves it in `OUT_DIR/generator`.

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

fn main() -> Result<()> {
    let package = Package { name: "xdp-trafficgen-ebpf", root_dir: "../xdp-trafficgen-ebpf", ..Default::default() };
    aya_build::build_ebpf([package], Toolchain::default())
        .context("the eBPF object does not build: `cargo xtask setup` installs what it needs")
}
