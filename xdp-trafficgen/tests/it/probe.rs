//! `probe` on every kind of interface that a network namespace can have: the verdict, what decides
//! it, the exit status, and whether frames that are really sent confirm it. Oracles: the kernel's
//! counters where frames arrive, `ip`, `ethtool`, `uname`, and the kernel's source for what
//! decides.

mod report;
mod schema;
mod tap;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, process::Command};

use crate::harness::{Finished, Stage, ethtool, ip, trafficgen};
use report::Probe;
use serde_json::Value;
use tap::Tap;

/// What `ip` says of an interface.
#[track_caller]
fn link(interface: &str) -> Value {
    let output =
        Command::new("ip").args(["-j", "-d", "-s", "link", "show", interface]).output().unwrap();
    let links: Value = serde_json::from_slice(&output.stdout).unwrap();
    links[0].clone()
}

/// Packets that an interface has received, or sent.
#[track_caller]
fn packets(interface: &str, direction: &str) -> u64 {
    link(interface)["stats64"][direction]["packets"].as_u64().unwrap()
}

/// Probes without and with frames sent. Both have the same exit status and the same deciding
/// finding (none: the interface is ready), and `arrived` counts those of the trial's 64 frames that
/// arrive.
#[track_caller]
fn check(interface: &str, blocked_by: Option<&str>, arrived: impl Fn() -> u64) {
    let before = arrived();
    let probed = Probe::of(&["probe", interface, "--json"]);
    assert_eq!(probed.blocked_by(), blocked_by, "{probed:?}");
    assert_eq!(probed.object["trial"], Value::Null);
    assert_eq!(arrived(), before, "nothing is sent unasked");
    let sent = Probe::of(&["probe", interface, "--json", "--send"]);
    assert_eq!(sent.blocked_by(), blocked_by, "{sent:?}");
    let trial = &sent.object["trial"];
    let expected = if blocked_by.is_some() { 0 } else { 64 };
    if trial["made"] == true {
        let counts = (&trial["frames_attempted"], &trial["frames_tx"], &trial["frames_dropped"]);
        assert_eq!(counts, (&64.into(), &expected.into(), &(64 - expected).into()), "{trial}");
    } else {
        assert!(blocked_by.is_some() && !trial["why"].as_str().unwrap().is_empty(), "{trial}");
    }
    assert!(
        crate::harness::reached(|| arrived() >= before + expected),
        "{} arrived",
        arrived() - before
    );
    assert_eq!(arrived(), before + expected);
}

/// A veth hands XDP frames only to a peer whose NAPI runs (veth_xdp_xmit in the kernel's
/// drivers/net/veth.c).
#[test]
fn veth() {
    let Some(_stage) = Stage::set() else { return };
    let arrived = || packets("xtg1", "rx");
    check("xtg0", Some("veth_peer_without_receiver"), arrived);
    ethtool("-K xtg1 gro on");
    check("xtg0", None, arrived);
    ip("link set xtg1 down");
    check("xtg0", Some("veth_peer_down"), arrived);
    ip("link set xtg1 up");
    ip("link set xtg0 down");
    check("xtg0", Some("interface_down"), arrived);
}

/// None of them has an `ndo_xdp_xmit` in the kernel's source: drivers/net/{loopback,macvlan,ifb}.c,
/// drivers/net/vxlan/vxlan_core.c and net/bridge/br_device.c.
#[test]
fn interfaces_without_xdp() {
    let Some(_stage) = Stage::set() else { return };
    ip("link set lo up");
    // With snooping a bridge joins the group of all snoopers, and its IGMP reports would be counted
    // (br_multicast.c, 5.11).
    ip("link add br0 type bridge mcast_snooping 0");
    ip("link set xtg1 master br0");
    ip("link add mv0 link xtg0 type macvlan");
    ip("link add ifb0 type ifb");
    ip("link add vx0 type vxlan id 5 dstport 4789 remote 198.18.0.1 dev xtg0");
    for interface in ["br0", "mv0", "ifb0", "vx0"] {
        ip(&format!("link set {interface} up"));
    }
    for interface in ["lo", "br0", "mv0", "ifb0", "vx0"] {
        check(interface, Some("driver_cannot_send"), || packets(interface, "tx"));
    }
}

/// tun_xdp_xmit wants a queue (drivers/net/tun.c): one for each descriptor that holds the tap.
#[test]
fn tap() {
    let Some(_stage) = Stage::set() else { return };
    ip("tuntap add name tap1 mode tap");
    ip("link set tap1 up");
    check("tap1", Some("tap_unopened"), || packets("tap1", "tx"));
    let tap = Tap::open("tap0");
    ip("link set tap0 up");
    let read = std::cell::Cell::new(0);
    check("tap0", None, || {
        read.set(read.get() + tap.read_frames());
        read.get()
    });
}

/// The facts are those that `ip`, `ethtool` and `uname` show.
#[test]
fn facts() {
    let Some(_stage) = Stage::set() else { return };
    ip("link set xtg0 mtu 2000");
    ethtool("-K xtg1 gro on");
    ethtool("-L xtg0 tx 1");
    let probed = Probe::of(&["probe", "xtg0", "--json"]);
    let interface = &probed.object["interface"];
    let known = link("xtg0");
    for (field, expected) in [
        ("name", &known["ifname"]),
        ("index", &known["ifindex"]),
        ("mtu", &known["mtu"]),
        ("mac", &known["address"]),
        ("kind", &known["linkinfo"]["info_kind"]),
    ] {
        assert_eq!(&interface[field], expected, "{field}");
    }
    // Ethernet's header and FCS.
    assert_eq!(interface["largest_frame"], 2018);
    assert_eq!(interface["queues"], serde_json::json!({ "rx": 2, "tx": 1 }));
    let driver = Command::new("ethtool").args(["-i", "xtg0"]).output().unwrap();
    let driver = String::from_utf8(driver.stdout).unwrap();
    assert!(
        driver.contains(&format!("driver: {}\n", interface["driver"]["name"].as_str().unwrap())),
        "{driver}"
    );
    assert_eq!(
        (&interface["peer"]["name"], &interface["peer"]["gro"]),
        (&"xtg1".into(), &true.into())
    );
    let release = Command::new("uname").arg("-r").output().unwrap();
    assert_eq!(
        probed.object["kernel"]["release"],
        String::from_utf8(release.stdout).unwrap().trim()
    );
    // An MTU above what live mode takes.
    ip("link set xtg0 mtu 9000");
    let probed = Probe::of(&["probe", "xtg0", "--json"]);
    assert_eq!(
        probed.object["interface"]["largest_frame"],
        probed.object["kernel"]["largest_frame"]
    );
}

/// The facts agree with the kernel's source (TEST_XDP_MAX_BATCH of net/bpf/test_run.c; the largest
/// frame by its test's numbers, 3408 bytes since 6.5 with pages of 4 KiB), with its symbols, and
/// with what a user of the trace points sees.
#[test]
fn the_kernel() {
    let Some(_stage) = Stage::set() else { return };
    let object = Probe::of(&["probe", "--json"]).object;
    let kernel = &object["kernel"];
    assert_eq!((&kernel["live_frames"], &kernel["batch_limit"]), (&true.into(), &256.into()));
    assert_eq!(
        (&kernel["missing_capabilities"], &kernel["unanswered"]),
        (&Value::Array([].into()), &Value::Array([].into()))
    );
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let has = |name: &str| symbols.lines().any(|line| line.split_whitespace().nth(2) == Some(name));
    assert_eq!(kernel["bpf_loop"], has("bpf_loop"));
    for point in kernel["trace_points"].as_array().unwrap() {
        let name = point["name"].as_str().unwrap();
        assert_eq!(point["present"], has(&format!("__traceiter_{name}")), "{name}");
    }
    // A call that waits for RCU takes milliseconds, any other microseconds; but the machine may be
    // busy.
    let call = &kernel["call"];
    assert!(call["ns"].as_u64().unwrap() > 0 && call["alone_ns"].as_u64().unwrap() > 0, "{call}");
}

/// The report has a line for each interface, and `probe` changes none of them.
#[test]
fn the_machine() {
    let Some(_stage) = Stage::set() else { return };
    ethtool("-K xtg1 gro on");
    let links = || Command::new("ip").args(["-j", "-d", "link"]).output().unwrap().stdout;
    let before = links();
    let probed = Probe::of(&["probe", "--json"]);
    assert_eq!(probed.blocked_by(), None);
    let of = |list: &Value, key: &str| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|link| link[key].as_str().unwrap().to_owned()).collect()
    };
    let known: Value = serde_json::from_slice(&before).unwrap();
    let briefs = &probed.object["interfaces"];
    assert_eq!(of(briefs, "name"), of(&known, "ifname"));
    let verdicts: Vec<(&str, &str, Option<&str>)> = briefs
        .as_array()
        .unwrap()
        .iter()
        .map(|brief| {
            let text = |key: &str| brief[key].as_str().unwrap();
            (text("name"), text("verdict"), brief["finding"]["code"].as_str())
        })
        .collect();
    for expected in [
        ("xtg0", "ready", None),
        ("xtg1", "not_ready", Some("veth_peer_without_receiver")),
        ("lo", "not_ready", Some("interface_down")),
    ] {
        assert!(verdicts.contains(&expected), "{expected:?}: {verdicts:?}");
    }
    assert_eq!(links(), before);
}

/// The text has the same content, and without capabilities it still says all that can be known.
#[test]
fn without_rights_it_explains() {
    let Some(_stage) = Stage::set() else { return };
    // The build's folder may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("xdp-trafficgen");
    fs::copy(env!("CARGO_BIN_EXE_xdp-trafficgen"), &program).unwrap();
    let unprivileged = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
        command.arg(&program).args(arguments);
        command
    };
    let probed = Probe::from(Finished::of(unprivileged(&["probe", "xtg0", "--json", "--send"])));
    assert_eq!(probed.blocked_by(), Some("missing_capability"), "{probed:?}");
    assert_eq!(probed.object["kernel"]["live_frames"], Value::Null);
    assert_eq!(
        probed.object["kernel"]["missing_capabilities"],
        serde_json::json!(["CAP_NET_ADMIN", "CAP_SYS_ADMIN"])
    );
    let unanswered = probed.object["kernel"]["unanswered"].as_array().unwrap();
    assert!(
        unanswered.iter().any(|question| question["question"] == "live_frames"),
        "{unanswered:?}"
    );
    // Facts that need no capabilities are still there: the kernel's type information has the names.
    let of_root = Probe::of(&["probe", "--json"]);
    for field in ["trace_points", "bpf_loop", "release", "btf"] {
        assert_eq!(probed.object["kernel"][field], of_root.object["kernel"][field], "{field}");
    }
    assert_eq!(probed.object["interface"]["driver"]["name"], "veth");
    assert_eq!(probed.object["trial"]["made"], false);
    for arguments in [&["probe"][..], &["probe", "xtg0"]] {
        let finished = Finished::of(unprivileged(arguments));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let words = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("live frames: not known (needs CAP_NET_ADMIN and CAP_SYS_ADMIN)"),
            "{finished:?}"
        );
        assert!(
            words.contains("not ready") && words.contains("`setcap cap_net_admin"),
            "{finished:?}"
        );
    }
}

#[test]
fn the_text_for_people() {
    let Some(_stage) = Stage::set() else { return };
    let finished = Finished::of(trafficgen(&["probe", "xtg0"]));
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(
        finished.stdout.contains("\nverdict    xtg0 is not ready\n  blocks   "),
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains("`ethtool -K xtg1 gro on`"), "{}", finished.stdout);
    assert!(finished.stdout.lines().all(|line| line.chars().count() <= 80), "{}", finished.stdout);
    assert!(finished.stderr.contains("xtg0 is not ready to send"), "{finished:?}");
    ethtool("-K xtg1 gro on");
    let finished = Finished::of(trafficgen(&["probe", "xtg0", "--send"]));
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(
        finished.stdout.contains("trial: 64 frames attempted, 64 accepted"),
        "{}",
        finished.stdout
    );
}

#[test]
fn wrong_arguments_are_refused() {
    let Some(_stage) = Stage::set() else { return };
    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let finished = Finished::of(trafficgen(arguments));
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        assert!(finished.stderr.contains(expected), "{finished:?}");
    }
    check(&["probe", "xtg00"], "did you mean `xtg0`?");
    check(&["probe", "wlan7"], "there is no interface `wlan7`");
    check(&["probe", "--send"], "INTERFACE");
    check(&["probe", "xtg0", "--dst-mac", "02:00:00:00:00:02"], "--send");
}

/// `probe` reads the interface, and neither changes it nor sends out of it.
#[test]
fn the_default_route_is_kept_free() {
    let Some(_stage) = Stage::set() else { return };
    ethtool("-K xtg1 gro on");
    ip("address add 198.18.0.1/24 dev xtg0");
    ip("route add default via 198.18.0.2");
    let finished = Finished::of(trafficgen(&["probe", "xtg0", "--send", "--json"]));
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("--allow-default-route"), "{finished:?}");
    let object = Probe::from(finished).object;
    assert_eq!(
        (&object["trial"]["made"], &object["interface"]["default_route"]),
        (&false.into(), &true.into())
    );
    let allowed = Probe::of(&["probe", "xtg0", "--send", "--json", "--allow-default-route"]);
    assert_eq!(allowed.object["trial"]["frames_tx"], 64);
    assert_eq!(allowed.blocked_by(), None);
}
