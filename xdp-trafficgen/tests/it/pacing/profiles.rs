//! Rates that change with time: the integral of the rate says how many frames leave, and when.

use std::f64::consts::TAU;

use xdp_trafficgen::kernel::arrivals::Stamp;

use crate::{
    harness::Report,
    pacing::{
        oracle::{Load, is_punctual},
        rig::{
            Lab, PATIENT, assert_in_sequence, flow, in_time, one_and_two_workers, or_miss, port,
            send, times_of,
        },
    },
};

/// A rate as a file writes it, and its integral over seconds.
struct Profile {
    rate: &'static str,
    load: Load<'static>,
    /// How long it lasts, or after how long it is cut off, in milliseconds.
    millis: u64,
    /// Whether it ends by itself.
    ends: bool,
}

impl Profile {
    fn flow(&self, index: u64, rate: bool) -> String {
        let rate = if rate { format!("rate = {}\n", self.rate) } else { String::new() };
        let end = if self.ends { String::new() } else { format!("duration = '{}ms'", self.millis) };
        flow(index, &(rate + &end))
    }

    fn seconds(&self) -> f64 {
        self.millis as f64 / 1e3
    }

    fn count(&self) -> u64 {
        self.load.count(self.seconds())
    }

    /// As many frames arrived as the integral says, and at the times that it says.
    fn check(&self, report: &Report, index: u64, stamps: &[Stamp]) -> Result<(), String> {
        let sent = report.flow(&format!("f{index}"));
        assert_eq!(sent.due(), self.count(), "{}: {sent:?}", self.rate);
        is_punctual(&times_of(stamps, index), |number| self.load.due(number, self.seconds()))
            .map_err(|miss| format!("{}: {miss}", self.rate))
    }
}

fn ramp(seconds: f64) -> f64 {
    let ramped = seconds.min(0.2);
    1e3 * ramped + 29e3 * ramped * ramped / 0.4 + 30e3 * (seconds - ramped)
}

fn steps(seconds: f64) -> f64 {
    let within = |from: f64, to: f64| (seconds.min(to) - from).max(0.0);
    1e3 * within(0.0, 0.05) + 20e3 * within(0.05, 0.1) + 5e3 * within(0.15, 0.18)
}

fn sine(seconds: f64) -> f64 {
    10e3 * seconds + 8e3 * 0.1 / TAU * (1.0 - (TAU * seconds / 0.1).cos())
}

fn trace(seconds: f64) -> f64 {
    let (rise, fall) = (seconds.min(0.1), (seconds - 0.1).clamp(0.0, 0.05));
    let rest = (seconds - 0.15).max(0.0);
    20e3 * rise * rise / 0.2 + 20e3 * fall - 15e3 * fall * fall / 0.1 + 5e3 * rest
}

fn burst(seconds: f64) -> f64 {
    // Ten frames 100 µs apart, then a pause: bursts begin every 10.9 ms.
    (seconds / 100e-6).min(10.0)
}

const STEPS: &str = "steps = [{ rate = '1kpps', duration = '50ms' }, { rate = '20kpps', duration = '50ms' }, \
                     { rate = '0pps', duration = '50ms' }, { rate = '5kpps', duration = '30ms' }]";
const TRACE: &str =
    "trace = [['0s', '0pps'], ['100ms', '20kpps'], ['150ms', '5kpps'], ['200ms', '5kpps']]";

/// The rates are written with the entries of one inline table, whose braces the caller adds.
fn profiles() -> Vec<Profile> {
    let profile = |rate: String, integral: &'static dyn Fn(f64) -> f64, period, millis, ends| {
        Profile { rate: rate.leak(), load: Load { integral, period }, millis, ends }
    };
    vec![
        profile(
            "{ ramp = { from = '1kpps', to = '30kpps', over = '200ms' } }".to_owned(),
            &ramp,
            None,
            300,
            false,
        ),
        profile(format!("{{ {STEPS} }}"), &steps, None, 180, true),
        profile(format!("{{ {STEPS}, repeat = true }}"), &steps, Some(0.18), 420, false),
        profile(
            "{ sine = { mean = '10kpps', amplitude = '8kpps', period = '100ms' } }".to_owned(),
            &sine,
            Some(0.1),
            345,
            false,
        ),
        profile(format!("{{ {TRACE} }}"), &trace, None, 200, true),
        profile(format!("{{ {TRACE}, repeat = true }}"), &trace, Some(0.2), 350, false),
        profile(
            "{ burst = { packets = 10, gap = '100us', inter_burst_gap = '10ms', bursts = 25 } }"
                .to_owned(),
            &burst,
            Some(0.0109),
            // The last burst is over before its pause ends.
            25 * 10_900 / 1000,
            true,
        ),
    ]
}

#[test]
fn flows_follow_profiles_of_their_own() {
    let Some(_lab) = Lab::enter() else { return };
    let profiles = profiles();
    let total = profiles.iter().map(Profile::count).sum();
    for (workers, cpus) in one_and_two_workers() {
        let mut text = port(&format!("cpus = '{cpus}'\n{PATIENT}"));
        for (index, profile) in (0..).zip(&profiles) {
            text += &profile.flow(index, true);
        }
        in_time(|| {
            let (report, stamps) = send(&text, &[], total);
            assert_in_sequence(&stamps, workers);
            let checked =
                (0..).zip(&profiles).map(|(index, profile)| profile.check(&report, index, &stamps));
            // Counts are exact for all flows, whatever the times are.
            checked.fold(Ok(()), Result::and)
        });
    }
}

#[test]
fn a_port_follows_a_profile() {
    let Some(_lab) = Lab::enter() else { return };
    let workers: Vec<_> = one_and_two_workers().collect();
    // The test above tells loads that repeat from those that do not.
    let profiles = profiles().into_iter().filter(|profile| !profile.rate.contains("repeat"));
    for (profile, &(workers, cpus)) in profiles.zip(workers.iter().cycle()) {
        let text = port(&format!("cpus = '{cpus}'\nrate = {}\n{PATIENT}", profile.rate))
            + &profile.flow(0, false);
        in_time(|| {
            let (report, stamps) = send(&text, &[], profile.count());
            assert_in_sequence(&stamps, workers);
            profile.check(&report, 0, &stamps)
        });
    }
}

/// The frames of a burst leave together; their number alone does not show that.
#[test]
fn a_burst_is_a_burst() {
    let Some(_lab) = Lab::enter() else { return };
    let rate =
        "rate = { burst = { packets = 20, gap = '50us', inter_burst_gap = '8ms', bursts = 15 } }";
    for (workers, cpus) in one_and_two_workers() {
        let text = port(&format!("cpus = '{cpus}'\n{PATIENT}")) + &flow(0, rate);
        in_time(|| {
            let (report, stamps) = send(&text, &[], 300);
            assert_eq!(
                (report.flow("f0").frames_tx, report.only_port().frames_unsent),
                (300, Some(0)),
                "{report:?}"
            );
            assert_in_sequence(&stamps, workers);
            let times = times_of(&stamps, 0);
            let median = |between_bursts: bool| {
                let gaps = (1..)
                    .zip(times.windows(2))
                    .filter(|(number, _)| (number % 20 == 0) == between_bursts);
                let mut gaps: Vec<u64> = gaps.map(|(_, pair)| pair[1] - pair[0]).collect();
                gaps.sort_unstable();
                gaps[gaps.len() / 2]
            };
            let (inside, between) = (median(false), median(true));
            let are_kept =
                inside.abs_diff(50_000) <= 10_000 && between.abs_diff(8_000_000) <= 1_600_000;
            or_miss(are_kept, || {
                format!("gaps of {inside} ns inside of bursts, and {between} ns between them")
            })
        });
    }
}

/// The number of frames is random, and the same with the same seed; where a number was asked for,
/// it is that number.
#[test]
fn poisson_is_random_and_the_same_again() {
    let Some(_lab) = Lab::enter() else { return };
    for (workers, cpus) in one_and_two_workers() {
        let text = port(&format!("cpus = '{cpus}'\n{PATIENT}"))
            + &flow(0, "rate = { poisson = { mean = '20kpps', seed = 5 } }\nduration = '200ms'")
            + &flow(1, "rate = { poisson = '8kpps' }\npackets = 1601")
            + &flow(2, "rate = { poisson = { mean = '20kpps', seed = 5 } }\nduration = '200ms'");
        let mut due = Vec::new();
        in_time(|| {
            let (report, stamps) = send(&text, &[], 20_000);
            assert_in_sequence(&stamps, workers);
            due.push(report.flows.iter().map(|flow| flow.due()).collect::<Vec<_>>());
            assert_eq!(
                due[0],
                due[due.len() - 1],
                "CPUs {cpus}: the same seed, and another number"
            );
            assert_eq!(report.flow("f1").frames_tx, 1601, "{report:?}");
            // The variance of a Poisson count equals its mean.
            let mean = 4000.0_f64;
            for flow in [0, 2] {
                assert!((due[0][flow] as f64 - mean).abs() < 5.0 * mean.sqrt(), "{report:?}");
            }
            assert_ne!(due[0][0], due[0][2], "flows with the same seed differ nevertheless");
            // Of random gaps 13.5 % (1/e²) are longer than two mean gaps; of equal gaps, none.
            let times = times_of(&stamps, 0);
            let long = times.windows(2).filter(|pair| pair[1] - pair[0] > 100_000).count() as f64;
            let share = long / times.len() as f64;
            or_miss((0.11..0.16).contains(&share), || {
                format!("{share} are longer than two mean gaps")
            })?;
            or_miss(due.len() > 1, || "a second run shows whether it repeats".to_owned())
        });
    }
}
