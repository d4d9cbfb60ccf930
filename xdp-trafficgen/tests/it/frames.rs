//! Every frame that the real eBPF program makes is checked with etherparse, from the configuration
//! file through the plan to the kernel, which runs the program in the ordinary BPF_PROG_RUN mode
//! and sends nothing.

mod cases;
mod fields;
pub(crate) mod model;
mod rig;
mod workers;

use std::{cell::Cell, net::Ipv6Addr, ops::RangeInclusive};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use xdp_trafficgen::{
    config::Origin,
    packet::HeaderKind::{Ethernet, Ipv4, Ipv6, Udp, Vlan},
    plan::schedule::{Phase, phase},
};

use self::{
    cases::{Case, Page, case},
    model::{Flow, Payload, Size, flow, increment, random, text::toml},
    rig::{are_within_limits, check_case, largest_size, load, plan},
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

/// A port of eighty flows with headers of twenty shapes, which one program makes.
#[test]
fn one_program_makes_headers_of_every_shape() {
    if !privileged() {
        return;
    }
    let mut toml = "[[ports]]\nname = 'p'\ninterface = 'p0'\naction = 'pass'\n".to_owned();
    for flow in 0..80 {
        let tags = flow % 20;
        toml += &format!(
            "[[flows]]\nname = 'f{flow}'\nport = 'p'\nsize = 200\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {} \
             {{ ipv4 = {{ identification = {{ random = {{}} }} }} }}, {{ udp = {{}} }}]\n",
            "{ vlan = {} },".repeat(tags)
        );
    }
    let port = rig::plan(&toml).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let generator = load(&port.program, 0);
    let turns: Vec<u32> = (0..80).collect();
    generator.set_schedule(0, &turns).expect("the map");
    for number in 0..240 {
        let (_, made) = generator.dry_run(&port.program.frame).expect("an ordinary run");
        let ip = &made[14 + 4 * (number % 20)..][..20];
        let sum =
            ip.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
        assert_eq!((ip[0], (sum >> 16) + (sum & 0xffff)), (0x45, 0xffff), "frame {number}");
    }
}
