//! From the configuration to the program's constants.

use xdp_trafficgen_ebpf::abi::timing::{pacing as codes, stream_kind};

use super::*;
use crate::{
    config::{
        LatePolicy, Size, SizeWeight,
        rate::{Burst, Spacing, Step},
    },
    host::{Facts, Link},
    plan::{
        DefaultRoute,
        pacing::{
            Streams, mechanism, pacing,
            rates::{Frames, UnknownSpeed, mean_size},
        },
        plan,
    },
    units::Pps,
};

#[track_caller]
fn check_rate(amount: (u64, u64), unit: RateUnit, size: &Size, expected: (u128, u128)) {
    let frames = Frames { mean_size: mean_size(size), speed: Some(10_000_000_000) };
    let rate = Rate { amount: Ratio::new(amount.0, amount.1), unit };
    assert_eq!(frames.rate(rate), Ok(Pps::new(Ratio::new(expected.0, expected.1))));
}

#[test]
fn rates_in_frames() {
    let fixed = Size::Fixed;
    // RFC 2544, appendix B has these rates for 10 Mbit/s: 14880, 8445, 812 frames a second.
    check_rate((10_000_000, 1), RateUnit::BitsL1, &fixed(64), (10_000_000, 672));
    check_rate((10_000_000, 1), RateUnit::BitsL1, &fixed(128), (10_000_000, 1184));
    check_rate((10_000_000, 1), RateUnit::BitsL1, &fixed(1518), (10_000_000, 12_304));
    check_rate((1, 1), RateUnit::LineShare, &fixed(64), (10_000_000_000, 672));
    check_rate((2, 5), RateUnit::LineShare, &fixed(1518), (4_000_000_000, 12_304));
    check_rate((10_000_000_000, 1), RateUnit::BitsL2, &fixed(1250), (1_000_000, 1));
    check_rate((3, 2), RateUnit::Frames, &fixed(64), (3, 2));
    // The means are those of 64, 164, … 964; 64 to 65; 7 · 64 + 4 · 570 + 1518 by 12; 64, 64, 1280.
    check_rate(
        (8, 1),
        RateUnit::BitsL2,
        &Size::Increment { start: 64, end: 1000, step: 100 },
        (1, 514),
    );
    check_rate((8, 1), RateUnit::BitsL2, &Size::Random { min: 64, max: 65, seed: None }, (2, 129));
    let imix = [(64, 7), (570, 4), (1518, 1)].map(|(size, weight)| SizeWeight { size, weight });
    check_rate((8, 1), RateUnit::BitsL2, &Size::Weighted(imix.to_vec()), (12, 4246));
    check_rate((8, 1), RateUnit::BitsL1, &Size::Weighted(imix.to_vec()), (12, 4246 + 240));
    check_rate((8, 1), RateUnit::BitsL2, &Size::Sequence(vec![64, 64, 1280]), (3, 1408));
    let unknown = Frames { mean_size: mean_size(&fixed(64)), speed: None };
    assert_eq!(unknown.rate(Rate { unit: RateUnit::LineShare, ..pps(1, 1) }), Err(UnknownSpeed));
}

fn with_port(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = CONFIG.clone();
    change(&mut config);
    config
}

#[test]
fn a_port_shares_its_rate_by_weight() {
    let config = with_port(|config| {
        let light =
            Flow { size: located(Size::Fixed(64)), weight: located(3), ..CONFIG.flows[0].clone() };
        let heavy = Flow {
            size: located(Size::Fixed(1000)),
            delay: located(millis(5)),
            ..CONFIG.flows[0].clone()
        };
        config.flows = vec![light, heavy];
        config.ports[0].rate = Some(located(Profile::Constant(Rate {
            unit: RateUnit::BitsL2,
            ..pps(8 * 298_000, 1)
        })));
        config.ports[0].behind = located(LatePolicy::Skip);
    });
    // (3 · 64 + 1000) / 4 = 298 bytes a frame.
    let (pacing, notes) = pacing_and_notes(&config, 2).expect("pacing");
    assert_eq!(pacing.streams, Streams::Port);
    assert_eq!(pacing.requested, [Some(Pps::new(Ratio::whole(1000u32)))]);
    assert_eq!(in_turns(&pacing, 3), [0, 1_000_000, 2_000_000]);
    assert_eq!((pacing.give_up, pacing.late), (Duration::from_micros(1), Duration::from_micros(1)));
    assert!(pacing.calendars.is_empty());
    assert_eq!(notes, ["each worker sleeps between frames, and spins shortly before they are due"]);
}

/// The note about a rate that a worker may not carry, with flows of this rate each.
#[track_caller]
fn check_load(rate: u64, flows: usize, workers: usize, expected: Option<&str>) {
    let config = with_port(|config| {
        config.flows = vec![flow(Profile::Constant(pps(rate, 1))); flows];
    });
    let (_, notes) = pacing_and_notes(&config, workers).expect("pacing");
    let note = notes.get(1).map(|note| note.split(" in batches").next().expect("a part"));
    assert_eq!(note, expected);
}

#[test]
fn a_rate_that_a_worker_may_not_carry_has_a_note() {
    check_load(4_700_000, 1, 1, None);
    check_load(
        9_800_000,
        1,
        2,
        Some("asks for 4.90 Mpps of a worker, and on a slow machine one sends 4.77 Mpps"),
    );
    check_load(40_000, 1000, 16, None);
    check_load(
        4000,
        1000,
        1,
        Some("asks for 4.00 Mpps of a worker, and on a slow machine one sends 3.23 Mpps"),
    );
}

#[track_caller]
fn check_note(rate: Rate, speed: Option<u64>, expected: Option<&str>) {
    let config = with_port(|config| {
        config.flows = vec![flow(Profile::Constant(rate)), flow(Profile::Constant(rate))];
        config.ports[0].speed = speed.map(located);
    });
    let (_, notes) = pacing_and_notes(&config, 1).expect("pacing");
    let of_link = notes.iter().find(|note| note.contains("the link"));
    assert_eq!(of_link.map(String::as_str), expected);
}

#[test]
fn a_rate_above_the_link_has_a_note() {
    let gigabits = |gigabits: u64| Some(gigabits * 1_000_000_000);
    check_note(
        pps(7_450_000, 1),
        gigabits(10),
        Some("asks for 14.90 Mpps, the link carries 14.88 Mpps"),
    );
    check_note(pps(7_440_000, 1), gigabits(10), None);
    check_note(pps(7_450_000, 1), None, None);
    check_note(Rate { unit: RateUnit::LineShare, ..pps(1, 2) }, gigabits(1), None);
}

#[test]
fn an_unknown_speed_has_a_cure() {
    let config = with_port(|config| {
        config.flows =
            vec![flow(Profile::Constant(Rate { unit: RateUnit::LineShare, ..pps(1, 2) }))]
    });
    let wrong = pacing_and_notes(&config, 1).expect_err("the speed is unknown");
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].help.contains("speed = \"10Gbps\""), "{}", wrong[0].help);
}

#[test]
fn too_many_segments_have_a_cure() {
    let sine =
        Profile::Sine { mean: pps(1_000_000, 1), amplitude: pps(900_000, 1), period: millis(1000) };
    let config = with_port(|config| config.ports[0].rate = Some(located(sine)));
    let flows: Vec<_> = config.flows.iter().collect();
    let request = Request {
        port: &config.ports[0],
        flows: &flows,
        workers: 1,
        link_speed: None,
        max_segments: 0,
    };
    let segments = |limit| {
        pacing(&Request { max_segments: limit, ..request })
            .map(|pacing| pacing.expect("a rate").0.segments.len())
    };
    let precise = segments(100_000).expect("room");
    // Less room makes the departures less precise.
    let rough = segments(precise - 1).expect("room");
    assert!(rough < precise / 2, "{rough} of {precise}");
    assert!(segments(10).expect_err("no room")[0].help.contains("more slowly"));
}

#[test]
fn loads_that_flows_share_have_segments_once() {
    let sine =
        Profile::Sine { mean: pps(1_000_000, 1), amplitude: pps(900_000, 1), period: millis(10) };
    let one = of_profile(sine.clone(), 1);
    let many = of_flows(vec![flow(sine); 50], 2);
    assert_eq!(many.segments, one.segments);
    let times = |stream| times(&many, &many.departures[stream], 100);
    assert_eq!(times(0), times(49));
}

#[test]
fn batches_are_as_small_as_keep_up() {
    let check = |peak: f64, expected: u32| {
        assert_eq!(Streams::Port.first_batch(peak, 64), expected, "{peak}")
    };
    check(100_000.0, 1);
    check(1_000_000.0, 1);
    check(1_100_000.0, 2);
    check(2_500_000.0, 8);
    check(4_000_000.0, 64);
    assert_eq!(Streams::Port.first_batch(4_000_000.0, 48), 48);
    // To find the next of several flows takes its time, too.
    assert_eq!(Streams::Flows.first_batch(1_000_000.0, 64), 2);
    assert!(mechanism(Streams::Port, 833.0, 64).contains("sleeps"));
    assert!(mechanism(Streams::Port, 834.0, 64).contains("one frame at a time"));
    assert!(mechanism(Streams::Port, 2e6, 48).contains("up to 48"));
    let burst =
        Burst { packets: 9, spacing: Spacing::Link, inter_burst_gap: millis(1), bursts: None };
    let pacing = of_profile(Profile::Burst(burst), 1);
    // 672 bits at 100 Gbit/s, in whole nanoseconds.
    assert!((pacing.peak() - 1e9 / 7.0).abs() < 1.0);
    assert_eq!(pacing.first_batch(0, 64), 64);
}

/// A worker sleeps where the next departure is more than 1.2 ms away.
#[test]
fn workers_with_little_to_do_sleep() {
    #[track_caller]
    fn check(profile: Profile, workers: usize, expected: bool) {
        assert_eq!(of_profile(profile, workers).keeps_busy(), expected);
    }
    let constant = |rate| Profile::Constant(pps(rate, 1));
    check(constant(833), 1, false);
    check(constant(834), 1, true);
    check(constant(1667), 2, true);
    check(constant(1666), 2, false);
    check(Profile::Poisson { mean: pps(300, 1), seed: None }, 1, false);
    check(Profile::Poisson { mean: pps(20_000, 1), seed: None }, 1, true);
    let burst = |packets, spacing, pause| {
        Profile::Burst(Burst {
            packets,
            spacing,
            inter_burst_gap: Duration::from_micros(pause),
            bursts: None,
        })
    };
    // The size of a burst makes no difference.
    check(burst(1000, Spacing::Link, 100_000), 1, false);
    check(burst(10, Spacing::Gap(Duration::from_micros(10)), 1000), 1, true);
    check(burst(10, Spacing::Gap(millis(2)), 1000), 1, false);
    check(burst(1, Spacing::Link, 1000), 1, true);
    let ramp = |from, to| Profile::Ramp { from: pps(from, 1), to: pps(to, 1), over: millis(1000) };
    check(ramp(1, 2000), 1, true);
    check(ramp(2000, 100), 1, false);
    let steps = |rates: [u64; 2]| {
        let step = |rate| Step { rate: pps(rate, 1), duration: millis(1000) };
        Profile::Steps { steps: rates.map(step).to_vec(), repeat: true }
    };
    check(steps([100, 1500]), 1, false);
    check(steps([100, 1700]), 1, true);
    check(
        Profile::Sine { mean: pps(900, 1), amplitude: pps(500, 1), period: millis(1000) },
        1,
        true,
    );
    // Streams of flows add up.
    let flows = |count| vec![flow(constant(400)); count];
    assert!(!of_flows(flows(2), 1).keeps_busy());
    assert!(of_flows(flows(3), 1).keeps_busy());
}

#[test]
fn the_plan_sets_up_the_program() {
    let mac = Some([2, 0, 0, 0, 0, 1]);
    let (name, bus, speed) = ("eth0".to_owned(), None, Some(1_000_000_000));
    let facts = Facts {
        links: vec![Link {
            name,
            alt_names: Vec::new(),
            index: 2,
            mtu: 1500,
            up: true,
            carrier: true,
            mac,
            bus,
            speed,
        }],
        cpus: vec![0],
        allowed_cpus: vec![0],
        ..Facts::default()
    };
    let paced = with_port(|config| {
        let other = Flow {
            name: located("g".to_owned()),
            ..flow(Profile::Poisson { mean: pps(10, 1), seed: None })
        };
        config.flows =
            vec![flow(Profile::Constant(Rate { unit: RateUnit::LineShare, ..pps(1, 2) })), other];
    });
    let plan_of =
        |config| plan(config, &facts, DefaultRoute::Refuse).expect("a plan").ports.remove(0);
    let port = plan_of(&paced);
    let generator = port.program.generator;
    assert_eq!(generator.pacing, codes::FLOWS);
    assert_eq!(generator.kinds, 1 << stream_kind::CONSTANT | 1 << stream_kind::POISSON);
    assert_eq!((generator.late, generator.give_up), (1000, 100_000_000));
    let pacing = port.pacing.expect("rates");
    assert_eq!(pacing.requested[0], Some(Pps::new(Ratio::new(15_625_000u32, 21u32))));
    assert_eq!(pacing.departures.iter().map(|stream| stream.spec.turn).collect::<Vec<_>>(), [0, 1]);
    let unpaced = plan_of(&CONFIG);
    assert_eq!((unpaced.pacing, unpaced.program.generator.pacing), (None, codes::NONE));
}
