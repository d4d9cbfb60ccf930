//! Workers of one program: they share its frames, and a thread without a worker makes none.

use std::slice;

use xdp_trafficgen::packet::HeaderKind::{Ethernet, Ipv4, Ipv6, Udp, Vlan};

use super::{
    address, check_worker,
    model::{Pattern, decrement, flow, increment, random, text::toml},
    rig::{self, load, pin, plan},
};
use crate::harness::privileged;

#[test]
fn any_number_of_workers_sends_the_same_frames() {
    if !privileged() {
        return;
    }
    let every_kind = flow(
        128,
        &[
            (Ethernet, &[("src", Pattern::Values(vec![0x0200_0000_0001, 0xfeff_ffff_ffff, 0]))]),
            (Vlan, &[("id", increment(1, 3, 7)), ("priority", decrement(7, 1, 8))]),
            (
                Ipv6,
                &[
                    ("flow_label", random(5, 0xffff, 9)),
                    (
                        "src",
                        Pattern::Values(vec![
                            address("2001:db8::1"),
                            address("::"),
                            address("fe80::2:0:0:1"),
                        ]),
                    ),
                    ("dst", random(address("2001:db8::"), address("2001:db8:0:5::4"), 7)),
                ],
            ),
            (Udp, &[("src_port", random(0, 65535, 1)), ("dst_port", increment(65000, 5, 100))]),
        ],
    );
    for workers in 1..=4 {
        for worker in 0..workers {
            // The model knows a frame's number, and not which worker makes it.
            check_worker(&every_kind, worker as usize, workers);
        }
    }
}

/// The workers run in turns on real CPUs, as planned; neither moves the other's sequence.
#[test]
fn workers_of_one_program_keep_apart() {
    if !privileged() {
        return;
    }
    let flow = flow(
        64,
        &[
            (Ethernet, &[]),
            (Ipv4, &[("src", random(0, 77, 3))]),
            (Udp, &[("dst_port", increment(0, 1, 9))]),
        ],
    );
    // Descending: the order of the list numbers the workers, not the CPUs' order.
    let cpus: Vec<u32> = rig::cpus().iter().copied().filter(|&cpu| cpu < 4).rev().collect();
    let plan = plan(&toml(slice::from_ref(&flow), &cpus, "tx"))
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let generator = load(&plan.program, cpus[0]);
    let workers = cpus.len() as u64;
    for number in 0..workers * 20 {
        let turn = usize::try_from(number % workers).expect("an index");
        pin(cpus[turn]);
        let (_, made) = generator.dry_run(&plan.program.frame).expect("an ordinary run");
        assert_eq!(made, flow.frame(number), "frame {number} on CPU {}", cpus[turn]);
    }
    let state = generator.workers().expect("the map");
    for (first, &cpu) in (0..).zip(&cpus) {
        let worker = state.get(cpu).expect("a possible CPU");
        assert_eq!(
            (
                u64::from(worker.spec.index),
                worker.frames_attempted(),
                worker.counts.dropped,
                worker.counts.aborted
            ),
            (first, 20, 0, 0),
            "CPU {cpu}"
        );
    }
}

/// Threads can be moved. On a CPU without a worker the program makes no frame, however frames are
/// made and whatever the action is.
#[test]
fn a_cpu_without_a_worker_makes_no_frame() {
    if !privileged() {
        return;
    }
    let &[own, other, ..] = rig::cpus() else {
        return crate::harness::skipped("it takes two CPUs");
    };
    let port = |pattern| flow(66, &[(Ethernet, &[]), (Ipv4, &[]), (Udp, &[("dst_port", pattern)])]);
    let (short, long) = (|| port(increment(1, 1, 5)), || port(random(0, 65535, 1)));
    let sizes = [
        vec![short()],
        vec![long()],
        vec![short(), short()],
        vec![long(), long()],
        vec![short(), long()],
    ];
    for (flows, action) in
        sizes.iter().flat_map(|flows| ["redirect", "pass", "tx"].map(|action| (flows, action)))
    {
        let plan = plan(&toml(flows, &[own], action))
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        let generator = load(&plan.program, own);
        let turns: Vec<u32> = (0..).take(flows.len()).collect();
        generator.set_schedule(0, &turns).expect("the map");
        pin(other);
        for _ in 0..3 {
            let (action, _) = generator.dry_run(&plan.program.frame).expect("an ordinary run");
            assert_eq!(action, 1, "it is dropped");
        }
        let workers = generator.workers().expect("the map");
        let counts = |cpu| {
            let worker = workers.get(cpu).expect("a possible CPU");
            (worker.frames_attempted(), worker.in_flight(), worker.counts.aborted)
        };
        assert_eq!(
            (counts(own), counts(other)),
            ((0, 0, 0), (0, 0, 3)),
            "{} flows, {action}",
            flows.len()
        );
        pin(own);
        let (_, made) = generator.dry_run(&plan.program.frame).expect("an ordinary run");
        assert_eq!(made, flows[0].frame(0), "the worker's first frame is still to come");
    }
}

/// A page that ends before the last byte that the program may write is dropped and counted, and no
/// value of a field is used up.
#[test]
fn a_page_too_short_is_left_alone() {
    if !privileged() {
        return;
    }
    let flow =
        flow(64, &[(Ethernet, &[]), (Ipv4, &[]), (Udp, &[("dst_port", increment(1, 1, 60000))])]);
    let cpu = rig::cpus()[0];
    let plan = plan(&toml(slice::from_ref(&flow), &[0], "pass"))
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let generator = load(&plan.program, 0);
    // The frame up to the end of the UDP checksum.
    let needed = 14 + 20 + 8;
    let short = &plan.program.frame[..needed - 1];
    assert_eq!(generator.dry_run(short).expect("an ordinary run"), (1, short.to_vec()));
    assert_eq!(
        generator.dry_run(&plan.program.frame[..needed]).expect("an ordinary run"),
        (2, flow.frame(0)[..needed].to_vec())
    );
    assert_eq!(
        generator.dry_run(&plan.program.frame).expect("an ordinary run"),
        (2, flow.frame(1))
    );
    let workers = generator.workers().expect("the map");
    let worker = workers.get(cpu).expect("a possible CPU");
    assert_eq!(
        (worker.frames_attempted(), worker.counts.aborted, worker.counts.dropped),
        (2, 1, 0)
    );
}
