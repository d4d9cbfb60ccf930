//! Commands that take a file: what they show of it, which options replace its values, and how a
//! faulty file is refused.

use std::{io::Write as _, process::Command};

use crate::{
    cli::{refused, refused_command},
    harness::{Finished, Stage, assert_arrived, sink, trafficgen},
};

pub(crate) const PORT: &str = "[[ports]]\nname = \"west\"\ninterface = \"xtg0\"\n";
pub(crate) const FLOW: &str = "[[flows]]\nname = \"some\"\nport = \"west\"\npackets = 10\n\
                    packet = [{ ethernet = { dst = \"02:00:00:00:00:02\" } }, { ipv4 = {} }, { udp = {} }]\n";

/// A configuration file that belongs to one test.
pub(crate) struct File(tempfile::NamedTempFile);

impl File {
    pub(crate) fn of(text: &str) -> Self {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        trafficgen(&[name, self.path()])
    }

    /// How messages name a place in it.
    pub(crate) fn at(&self, line: usize, column: usize) -> String {
        format!("{}:{line}:{column}\n", self.path())
    }
}

#[test]
fn a_file_s_errors_are_reported_together_with_their_places() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let flow = FLOW.replace("10", "0");
    let file = File::of(&format!("{PORT}batch_sise = 1\n{PORT}cpus = \"1-0\"\n{flow}size = 63\n"));
    let places = [(4, 1), (6, 8), (7, 13), (8, 8), (12, 11), (14, 8)]
        .map(|(line, column)| file.at(line, column));
    let messages = [
        "unknown key `batch_sise` in a port",
        "did you mean `batch_size`?",
        "two ports are named `west`",
        "the interface `xtg0` is already used by the port on line 3",
        "runs backwards",
        "`packets` is 0, too small",
        "`size` is 63, too small",
        "^^^^^^",
    ];
    let parts: Vec<&str> = messages.into_iter().chain(places.iter().map(String::as_str)).collect();
    for command in ["run", "check", "show"] {
        refused_command(file.command(command), &parts);
    }
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
}

#[test]
fn a_file_this_host_cannot_send_is_refused_with_its_places() {
    let Some(_stage) = Stage::set() else { return };
    let port = PORT.replace("west", "east").replace("xtg0", "xtg11");
    let flow = FLOW.replace("some", "more").replace("west", "east");
    let file = File::of(&format!("{PORT}cpus = 4095\n{FLOW}size = 1523\n{port}{flow}"));
    let places = [(4, 8), (10, 8), (13, 13)].map(|(line, column)| file.at(line, column));
    let messages = [
        "there is no CPU 4095",
        "a frame of 1523 bytes is too large for the MTU of `xtg0`, 1500",
        "there is no interface `xtg11`",
        "did you mean `xtg1`?",
        "^^^^^^^",
    ];
    let parts: Vec<&str> = messages.into_iter().chain(places.iter().map(String::as_str)).collect();
    for command in ["run", "check", "show"] {
        refused_command(file.command(command), &parts);
    }
}

#[test]
fn files_that_are_no_configuration() {
    let Some(_stage) = Stage::set() else { return };
    refused(
        "run /nowhere/at-all.toml",
        &["cannot read /nowhere/at-all.toml: No such file or directory"],
    );
    refused("check /", &["cannot read /: it is a directory: name a file in it"]);
    refused("daemon --config /nowhere/at-all.toml", &["cannot read /nowhere/at-all.toml"]);
    let file = File::of("");
    refused_command(
        file.command("check"),
        &["this file has no ports", "this file has no flows", &file.at(1, 1)],
    );
    let file = File::of("[[ports]]\nname = west\n");
    refused_command(file.command("check"), &[&file.at(2, 8), "^"]);
    let file =
        File::of(&format!("{PORT}{}", FLOW.replace("{ udp = {} }", "{ udp = {} }, { ipv4 = {} }")));
    refused_command(file.command("run"), &["`ipv4` cannot follow `udp`", &file.at(8, 88)]);
}

#[test]
fn show_describes_a_flow_field_by_field() {
    let Some(_stage) = Stage::set() else { return };
    let flow = FLOW
        .replace("{ udp = {} }", "{ udp = { src_port = 7, dst_port = [53, 123] } }")
        .replace("packets = 10\n", "");
    let file = File::of(&format!("{PORT}{flow}payload = {{ hex = \"dead beef\" }}\n"));
    let mut command = file.command("show");
    command.args(["--packets", "2", "--flow", "some"]);
    let finished = Finished::of(command);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let rows: Vec<String> = finished
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for expected in [
        "flow some, port west (xtg0), 64 bytes on the wire, without end",
        "ethernet dst 02:00:00:00:00:02",
        "src 02:00:00:00:00:01 filled in",
        "ether_type 0x0800 filled in",
        "src 198.18.0.1 filled in",
        "protocol 17 filled in",
        "udp src_port 7",
        "dst_port 53 values: 53, 123",
        "payload de ad be ef, then zeros",
        "frames of port west (xtg0): number, flow, bytes on the wire, headers",
    ] {
        assert!(rows.iter().any(|row| row == expected), "no `{expected}` in\n{}", finished.stdout);
    }
    let frames =
        rows.iter().filter(|row| row.contains(" some 64 02:00:00:00:00:01 > 02:00:00:00:00:02 "));
    let ports = ["198.18.0.1 > 198.19.0.1 udp 7 > 53,", "198.18.0.1 > 198.19.0.1 udp 7 > 123,"];
    assert!(
        frames.zip(ports).filter(|(row, ports)| row.contains(ports)).count() == 2,
        "{}",
        finished.stdout
    );
}

#[test]
fn show_knows_the_flows_by_name() {
    let Some(_stage) = Stage::set() else { return };
    let file = File::of(&format!("{PORT}{FLOW}"));
    let mut command = file.command("show");
    command.args(["--flow", "sone"]);
    refused_command(command, &["--flow: there is no flow `sone`", "did you mean `some`?"]);
}

#[test]
fn a_file_s_values_can_be_overridden() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let file = File::of(&format!("{PORT}{FLOW}"));
    let with = |name: &str, set: &str| {
        let mut command = file.command(name);
        command.args(["--set", "flows.some.size=128", "--set", set]);
        command
    };
    let mut command = with("run", "flows.some.packets=3");
    command.arg("--json");
    let report = Finished::of(command).report(0);
    assert_eq!((report.only_port().frames_tx, report.only_port().bytes_tx), (3, 3 * 128));
    assert_arrived(&sink, 3);
    for name in ["check", "show"] {
        let finished = Finished::of(with(name, "flows.some.packets=3"));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.stdout.contains("128 bytes"), "{finished:?}");
    }
    for name in ["run", "check", "show"] {
        refused_command(
            with(name, "flows.sum.size=64"),
            &["--set", "flows.sum.size=64", "there is no flow `sum`", "`some`"],
        );
        refused_command(
            with(name, "flows.some.size=63"),
            &["--set", "flows.some.size=63", "`size` is 63, too small"],
        );
    }
}

#[test]
fn a_pcap_file_that_cannot_be_written() {
    let Some(_stage) = Stage::set() else { return };
    let file = File::of(&format!("{PORT}{FLOW}"));
    let mut command = file.command("show");
    command.args(["--pcap", "/nowhere/at-all.pcap"]);
    refused_command(command, &["cannot write /nowhere/at-all.pcap: No such file or directory"]);
}
