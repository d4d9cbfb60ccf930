//! `-`: a configuration from standard input, a pcap to standard output.

use std::{
    fs::File,
    io::{Read as _, Write as _, pipe},
    process::{Command, Output, Stdio},
};

use crate::{
    harness::{Stage, assert_arrived, sink, trafficgen},
    situations::table::row,
};

const CONFIG: &str = "[[ports]]\nname = \"west\"\ninterface = \"xtg0\"\n\
                      [[flows]]\nname = \"some\"\nport = \"west\"\npackets = 1000\n\
                      packet = [{ ethernet = { dst = \"02:00:00:00:00:02\" } }, { ipv4 = {} }, { udp = { dst_port = 4660 } }]\n";

/// The program with this text on standard input.
fn fed(arguments: &[&str], text: &str) -> Output {
    let (input, mut writer) = pipe().unwrap();
    let child = trafficgen(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    drop(writer);
    child.wait_with_output().unwrap()
}

#[test]
fn a_configuration_from_a_pipe() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let checked = fed(&["check", "-"], CONFIG);
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && text.contains("flow some out of xtg0"), "{checked:?}");
    row("20", "check - <file.toml", text.lines().next().unwrap(), 0, "");
    let wrong = fed(&["check", "-"], &CONFIG.replace("xtg0", "xtg7"));
    let text = String::from_utf8_lossy(&wrong.stderr);
    assert!(wrong.status.code() == Some(2) && text.contains("standard input:3:13\n"), "{wrong:?}");
    assert_eq!(sink.count().unwrap().frames, 0, "`check` sent something");
    let sent = fed(&["run", "-"], CONFIG);
    assert!(sent.status.success(), "{sent:?}");
    assert_arrived(&sink, 1000);
    row(
        "20",
        "run - <file.toml",
        String::from_utf8_lossy(&sent.stdout).lines().nth(1).unwrap(),
        0,
        "1000 arrived",
    );
}

#[test]
fn a_pcap_into_a_pipe() {
    let Some(_stage) = Stage::set() else { return };
    let shown = fed(&["show", "-", "--pcap", "-", "--packets", "1000"], CONFIG);
    assert!(shown.status.success(), "{shown:?}");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&shown.stdout).unwrap();
    let read = tcpdump(file);
    assert_eq!(read.lines().count(), 1000, "{read}");
    assert!(read.lines().all(|line| line.contains(".4660: ")), "{read}");
    row(
        "20",
        "show - --pcap - | tcpdump -r -",
        read.lines().next().unwrap(),
        0,
        "1000 frames read",
    );

    // An endless flow, and a reader that takes only the beginning.
    let endless = CONFIG.replace("packets = 1000\n", "");
    let (input, mut writer) = pipe().unwrap();
    writer.write_all(endless.as_bytes()).unwrap();
    drop(writer);
    let arguments = ["show", "-", "--pcap", "-", "--packets", "1000000000000"];
    let (mut reader, output) = pipe().unwrap();
    let mut child = trafficgen(&arguments).stdin(input).stdout(output).spawn().unwrap();
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).unwrap();
    // The magic number of pcap with microseconds, in either byte order.
    assert!(
        [0xa1b2_c3d4_u32.to_le_bytes(), 0xa1b2_c3d4_u32.to_be_bytes()].contains(&magic),
        "{magic:?}"
    );
    drop(reader);
    assert!(child.wait().unwrap().success(), "`head` ends it, and that is no failure");
}

/// What tcpdump prints of the file, one line a frame.
fn tcpdump(mut file: File) -> String {
    std::io::Seek::rewind(&mut file).unwrap();
    let output =
        Command::new("tcpdump").args(["-nn", "-t", "-r", "-"]).stdin(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
