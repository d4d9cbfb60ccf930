//! Everything a developer or a first user types: `cargo xtask setup`, `build`, `demo`, `test`,
//! `tidy`, `public-api`, `bench`.
//!
//! One file a subcommand. [`setup`] provides what a subcommand needs on the machine; nothing here
//! is part of the program itself.

// First, because the modules that follow use its macros.
#[macro_use]
mod print;

mod bench;
mod build;
mod demo;
mod median;
mod pacing;
mod peers;
mod public_api;
mod setup;
mod test;
mod tidy;
mod verifier;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use xshell::Shell;

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the build needs: the nightly's rust-src, a bpf-linker that fits its LLVM, a C
    /// compiler, iproute2
    Setup,
    /// Set up, then build the workspace
    Build(build::Arguments),
    /// Set up, build, then send real frames from one end of a private veth pair to the other and
    /// count them
    Demo(demo::Arguments),
    /// Set up, then check formatting, lints, dependencies and documentation, and run every test
    Test(test::Arguments),
    /// Check what no compiler checks: the order of modules, and that nothing cites what is not in
    /// the repository
    Tidy,
    /// Compare what the library offers Rust programs with the committed list, or write that
    PublicApi(public_api::Arguments),
    /// Set up, build, then compare rates and gaps: with a program that only redirects, and with
    /// other traffic generators
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let sh = Shell::new().context("the current directory cannot be read")?;
    sh.change_dir(repository());
    // setup installs into cargo's own folder, which the user's PATH may lack.
    sh.set_var(
        "PATH",
        env::join_paths(search_path())
            .context("CARGO_HOME contains a colon: PATH cannot hold it")?,
    );

    if matches!(task, Task::Tidy) {
        // tidy reads sources and builds nothing.
        return tidy::run(&sh);
    }
    setup::run(&sh)?;
    match task {
        Task::Tidy | Task::Setup => Ok(()),
        Task::Build(arguments) => build::run(&sh, &arguments),
        Task::Demo(arguments) => demo::run(&sh, &arguments),
        Task::Test(arguments) => test::run(&sh, &arguments),
        Task::PublicApi(arguments) => public_api::run(&sh, &arguments),
        Task::Bench(arguments) => bench::run(&sh, &arguments),
    }
}

fn repository() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

fn target_dir() -> PathBuf {
    repository().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The release build of `xdp-trafficgen`.
fn program() -> PathBuf {
    target_dir().join("release/xdp-trafficgen")
}

/// The release build of the program that makes single measurements.
fn bench_program() -> PathBuf {
    target_dir().join("release/xdp-trafficgen-bench")
}

/// The same program, built in the profile of the tests.
fn bench_program_for_tests() -> PathBuf {
    target_dir().join("debug/xdp-trafficgen-bench")
}

fn cargo_home() -> PathBuf {
    match env::var_os("CARGO_HOME") {
        Some(home) => home.into(),
        None => Path::new(&env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cargo"),
    }
}

/// PATH, and the folders of cargo's and the administrator's programs, which a login shell may leave
/// out.
fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        env::var_os("PATH").iter().flat_map(|path| env::split_paths(path)).collect();
    let cargo = cargo_home().join("bin");
    if !folders.contains(&cargo) {
        folders.insert(0, cargo);
    }
    for folder in ["/usr/sbin", "/sbin"].map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}
