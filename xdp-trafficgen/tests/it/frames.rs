//! Every frame that the real eBPF program makes is checked with etherparse, from the configuration
//! file through the plan to the kernel, which runs the program in the ordinary BPF_PROG_RUN mode
//! and sends nothing.

mod cases;
pub(crate) mod model;
mod rig;

use std::{cell::Cell, net::Ipv6Addr, ops::RangeInclusive, slice};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use xdp_trafficgen::{
    config::Origin,
    packet::HeaderKind::{Ethernet, Ipv4, Ipv6, Udp, Vlan},
    plan::schedule::{Phase, phase},
};
use xdp_trafficgen_ebpf::abi::MAX_FIELDS;

use self::{
    cases::{Case, Page, case},
    model::{
        Advance, Fields, Flow, Follow, Pattern, Payload, Size, decrement, flow, increment, random,
        setting, text::toml,
    },
    rig::{are_within_limits, check_case, largest_size, load, pin, plan},
};
use crate::harness::privileged;

/// Runs a bounded number of cases, so that all tests of this file take less than a minute. Nothing
/// is written to disk: a failure prints the file that provokes it.
fn run_cases(cases: u32, flows: RangeInclusive<usize>, frames: usize) {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let (drawn, checked) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config).run(&case(flows, frames, largest_size()), |mut case| {
        drawn.set(drawn.get() + case.flows.len());
        for flow in std::mem::take(&mut case.flows) {
            case.flows.push(flow);
            // Among others, a flow may need one slot more, for its size.
            if !are_within_limits(&case.flows)? {
                case.flows.pop();
            }
        }
        checked.set(checked.get() + case.flows.len());
        if case.flows.is_empty() { Ok(()) } else { check_case(&case) }
    });
    match result {
        Ok(()) => {}
        // The reason contains the file, so the case itself is not printed.
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(error) => panic!("{error}"),
    }
    let (drawn, checked) = (drawn.get(), checked.get());
    assert!(checked * 2 > drawn, "only {checked} flows of {drawn} were within the limits");
}

#[test]
fn random_flows() {
    if privileged() {
        run_cases(150, 1..=1, 80);
    }
}

/// Flows of different layouts and sizes take turns on one worker. Some are recorded, others
/// computed frame by frame.
#[test]
fn random_flows_together() {
    if privileged() {
        run_cases(60, 2..=6, 150);
    }
}

/// The plan accepts any request, or says what is wrong with it and where.
#[test]
fn the_plan_takes_anything_or_says_where_it_is_wrong() {
    let config = Config {
        cases: 2000,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let (taken, refused) = (Cell::new(0), Cell::new(0));
    let flow = prop_oneof![cases::flow(1518), cases::wild()];
    let result = TestRunner::new(config).run(&prop::collection::vec(flow, 1..4), |flows| {
        let text = toml(&flows, &[0, 1], "redirect");
        let Err(diagnostics) = plan(&text) else {
            taken.set(taken.get() + 1);
            return Ok(());
        };
        refused.set(refused.get() + 1);
        prop_assert!(!diagnostics.is_empty());
        for diagnostic in diagnostics.list() {
            let Origin::File(span) = &diagnostic.place else {
                return Err(TestCaseError::fail(format!("{diagnostic:?}\n{text}")));
            };
            let at = text.get(span.clone()).is_some_and(|at| !at.is_empty());
            prop_assert!(at && !diagnostic.message.is_empty(), "{:?}\n{}", diagnostic, text);
            prop_assert!(!diagnostic.help.is_empty(), "{:?}\n{}", diagnostic, text);
        }
        Ok(())
    });
    match result {
        Ok(()) => assert!(
            taken.get() > 200 && refused.get() > 500,
            "{taken:?} taken, {refused:?} refused"
        ),
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(error) => panic!("{error}"),
    }
}

/// Each flow has exactly its share of a cycle, in the order that plain fractions give.
#[test]
fn flows_take_turns_by_weight() {
    let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
    let weights = prop::collection::vec(prop_oneof![1..9u32, 1..300u32], 1..40);
    let result = TestRunner::new(config).run(&weights, |weights| {
        let endless = vec![None; weights.len()];
        let Phase { turns, frames } = phase(&weights, &endless).expect("there are flows");
        prop_assert_eq!(frames, None);
        for (flow, weight) in (0..).zip(&weights) {
            let own = turns.iter().filter(|turn| **turn == flow).count() as u64;
            let all: u64 = weights.iter().copied().map(u64::from).sum();
            prop_assert_eq!(
                own * all,
                u64::from(*weight) * turns.len() as u64,
                "the share of {}",
                flow
            );
        }
        prop_assert_eq!(turns, model::turns(&weights));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// More flows than there are groups, spread over several of them. They have three layouts, and each
/// has its own addresses and weight; some repeat soon, others do not. With `bodies` their payloads
/// differ, too.
#[test]
fn six_hundred_flows() {
    if !privileged() {
        return;
    }
    for bodies in [false, true] {
        let flows = (0..600u32).map(|number| {
            let base = u128::from(number) << 8;
            let mac = (
                "src",
                increment(0x0200_0000_0000 + base, 1, if number % 5 == 0 { 7 } else { 200 }),
            );
            let port = ("dst_port", random(0, 65535, number.into()));
            let mut flow = match number % 3 {
                0 => flow(
                    64 + number % 7,
                    &[(Ethernet, &[mac]), (Ipv4, &[("src", increment(base, 1, 256))]), (Udp, &[])],
                ),
                1 => flow(100, &[(Ethernet, &[mac]), (Vlan, &[]), (Ipv6, &[]), (Udp, &[port])]),
                _ => flow(
                    64,
                    &[
                        (Ethernet, &[mac]),
                        (Ipv4, &[]),
                        (Udp, &[port, ("src_port", increment(1, 1, 60000))]),
                    ],
                ),
            };
            if bodies {
                flow.payload = Payload::Increment(u8::try_from(number % 11).expect("below 11"));
            }
            flow.weight = 1 + number % 3;
            flow
        });
        check_flows(flows.collect(), 1, 2, 1500);
    }
}

/// A flow with short headers must not leave a longer one's behind them.
#[test]
fn headers_of_different_lengths() {
    if !privileged() {
        return;
    }
    let udp = |network| {
        flow(200, &[(Ethernet, &[]), (network, &[]), (Udp, &[("dst_port", increment(1, 1, 9))])])
    };
    let mut long = flow(
        200,
        &[
            (Ethernet, &[]),
            (Vlan, &[]),
            (Vlan, &[]),
            (Ipv6, &[("src", random(0, u128::MAX, 1))]),
            (Udp, &[]),
        ],
    );
    check_flows(vec![udp(Ipv4), long.clone(), udp(Ipv6)], 0, 1, 60);
    long.size = Size::Fixed(300);
    long.payload = Payload::Increment(1);
    check_flows(vec![udp(Ipv4), long, udp(Ipv6)], 0, 1, 60);
}

/// Fields with random values: a single one, and several of different widths in step.
#[test]
fn random_values_are_counted_and_followed() {
    if !privileged() {
        return;
    }
    let draws = |min, count| Pattern::Random { min, max: min + 0xffff, seed: Some(3), count };
    for count in [None, Some(1), Some(2), Some(30)] {
        let mut both = flow(
            70,
            &[
                (Ethernet, &[]),
                (Ipv6, &[("src", draws(1 << 100, count))]),
                (Udp, &[("dst_port", draws(0, count))]),
            ],
        );
        check(&both);
        if count != Some(1) {
            both.headers[2].fields[0].follow = Some(Follow { leader: (1, 0), pace: Advance::Step });
            check(&both);
        }
    }
}

fn address(text: &str) -> u128 {
    text.parse::<Ipv6Addr>().expect("an IPv6 address").into()
}

/// The flow's frames as worker `worker` of `workers` makes them.
#[track_caller]
fn check_worker(flow: &Flow, worker: usize, workers: u32) {
    check_flows(vec![flow.clone()], worker, workers, 40);
}

/// Checks so many of the flows' frames on fresh pages, three on foreign pages, and as many again on
/// recycled ones.
#[track_caller]
fn check_flows(flows: Vec<Flow>, worker: usize, workers: u32, frames: usize) {
    let fresh = std::iter::repeat_n(Page::Fresh, frames);
    // These numbers spread the choice over all earlier frames.
    let earlier = (0..frames).map(|frame| Page::Earlier(frame * 7919));
    let pages = fresh.chain([0xff, 0x55, 1].map(Page::Foreign)).chain(earlier).collect();
    let case = Case { flows, cpus: (0..workers).collect(), worker, action: "redirect", pages };
    if let Err(error) = check_case(&case) {
        panic!("{error}");
    }
}

#[track_caller]
fn check(flow: &Flow) {
    check_worker(flow, 0, 1);
    check_worker(flow, 2, 3);
}

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

#[test]
fn a_zero_udp_checksum_is_sent_as_ones() {
    if !privileged() {
        return;
    }
    for network in [Ipv4, Ipv6] {
        let at = |port: Pattern| {
            flow(66, &[(Ethernet, &[]), (network, &[]), (Udp, &[("src_port", port)])])
        };
        let checksum = 14 + if network == Ipv4 { 20 } else { 40 } + 6;
        let has_ones = |port: &u128| {
            at(Pattern::Value(*port)).frame(0)[checksum..checksum + 2] == [0xff, 0xff]
        };
        // RFC 768: only a zero result becomes 0xffff.
        let port = (1..=65534).find(has_ones).expect("one of all ports makes the sum 0xffff");
        check(&at(Pattern::Values(vec![port, port - 1, port + 1])));
        check(&at(increment(port - 1, 1, 3)));
        check(&at(random(port - 1, port + 1, 4)));
        // The same holds where the checksum does not vary with the field.
        let mut fixed = at(Pattern::Value(port));
        fixed.headers[0].fields[0].pattern = increment(0x0200_0000_0001, 1, 9);
        check(&fixed);
    }
}

/// RFC 791 has no such rule.
#[test]
fn a_zero_ipv4_checksum_stays_zero() {
    if !privileged() {
        return;
    }
    let at = |identification| {
        flow(64, &[(Ethernet, &[]), (Ipv4, &[("identification", identification)]), (Udp, &[])])
    };
    let has_zero = |value: &u128| at(Pattern::Value(*value)).frame(0)[24..26] == [0, 0];
    let value =
        (1..=65534).find(has_zero).expect("one of all identifications makes the sum 0xffff");
    check(&at(increment(value - 1, 1, 3)));
}

#[test]
fn odd_lengths() {
    if !privileged() {
        return;
    }
    for network in [Ipv4, Ipv6] {
        for size in [67, 68, 69, 1517, 1518, largest_size() - 1, largest_size()] {
            let mut odd = flow(
                size,
                &[(Ethernet, &[]), (network, &[]), (Udp, &[("dst_port", random(0, 65535, 5))])],
            );
            odd.payload = Payload::Pattern(vec![0xff, 0x01, 0x80]);
            check(&odd);
        }
    }
}

#[test]
fn addresses_of_128_bits() {
    if !privileged() {
        return;
    }
    let largest = u128::MAX;
    for src in [
        increment(address("2001:db8::"), address("0:0:0:1::"), 5),
        increment(address("2001:db8:0:0:ffff:ffff:ffff:ffff"), 1, 3),
        increment(0, address("8000::"), 2),
        increment(largest - 2, 1, 3),
        increment(0, 1, u64::MAX),
        increment(0, 1 << 64, u64::MAX),
        decrement(10, 1, 11),
        decrement(largest, largest / 4, 5),
        decrement(address("0:0:0:1::"), 1, 3),
        decrement(address("ffff::1"), address("0:0:0:1::1"), 2),
        Pattern::Values(vec![0, largest, address("::1"), address("1::")]),
        random(0, largest, 0),
        random(1, largest, u64::MAX),
        random(0, 1, 2),
        random(0, u64::MAX.into(), 3),
        random(0, 1 << 64, 3),
        random(address("2001:db8::"), address("2001:db8::ffff:ffff"), 6),
        random(largest, largest, 6),
    ] {
        check(&flow(70, &[(Ethernet, &[]), (Ipv6, &[("src", src.clone())]), (Udp, &[])]));
    }
}

#[test]
fn narrow_fields_at_their_ends() {
    if !privileged() {
        return;
    }
    let mac = (1 << 48) - 1;
    for dst in [
        decrement(5, 1, 6),
        decrement(mac, mac, 2),
        increment(0, mac, 2),
        increment(mac - 1, 1, 2),
        increment(7, 0, 1),
        Pattern::Values(vec![0x0200_0000_0001, mac, 0, 0x0200_0000_0001]),
        random(0, mac, 8),
        random(1, mac, 8),
        random(0, (1 << 32) - 2, 8),
        random(0, (1 << 32) - 1, 8),
        random(0, 1 << 32, 8),
    ] {
        check(&flow(64, &[(Ethernet, &[("dst", dst.clone())])]));
    }
}

#[test]
fn fields_that_share_bytes() {
    if !privileged() {
        return;
    }
    let (priority, cfi, id) = (|| decrement(7, 1, 8), || increment(0, 1, 2), || random(0, 4095, 3));
    let constant = Pattern::Value;
    let vlans: [Fields<'_>; 5] = [
        &[("id", id()), ("priority", priority())],
        &[("id", id()), ("priority", constant(5)), ("cfi", constant(1))],
        &[("id", constant(0xabc)), ("priority", priority()), ("cfi", cfi())],
        &[("cfi", cfi())],
        &[("id", id()), ("priority", priority()), ("cfi", cfi())],
    ];
    for vlan in vlans {
        check(&flow(64, &[(Ethernet, &[]), (Vlan, vlan), (Vlan, vlan)]));
    }
    let (dscp, ecn) = (|| increment(1, 9, 7), || Pattern::Values(vec![3, 0, 1]));
    let first_lines: [Fields<'_>; 3] = [
        &[("dscp", dscp()), ("ecn", ecn())],
        &[("dscp", constant(46)), ("ecn", ecn())],
        &[("dscp", dscp())],
    ];
    for fields in first_lines {
        check(&flow(64, &[(Ethernet, &[]), (Ipv4, fields), (Udp, &[])]));
    }
    let (class, label) = (|| increment(0, 5, 52), || random(0, 0xf_ffff, 6));
    let first_lines: [Fields<'_>; 3] = [
        &[("traffic_class", class()), ("flow_label", label())],
        &[("traffic_class", constant(0xff)), ("flow_label", label())],
        &[("traffic_class", class()), ("flow_label", constant(0xf_0f0f))],
    ];
    for fields in first_lines {
        check(&flow(70, &[(Ethernet, &[]), (Ipv6, fields), (Udp, &[])]));
    }
}

#[test]
fn next_protocols_vary_too() {
    if !privileged() {
        return;
    }
    check(&flow(
        64,
        &[
            (Ethernet, &[("ether_type", random(0, 0xffff, 1))]),
            (Vlan, &[("ether_type", increment(0x0800, 1, 20))]),
            (Ipv4, &[("protocol", increment(0, 1, 256)), ("time_to_live", decrement(255, 3, 80))]),
            (Udp, &[]),
        ],
    ));
    check(&flow(
        70,
        &[
            (Ethernet, &[]),
            (Ipv6, &[("next_header", random(0, 255, 1)), ("hop_limit", increment(1, 1, 255))]),
            (Udp, &[]),
        ],
    ));
}

/// As many varying fields as there are slots.
fn sixteen_fields() -> Flow {
    let tag: Fields<'_> = &[
        ("id", random(0, 4095, 1)),
        ("cfi", increment(0, 1, 2)),
        ("priority", decrement(7, 1, 8)),
    ];
    let mac = || Pattern::Values(vec![0x0200_0000_0001, 0x0200_0000_0002]);
    flow(
        64,
        &[
            (Ethernet, &[("dst", mac()), ("src", increment(0x0200_0000_0000, 1, 1 << 40))]),
            (Vlan, tag),
            (Vlan, tag),
            (
                Ipv4,
                &[
                    ("dscp", random(0, 63, 2)),
                    ("ecn", random(1, 3, 3)),
                    ("identification", increment(0, 7, 9362)),
                    ("time_to_live", decrement(64, 1, 64)),
                    ("src", random(0x0a00_0000, 0x0aff_ffff, 4)),
                    ("dst", increment(0xc612_0000, 1, 1 << 17)),
                ],
            ),
            (
                Udp,
                &[
                    ("src_port", random(1024, 65535, 5)),
                    ("dst_port", Pattern::Values(vec![53, 80, 443])),
                ],
            ),
        ],
    )
}

#[test]
fn as_many_fields_as_there_are_slots() {
    if !privileged() {
        return;
    }
    let flow = sixteen_fields();
    assert_eq!(flow.headers.iter().map(|header| header.fields.len()).sum::<usize>(), MAX_FIELDS);
    check(&flow);
}

/// Plans `flow`, which must be refused: `place` is the text that the error points at, `message` all
/// it says.
#[track_caller]
fn check_refused(flow: &Flow, place: &str, message: &str) {
    let toml = toml(slice::from_ref(flow), &[0], "redirect");
    let diagnostics = plan(&toml).expect_err("a refusal");
    let [diagnostic] = diagnostics.list() else { panic!("{diagnostics}") };
    let Origin::File(span) = &diagnostic.place else { panic!("{diagnostic:?}") };
    assert_eq!((&toml[span.clone()], diagnostic.message.as_str()), (place, message));
    assert!(!diagnostic.help.is_empty());
}

#[test]
fn one_field_more_than_slots_is_refused() {
    let mut flow = sixteen_fields();
    flow.headers[0].fields.push(setting(Ethernet, "ether_type", increment(0x0800, 1, 2)));
    check_refused(
        &flow,
        "[53, 80, 443]",
        "17 fields, lengths and sizes vary, more than the 16 there is room for",
    );
}

#[test]
fn headers_that_fill_the_frame() {
    let full = |size| {
        flow(size, &[(Ethernet, &[]), (Ipv6, &[]), (Udp, &[("src_port", increment(0, 1, 65536))])])
    };
    check_refused(
        &full(65),
        "65",
        "the headers take 62 bytes and the FCS 4, more than the frame's 65",
    );
    if !privileged() {
        return;
    }
    check(&full(66));
    // No payload at all, and a payload of two bytes: no stack of these headers is 60 bytes long.
    check(&flow(
        66,
        &[(Ethernet, &[]), (Vlan, &[]), (Vlan, &[]), (Ipv6, &[("dst", random(0, u128::MAX, 2))])],
    ));
    check(&flow(64, &[(Ethernet, &[]), (Vlan, &[]), (Ipv6, &[("hop_limit", random(0, 255, 2))])]));
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
        generator.set_schedule(0, &plan.program, &turns).expect("the map");
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
    // The frame up to the end of the UDP checksum, rounded up to a multiple of four.
    let needed = 14 + 20 + 8 + 2;
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

/// A port of twenty flows, each with a program of its own: every program sends only its own flow.
#[test]
fn as_many_programs_as_flows() {
    if !privileged() {
        return;
    }
    let mut toml = "[[ports]]\nname = 'p'\ninterface = 'p0'\naction = 'pass'\n".to_owned();
    for tags in 0..20 {
        toml += &format!(
            "[[flows]]\nname = 'f{tags}'\nport = 'p'\nsize = 200\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {} \
             {{ ipv4 = {{ identification = {{ random = {{}} }} }} }}, {{ udp = {{}} }}]\n",
            "{ vlan = {} },".repeat(tags)
        );
    }
    let port = rig::plan(&toml).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(port.program.groups.len(), 20);
    let generator = load(&port.program, 0);
    let turns: Vec<u32> = (0..20).collect();
    generator.set_schedule(0, &port.program, &turns).expect("the map");
    for number in 0..60 {
        let (_, made) = generator.dry_run(&port.program.frame).expect("an ordinary run");
        let ip = &made[14 + 4 * (number % 20)..][..20];
        let sum =
            ip.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
        assert_eq!((ip[0], (sum >> 16) + (sum & 0xffff)), (0x45, 0xffff), "frame {number}");
    }
}

/// Two random fields, each with followers, one of which has to stand in front of everything.
#[test]
fn followers_keep_to_their_own_leader() {
    if !privileged() {
        return;
    }
    let toml = "[[ports]]\nname = 'p'\ninterface = 'p0'\naction = 'pass'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [\
        { ethernet = { dst = { random = { min = '02:00:00:00:00:00', max = '02:00:00:00:00:07' } }, \
                       src = { increment = { start = '02:00:00:00:01:00', count = 8 }, follow = 'ethernet.dst' } } },\
        { vlan = { id = { increment = { start = 1, count = 4 }, follow = { field = 'vlan[1].id', pace = 'round' } } } },\
        { vlan = { priority = { increment = { start = 0, count = 8 }, follow = 'udp.src_port' }, \
                   id = { increment = { start = 1, count = 4 } } } },\
        { ipv4 = {} }, { udp = { src_port = { random = { min = 0, max = 7 } } } }]\n";
    let port = rig::plan(toml).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let generator = load(&port.program, 0);
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..200_u32 {
        let (_, made) = generator.dry_run(&port.program.frame).expect("an ordinary run");
        let (outer, inner) = (made[15], made[19]);
        assert_eq!(made[5], made[11], "MAC addresses of frame {number}");
        assert_eq!(made[18] >> 5, made[43], "priority and source port of frame {number}");
        assert_eq!(
            (u32::from(outer) - 1, u32::from(inner) - 1),
            (number / 4 % 4, number % 4),
            "tags of frame {number}"
        );
        seen.insert((made[5], made[43]));
    }
    // The two are drawn independently: most of the 64 pairs occur.
    assert!(seen.len() > 40, "{seen:?}");
}
