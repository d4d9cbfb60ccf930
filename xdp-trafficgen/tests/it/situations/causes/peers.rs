//! The bench's namespace for other generators: both ends of the pair have a native program before
//! the generator starts.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use rustix::process::Signal;
use xdp_trafficgen::host::index_of;

use super::{assert_says, finding, report, udp};
use crate::{
    harness::{Running, Stage},
    situations::table,
};

/// xdp-tools' generator said: "does not support sending packets via XDP". Its newest version is not
/// available here, so the test makes the generator's check itself, and then sends frames as it
/// would.
#[test]
fn xdp_tools_generator_would_run() {
    let Some(_stage) = Stage::set() else { return };
    let index = index_of("xtg0").unwrap();
    assert_eq!(
        check_iface_support(features(index)),
        Err("Interface xtg0 does not support sending packets via XDP.")
    );
    let mut ends = ["xtg1", "xtg0"].map(|interface| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdp-trafficgen-bench"));
        command.args(["sink", interface, "--standing-by", "--seconds", "0.3"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "{\"standing_by\":true}\n");
        (child, said)
    });
    assert_eq!(check_iface_support(features(index)), Ok(()));

    // A generator sends all the time; the receiver counts from the start signal on.
    let (command, typed) = udp("xtg0", "--size 66 --rate 100kpps");
    let mut sending = Running::start(command);
    sending.wait_until("it sends", |running| running.stderr().contains("sent "));
    let (receiver, said) = &mut ends[0];
    receiver.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(receiver.wait().unwrap().success());
    let counted: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (frames, bytes) =
        (counted["frames_rx"].as_u64().unwrap(), counted["bytes_rx"].as_u64().unwrap());
    assert_eq!((bytes, frames > 0), (66 * frames, true), "{counted}");
    sending.signal(Signal::INT);
    let sent = sending.end().report(0).only_port().frames_tx;
    assert!(frames < sent, "frames before the start signal are not counted: {frames} of {sent}");
    // The other end's program only stands by: it ends with its standard input, without a report.
    let (sender, said) = &mut ends[1];
    drop(sender.stdin.take());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(sender.wait().unwrap().success() && rest.is_empty(), "{rest}");
    let said = "xtg0 sends XDP frames (NETDEV_XDP_ACT_NDO_XMIT), as xdp-tools' generator asks before it starts";
    table::row(
        "23",
        &format!("xdp-trafficgen-bench sink at both ends, {typed}"),
        said,
        0,
        &format!("{frames} frames of 66 bytes counted"),
    );

    // Without programs at the ends, the check fails as before.
    assert!(check_iface_support(features(index)).is_err());
    assert_says(
        finding(&report("xtg0", "--packets 1", 1), "veth_peer_without_receiver"),
        &["neither a native XDP program"],
    );
}

const NETDEV_XDP_ACT_NDO_XMIT: u64 = 4;

/// xdp-tools' check in xdp-trafficgen.c: a kernel that reports no features at all is taken for one
/// that cannot report them.
fn check_iface_support(features: Option<u64>) -> Result<(), &'static str> {
    match features {
        None | Some(0) => Ok(()),
        Some(features) if features & NETDEV_XDP_ACT_NDO_XMIT == 0 => {
            Err("Interface xtg0 does not support sending packets via XDP.")
        }
        Some(_) => Ok(()),
    }
}

/// The `feature_flags` of libbpf's bpf_xdp_query, requested byte by byte: genetlink's
/// CTRL_CMD_GETFAMILY (3) with CTRL_ATTR_FAMILY_NAME (2), whose CTRL_ATTR_FAMILY_ID is 1; then
/// NETDEV_CMD_DEV_GET (1) with NETDEV_A_DEV_IFINDEX (1), whose NETDEV_A_DEV_XDP_FEATURES is 3.
fn features(index: u32) -> Option<u64> {
    const GENL_ID_CTRL: u16 = 16;
    let mut socket = Socket::new(NETLINK_GENERIC).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    let family = attributes(&ask(&socket, GENL_ID_CTRL, 3, 2, b"netdev\0"), 1)?;
    let family = u16::from_ne_bytes(family.try_into().unwrap());
    let features = attributes(&ask(&socket, family, 1, 1, &index.to_ne_bytes()), 3)?;
    Some(u64::from_ne_bytes(features.try_into().unwrap()))
}

/// One request with one attribute, and the answer's attributes.
fn ask(socket: &Socket, family: u16, command: u8, kind: u16, value: &[u8]) -> Vec<u8> {
    const NLM_F_REQUEST: u16 = 1;
    let mut attribute = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    let length = u32::try_from(16 + 4 + attribute.len()).unwrap();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([family.to_ne_bytes(), NLM_F_REQUEST.to_ne_bytes()].concat());
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(attribute);
    socket.send(&message, 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    answer[20..].to_vec()
}

/// The value of the attribute of this kind.
fn attributes(mut bytes: &[u8], wanted: u16) -> Option<Vec<u8>> {
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        if u16::from_ne_bytes([bytes[2], bytes[3]]) == wanted {
            return Some(bytes[4..length].to_vec());
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
    None
}
