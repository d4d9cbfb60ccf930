//! The program that lets drivers send: it is attached by a link that ends with the process, it
//! leaves other programs in place, and at the end everything is as it was. What is attached is read
//! from the kernel through iproute2 and bpftool.

use std::{
    env, fs,
    os::fd::{AsRawFd as _, OwnedFd},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use xdp_trafficgen::{
    engine::{Loaded, Start},
    host::{XdpFeatures, xdp_features},
    kernel::{
        Arrivals, AttachError, KernelError, PassProgram, PassPrograms, Sink, arrivals::Match,
        sink::SinkAction,
    },
    plan::{ExistingProgram, Plan, RequiredProgram},
};

use crate::harness::{
    Finished, Running, TestNet, assert_arrived, ethtool, ip,
    raw::{self, XDP_FLAGS_DRV_MODE},
    trafficgen, wait_until,
};

/// From include/uapi/linux/if_link.h.
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;

/// Mode and id of the programs on an interface, as iproute2 shows them.
#[track_caller]
fn attached(interface: &str) -> Vec<(String, u64)> {
    let output =
        Command::new("ip").args(["-j", "link", "show", "dev", interface]).output().unwrap();
    let links: Value = serde_json::from_slice(&output.stdout).unwrap();
    let xdp = &links[0]["xdp"];
    let modes = [(1, "native"), (2, "generic"), (3, "offloaded")];
    match xdp["mode"].as_u64() {
        None => Vec::new(),
        Some(mode) => {
            let name = modes
                .iter()
                .find(|(number, _)| *number == mode)
                .map_or("several", |(_, name)| name);
            vec![(name.to_owned(), xdp["prog"]["id"].as_u64().unwrap())]
        }
    }
}

/// The name of a program, as bpftool shows it.
#[track_caller]
fn name(program: u64) -> String {
    let output = Command::new("bpftool")
        .args(["-j", "prog", "show", "id", &program.to_string()])
        .output()
        .unwrap();
    let program: Value = serde_json::from_slice(&output.stdout).unwrap();
    program["name"].as_str().unwrap_or_default().to_owned()
}

/// The id that the kernel gave a program.
#[track_caller]
fn id(program: &OwnedFd) -> u32 {
    let facts = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).unwrap();
    facts.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok()).unwrap()
}

/// Attaches a program by netlink, in a mode that bpftool knows.
#[track_caller]
fn attach_by_netlink(mode: &str, program: &OwnedFd, interface: &str) {
    let id = id(program).to_string();
    let status = Command::new("bpftool")
        .args(["net", "attach", mode, "id", &id, "dev", interface])
        .status()
        .unwrap();
    assert!(status.success(), "{mode} {id} {interface}");
}

/// A program that stands for another user's.
fn foreign() -> OwnedFd {
    raw::load_named("somebody_elses", &[raw::mov_imm(0, 2), raw::EXIT])
}

/// A pair whose first end can send.
fn wire(net: &TestNet) -> u32 {
    net.veth("west", "east");
    ethtool("-K east gro on");
    net.link("west").index
}

#[track_caller]
fn assert_detached(interface: &str) {
    assert_eq!(attached(interface), []);
}

#[test]
fn a_program_is_in_the_driver_until_the_end() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let enabled = PassProgram::attach(west, ExistingProgram::Keep).unwrap();
    let [(mode, program)] = attached("west").try_into().unwrap();
    assert_eq!((mode.as_str(), name(program).as_str()), ("native", "pass"));
    assert!(enabled.is_ours());
    enabled.release().unwrap();
    assert_detached("west");
    // The same without `release`: dropping it detaches it too.
    drop(PassProgram::attach(west, ExistingProgram::Replace).unwrap());
    assert_detached("west");
}

/// A driver with such an MTU refuses programs for frames of one buffer.
#[test]
fn a_large_mtu_is_no_obstacle() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    for end in ["west", "east"] {
        ip(&format!("link set {end} mtu 9000"));
    }
    let refused = raw::try_attach(&foreign(), west, XDP_FLAGS_DRV_MODE).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ERANGE));
    let _enabled = PassProgram::attach(west, ExistingProgram::Keep).unwrap();
    assert_eq!(attached("west").len(), 1);
}

#[test]
fn a_program_in_the_driver_stays() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let program = foreign();
    attach_by_netlink("xdpdrv", &program, "west");
    let before = vec![("native".to_owned(), u64::from(id(&program)))];
    assert_eq!(attached("west"), before);
    for existing in [ExistingProgram::Keep, ExistingProgram::Replace] {
        let enabled = PassProgram::attach(west, existing).unwrap();
        assert!(!enabled.is_ours());
        assert_eq!(attached("west"), before);
        enabled.release().unwrap();
        assert_eq!(attached("west"), before);
    }
}

/// The error that names a program in the way.
#[track_caller]
fn in_the_way(result: Result<impl Sized, KernelError>) -> String {
    match result.err() {
        Some(KernelError::Attach(error @ AttachError::InTheWay { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_generic_program_is_in_the_way() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let program = foreign();
    attach_by_netlink("xdpgeneric", &program, "west");
    let before = attached("west");
    let said = in_the_way(PassProgram::attach(west, ExistingProgram::Keep));
    let id = id(&program);
    for part in [
        format!("generic XDP program {id} (`somebody_elses`)"),
        "`ip link set dev west xdpgeneric off`".into(),
        "--replace-xdp".into(),
    ] {
        assert!(said.contains(&part), "no {part} in {said}");
    }
    assert_eq!(attached("west"), before);
    // The cure works.
    ip("link set dev west xdpgeneric off");
    assert!(PassProgram::attach(west, ExistingProgram::Keep).unwrap().is_ours());
}

#[test]
fn a_generic_program_is_replaced_when_asked() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let program = foreign();
    attach_by_netlink("xdpgeneric", &program, "west");
    let before = attached("west");
    assert_eq!(before, [("generic".to_owned(), u64::from(id(&program)))]);
    // The generator has closed its descriptor: now only the kernel holds the program.
    drop(program);
    let enabled = PassProgram::attach(west, ExistingProgram::Replace).unwrap();
    let [(mode, program)] = attached("west").try_into().unwrap();
    assert_eq!((mode.as_str(), name(program).as_str()), ("native", "pass"));
    enabled.release().unwrap();
    assert_eq!(attached("west"), before);
    drop(PassProgram::attach(west, ExistingProgram::Replace).unwrap());
    assert_eq!(attached("west"), before);
}

/// The kernel refuses a driver-mode program below a generic one, so the program cannot be put back
/// there.
#[test]
fn a_program_that_cannot_be_put_back_is_reported() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let (program, other) = (foreign(), foreign());
    attach_by_netlink("xdpgeneric", &program, "west");
    let enabled = PassProgram::attach(west, ExistingProgram::Replace).unwrap();
    ip("link add above type bridge");
    ip("link set west master above");
    attach_by_netlink("xdpgeneric", &other, "above");
    let error = enabled.release().unwrap_err();
    assert_eq!(error.errno(), Some(libc::EEXIST), "{error}");
    assert!(error.to_string().contains("(`somebody_elses`)"), "{error}");
    assert!(error.to_string().contains("upper device"), "the kernel's words: {error}");
    assert_detached("west");
}

#[test]
fn a_program_attached_by_a_foreign_link_stays() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let program = foreign();
    let _link = raw::try_attach(&program, west, XDP_FLAGS_SKB_MODE).unwrap();
    let before = attached("west");
    for existing in [ExistingProgram::Keep, ExistingProgram::Replace] {
        let said = in_the_way(PassProgram::attach(west, existing));
        assert!(said.contains("(`somebody_elses`)") && said.contains("BPF link"), "{said}");
        assert!(!said.contains("--replace-xdp"), "{said}");
        assert_eq!(attached("west"), before);
    }
}

/// A receiver, unlike the sender, needs the place for its own program.
#[test]
fn a_receiver_replaces_and_puts_back() {
    let Some(net) = TestNet::alone() else { return };
    wire(&net);
    for mode in ["xdpdrv", "xdpgeneric"] {
        let program = foreign();
        attach_by_netlink(mode, &program, "east");
        let before = attached("east");
        let said = in_the_way(Arrivals::attach("east", Match::default(), 100));
        assert!(said.contains(&format!("`ip link set dev east {mode} off`")), "{said}");
        assert_eq!(attached("east"), before);
        let arrivals =
            Arrivals::attach_over("east", Match::default(), 100, ExistingProgram::Replace).unwrap();
        let [(ours, id)] = attached("east").try_into().unwrap();
        assert_eq!((ours.as_str(), name(id).as_str()), ("native", "arrivals"));
        arrivals.take().unwrap();
        assert_eq!(attached("east"), before);
        ip(&format!("link set dev east {mode} off"));
    }
}

/// The same by the command that a user types.
#[test]
fn pace_test_replaces_and_puts_back() {
    let Some(net) = TestNet::alone() else { return };
    wire(&net);
    attach_by_netlink("xdpgeneric", &foreign(), "east");
    let before = attached("east");
    assert_eq!(before.len(), 1);
    let pace_test = |options: &[&str]| {
        let arguments =
            ["pace-test", "west", "--receiver", "east", "--rate", "2kpps", "--duration", "300ms"];
        Finished::of(trafficgen(&[&arguments, options].concat()))
    };
    let refused = pace_test(&[]);
    let said = &refused.stderr;
    assert_eq!(refused.code, Some(2), "{said}");
    assert!(said.contains("(`somebody_elses`)") && said.contains("--replace-xdp"), "{said}");
    assert_eq!(attached("east"), before);
    let measured = pace_test(&["--replace-xdp"]);
    assert_eq!(measured.code, Some(0), "{measured:?}");
    assert_eq!(attached("east"), before);
}

/// The program is put back however soon after its removal the signal comes.
#[test]
fn a_signal_puts_the_replaced_program_back() {
    let Some(net) = TestNet::alone() else { return };
    wire(&net);
    attach_by_netlink("xdpgeneric", &foreign(), "east");
    let before = attached("east");
    let arguments = [
        "pace-test",
        "east",
        "--receive-only",
        "--rate",
        "2kpps",
        "--duration",
        "60s",
        "--replace-xdp",
    ];
    let mut receiver = Running::start(trafficgen(&arguments));
    receiver.wait_until("the foreign program is replaced", |_| attached("east") != before);
    receiver.signal(Signal::INT);
    let finished = receiver.end();
    // The command ended by itself: it fails because nothing arrived, and the signal did not kill
    // it.
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(attached("east"), before);
}

#[test]
fn a_refusal_quotes_the_driver() {
    let Some(net) = TestNet::alone() else { return };
    wire(&net);
    for end in ["west", "east"] {
        ip(&format!("link set {end} mtu 9000"));
    }
    ip("link add bridge0 type bridge");
    #[track_caller]
    fn check(interface: &str, errno: i32, words: &str) {
        let error = Arrivals::attach(interface, Match::default(), 100).err().unwrap();
        assert!(matches!(error, KernelError::Attach(AttachError::Refused { .. })), "{error:?}");
        assert_eq!(error.errno(), Some(errno), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(attached(interface), []);
    }
    check("east", libc::ERANGE, "MTU is too large");
    check("bridge0", libc::EOPNOTSUPP, "does not support XDP in native mode");
}

/// A veth whose peer cannot receive. No program on the veth itself changes that.
#[test]
fn a_driver_that_sends_with_no_program_is_named() {
    let Some(net) = TestNet::alone() else { return };
    net.veth("west", "east");
    let west = net.link("west").index;
    if xdp_features(west).is_none() {
        crate::harness::skipped("this kernel does not say what drivers can do with XDP");
        return;
    }
    let error = PassProgram::attach(west, ExistingProgram::Keep).unwrap_err();
    assert!(matches!(error, KernelError::Attach(AttachError::NoTransmit { .. })), "{error:?}");
    assert!(error.to_string().contains("`west`"), "{error}");
    assert_detached("west");
    // With a program on its peer, the veth has all it needs.
    let _enabled = PassProgram::attach(west, ExistingProgram::Keep);
    let _sink = Sink::attach("east", SinkAction::Drop).unwrap();
    assert!(xdp_features(west).unwrap().has(XdpFeatures::NDO_XMIT));
    assert!(PassProgram::attach(west, ExistingProgram::Keep).unwrap().is_ours());
}

#[test]
fn ports_share_the_program_of_their_interface() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let all = PassPrograms::default();
    let one = all.hold(west, ExistingProgram::Keep).unwrap();
    let shared = attached("west");
    let other = all.clone().hold(west, ExistingProgram::Keep).unwrap();
    assert_eq!((shared.len(), attached("west")), (1, shared.clone()));
    assert!(one.is_ours() && other.is_ours());
    drop(one);
    assert_eq!(attached("west"), shared);
    other.release().unwrap();
    assert_detached("west");
    // The same again, for an interface that was removed and came back with the same index.
    let first = all.hold(west, ExistingProgram::Keep).unwrap();
    ip("link del west");
    ip(&format!("link add west index {west} type veth peer name east"));
    ip("link set east up");
    ip("link set west up");
    ethtool("-K east gro on");
    assert_detached("west");
    let second = all.hold(west, ExistingProgram::Keep).unwrap();
    assert_eq!(attached("west").len(), 1);
    first.release().unwrap();
    assert_eq!(attached("west").len(), 1);
    drop(second);
    assert_detached("west");
}

/// Two ports that leave by one interface, one of them because it is the port's ingress.
#[test]
fn a_session_holds_it_from_before_the_first_frame_to_the_last() {
    let Some(net) = TestNet::alone() else { return };
    net.veth("west", "east");
    net.veth("south", "north");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let flow = format!("packets = 50000\npacket = [{}]", crate::harness::PACKET);
    let ports =
        ["interface = \"west\"", "interface = \"south\"\ningress = \"west\"\naction = \"tx\""].map(
            |settings| {
                let mut port = net.plan_flow(settings, &flow);
                assert_eq!(port.leaves_by(), Some(net.link("west").index));
                // A veth needs no program; the plan sets this for drivers that do.
                port.attach = RequiredProgram::Pass(ExistingProgram::Keep);
                port
            },
        );
    let loaded = Loaded::new(Plan { ports: ports.into(), notes: Vec::new() }).unwrap();
    let shared = attached("west");
    assert_eq!((shared.len(), attached("south").len()), (1, 0));
    let mut seen = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (snapshot, failure) = runtime
        .block_on(async {
            let session = loaded.start(Start::Now, &CancellationToken::new()).unwrap();
            session.run(Duration::from_millis(1), |_| seen.push(attached("west"))).await
        })
        .unwrap();
    assert!(failure.is_none(), "{failure:?}");
    assert!(seen.iter().all(|then| *then == shared), "{seen:?}");
    assert_eq!(
        snapshot.ports.iter().map(|port| port.frames_tx).collect::<Vec<_>>(),
        [50_000, 50_000]
    );
    assert_arrived(&sink, 100_000);
    assert_detached("west");
}

/// Names the interface that the child of the next test holds.
const HELD: &str = "XDP_TRAFFICGEN_TEST_HOLDS";

#[test]
#[ignore = "a part of the next test, in a process of its own"]
fn holds_until_it_is_killed() {
    let Ok(index) = env::var(HELD) else { return };
    let _enabled = PassProgram::attach(index.parse().unwrap(), ExistingProgram::Keep).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn it_is_detached_when_its_process_is_killed() {
    let Some(net) = TestNet::alone() else { return };
    let west = wire(&net);
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "enable::holds_until_it_is_killed"])
        .env(HELD, west.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the child has attached it", || {
        !attached("west").is_empty() || child.try_wait().unwrap().is_some()
    });
    let seen = attached("west");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.len(), 1, "the child attached nothing");
    // The kernel removes what a process held a little after its death.
    wait_until("the program goes", || attached("west").is_empty());
}
