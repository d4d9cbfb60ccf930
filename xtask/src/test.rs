//! `cargo xtask test`: everything that must hold before a change goes in; CI runs nothing else.

use std::time::Instant;

use anyhow::{Context as _, Result};
use xshell::{Cmd, Shell, cmd};

use crate::{build, public_api, setup, target_dir, tidy, verifier};

/// Flags of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to `cargo test`, for example the name of a test; only the tests are run then, no
    /// lints
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    passed_on: Vec<String>,
}

/// Tidiness, formatting, lints, dependencies and documentation, with warnings denied, then all
/// tests.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    let everything = arguments.passed_on.is_empty();
    if everything {
        tidy::run(sh)?;
    }
    let programs = ["bpftool", "ethtool", "tcpdump", "tshark"].map(|program| (program, program));
    setup::ensure_programs(sh, "test", &programs)?;
    if everything {
        lint(sh)?;
        build::tests(sh)?;
        verifier::check(sh)?;
    }

    // Not optimised: compiling takes longer than running, and an overflow panics. The eBPF object
    // is optimised in every profile. Cargo's own summary comes last.
    eprintln!("test: cargo test");
    let passed_on = &arguments.passed_on;
    // A name alone selects tests, so the examples need not be linked.
    let name_only = passed_on.iter().all(|argument| !argument.starts_with('-'));
    let targets = (!everything && name_only).then_some("--tests");
    cmd!(sh, "cargo test --workspace {targets...} {passed_on...}")
        .quiet()
        .run()
        .context("tests failed")
}

/// Runs in the profile of the tests, so that the eBPF object is built only once.
fn lint(sh: &Shell) -> Result<()> {
    let deny = ["--", "-D", "warnings"];
    ensure_components(sh)?;
    step("rustfmt", cmd!(sh, "cargo fmt --all --check"), "`cargo fmt --all` repairs it")?;
    step(
        "clippy, host crates",
        cmd!(sh, "cargo clippy --package xdp-trafficgen --package xtask --all-targets {deny...}"),
        "clippy reports problems",
    )?;
    step(
        "clippy, eBPF crate on the host",
        cmd!(sh, "cargo clippy --package xdp-trafficgen-ebpf --lib --tests {deny...}"),
        "clippy reports problems",
    )?;
    // A target folder of its own: the nightly's artefacts would replace those of stable.
    step(
        "clippy, eBPF program",
        cmd!(sh, "rustup run nightly cargo clippy --package xdp-trafficgen-ebpf --bins --features program")
            .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
            .args(deny)
            .env("CARGO_TARGET_DIR", target_dir().join("ebpf-clippy")),
        "clippy reports problems",
    )?;
    setup::ensure_cargo_deny(sh)?;
    step(
        "dependencies",
        cmd!(sh, "cargo deny --log-level error check --hide-inclusion-graph bans licenses sources"),
        "a dependency is not what .cargo/deny.toml allows",
    )?;
    // Before the documentation, because cargo removes its pages for this step.
    public_api::check(sh)?;
    step(
        "documentation",
        cmd!(sh, "cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"),
        "rustdoc reports problems",
    )
}

/// rustfmt and clippy come with rustup's default profile, not with its minimal one.
fn ensure_components(sh: &Shell) -> Result<()> {
    let nightly = ["--toolchain", "nightly"];
    for (toolchain, component) in [(&[][..], "rustfmt"), (&[], "clippy"), (&nightly, "clippy")] {
        let installed =
            cmd!(sh, "rustup component list --installed {toolchain...}").quiet().read()?;
        if !installed.lines().any(|line| line.starts_with(component)) {
            eprintln!("test: rustup component {component}");
            cmd!(sh, "rustup component add {component} {toolchain...}").quiet().run()?;
        }
    }
    Ok(())
}

fn step(name: &str, command: Cmd<'_>, cure: &'static str) -> Result<()> {
    eprintln!("test: {name}");
    let started = Instant::now();
    command.quiet().run().context(cure)?;
    eprintln!("test: {name}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
