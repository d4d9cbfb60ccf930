//! Files that are not configurations: too large, endless, not text, or wrong in every line.

use std::{fmt::Write as _, fs, os::unix::fs::symlink, path::Path};

use crate::{
    harness::{Finished, RECEIVER_MAC, Stage, trafficgen},
    situations::table,
};

/// The most bytes that may be printed about one file: some screens of a terminal.
const PRINTED: usize = 20_000;

#[test]
fn refused_in_few_words() {
    let Some(_stage) = Stage::set() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A sparse file takes no room on a disk.
    fs::File::create(path("zeros")).unwrap().set_len(100_000_000).unwrap();
    fs::File::create(path("fewer-zeros")).unwrap().set_len(60_000_000).unwrap();
    symlink("/dev/zero", path("endless")).unwrap();
    fs::write(path("latin1"), b"# one\n# two\n# caf\xe9\n").unwrap();
    fs::write(path("utf16"), b"\xff\xfe[\0[\0").unwrap();
    fs::write(path("letters"), "a".repeat(4_000_000)).unwrap();
    fs::write(path("controls"), "\u{1}".repeat(100_000)).unwrap();
    fs::write(path("strings"), format!("ports = '{}'\n", "b".repeat(2_000_000))).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for (name, said) in [
        ("zeros", "it has more than 64 MiB, which no configuration needs"),
        ("endless", "it has more than 64 MiB, which no configuration needs"),
        ("fewer-zeros", "a zero byte in line 1, byte 0 of the file: this is no text file"),
        ("latin1", "the byte 0xe9 in line 3, byte 17 of the file, is not UTF-8"),
        ("utf16", "convert it with `iconv -f UTF-16 -t UTF-8`"),
        ("letters", "key with no value, expected `=`"),
        ("controls", "invalid unquoted key"),
        ("strings", "`ports` must be an array of tables"),
        ("folder", "it is a directory: name a file in it"),
    ] {
        let file = path(name);
        let refused = Finished::of(trafficgen(&["check", file.to_str().unwrap()]));
        let Finished { code, stdout, stderr } = &refused;
        assert_eq!((*code, stdout.len()), (Some(2), 0), "{name}: {:.2000}", stderr);
        assert!(
            stderr.contains(said) && stderr.len() < PRINTED,
            "{name}: {} bytes: {stderr:.2000}",
            stderr.len()
        );
        let first =
            stderr.lines().next().unwrap_or_default().replace(folder.path().to_str().unwrap(), "");
        let first: String = first.chars().take(200).collect();
        table::row(
            "20",
            &format!("check {name}"),
            &first,
            2,
            &format!("{} bytes printed", stderr.len()),
        );
    }
}

#[test]
fn other_files_and_many_errors() {
    let Some(_stage) = Stage::set() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.toml");
    let config = |rate: &str, more: &str| {
        format!(
            "[[ports]]\nname = 'p'\ninterface = 'xtg0'\n{rate}\n[[flows]]\nname = 'f'\nport = 'p'\n{more}\n\
             packet = [{{ ethernet.dst = '{RECEIVER_MAC}' }}]\n"
        )
    };
    let refused = |text: &str, arguments: &[&str]| {
        fs::write(&path, text).unwrap();
        let refused =
            Finished::of(trafficgen(&[&["check", path.to_str().unwrap()], arguments].concat()));
        assert!(
            refused.code == Some(2) && refused.stderr.len() < PRINTED,
            "{} bytes",
            refused.stderr.len()
        );
        refused.stderr
    };
    symlink("/dev/zero", folder.path().join("endless.csv")).unwrap();
    fs::write(folder.path().join("latin1.csv"), b"0,1\n1,\xe9\n").unwrap();
    for (name, said) in
        [("endless.csv", "more than 64 MiB"), ("latin1.csv", "the byte 0xe9 in line 2")]
    {
        let stderr = refused(&config(&format!("rate = {{ trace = '{name}' }}"), ""), &[]);
        assert!(stderr.contains(said) && stderr.contains("flows.toml:4:"), "{stderr}");
        table::row(
            "20",
            &format!("check, trace = '{name}'"),
            stderr.lines().next().unwrap_or_default(),
            2,
            "",
        );
    }
    let mut wrong = String::new();
    for number in 0..5000 {
        writeln!(wrong, "key{number} = 1").unwrap();
    }
    let stderr = refused(&config("", &wrong), &[]);
    // As many errors are shown as there is room for; the others are counted.
    let shown = stderr.matches("unknown key `key").count();
    assert!(
        stderr.ends_with(&format!("… and {} more errors\n", 5000 - shown)),
        "{shown}: {stderr}"
    );
    table::row(
        "20",
        "check (5000 unknown keys)",
        stderr.lines().last().unwrap_or_default(),
        2,
        &format!("{shown} shown"),
    );
    let long = format!("flows.f.size={}", "x".repeat(100_000));
    let stderr = refused(&config("", ""), &["--set", &long]);
    assert!(stderr.contains("unknown mix of sizes") && stderr.contains("--set"), "{stderr}");
    table::row("20", "check --set (100 kB)", "cut", 2, &format!("{} bytes printed", stderr.len()));
    assert!(Path::new(&path).exists());
}
