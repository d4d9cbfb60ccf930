//! `cargo xtask demo`: from a clone to counted frames. Hands over to `xdp-trafficgen demo`.

use std::{os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, bail};
use xshell::Shell;

use crate::{build, program, setup};

/// Flags of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to `xdp-trafficgen demo`, for example `--duration 5s` or `--json`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    passed_on: Vec<String>,
}

/// Builds, then becomes `xdp-trafficgen demo`, so that its exit code and the signals sent to it are
/// the demo's own.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    build::program(sh)?;
    let program = program();
    let mut demo = if setup::is_root()? {
        Command::new(&program)
    } else if setup::find_program("sudo").is_some() {
        eprintln!("demo: needs root for network namespaces and eBPF, so it runs through sudo");
        let mut sudo = Command::new("sudo");
        sudo.arg(&program);
        sudo
    } else {
        bail!("the demo makes network namespaces and loads eBPF programs: run it as root")
    };
    let error = demo.arg("demo").args(&arguments.passed_on).exec();
    Err(error).with_context(|| format!("{} cannot be run", program.display()))
}
