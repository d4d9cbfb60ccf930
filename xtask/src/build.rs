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

/// Builds the program itself, optimised, for `demo` and `bench`. It names the same packages as
/// [`run`], because another choice of packages changes their features, and cargo would compile much
/// of it again.
pub(crate) fn program(sh: &Shell) -> Result<()> {
    run(sh, &Arguments { release: true })
}

/// Builds the tests and the program that they run, with the command that runs them later: `cargo
/// build` chooses other features of some dependencies, and everything that uses these would be
/// compiled twice.
pub(crate) fn tests(sh: &Shell) -> Result<()> {
    Ok(cmd!(sh, "cargo test --workspace --no-run").quiet().run()?)
}
