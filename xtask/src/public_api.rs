//! `cargo xtask public-api`: what the library offers Rust programs, against a committed list, so
//! that nobody adds to it or takes from it unseen.
//!
//! The list is what rustdoc says of the crate, as JSON. That output is unstable, and so is wanted
//! of the stable rustdoc with a variable that lets it: a nightly's would have to check all
//! dependencies once more. Only rustdoc itself gets the variable, for build scripts of dependencies
//! look at it, and all of them would be built anew.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::{repository, target_dir};

/// Flags of `cargo xtask public-api`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write the list anew
    #[arg(long)]
    bless: bool,
}

/// The format that the library `public-api` reads. It follows rustdoc's: take the version that fits
/// when this one is refused.
const FORMAT: u64 = 57;

/// Committed; `cargo xtask public-api --bless` writes it.
fn snapshot_path() -> PathBuf {
    repository().join("xdp-trafficgen/public-api.txt")
}

/// Compares, or writes the list.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    if !arguments.bless {
        return check(sh);
    }
    let items = items(&documented(sh)?)?;
    fs::write(snapshot_path(), items.join("\n") + "\n").context("the list cannot be written")?;
    println!("public API: {} items", items.len());
    Ok(())
}

/// Compares.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    let json = documented(sh)?;
    let format = format_version(&json)?;
    if format != FORMAT {
        ensure!(
            std::env::var_os("CI").is_none(),
            "rustdoc writes format {format}, and public-api reads {FORMAT}"
        );
        println!(
            "public API: not compared, for rustdoc writes format {format}, and public-api reads {FORMAT}"
        );
        return Ok(());
    }
    let items = items(&json)?;
    let snapshot = fs::read_to_string(snapshot_path())
        .context("xdp-trafficgen/public-api.txt cannot be read")?;
    let differences = differences(&snapshot.lines().collect::<Vec<_>>(), &items);
    ensure!(
        differences.is_empty(),
        "the library differs from xdp-trafficgen/public-api.txt (`cargo xtask public-api --bless` accepts it):\n{}",
        differences.join("\n")
    );
    println!("public API: {} items as in xdp-trafficgen/public-api.txt", items.len());
    Ok(())
}

/// What rustdoc says of the library; the file that says it.
fn documented(sh: &Shell) -> Result<PathBuf> {
    let rustdoc = target_dir().join("rustdoc-for-json");
    fs::create_dir_all(target_dir()).context("there is no target folder")?;
    // cargo starts it; what is said of the lints of stable is said by `cargo doc`.
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\" --cap-lints allow\n")
        .and_then(|()| fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("{} cannot be written", rustdoc.display()))?;
    cmd!(sh, "cargo rustdoc --quiet --package xdp-trafficgen --lib -- -Z unstable-options --output-format json")
        .env("RUSTDOC", &rustdoc)
        .quiet()
        .run()
        .context("rustdoc has something to say")?;
    Ok(target_dir().join("doc/xdp_trafficgen.json"))
}

/// Looked for in the text: a parser of another version need not understand the rest.
fn format_version(json: &Path) -> Result<u64> {
    let text =
        fs::read_to_string(json).with_context(|| format!("{} cannot be read", json.display()))?;
    let Some((_, version)) = text.rsplit_once("\"format_version\":") else {
        bail!("rustdoc does not say its format")
    };
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("rustdoc's format is no number")
}

/// An item a line, without what every type has: automatic, derived and blanket implementations.
fn items(json: &Path) -> Result<Vec<String>> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .context("rustdoc's JSON cannot be read")?;
    Ok(api.items().map(ToString::to_string).collect())
}

fn differences(before: &[&str], now: &[String]) -> Vec<String> {
    let gone = before
        .iter()
        .filter(|item| !now.iter().any(|other| other == *item))
        .map(|item| format!("- {item}"));
    let new =
        now.iter().filter(|item| !before.contains(&item.as_str())).map(|item| format!("+ {item}"));
    gone.chain(new).collect()
}

#[test]
fn what_came_and_what_went() {
    let now = ["pub mod a", "pub mod c"].map(str::to_owned);
    assert_eq!(differences(&["pub mod a", "pub mod b"], &now), ["- pub mod b", "+ pub mod c"]);
    assert!(differences(&["pub mod a", "pub mod c"], &now).is_empty());
}
