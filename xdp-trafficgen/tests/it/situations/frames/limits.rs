//! Configurations beyond the limits: more flows than a port has room for, frames smaller than their
//! headers.

use std::{fmt::Write as _, fs};

use crate::{
    harness::{Finished, RECEIVER_MAC, Stage, trafficgen},
    situations::table,
};

#[test]
fn flows_of_a_port() {
    let Some(_stage) = Stage::set() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.toml");
    let check = |flows: u32| {
        let mut text = "[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncpus = '0'\n".to_owned();
        for number in 0..flows {
            writeln!(
                text,
                "[[flows]]\nname = 'f{number}'\nport = 'p'\npackets = 1\npacket = [{{ ethernet.dst = '{RECEIVER_MAC}' }}]"
            )
            .unwrap();
        }
        fs::write(&path, text).unwrap();
        Finished::of(trafficgen(&["check", path.to_str().unwrap()]))
    };
    let refused = check(100_000);
    let said = refused.stderr.lines().next().unwrap_or_default();
    assert_eq!(
        said, "error: this port has 100000 flows, more than the 65536 that it has room for",
        "{refused:?}"
    );
    assert!(
        refused.code == Some(2)
            && refused.stderr.contains("give the flows behind the first 65536 another port"),
        "{refused:?}"
    );
    // The line of the first flow in excess: flows have five lines each, and the port four.
    assert!(refused.stderr.contains(&format!("many.toml:{}:8", 4 + 5 * 65_536 + 2)), "{refused:?}");
    table::row("15", "check (100 000 flows)", said, 2, "");
}

#[test]
fn mixes() {
    let Some(_stage) = Stage::set() else { return };
    let send = |size: &str| {
        let arguments = [
            "udp",
            "xtg0",
            "--dst-mac",
            RECEIVER_MAC,
            "--dst-ip",
            "2001:db8::2",
            "--src-ip",
            "2001:db8::1",
        ];
        Finished::of(trafficgen(&[&arguments[..], &["--packets", "600", "--size", size]].concat()))
    };
    let refused = send("ipv6_imix");
    let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(refused.code, Some(2), "{said}");
    assert!(
        said.starts_with(
            "error: --size: the headers take 62 bytes and the FCS 4, more than the frame's 64"
        ),
        "{said}"
    );
    let cure = "give `--size 66`, `--size ipsec_imix`, whose frames are larger, or write in a configuration file";
    assert!(said.contains(cure), "{said}");
    table::row("15", "udp --dst-ip 2001:db8::2 --size ipv6_imix", &said, 2, "");
    // The cures work.
    for size in ["66", "ipsec_imix"] {
        let _sink = crate::harness::sink("xtg1");
        let sent = send(size);
        assert_eq!(sent.code, Some(0), "{size}: {sent:?}");
    }
}
