//! When a paced session starts, and how it is stopped.

use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    process::Signal,
    time::{ClockId, clock_gettime},
};

use crate::{
    harness::{Running, trafficgen},
    pacing::{
        oracle,
        rig::{
            Config, Lab, PATIENT, arrived, assert_in_sequence, flow, in_time, one_and_two_workers,
            or_miss, port, receiver, send,
        },
    },
};

/// A signal stops sleeping workers, spinning ones, and those that send in batches.
#[test]
fn a_signal_ends_it_at_once() {
    let Some(_lab) = Lab::enter() else { return };
    for rate in ["1pps", "1kpps", "1Mpps"] {
        for (workers, cpus) in one_and_two_workers() {
            // Each flow has the first frame of one worker.
            let (of_port, of_flow) = if workers == 1 {
                (format!("rate = '{rate}'"), String::new())
            } else {
                (String::new(), format!("rate = '{rate}'"))
            };
            let text = port(&format!("{of_port}\ncpus = '{cpus}'"))
                + &flow(0, &of_flow)
                + &flow(1, &of_flow);
            in_time(|| check_stop(&text, Signal::INT, workers, |_, arrived| arrived > 0));
        }
    }
}

/// A run that waits for its start or for a delay stops at once, too.
#[test]
fn a_signal_ends_it_before_the_first_frame() {
    let Some(_lab) = Lab::enter() else { return };
    for (of_port, of_flow) in [("rate = '10kpps'", ""), ("", "rate = '10kpps'")] {
        let text = port(of_port) + &flow(0, &format!("delay = '1h'\n{of_flow}"));
        in_time(|| check_stop(&text, Signal::TERM, 1, |running, _| has_workers(running)));
    }
}

/// Whether the program has started the threads that send.
fn has_workers(running: &Running) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", running.pid().as_raw_nonzero())).unwrap();
    let mut names =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.any(|name| name.starts_with("worker-"))
}

/// Once `has_begun` (given the number of frames that arrived) holds, a signal ends the run at once,
/// with a correct report.
fn check_stop(
    text: &str,
    signal: Signal,
    workers: u64,
    has_begun: impl Fn(&Running, u64) -> bool,
) -> Result<(), String> {
    let arrivals = receiver(10_000_000);
    let config = Config::write(text);
    // Ordinary priority: two workers with a real-time priority would leave no CPU to the threads
    // that are to stop them.
    let mut running = Running::start(trafficgen(&["run", &config.path, "--json"]));
    running
        .wait_until("it has begun", |running| has_begun(running, arrivals.seen().unwrap().stamped));
    let before = Instant::now();
    running.signal(signal);
    let report = running.end().report(0);
    let took = before.elapsed();
    let stamps = arrived(arrivals, &report);
    assert_in_sequence(&stamps, workers);
    // Departures after the stop are not reported as missing.
    if report.only_port().requested_pps < Some(10.0) {
        let due: u64 = report.flows.iter().map(|flow| flow.due()).sum();
        or_miss(due <= 3, || format!("{due} were due before it stopped: {report:?}"))?;
    }
    // Much of this time is the kernel's, which unloads the programs.
    or_miss(took < Duration::from_millis(200), || format!("it took {took:?} to stop: {text}"))
}

#[test]
fn it_starts_at_the_given_instant() {
    let Some(_lab) = Lab::enter() else { return };
    let text = port("rate = '1kpps'") + &flow(0, "packets = 20");
    in_time(|| {
        // Stamps count from a moment right after this one.
        let stamps_from = monotonic();
        let arrivals = receiver(1000);
        let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ahead = wall_clock - monotonic();
        let at = wall_clock + Duration::from_millis(700);
        let instant = format!("@{}.{:09}", at.as_secs(), at.subsec_nanos());
        let finished = Config::write(&text).run(&["--at", &instant]).end();
        or_miss(finished.code != Some(2), || format!("not loaded in time: {}", finished.stderr))?;
        let report = finished.report(0);
        assert!(finished.stderr.contains("waiting for the start, 0."), "{}", finished.stderr);
        let stamps = arrived(arrivals, &report);
        let first = ahead + stamps_from + Duration::from_nanos(stamps[0].ns);
        assert!(first + Duration::from_millis(20) > at, "{first:?} is before {at:?}");
        assert!(report.duration_ns < 500_000_000, "waiting does not count: {report:?}");
        or_miss(first <= at + Duration::from_millis(50), || format!("{first:?} instead of {at:?}"))
    });
}

/// The clock that stamps use.
fn monotonic() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap()
}

#[test]
fn it_does_not_start_at_an_instant_that_is_over() {
    let Some(_lab) = Lab::enter() else { return };
    let arrivals = receiver(1000);
    let text = port("rate = '1kpps'") + &flow(0, "packets = 20");
    let finished = Config::write(&text).run(&["--at", "2020-02-29T12:00:00Z"]).end();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
    assert!(finished.stderr.contains("give a later one with --at"), "{}", finished.stderr);
    assert_eq!(arrivals.seen().unwrap().stamped, 0);
}

/// `--rate` is the rate of all flows together: each flow keeps its share and its profile.
#[test]
fn options_replace_the_rates_of_a_file() {
    let Some(_lab) = Lab::enter() else { return };
    let text = port(PATIENT)
        + &flow(0, "rate = '1pps'")
        + &flow(1, "rate = { poisson = '5pps' }\nweight = 3");
    let options = ["--rate", "20kpps", "--duration", "150ms", "--behind", "catch_up=5s"];
    let (report, stamps) = send(&text, &options, 4000);
    let due: Vec<u64> = report.flows.iter().map(|flow| flow.due()).collect();
    assert_eq!(due[0], oracle::constant(20e3 / 6.0, 0.0, 0.15), "{report:?}");
    // Five standard deviations of a Poisson distribution with the mean of the other five sixths.
    assert!(due[1].abs_diff(2500) < 250, "{report:?}");
    assert_in_sequence(&stamps, 1);
}
