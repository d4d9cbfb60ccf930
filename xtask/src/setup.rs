//! `cargo xtask setup`: what a build needs beyond stable Rust. Every other subcommand starts with
//! it.
//!
//! A step that is done already is skipped silently, and checking all of them takes well under a
//! second. A step that runs is named on stderr. For what cannot be installed from here, the error
//! has the command to type.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::{cargo_home, search_path};

/// Releases of cargo-deny that support the keys of `.cargo/deny.toml`.
const CARGO_DENY_VERSION: &str = "^0.20";

/// Releases of bpf-linker that are known to build here; their features name the LLVM versions that
/// each supports.
const BPF_LINKER_VERSION: &str = "^0.13";

/// Prepares the machine for `cargo build`.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    ensure_nightly(sh)?;
    ensure_rust_src(sh)?;
    ensure_programs(sh, "setup", &[("cc", "gcc libc6-dev"), ("ip", "iproute2")])?;
    ensure_bpf_linker(sh)
}

/// Installs the Debian packages of those `(program, packages)` that are missing, or says what to
/// type.
pub(crate) fn ensure_programs(sh: &Shell, task: &str, wanted: &[(&str, &str)]) -> Result<()> {
    let packages: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .flat_map(|(_, packages)| packages.split(' '))
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let packages = &packages;
    let list = packages.join(" ");
    let by_hand =
        format!("install the equivalent of these Debian packages, then try again: {list}");
    ensure!(find_program("apt-get").is_some(), "{by_hand}");
    ensure!(is_root()?, "{by_hand} (sudo apt-get install {list})");

    eprintln!("{task}: Debian packages {list}");
    let install = || {
        cmd!(sh, "apt-get install -qq --yes --no-install-recommends {packages...}")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .quiet()
            .ignore_stdout()
    };
    // Package lists may be missing or out of date: then the first attempt fails, and its output is
    // not worth showing.
    if install().ignore_stderr().run().is_ok() {
        return Ok(());
    }
    cmd!(sh, "apt-get update -qq").quiet().run().context(by_hand.clone())?;
    install().run().context(by_hand)
}

/// The first executable of that name on PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    find_programs(name).next()
}

/// Every executable of that name on PATH, in its order.
pub(crate) fn find_programs(name: &str) -> impl Iterator<Item = PathBuf> {
    search_path().into_iter().map(move |folder| folder.join(name)).filter(|path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
    })
}

/// Whether this process runs with the effective user id 0.
pub(crate) fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("/proc is not mounted")?.uid() == 0)
}

/// Builds cargo-deny where it is missing. It is not optimised: it runs for a second, and compiles
/// in half the time.
pub(crate) fn ensure_cargo_deny(sh: &Shell) -> Result<()> {
    if find_program("cargo-deny").is_some() {
        return Ok(());
    }
    eprintln!("test: cargo-deny {CARGO_DENY_VERSION} (about a minute)");
    let root = cargo_home();
    cmd!(sh, "cargo install --quiet --locked --debug --root {root} cargo-deny --version {CARGO_DENY_VERSION}")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .quiet()
        .run()
        .context("cargo-deny cannot be built: `cargo install cargo-deny` shows why")
}

fn ensure_nightly(sh: &Shell) -> Result<()> {
    let toolchains = cmd!(sh, "rustup toolchain list").quiet().read().context(
        "rustup does not run: install it as https://rustup.rs says, then `rustup toolchain install nightly`",
    )?;
    ensure!(
        has_nightly(&toolchains),
        "the eBPF program is built by nightly Rust, which is not installed: `rustup toolchain install nightly`"
    );
    let compiler = cmd!(sh, "rustup run nightly rustc --version").quiet().read().context(
        "the nightly compiler does not run: `rustup toolchain install nightly` repairs it",
    )?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    ensure!(
        release(&compiler) >= release(wanted),
        "the nightly is {compiler}, and the eBPF program needs {wanted}: `rustup update nightly`"
    );
    Ok(())
}

/// Major and minor number of the first word that has both, as in `rustc 1.97.0-nightly (e50aa6fba
/// 2026-05-19)` and `1.95`.
fn release(text: &str) -> Option<(u32, u32)> {
    text.split(' ').find_map(|word| {
        let mut numbers = word.split(['.', '-']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

/// Whether `rustup toolchain list` names the plain nightly; `+nightly` does not select a dated one.
fn has_nightly(toolchains: &str) -> bool {
    toolchains
        .lines()
        .filter_map(|line| line.strip_prefix("nightly"))
        .any(|rest| !rest.starts_with("-2"))
}

fn ensure_rust_src(sh: &Shell) -> Result<()> {
    if nightly_sysroot(sh)?.join("lib/rustlib/src/rust/library").is_dir() {
        return Ok(());
    }
    eprintln!("setup: the nightly's rust-src (core is compiled for eBPF)");
    cmd!(sh, "rustup component add rust-src --toolchain nightly")
        .quiet()
        .run()
        .context("rust-src cannot be installed: `rustup component add rust-src --toolchain nightly` shows why")
}

fn nightly_sysroot(sh: &Shell) -> Result<PathBuf> {
    let sysroot = cmd!(sh, "rustup run nightly rustc --print sysroot").quiet().read().context(
        "the nightly compiler does not run: `rustup toolchain install nightly` repairs it",
    )?;
    Ok(sysroot.into())
}

/// bpf-linker reads the bitcode that nightly's rustc writes, so both must have the same LLVM. An
/// installed linker with that LLVM is kept; one that is missing, broken (an update of nightly
/// removed its libLLVM) or of another LLVM is replaced.
fn ensure_bpf_linker(sh: &Shell) -> Result<()> {
    let compiler = cmd!(sh, "rustup run nightly rustc -vV").quiet().read()?;
    let wanted = llvm_major(&compiler)
        .context("`rustup run nightly rustc -vV` names no LLVM version: bpf-linker needs an LLVM build of rustc")?;
    let fits = |linker: &Path| linker_llvm(sh, linker) == Some(wanted);
    if fits(Path::new("bpf-linker")) {
        return Ok(());
    }
    let installed = cargo_home().join("bin/bpf-linker");
    if !fits(&installed) {
        install_bpf_linker(sh, wanted).with_context(|| {
            format!(
                "bpf-linker cannot be built: put one made for LLVM {wanted} on PATH, \
                 https://github.com/aya-rs/bpf-linker#installation says how"
            )
        })?;
    }
    ensure!(
        fits(Path::new("bpf-linker")),
        "{} is first on PATH and was not made for the nightly's LLVM {wanted}: remove it, {} is",
        find_program("bpf-linker").unwrap_or_default().display(),
        installed.display()
    );
    Ok(())
}

fn install_bpf_linker(sh: &Shell, llvm: u32) -> Result<()> {
    eprintln!("setup: bpf-linker {BPF_LINKER_VERSION} for LLVM {llvm} (about a minute)");
    let root = cargo_home();
    let prefix = root.join("bpf-linker-llvm");
    link_llvm(&nightly_sysroot(sh)?, &prefix)?;
    let feature = format!("llvm-{llvm}");
    cmd!(sh, "cargo install --quiet --locked --force --root {root} bpf-linker --version {BPF_LINKER_VERSION}")
        .args(["--no-default-features", "--features", &feature])
        .env("LLVM_PREFIX", prefix)
        // A kept build would not notice that the library at the same path has changed.
        .env_remove("CARGO_TARGET_DIR")
        .quiet()
        .run()?;
    Ok(())
}

/// The major version of the LLVM that this bpf-linker really loads, if it runs at all.
fn linker_llvm(sh: &Shell, linker: &Path) -> Option<u32> {
    let version = cmd!(sh, "{linker} --llvm-args=--version --output /dev/null /dev/null");
    llvm_major(&version.quiet().ignore_stderr().read().ok()?)
}

/// The major version in a line such as `LLVM version: 22.1.4` (rustc) or `LLVM version
/// 22.1.4-rust-…` (LLVM itself).
fn llvm_major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("LLVM version")?;
    let version = rest.trim_start_matches([':', ' ']);
    version.split('.').next()?.parse().ok()
}

/// Makes the libLLVM that rustc ships look like an installed LLVM in `prefix`. The built linker
/// loads its library from there, so `prefix` must stay.
fn link_llvm(sysroot: &Path, prefix: &Path) -> Result<()> {
    let shipped = sysroot.join("lib");
    let name = fs::read_dir(&shipped)
        .with_context(|| format!("{} cannot be read", shipped.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("libLLVM.so."))
        .with_context(|| {
            format!("the nightly toolchain ships no libLLVM in {}", shipped.display())
        })?;

    let lib = prefix.join("lib");
    if lib.exists() {
        fs::remove_dir_all(&lib)
            .with_context(|| format!("{} cannot be replaced", lib.display()))?;
    }
    fs::create_dir_all(&lib).with_context(|| format!("{} cannot be made", lib.display()))?;
    for link in ["libLLVM.so", &name] {
        symlink(shipped.join(&name), lib.join(link))
            .with_context(|| format!("{} cannot be filled", lib.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{has_nightly, llvm_major, release};

    #[test]
    fn llvm_version_is_found_in_what_rustc_and_llvm_print() {
        #[track_caller]
        fn check(text: &str, expected: Option<u32>) {
            assert_eq!(llvm_major(text), expected, "{text:?}");
        }
        check(
            "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4",
            Some(22),
        );
        check(
            "LLVM (http://llvm.org/):\n  LLVM version 22.1.4-rust-1.97.0-nightly\n  Optimized build.",
            Some(22),
        );
        check("LLVM version 9.0.1", Some(9));
        check("rustc 1.97.0-nightly\nrelease: 1.97.0-nightly", None);
        check("LLVM version unknown", None);
        check("", None);
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        #[track_caller]
        fn check(text: &str, expected: Option<(u32, u32)>) {
            assert_eq!(release(text), expected, "{text:?}");
        }
        check("rustc 1.97.0-nightly (e50aa6fba 2026-05-19)", Some((1, 97)));
        check("1.95", Some((1, 95)));
        check("rustc 1.100.0-nightly (e50aa6fba 2027-05-19)", Some((1, 100)));
        check("rustc", None);
        assert!(release("1.100.0") > release("1.95"));
    }

    #[test]
    fn a_dated_nightly_is_not_the_nightly() {
        #[track_caller]
        fn check(toolchains: &str, expected: bool) {
            assert_eq!(has_nightly(toolchains), expected, "{toolchains:?}");
        }
        check(
            "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu",
            true,
        );
        check("nightly", true);
        check(
            "stable-x86_64-unknown-linux-gnu\nnightly-2026-05-19-x86_64-unknown-linux-gnu",
            false,
        );
        check("no installed toolchains", false);
    }
}
