//! Several flows of different layouts, sizes and payloads on one port, seen from the far end of the
//! wire: every frame that arrives is what the model says, in the order that `show` says, even after
//! millions of repetitions on recycled pages, and each flow's counts include exactly its own
//! frames.

pub(crate) mod flows;

use std::{fs, time::Duration};

use crate::{
    frames::model::{Flow, turns},
    harness::{
        Capture, Finished, Report, Stage, assert_arrived, cpu_lists, ethtool, frames, ip, sink,
        trafficgen,
    },
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use xdp_trafficgen::{
    config::{Source, file},
    engine::{Loaded, Start},
    host::{Facts, online_cpus},
    kernel::{Sink, probe::probe, sink::SinkAction},
    plan::{self, DefaultRoute},
    stats::{DropReason, PortCount, WorkerCount},
};

use self::flows::{Sent, identify, mixed};

/// The configuration file for these flows out of `xtg0`; `packets` is the end of each.
fn toml(flows: &[Flow], cpus: &str, packets: &[Option<u64>]) -> String {
    let mut text = format!("[[ports]]\nname = 'west'\ninterface = 'xtg0'\ncpus = '{cpus}'\n");
    for ((number, flow), packets) in flows.iter().enumerate().zip(packets) {
        let packets = packets.map_or_else(String::new, |packets| format!("packets = {packets}\n"));
        text += &format!("\n[[flows]]\nname = '{number}'\nport = 'west'\n{packets}{}", flow.toml());
    }
    text
}

/// Counts what arrives, and passes it on to whoever listens.
fn counting() -> Sink {
    let sink = Sink::attach("xtg1", SinkAction::Pass).unwrap();
    // The program switches GRO on, which would delay some frames and not others.
    ethtool("-K xtg1 gro off");
    sink
}

/// A file with this text, in the test's folder.
fn written(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("flows.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The number of frames of each flow in so many cycles of turns.
fn shares(flows: &[Flow], cycles: u64) -> Vec<u64> {
    let turns = turns(&flows.iter().map(|flow| flow.weight).collect::<Vec<_>>());
    let share = |flow| turns.iter().filter(|turn| **turn as usize == flow).count() as u64;
    (0..flows.len()).map(|flow| cycles * share(flow)).collect()
}

/// Counts of each flow: frames attempted, frames sent, and bytes sent.
fn counted(report: &Report) -> Vec<(u64, u64, u64)> {
    assert_eq!(report.only_port().frames_dropped, 0, "{report:?}");
    report.flows.iter().map(|flow| (flow.frames_attempted, flow.frames_tx, flow.bytes_tx)).collect()
}

/// The counts that a report must have when frames `0..packets` of each flow were sent.
fn expected(flows: &[Flow], packets: &[u64]) -> Vec<(u64, u64, u64)> {
    let bytes =
        |flow: &Flow, packets| (0..packets).map(|number| u64::from(flow.size.at(number))).sum();
    flows
        .iter()
        .zip(packets)
        .map(|(flow, &packets)| (packets, packets, bytes(flow, packets)))
        .collect()
}

#[test]
fn frames_arrive_as_shown_and_as_the_model_says() {
    let Some(_stage) = Stage::set() else { return };
    let sink = counting();
    let flows = mixed();
    let packets = shares(&flows, 1400);
    let total: u64 = packets.iter().sum();
    let ends: Vec<_> = packets.iter().copied().map(Some).collect();
    for (run, cpus) in (1..).zip(cpu_lists()) {
        let folder = tempfile::tempdir().unwrap();
        let config = written(&folder, &toml(&flows, cpus, &ends));
        let shown = folder.path().join("shown.pcap");
        let shown_path = shown.to_str().unwrap();
        let finished = Finished::of(trafficgen(&[
            "show",
            &config,
            "--packets",
            &total.to_string(),
            "--pcap",
            shown_path,
        ]));
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let mut shown = frames(&shown);
        let capture = Capture::start(&folder, total, "");
        let report = Finished::of(trafficgen(&["run", &config, "--json"])).report(0);
        let mut arrived = capture.end();
        assert_eq!(counted(&report), expected(&flows, &packets));
        assert_arrived(&sink, run * total);
        for (number, frame) in arrived.iter().enumerate() {
            let Sent { flow, number: of_flow } = identify(&flows, frame);
            assert_eq!(
                *frame,
                flows[flow].frame(of_flow),
                "CPUs {cpus}, frame {number}, flow {flow}, its {of_flow}"
            );
        }
        if *cpus == "0" {
            check_order(&flows, &shown);
            check_order(&flows, &arrived);
        } else {
            // Each worker's frames are in order, but workers have no order among each other.
            shown.sort();
            arrived.sort();
        }
        assert!(shown == arrived, "CPUs {cpus}: what arrives is not what was shown");
    }
}

/// Checks that each frame is of the flow whose turn it is, and is that flow's next one.
#[track_caller]
fn check_order(flows: &[Flow], arrived: &[Vec<u8>]) {
    let turns = turns(&flows.iter().map(|flow| flow.weight).collect::<Vec<_>>());
    let mut next = vec![0; flows.len()];
    for (position, (&turn, frame)) in turns.iter().cycle().zip(arrived).enumerate() {
        let turn = turn as usize;
        let Sent { flow, number } = identify(flows, frame);
        assert_eq!((flow, number), (turn, flows::numbered(turn, next[turn])), "frame {position}");
        assert_eq!(*frame, flows[turn].frame(next[turn]), "flow {turn}, its frame {}", next[turn]);
        next[turn] += 1;
    }
}

/// A sample of the frames over the whole run: one in 512 of the flows whose frames have unique
/// numbers, and all with one number of the flow that repeats soon.
#[test]
fn millions_of_repetitions_on_recycled_pages_leave_no_trace() {
    let Some(_stage) = Stage::set() else { return };
    let sink = counting();
    let flows = mixed();
    let packets = shares(&flows, 150_000);
    let ends: Vec<_> = packets.iter().copied().map(Some).collect();
    let total: u64 = packets.iter().sum();
    assert!(total > 2_000_000);
    // The numbers of the frames that are captured.
    let looked_at = |number: &u64| number & 0x1ff == 5;
    let cpus = cpu_lists().last().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = written(&folder, &toml(&flows, cpus, &ends));
    let samples = |flow: usize| {
        (0..packets[flow]).map(|number| flows::numbered(flow, number)).filter(looked_at).count()
    };
    let wanted: Vec<usize> = (0..flows.len()).map(samples).collect();
    let before = received("xtg1");
    let capture =
        Capture::start(&folder, wanted.iter().sum::<usize>() as u64, "ether[8:4] & 0x1ff == 5");
    let report = Finished::of(trafficgen(&["run", &config, "--json"])).report(0);
    assert_eq!(counted(&report), expected(&flows, &packets));
    assert_arrived(&sink, total);
    let mut seen = vec![0; flows.len()];
    for frame in capture.end() {
        let Sent { flow, number } = identify(&flows, &frame);
        assert!(
            frame == flows[flow].frame(number),
            "flow {flow}, its frame {number}: {frame:02x?}"
        );
        seen[flow] += 1;
    }
    assert_eq!(seen, wanted);
    assert_eq!(received("xtg1") - before, total, "as the kernel counts what arrived");
}

/// Frames that an interface has received, by its own statistics.
fn received(interface: &str) -> u64 {
    // `/proc/net` would show the main thread's namespace.
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = table
        .lines()
        .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The kernel refuses frames that are too long for the interface, one by one. The driver of a veth
/// ends a bulk at a frame that is too long for its peer. Each flow counts its own drops.
#[test]
fn each_flow_is_charged_with_its_own_drops() {
    let Some(stage) = Stage::set() else { return };
    let sink = counting();
    let flows = mixed();
    let packets = shares(&flows, 700);
    let ends: Vec<_> = packets.iter().copied().map(Some).collect();
    let mut arrived_before = 0;
    for cpus in cpu_lists() {
        for interface in ["xtg0", "xtg1"] {
            let facts = Facts {
                links: stage.netlink.links().unwrap(),
                cpus: online_cpus().unwrap(),
                allowed_cpus: online_cpus().unwrap(),
                largest_frame: probe().ok().map(|capabilities| capabilities.largest_frame),
                ..Facts::default()
            };
            let config = file::parse(Source::file("test", &toml(&flows, cpus, &ends)))
                .unwrap_or_else(|e| panic!("{e}"));
            let plan = plan::plan(&config, &facts, DefaultRoute::Refuse)
                .unwrap_or_else(|errors| panic!("{errors}"));
            let loaded = Loaded::new(plan).unwrap();
            // The plan was made for a larger MTU.
            ip(&format!("link set {interface} mtu 500"));
            let folder = tempfile::tempdir().unwrap();
            let capture = Capture::start(&folder, u64::MAX, "");
            let count = run(loaded);
            ip(&format!("link set {interface} mtu 1500"));
            assert_eq!((count.in_flight, count.frames_attempted), (0, packets.iter().sum()));
            arrived_before += count.frames_tx;
            assert_arrived(&sink, arrived_before);
            let mut arrived = vec![(0, 0); flows.len()];
            for frame in capture.stop(count.frames_tx) {
                let Sent { flow, number } = identify(&flows, &frame);
                assert_eq!(frame, flows[flow].frame(number), "flow {flow}, its frame {number}");
                arrived[flow].0 += 1;
                arrived[flow].1 += frame.len() as u64 + 4;
            }
            let reported: Vec<_> =
                count.flows.iter().map(|flow| (flow.frames_tx, flow.bytes_tx)).collect();
            assert_eq!(
                reported, arrived,
                "{interface}, CPUs {cpus}: frames and bytes of each flow"
            );
            let attempted: Vec<_> = count.flows.iter().map(|flow| flow.frames_attempted).collect();
            assert_eq!(attempted, packets, "{interface}, CPUs {cpus}");
            for flow in &count.flows {
                let dropped: u64 = flow.drops.iter().map(|(_, count)| count).sum();
                assert_eq!(
                    (flow.frames_attempted, flow.in_flight),
                    (flow.frames_tx + dropped, 0),
                    "{interface}, {flow:?}"
                );
            }
            let of_workers =
                |of: fn(&WorkerCount) -> u64| count.workers.iter().map(of).sum::<u64>();
            assert_eq!(of_workers(|worker| worker.frames_attempted), count.frames_attempted);
            assert_eq!(of_workers(|worker| worker.frames_tx), count.frames_tx);
            assert_eq!(
                of_workers(|worker| worker.drops.iter().map(|(_, count)| count).sum()),
                count.frames_dropped()
            );
            assert_eq!(count.workers.len(), if *cpus == "0" { 1 } else { 2 });
            if interface == "xtg0" {
                // The limit is the MTU, Ethernet's header and FCS, and a VLAN tag, which the kernel
                // allows.
                let fits = |flow: &Flow, packets| {
                    (0..packets).filter(|&number| flow.size.at(number) <= 500 + 14 + 4 + 4).count()
                        as u64
                };
                let fitting: Vec<_> = flows
                    .iter()
                    .zip(&packets)
                    .map(|(flow, &packets)| fits(flow, packets))
                    .collect();
                assert_eq!(
                    arrived.iter().map(|(frames, _)| *frames).collect::<Vec<_>>(),
                    fitting,
                    "CPUs {cpus}"
                );
                let dropped = packets.iter().sum::<u64>() - fitting.iter().sum::<u64>();
                let too_long = DropReason::Redirect(libc::EMSGSIZE.cast_unsigned());
                assert_eq!(count.drops, [(too_long, dropped)]);
                for (flow, (fits, all)) in count.flows.iter().zip(fitting.iter().zip(&packets)) {
                    let expected = [(too_long, all - fits)];
                    assert_eq!(flow.drops, expected[..usize::from(all > fits)], "{}", flow.name);
                }
            } else {
                assert!(
                    count.drops.iter().all(|(reason, _)| *reason == DropReason::QueueFull),
                    "{count:?}"
                );
                assert!(count.frames_dropped() > 0);
            }
        }
    }
}

/// Sends the flows of the only port to their ends.
fn run(loaded: Loaded) -> PortCount {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let session = loaded.start(Start::Now, &CancellationToken::new()).unwrap();
        session.run(Duration::from_secs(60), |_| {}).await
    });
    let (mut snapshot, failure) = ended.unwrap();
    assert!(failure.is_none(), "{failure:?}");
    snapshot.ports.remove(0)
}

/// Flows end after different numbers of frames, and one ends by time; each sends exactly its own
/// number.
#[test]
fn flows_end_one_by_one() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let flows = mixed();
    let mut arrived_before = 0;
    for cpus in cpu_lists() {
        let ends = [Some(1), Some(100_003), Some(7), None, Some(30_011)];
        // The flow without a number has a duration instead. One flow has both, and its number is
        // reached first.
        let text = toml(&flows, cpus, &ends)
            .replace("name = '3'\n", "name = '3'\nduration = '2s'\n")
            .replace("name = '2'\n", "name = '2'\nduration = '1h'\n");
        let folder = tempfile::tempdir().unwrap();
        let config = written(&folder, &text);
        let report = Finished::of(trafficgen(&["run", &config, "--json"])).report(0);
        let packets: Vec<u64> = ends
            .iter()
            .zip(&report.flows)
            .map(|(end, flow)| end.unwrap_or(flow.frames_tx))
            .collect();
        assert!(packets[3] > 0);
        let mut expected = expected(&flows, &packets);
        if *cpus != "0" {
            // Workers have not sent equally much of a flow that ends by time, so its sizes are not
            // known.
            expected[3].2 = counted(&report)[3].2;
        }
        assert_eq!(counted(&report), expected, "CPUs {cpus}");
        arrived_before += packets.iter().sum::<u64>();
        assert_arrived(&sink, arrived_before);
    }
}
