//! Compiles the eBPF object and leaves it in `OUT_DIR/generator`.

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

/// For the cargo that compiles the object to say nothing but what is wrong, and for us to say it
/// without a backtrace.
const QUIET: [(&str, &str); 3] =
    [("CARGO_TERM_QUIET", "true"), ("CARGO_TERM_VERBOSE", "false"), ("RUST_LIB_BACKTRACE", "0")];

fn main() -> Result<ExitCode> {
    // What that cargo says, aya-build passes on as warnings. It inherits this environment, and a
    // process cannot change its own without `unsafe`: so the script runs a second time.
    if QUIET.iter().any(|(name, value)| env::var(name).as_deref() != Ok(value)) {
        let script = env::current_exe().context("the build script does not find itself")?;
        let status = Command::new(script)
            .envs(QUIET)
            .status()
            .context("the build script does not run again")?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let package = Package {
        name: "xdp-trafficgen-ebpf",
        root_dir: "../xdp-trafficgen-ebpf",
        features: &["program"],
        ..Default::default()
    };
    aya_build::build_ebpf([package], Toolchain::default())
        .context("the eBPF object does not build: `cargo xtask setup` installs what it needs")?;
    Ok(ExitCode::SUCCESS)
}
