//! The configuration parser must neither panic nor hang, whatever it reads, and must be able to show what is wrong.
//!
//! What follows a line `--set` is the overrides, one a line; what follows a line `--file`, any other file that is named.
//!
//! cd xdp-trafficgen/fuzz && mkdir -p corpus/parse && cargo +nightly fuzz run --fuzz-dir . parse corpus/parse seeds
//! ../../config
#![no_main]

use libfuzzer_sys::fuzz_target;
use xdp_trafficgen::config::{Source, file};

fuzz_target!(|input: &str| {
    let (input, file) = input.split_once("--file\n").unwrap_or((input, ""));
    let (text, overrides) = input.split_once("--set\n").unwrap_or((input, ""));
    let overrides: Vec<String> = overrides.lines().map(str::to_owned).collect();
    if let Err(wrong) = file::parse_with(Source::file("fuzz.toml", text), &overrides, &|_| Ok(file.to_owned())) {
        wrong.to_string();
    }
});
