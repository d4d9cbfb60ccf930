//! Options that are refused before a run, with what to do about it.

use std::process::Command;

use super::{
    files::{FLOW, File, PORT},
    refused, refused_command, udp,
};
use crate::harness::{Finished, Stage, ip, sink, trafficgen};

#[test]
fn options_that_are_wrong_in_themselves() {
    let udp = "udp xtg0 --dst-mac 02:00:00:00:00:02";
    refused("udp", &["<INTERFACE>"]);
    refused("chek some.toml", &["'chek'", "'check'"]);
    refused(&format!("{udp} --packet 1"), &["'--packet'", "'--packets'"]);
    refused(&format!("{udp} --packets 0"), &["'--packets <N>'", "0"]);
    refused(
        &format!("{udp} --dst-port 9-7"),
        &["--dst-port", "starts at 9, above its end 7", "write `7-9`"],
    );
    refused(&format!("{udp} --src-port 65536"), &["`65536` is not a port", "from 0 to 65535"]);
    refused(
        &format!("{udp} --rate 1000"),
        &["--rate", "`1000` has no unit", "write its unit: `1000pps`"],
    );
    refused(&format!("{udp} --rate 10Mbs"), &["--rate: unknown unit `Mbs`", "`pps`"]);
    refused(&format!("{udp} --behind slip"), &["--behind", "`slip` is not", "`catch_up=20ms`"]);
    refused(&format!("{udp} --speed 10"), &["--speed", "`10` has no unit", "`10Gbps`"]);
    refused(&format!("{udp} --delay 10"), &["--delay", "`10` is not a duration"]);
    refused(
        &format!("{udp} --at +5s"),
        &["--at", "`+5s` depends on when", "`2026-11-22T14:00:00Z`"],
    );
    refused(
        &format!("{udp} --cpus 1-0"),
        &["the range of CPUs `1-0` runs backwards", "write `0-1`"],
    );
    refused(&format!("{udp} --cpus 0,0"), &["CPU 0 is listed twice"]);
    refused(&format!("{udp} --cpus 99999"), &["there is no CPU 99999"]);
    refused(&format!("{udp} --duration 0s"), &["a duration of `0s` sends nothing"]);
    refused(&format!("{udp} --duration 5"), &["`5` is not a duration", "`5s`"]);
    refused(
        &format!("{udp} --src-mac 02:00"),
        &["`02:00` is not a MAC address", "02:00:00:00:00:01"],
    );
    refused(&format!("{udp} --dst-ip 10.0.0"), &["--dst-ip", "10.0.0"]);
    refused(
        &format!("{udp} --batch-size 0"),
        &["--batch-size: there cannot be 0 frames in a batch", "give 1 to 256"],
    );
    refused(
        &format!("{udp} --batch-size 257"),
        &["there cannot be 257 frames in a batch", "give 1 to 256"],
    );
    refused(
        &format!("{udp} --size 63"),
        &["--size: there cannot be 63 bytes in a frame", "give 64 to 65535"],
    );
    refused(
        &format!("{udp} --src-ip 192.0.2.1 --dst-ip 2001:db8::1 --size 0 --batch-size 999"),
        &[
            "--src-ip: 192.0.2.1",
            "different families",
            "two IPv4 or two IPv6",
            "--size: ",
            "--batch-size: ",
        ],
    );
}

#[test]
fn options_of_all_quick_commands_that_are_wrong_in_themselves() {
    refused("udp xtg0 --identifier 1", &["'--identifier'"]);
    refused("icmp xtg0 --dst-port 1", &["'--dst-port'"]);
    refused("icmp xtg0 --identifier 65536", &["'--identifier <N>'", "65536"]);
    for command in ["udp", "tcp-syn", "icmp"] {
        let to = format!("{command} xtg0 --dst-mac 02:00:00:00:00:02");
        refused(command, &["<INTERFACE>"]);
        refused(
            &format!("{to} --vlan 4096"),
            &["--vlan: 4096 is too large for `id`", "its largest value is 4095"],
        );
        refused(
            &format!("{to} --vlan 1,2,3"),
            &["--vlan: a frame cannot have 3 VLAN tags", "give one id, or two"],
        );
        refused(&format!("{to} --vlan 1,x"), &["'--vlan <ID[,ID]>'", "x"]);
        refused(
            &format!("{to} --ttl 256"),
            &["--ttl: 256 is too large", "its largest value is 255"],
        );
        refused(
            &format!("{to} --ttl 256 --dst-ip ::1"),
            &["--ttl: 256 is too large for `hop_limit`"],
        );
        refused(
            &format!("{to} --dscp 64"),
            &["--dscp: 64 is too large for `dscp`", "its largest value is 63"],
        );
        refused(
            &format!("{to} --size imx"),
            &["--size: `imx` is not a size", "did you mean `imix`?"],
        );
        refused(
            &format!("{to} --size 64-128"),
            &["--size: `64-128` is not a size", "min = 64, max = 128"],
        );
        refused(&format!("{to} --size genome:a?"), &["--size: `?`"]);
        refused(
            &format!("{to} --payload ones"),
            &["--payload: `ones` is not a payload", "`zeros`, `increment`"],
        );
        refused(
            &format!("{to} --payload hex:abc"),
            &["--payload: `abc` has an odd number of digits"],
        );
        refused(
            &format!("{to} --payload text:"),
            &["--payload: `text:` is not a payload", "`text:hello`"],
        );
    }
}

#[test]
fn options_that_this_host_cannot_do() {
    let Some(stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    stage.netlink.add_veth("jumbo0", "jumbo1", 1).unwrap();
    for jumbo in ["jumbo0", "jumbo1"] {
        ip(&format!("link set {jumbo} mtu 65535 up"));
    }
    stage.netlink.add_veth("down0", "down1", 1).unwrap();
    let to = "--dst-mac 02:00:00:00:00:02 --packets 1";

    refused(&format!("udp xtg00 {to}"), &["there is no interface `xtg00`", "did you mean `xtg"]);
    refused(
        &format!("udp wlp3s0 {to}"),
        &["there is no interface `wlp3s0`", "the interfaces are ", "`xtg0`"],
    );
    refused(
        &format!("udp down0 {to}"),
        &["the interface `down0` is down", "`ip link set down0 up`"],
    );
    refused(
        &format!("udp xtg0 {to} --cpus 4095"),
        &["--cpus: there is no CPU 4095", "online are 0"],
    );
    refused(
        &format!("udp xtg0 {to} --size 1523"),
        &[
            "--size: a frame of 1523 bytes is too large for the MTU of `xtg0`, 1500",
            "write at most 1518",
            "mtu 1505",
        ],
    );
    refused(
        &format!("udp jumbo0 {to} --size 9000"),
        &[
            "--size: a frame of 9000 bytes is too large for the kernel",
            "live frames end at ",
            "FCS included",
        ],
    );
    refused(
        &format!("udp xtg0 {to} --size 65 --dst-ip 2001:db8::1"),
        &[
            "--size: the headers take 62 bytes and the FCS 4, more than the frame's 65",
            "at least 66",
        ],
    );
    refused(
        &format!("udp xtg0 {to} --cpus 4095 --size 1600"),
        &["--cpus: there is no CPU 4095", "--size: a frame of 1600 bytes is too large for the MTU"],
    );
    refused(
        "udp xtg0 --packets 1",
        &[
            "no route to 198.19.0.1 leads out of `xtg0`, which has no IPv4 address",
            "give --dst-mac",
        ],
    );
    refused(
        "udp xtg0 --packets 1 --dst-ip 2001:db8::1",
        &["no route to 2001:db8::1 leads out of `xtg0`"],
    );
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
}

#[test]
fn missing_capabilities_are_named() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let file = File::of(&format!("{PORT}{FLOW}"));
    let unprivileged = |command: &Command| {
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args(["--bounding-set=-all", "--inh-caps=-all"])
            .arg(command.get_program())
            .args(command.get_args());
        setpriv
    };
    let names = ["this needs root", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "sudo", "setcap"];
    for command in
        [udp("--packets 1"), trafficgen(&["demo", "--duration", "1s"]), file.command("run")]
    {
        refused_command(unprivileged(&command), &names);
    }
    let finished = Finished::of(unprivileged(&file.command("check")));
    // A file is checked nevertheless, and then fails as `run` does.
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stdout.contains("out of xtg0"), "{finished:?}");
    assert!(names.iter().all(|name| finished.stderr.contains(name)), "{finished:?}");
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
}
