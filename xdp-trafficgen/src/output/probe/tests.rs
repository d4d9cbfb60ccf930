//! Both renderings of reports with everything in them, and with nothing.

#[path = "../../../tests/it/probe/schema.rs"]
mod schema;

use std::{io, time::Duration};

use serde_json::Value;

use super::{Attachment, InterfaceRemark, ProbeReport, Probed, Subject, Trial, json, text};
use crate::{
    diagnosis::{Finding, Severity, Verdict},
    host::{
        AttachedMode, AttachedXdp, Counters, Cpu, Driver, Interface, Interrupt, Iommu, Link,
        Lockdown, Peer, Queues, Rings, System, XdpFeatures,
    },
    kernel::{CallTimes, KernelError, Survey, TracePoint, Unanswered},
    stats::DropReason,
};

/// A server with two sockets.
fn system() -> System {
    let cpu = |number| Cpu {
        number,
        numa_node: Some(number / 2 % 2),
        governor: Some(if number == 3 { "powersave" } else { "performance" }.to_owned()),
        siblings: vec![number % 4, number % 4 + 4],
        isolated: number == 2,
    };
    System {
        release: "6.12.57-cloud-amd64".to_owned(),
        version: Some((6, 12)),
        real_time: true,
        btf: true,
        jit: Some(true),
        lockdown: Lockdown::Integrity,
        cpus: (0..8).map(cpu).collect(),
        mitigations: vec![
            (
                "retbleed".to_owned(),
                "Mitigation: untrained return thunk; SMT enabled with STIBP protection".to_owned(),
            ),
            (
                "spectre_v2".to_owned(),
                "Mitigation: Retpolines; IBPB: conditional; STIBP: always-on; RSB filling"
                    .to_owned(),
            ),
        ],
        memory: Some(23_571_000_000),
        quotas: Vec::new(),
        unmounted: Vec::new(),
    }
}

fn survey() -> Survey {
    Survey {
        missing_capabilities: Vec::new(),
        live_frames: Ok(true),
        largest_frame: Ok(3408),
        batch_limit: Ok(256),
        trace_points: TracePoint::ALL
            .map(|point| (point, Ok(point != TracePoint::RedirectMapErr)))
            .into(),
        bpf_loop: Ok(true),
        call: Ok(CallTimes {
            alone: Duration::from_micros(46_312),
            anchored: Duration::from_nanos(36_470),
        }),
    }
}

/// Of a process without rights.
fn unanswered() -> Survey {
    let missing = || Unanswered::Privilege(vec!["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    let error = KernelError::Syscall {
        call: "bpf(BPF_PROG_LOAD)",
        source: io::Error::from_raw_os_error(12),
    };
    Survey {
        missing_capabilities: vec!["CAP_NET_ADMIN", "CAP_SYS_ADMIN"],
        live_frames: Err(missing()),
        largest_frame: Err(missing()),
        batch_limit: Err(Unanswered::NoLiveFrames),
        trace_points: TracePoint::ALL.map(|point| (point, Err(missing()))).into(),
        bpf_loop: Err(Unanswered::Kernel(error)),
        call: Err(missing()),
    }
}

fn link(name: &str) -> Link {
    Link {
        name: name.to_owned(),
        alt_names: Vec::new(),
        index: 3,
        mtu: 1500,
        up: true,
        carrier: true,
        mac: Some([0x02, 0, 0, 0, 0, 0xab]),
        speed: Some(100_000_000_000),
        bus: Some("pci".to_owned()),
    }
}

/// A NIC of which all is known.
fn nic() -> Interface {
    let driver = Driver {
        name: "ice".to_owned(),
        version: "6.12.57-cloud-amd64".to_owned(),
        bus_info: "0000:3b:00.0".to_owned(),
    };
    Interface {
        kind: Some("veth".to_owned()),
        driver: Some(driver),
        queues: Queues { rx: 8, tx: 8 },
        most_queues: Some(Queues { rx: 64, tx: 32 }),
        rings: Some(Rings { rx: 2048, rx_max: 8160, tx: 256, tx_max: 8160 }),
        numa_node: Some(1),
        interrupts: vec![
            Interrupt { number: 120, cpus: vec![0] },
            Interrupt { number: 121, cpus: vec![1] },
            Interrupt { number: 122, cpus: vec![3] },
        ],
        iommu: Some(Iommu::Translating),
        gro: Some(true),
        xdp: vec![AttachedXdp {
            mode: AttachedMode::Generic,
            program: 77,
            name: Some("filter".to_owned()),
            on_link: true,
        }],
        features: Some(XdpFeatures(1 | 2)),
        peer: Some(Peer::Here {
            name: "peer".to_owned(),
            index: 4,
            up: true,
            mtu: 1500,
            native_xdp: false,
            gro: Some(false),
            rx_queues: 2,
            most_rx_queues: Some(2),
        }),
        ..Interface::of(link("eth1"))
    }
}

fn probed(interface: Interface, attachment: Attachment, trial: Option<Trial>) -> Subject {
    Subject::Interface(Box::new(Probed {
        interface,
        default_route: true,
        largest_frame: crate::units::FrameLen::new(1518),
        attachment,
        trial,
    }))
}

fn finding(severity: Severity) -> Finding {
    Finding {
        code: "some_code",
        severity,
        cause: "eth1 is an end of a veth pair whose other end takes XDP frames only with a program or GRO".to_owned(),
        cure: "switch it on there: `ethtool -K eth1-peer-with-a-long-name generic-receive-offload on`".to_owned(),
    }
}

fn report(survey: Survey, system: System, subject: Subject) -> ProbeReport {
    ProbeReport {
        survey,
        cpus: system.cpus.iter().map(|cpu| cpu.number).collect(),
        allowed_cpus: vec![1, 2, 3, 5],
        system,
        subject,
        verdict: Verdict::NotReady,
        findings: vec![
            finding(Severity::Blocks),
            Finding { cure: String::new(), ..finding(Severity::Note) },
        ],
    }
}

fn reports() -> [ProbeReport; 5] {
    let made = Trial::Made {
        frames_attempted: 64,
        frames_tx: 60,
        drops: vec![(DropReason::QueueFull, 3), (DropReason::Redirect(95), 1)],
        counted: Some(Counters {
            tx_packets: 61,
            tx_dropped: 3,
            tx_errors: 1,
            ..Counters::default()
        }),
    };
    let attached = Attachment::Attached { features: Some(XdpFeatures(127)) };
    let unknown = Interface {
        peer: Some(Peer::Elsewhere),
        ..Interface::of(Link { mac: None, speed: None, ..link("a") })
    };
    let brief = |name: &str, finding| InterfaceRemark {
        name: name.to_owned(),
        driver: "veth".to_owned(),
        verdict: Verdict::Ready,
        finding,
    };
    [
        report(survey(), system(), probed(nic(), attached, Some(made))),
        report(unanswered(), system(), probed(unknown.clone(), Attachment::NotNeeded, None)),
        report(
            survey(),
            system(),
            probed(
                nic(),
                Attachment::Refused("no".to_owned()),
                Some(Trial::NotMade("down".to_owned())),
            ),
        ),
        report(survey(), system(), probed(unknown, Attachment::NotTried("no".to_owned()), None)),
        report(
            unanswered(),
            System { release: "?".to_owned(), ..System::default() },
            Subject::Machine(vec![
                brief("lo", None),
                brief("eth1", Some(finding(Severity::Blocks))),
            ]),
        ),
    ]
}

#[test]
fn the_object_follows_the_schema() {
    let schema = schema::strict(json::SCHEMA);
    for report in reports() {
        let text = json::render(&report).unwrap();
        let object: Value = serde_json::from_str(&text).unwrap();
        let wrong: Vec<String> = schema
            .iter_errors(&object)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}: {text}");
    }
}

/// Programs that follow the schema may rely on each of its fields.
#[test]
fn the_schema_refuses_other_objects() {
    let schema = schema::strict(json::SCHEMA);
    let text = json::render(&reports()[0]).unwrap();
    let object: Value = serde_json::from_str(&text).unwrap();
    #[track_caller]
    fn check(schema: &jsonschema::Validator, object: &Value, change: impl FnOnce(&mut Value)) {
        let mut changed = object.clone();
        change(&mut changed);
        assert_ne!(changed, *object);
        assert!(!schema.is_valid(&changed), "{changed}");
    }
    assert!(schema.is_valid(&object));
    check(&schema, &object, |object| object["schema"] = 2.into());
    check(&schema, &object, |object| object["verdict"] = "maybe".into());
    check(&schema, &object, |object| object["kernel"]["more"] = 1.into());
    check(&schema, &object, |object| object["interface"]["xdp_features"][0] = "telepathy".into());
    check(&schema, &object, |object| {
        object["trial"].as_object_mut().unwrap().remove("frames_tx");
    });
}

#[test]
fn the_figures_for_programs() {
    let object: Value = serde_json::from_str(&json::render(&reports()[0]).unwrap()).unwrap();
    #[track_caller]
    fn check(object: &Value, path: &str, expected: impl Into<Value>) {
        assert_eq!(object.pointer(path), Some(&expected.into()), "{path}");
    }
    // 3408 and the FCS.
    check(&object, "/kernel/largest_frame", 3412);
    check(&object, "/kernel/call/ns", 36_470);
    check(&object, "/kernel/trace_points/2/present", false);
    check(&object, "/cpus/list/3/governor", "powersave");
    check(&object, "/interface/xdp_features", vec!["basic", "redirect"]);
    check(&object, "/interface/attachment/xdp_features/2", "ndo-xmit");
    check(&object, "/interface/mac", "02:00:00:00:00:ab");
    check(&object, "/trial/frames_dropped", 4);
    check(&object, "/trial/drops/1/reason", "redirect_eopnotsupp");
    check(&object, "/trial/interface_tx_dropped", 4);
    check(&object, "/interfaces", Value::Null);
    let object: Value = serde_json::from_str(&json::render(&reports()[1]).unwrap()).unwrap();
    check(&object, "/kernel/live_frames", Value::Null);
    check(&object, "/kernel/unanswered/0/question", "live_frames");
    check(&object, "/kernel/unanswered/0/why", "needs CAP_NET_ADMIN and CAP_SYS_ADMIN");
    check(
        &object,
        "/kernel/unanswered/3/why",
        "bpf(BPF_PROG_LOAD) failed: Cannot allocate memory (os error 12)",
    );
    check(&object, "/interface/peer/place", "elsewhere");
    check(&object, "/trial", Value::Null);
}

#[test]
fn the_text_fits_a_terminal() {
    for report in reports() {
        let text = text::render(&report);
        for line in text.lines() {
            // A command is never broken, for it is there to be copied.
            let command = line.trim_start().starts_with('`');
            assert!(line.chars().count() <= 80 || command, "{line:?} in\n{text}");
            assert_eq!(line, line.trim_end(), "{text}");
        }
    }
}

#[test]
fn the_text() {
    #[track_caller]
    fn check(report: &ProbeReport, expected: &[&str]) {
        let text = text::render(report);
        // Where lines are broken is the page's business.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for &expected in expected {
            assert!(words.contains(expected), "{expected:?} is not in\n{text}");
        }
    }
    let [all, unprivileged, refused, untried, machine] = reports();
    check(
        &all,
        &[
            "kernel Linux 6.12.57-cloud-amd64, PREEMPT_RT, BTF yes, JIT yes, lockdown integrity, 23.6 GB free",
            "live frames up to 3412 bytes, batches up to 256, bpf_loop yes",
            "trace points: xdp_devmap_xmit, xdp_redirect_err, xdp_exception; without xdp_redirect_map_err",
            "64 dropped frames a call: 36.5µs; outside the XDP dispatcher 46.3ms",
            "CPUs 0-7 online; allowed here 1-3,5; isolated 2; NUMA node 0: 0-1,4-5; NUMA node 1: 2-3,6-7;",
            "SMT: 0,4 and 1,5 and 2,6 and 3,7",
            "eth1 driver ice 6.12.57-cloud-amd64 (0000:3b:00.0); queues: 8 TX, 8 RX (at most 32 and 64)",
            "3 interrupts, on CPUs 0-1,3",
            "XDP: generic program 77 (filter) on a BPF link; driver can basic redirect",
            "trial: 64 frames attempted, 60 accepted by the driver, 3 dropped",
            "verdict eth1 is not ready blocks eth1 is an end",
            "cure: switch it on there: `ethtool -K eth1-peer-with-a-long-name generic-receive-offload on`",
        ],
    );
    check(
        &unprivileged,
        &[
            "live frames: not known (needs CAP_NET_ADMIN and CAP_SYS_ADMIN), bpf_loop not known",
            "peer: in another network namespace",
        ],
    );
    check(&refused, &["could not be attached: no", "nothing was sent: down"]);
    check(&untried, &["was not attached: no", "its features are not known"]);
    check(&machine, &["verdict this machine is not ready", "lo", "some_code", "probe INTERFACE"]);
}
