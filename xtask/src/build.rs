//! `cargo xtask build`: the whole workspace, on a machine that may have nothing but Rust yet.

use anyhow::Result;
use xshell::{Shell, cmd};

/// Flags of `cargo xtask build`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build with optimisations
    #[arg(long)]
    release: bool,
}

/// Builds the workspace; the eBPF object is compiled on the way, by xdp-trafficgen's build script.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let release = arguments.release.then_some("--release");
    Ok(cmd!(sh, "cargo build {release...}").quiet().run()?)
}

/// Builds the program itself, optimised: what `demo` and `bench` run. The same packages as in [`run`], since another
/// choice of packages is another choice of their features, and cargo would compile much of it again.
pub(crate) fn program(sh: &Shell) -> Result<()> {
    run(sh, &Arguments { release: true })
}

/// Builds what the tests run, in their profile.
pub(crate) fn for_tests(sh: &Shell) -> Result<()> {
    run(sh, &Arguments { release: false })
}
