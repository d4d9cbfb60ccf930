//! `cargo xtask public-api` compares the library's public items with a committed list, so that
//! every addition and every removal is a visible change.
//!
//! The list comes from rustdoc's JSON. That output is unstable; an environment variable makes the
//! stable rustdoc write it, because the nightly's would have to check all dependencies once more.
//! Only rustdoc itself gets the variable: build scripts of dependencies read it, and all of them
//! would be rebuilt.

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

/// The format that the library `public-api` reads. It follows rustdoc's: when rustdoc writes
/// another one, use the version of `public-api` that reads it.
const FORMAT: u64 = 57;

/// The committed list; `cargo xtask public-api --bless` writes it.
fn snapshot_path() -> PathBuf {
    repository().join("xdp-trafficgen/public-api.txt")
}

/// Compares the list, or writes it anew.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    if !arguments.bless {
        return check(sh);
    }
    let items = items(&documented(sh)?)?;
    fs::write(snapshot_path(), items.join("\n") + "\n").context("the list cannot be written")?;
    println!("public API: {} items", items.len());
    Ok(())
}

/// Compares the library with the list.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    let json = documented(sh)?;
    let format = format_version(&json)?;
    if format != FORMAT {
        ensure!(
            std::env::var_os("CI").is_none(),
            "rustdoc writes format {format}, and public-api reads {FORMAT}"
        );
        println!(
            "public API: not compared, because rustdoc writes format {format}, and public-api reads {FORMAT}"
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

/// Runs rustdoc on the library; returns the file that it writes.
fn documented(sh: &Shell) -> Result<PathBuf> {
    let rustdoc = target_dir().join("rustdoc-for-json");
    fs::create_dir_all(target_dir()).context("there is no target folder")?;
    // cargo runs this script instead of rustdoc. `cargo doc` reports the lints.
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\" --cap-lints allow\n")
        .and_then(|()| fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("{} cannot be written", rustdoc.display()))?;
    cmd!(sh, "cargo rustdoc --quiet --package xdp-trafficgen --lib -- -Z unstable-options --output-format json")
        .env("RUSTDOC", &rustdoc)
        .quiet()
        .run()
        .context("rustdoc reports problems")?;
    Ok(target_dir().join("doc/xdp_trafficgen.json"))
}

/// Searches the text for the number, because a parser of another version may fail on the rest.
fn format_version(json: &Path) -> Result<u64> {
    let text =
        fs::read_to_string(json).with_context(|| format!("{} cannot be read", json.display()))?;
    let Some((_, version)) = text.rsplit_once("\"format_version\":") else {
        bail!("rustdoc's JSON has no format version")
    };
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("rustdoc's format is no number")
}

/// One item a line, without the automatic, derived and blanket implementations that every type has.
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
