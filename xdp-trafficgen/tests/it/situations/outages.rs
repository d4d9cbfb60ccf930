//! Rates and times: when flows begin and end, what an outage costs, and how rates on the command
//! line replace those of a file.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    harness::{Finished, Report, Running, ip, report::Port, sink, trafficgen},
    pacing::rig::{
        Config, Lab, PATIENT, arrived, flow, in_time, one_and_two_workers, or_miss, port, receiver,
        times_of,
    },
    situations::table,
};
use rustix::process::Signal;
use serde_json::Value;
use xdp_trafficgen::kernel::Sink;

/// The line of `text` that contains all of these parts.
#[track_caller]
fn line<'a>(text: &'a str, parts: &[&str]) -> &'a str {
    let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
    text.lines().find(has_all).unwrap_or_else(|| panic!("no line with {parts:?} in\n{text}"))
}

/// A flow at 16 pps beside another one began 38.6 ms after the start, whatever its delay.
#[test]
fn a_written_delay_is_a_promise() {
    let Some(_lab) = Lab::enter() else { return };
    let text = port(PATIENT)
        + &flow(0, "rate = '16pps'\npackets = 1")
        + &flow(1, "rate = '16pps'\npackets = 1\ndelay = '100ns'")
        + &flow(2, "rate = '16pps'\npackets = 1\ndelay = '0s'")
        + &flow(3, "rate = '16pps'\npackets = 1");
    let config = Config::write(&text);
    let peer = sink("xtg1");
    let checked = Finished::of(trafficgen(&["check", &config.path]));
    drop(peer);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    // Flows without a delay are spread over their gap of 62.5 ms: the last of two by half of it.
    let first = ["0.000000000 s", "0.000000100 s", "0.000000000 s", "0.031250000 s"];
    for (index, first) in first.iter().enumerate() {
        line(&checked.stdout, &[&format!("flow f{index} "), &format!(", first at {first},")]);
    }
    let mut measured = [0; 3];
    in_time(|| {
        let arrivals = receiver(4);
        let report = config.run(&[]).end().report(0);
        let stamps = arrived(arrivals, &report);
        let of = |flow| times_of(&stamps, flow)[0];
        measured = [1, 2, 3].map(|flow| of(flow).abs_diff(of(0)));
        let kept = measured[0] < 5_000_000 && measured[1] < 5_000_000 && measured[2] > 25_000_000;
        or_miss(kept, || format!("first frames after {measured:?} ns"))
    });
    let sees = line(&checked.stdout, &["flow f1 "]);
    let figures = format!(
        "arrived {}, {} and {} ns after the first flow's",
        measured[0], measured[1], measured[2]
    );
    table::row("8b", "check FILE; run FILE (16 pps, delay 100ns, 0s, none)", sees, 0, &figures);
}

/// 12 001 frames were sent where rate × duration is 12 000.
#[test]
fn the_last_instant_is_not_sent() {
    let Some(_lab) = Lab::enter() else { return };
    let own = |delays: [&str; 3]| -> String {
        let flows = (0..).zip([7, 4, 1].into_iter().zip(delays));
        let text = |(index, (kpps, delay))| {
            flow(index, &format!("rate = '{kpps}kpps'\nduration = '1s'\n{delay}"))
        };
        flows.map(text).collect()
    };
    let one =
        |rate: &str, duration: &str| flow(0, &format!("rate = {rate}\nduration = '{duration}'"));
    // The frames of each flow are the integral of its rate.
    let cases = [
        (one("'12kpps'", "1s"), 12_000),
        (own(["", "", ""]), 12_000),
        (own(["delay = '100ns'", "delay = '50ns'", "delay = '0s'"]), 12_000),
        (one("{ ramp = { from = '0pps', to = '24kpps', over = '1s' } }", "1s"), 12_000),
        (one("{ ramp = { from = '0pps', to = '24kpps', over = '1s' } }", "500ms"), 3000),
        (
            one(
                "{ steps = [{ rate = '1005pps', duration = '100ms' }, { rate = '3kpps', duration = '1s' }] }",
                "100500us",
            ),
            102,
        ),
        (one("{ burst = { packets = 4, gap = '1us', inter_burst_gap = '7us' } }", "10ms"), 4000),
        (one("'333333.3pps'", "30ms"), 10_000),
    ];
    for (workers, cpus) in one_and_two_workers() {
        let mut counts = Vec::new();
        for (flows, expected) in &cases {
            let config = Config::write(&(port(&format!("cpus = '{cpus}'\n{PATIENT}")) + flows));
            let arrivals = receiver(expected + 1);
            let report = config.run(&[]).end().report(0);
            let sent = report.only_port();
            let due = sent.frames_attempted + sent.frames_unsent.unwrap();
            assert_eq!(due, *expected, "CPUs {cpus}, {flows}: {report:?}");
            arrived(arrivals, &report);
            counts.push(due.to_string());
        }
        let command = format!(
            "run FILE (12 kpps for 1s: alone, as three flows, a ramp; …) on {workers} CPUs"
        );
        let sees = format!("frames due: {}", counts.join(", "));
        table::row("8d", &command, &sees, 0, "each rate × duration, and no frame more arrived");
    }
}

/// The ratio 28 : 16 : 4 became 1 : 1 : 1 without a message.
#[test]
fn a_total_keeps_the_ratio_of_its_flows() {
    let Some(_lab) = Lab::enter() else { return };
    let flows = |duration: &str| -> String {
        let rates = (0..).zip(["28pps", "16pps", "4pps"]);
        rates.map(|(index, rate)| flow(index, &format!("rate = '{rate}'\n{duration}"))).collect()
    };
    let config = Config::write(&(port(PATIENT) + &flows("duration = '1s'")));
    for (option, value, expected) in [
        ("--rate", "4800pps", [2800, 1600, 400]),
        ("--scale", "2x", [56, 32, 8]),
        ("--scale", "12.5x", [350, 200, 50]),
    ] {
        let arrivals = receiver(5000);
        let report = config.run(&[option, value]).end().report(0);
        let due = ["f0", "f1", "f2"].map(|name| report.flow(name).due());
        assert_eq!(due, expected, "{option} {value}: {report:?}");
        let stamps = arrived(arrivals, &report);
        let of = |flow: u64| times_of(&stamps, flow).len() as u64;
        assert_eq!([0, 1, 2].map(of), ["f0", "f1", "f2"].map(|name| report.flow(name).frames_tx));
        let figures =
            format!("28:16:4 pps became {}, {} and {} frames in 1 s", due[0], due[1], due[2]);
        table::row(
            "8c",
            &format!("run FILE {option} {value}"),
            "each flow keeps its share",
            0,
            &figures,
        );
    }
    let burst = "rate = { burst = { packets = 2, inter_burst_gap = '1ms' } }";
    let config = Config::write(&(port("") + &flow(0, burst) + &flow(1, "rate = '1kpps'")));
    for option in [["--rate", "2kpps"], ["--scale", "2x"]] {
        let finished = Finished::of(trafficgen(&[&["run", &config.path][..], &option].concat()));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let sees = finished.stderr.lines().next().unwrap();
        assert!(
            sees.contains("no constant rate")
                || sees.contains("how often bursts come is said by gaps"),
            "{finished:?}"
        );
        table::row("8c", &format!("run FILE {} (a burst)", option.join(" ")), sees, 2, "");
    }
}

/// At 317 pps, with a gap in whole nanoseconds, 17 rounds were 183 ns off.
#[test]
fn bursts_at_a_rate_do_not_drift() {
    let Some(_lab) = Lab::enter() else { return };
    let burst = "{ burst = { packets = 17, rate = '317pps', inter_burst_gap = '3154574ns' } }";
    let config = Config::write(&(port("") + &flow(0, &format!("rate = {burst}"))));
    let shown = Finished::of(trafficgen(&["show", &config.path, "--packets", "400"]));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let times: Vec<&str> = shown
        .stdout
        .lines()
        .filter_map(|line| line.split_once("  at ")?.1.split_once(" s "))
        .map(|it| it.0)
        .collect();
    assert_eq!(times.len(), 400);
    for (number, time) in (0u128..).zip(&times) {
        let (round, place) = (number / 17, number % 17);
        let nanos = ((16 * round + place) * 1_000_000_000 + 317 * round * 3_154_574) / 317;
        assert_eq!(
            *time,
            format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
            "frame {number}"
        );
    }
    let figures = format!(
        "frame 289, the first of round 17, is due at {} s: (272 / 317 s + 17 pauses), to the nanosecond",
        times[289]
    );
    table::row(
        "8e",
        "show FILE --packets 400 (bursts of 17 at rate = 317pps)",
        line(&shown.stdout, &["317 pps"]),
        0,
        &figures,
    );
}

/// A daemon of this configuration, which logs JSON.
fn daemon(config: &Config) -> Running {
    let options = [
        "daemon",
        "--log-format",
        "json",
        "--report-interval",
        "200ms",
        "--json",
        "--config",
        &config.path,
    ];
    Running::start(crate::pacing::rig::with_priority(&trafficgen(&options)))
}

/// The fields of the log's lines with this message.
fn said(log: &str, message: &str) -> Vec<Value> {
    let fields = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["fields"].clone());
    log.lines()
        .filter_map(fields)
        .filter(|fields| fields["message"].as_str().is_some_and(|text| text.starts_with(message)))
        .collect()
}

/// Lets time pass where the test has no event to wait for.
fn pass(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

/// Makes the pair anew, as it was.
fn raise() {
    let queues = "numtxqueues 2 numrxqueues 2";
    ip(&format!("link add xtg0 {queues} type veth peer name xtg1 {queues}"));
    ip("link set xtg0 address 02:00:00:00:00:01");
    ip("link set xtg1 address 02:00:00:00:00:02");
    ip("link set xtg1 up");
    ip("link set xtg0 up");
}

/// Removes the pair for so long, and waits until frames leave again; returns the new receiver.
fn exchange(running: &mut Running, millis: u64) -> Sink {
    ip("link del xtg0");
    pass(millis);
    raise();
    let second = sink("xtg1");
    running.wait_until("it sends again", |running| {
        !said(&running.stderr(), "port sends again").is_empty()
    });
    running.wait_until("frames arrive again", |_| second.count().unwrap().frames > 0);
    second
}

/// The cause of the finding with this code, of the only port.
#[track_caller]
fn found<'a>(report: &'a Report, code: &str) -> &'a str {
    let finding = report.findings.iter().find(|finding| finding.code == code);
    &finding.unwrap_or_else(|| panic!("no {code}: {report:?}")).cause
}

/// The achieved rate is the frames sent, over the time in which they were due.
#[track_caller]
fn assert_achieved(port: &Port) {
    let measured = port.frames_tx as f64 * 1e9 / port.due_ns as f64;
    let achieved = port.achieved_pps.unwrap();
    assert!((achieved / measured - 1.0).abs() < 0.02, "{achieved} and {measured}: {port:?}");
}

/// At 10 kpps with the interface gone for 3 of 10 seconds, the report said 10 000 pps achieved and
/// none unsent.
#[test]
fn an_outage_of_the_daemon_is_reported() {
    let Some(_lab) = Lab::enter() else { return };
    let first = sink("xtg1");
    let config = Config::write(&(port("rate = '10kpps'") + &flow(0, "")));
    let mut running = daemon(&config);
    running.wait_until("frames arrive", |_| first.count().unwrap().frames > 30_000);
    let _second = exchange(&mut running, 3000);
    pass(3500);
    running.signal(Signal::TERM);
    let finished = running.end();
    let report = finished.report(0);
    let sent = report.only_port();
    let (unsent, down) = (sent.frames_unsent.unwrap(), sent.down_ns as f64 / 1e9);
    assert!(sent.restarts >= 1 && down >= 3.0, "{sent:?}");
    assert_eq!(sent.requested_pps, Some(10_000.0), "{sent:?}");
    // The unsent frames are those of the whole outage, and no fewer.
    assert!(unsent as f64 >= down * 1e4 - 2.0, "{sent:?}");
    let due = (sent.frames_attempted + unsent) as f64;
    assert!((due - sent.due_ns as f64 / 1e5).abs() < 0.01 * due, "{sent:?}");
    assert_achieved(sent);
    // Frames that the interface took with it are excepted.
    assert!(sent.frames_dropped * 8 < sent.frames_tx, "{report:?}");
    let cause = found(&report, "port_was_down");
    assert!(cause.contains("the interface was removed while it was in use"), "{cause}");
    let last = said(&finished.stderr, "final counts").pop().unwrap();
    assert_eq!(
        (&last["down_ns"], &last["restarts"]),
        (&sent.down_ns.into(), &sent.restarts.into()),
        "{last}"
    );
    assert_eq!(last["frames_unsent"], unsent, "{last}");
    let again = said(&finished.stderr, "port sends again");
    assert_eq!(again[0]["code"], "port_was_down", "{again:?}");
    // Reports during the outage show growing numbers, too.
    let counts = said(&finished.stderr, "counts");
    let mut down_ns: Vec<u64> =
        counts.iter().filter_map(|counts| counts["down_ns"].as_u64()).collect();
    assert!(down_ns.is_sorted(), "{down_ns:?}");
    down_ns.dedup();
    assert!(down_ns.len() > 5, "{down_ns:?}");
    let figures = format!(
        "achieved_pps {:.0}, frames_unsent {unsent}, down_ns {}, restarts {}, due_ns {}",
        sent.achieved_pps.unwrap(),
        sent.down_ns,
        sent.restarts,
        sent.due_ns
    );
    table::row("3", "daemon --config FILE (10 kpps; ip link del for 3 s)", cause, 0, &figures);
}

/// A fixed number of packets includes those that were due and not sent. A flow that has no packet
/// left when its port sends again must not send those that it missed.
#[test]
fn frames_of_a_number_are_kept_over_an_outage() {
    let Some(_lab) = Lab::enter() else { return };
    for (of_port, of_flow, longest) in
        [("rate = '5kpps'", "", 40_000), ("", "rate = '2kpps'", 20_000)]
    {
        let first = sink("xtg1");
        let ends = [("weight = 1", longest), ("weight = 2", 5003)];
        let flows: String = (0..)
            .zip(ends)
            .map(|(index, (weight, end))| {
                flow(index, &format!("{of_flow}\n{weight}\npackets = {end}"))
            })
            .collect();
        let config = Config::write(&(port(of_port) + &flows));
        let mut running = daemon(&config);
        running.wait_until("frames arrive", |_| first.count().unwrap().frames > 3000);
        // The first attempt, after 1 s, finds no interface; the second is 2 s later.
        let _second = exchange(&mut running, 1600);
        running.wait_until("all ends", |running| !said(&running.stderr(), "port ended").is_empty());
        running.signal(Signal::TERM);
        let report = running.end().report(0);
        for (index, (_, expected)) in ends.iter().enumerate() {
            assert_eq!(
                report.flow(&format!("f{index}")).due(),
                *expected,
                "{of_port}{of_flow}: {report:?}"
            );
        }
        assert!(report.only_port().frames_unsent > Some(1000), "{report:?}");
        let sent = report.only_port();
        let (attempted, unsent) = (sent.frames_attempted, sent.frames_unsent.unwrap());
        assert_eq!(attempted + unsent, longest + 5003, "{report:?}");
        let figures = format!("{attempted} attempted + {unsent} unsent = {}", attempted + unsent);
        let command = format!(
            "daemon --config FILE ({of_port}{of_flow}, packets = {longest} and 5003; away for 1.6 s)"
        );
        table::row("3", &command, found(&report, "port_was_down"), 0, &figures);
    }
}

/// The report of a failed run said that 0 frames a second were asked for.
#[test]
fn an_aborted_run_knows_what_was_asked_for() {
    let Some(_lab) = Lab::enter() else { return };
    let seen = sink("xtg1");
    let config = Config::write(&(port("rate = '10kpps'") + &flow(0, "weight = 3") + &flow(1, "")));
    let mut running = config.run(&[]);
    running.wait_until("frames arrive", |_| seen.count().unwrap().frames > 10_000);
    ip("link del xtg0");
    let finished = running.end();
    let report = finished.report(1);
    assert_eq!(report.only_port().requested_pps, Some(10_000.0), "{report:?}");
    let asked = ["f0", "f1"].map(|name| report.flow(name).requested_pps.unwrap());
    assert!(
        (asked[0] / 7500.0 - 1.0).abs() < 0.01 && (asked[1] / 2500.0 - 1.0).abs() < 0.01,
        "{report:?}"
    );
    assert_achieved(report.only_port());
    let figures = format!("requested_pps {:.0} and {:.0} of the port's 10000", asked[0], asked[1]);
    let sees = line(&finished.stderr, &["the interface was removed"]);
    table::row(
        "3",
        "run FILE --json (10 kpps as 3:1; ip link del in the middle)",
        sees,
        1,
        &figures,
    );
}

/// After SIGSTOP for half of a run, the report said 10 kpps sent of 10 kpps asked for, and the cure
/// was more CPUs.
#[test]
fn a_stopped_process_needs_no_more_cpus() {
    let Some(_lab) = Lab::enter() else { return };
    let seen = sink("xtg1");
    let config = Config::write(&(port("rate = '10kpps'") + &flow(0, "duration = '3s'")));
    let mut row = (String::new(), String::new());
    in_time(|| {
        let before = seen.count().unwrap().frames;
        let mut running = config.run(&[]);
        running.wait_until("frames arrive", |_| seen.count().unwrap().frames > before + 5000);
        running.signal(Signal::STOP);
        pass(1500);
        running.signal(Signal::CONT);
        let report = running.end().report(0);
        let sent = report.only_port();
        assert_eq!(sent.frames_attempted + sent.frames_unsent.unwrap(), 30_000, "{sent:?}");
        assert_eq!(sent.requested_pps, Some(10_000.0), "{sent:?}");
        // The rate is over the 3 s in which frames were due, or until the last one left, and no
        // burst makes up for the rest.
        let achieved = sent.frames_tx as f64 / 3.0;
        assert!((sent.achieved_pps.unwrap() / achieved - 1.0).abs() < 0.01, "{achieved}: {sent:?}");
        assert!(achieved < 6000.0 && sent.worst_lateness_ns < Some(110_000_000), "{sent:?}");
        let Some(finding) = report.findings.iter().find(|finding| finding.code == "stood_still")
        else {
            return Err(format!("it was not noticed: {report:?}"));
        };
        assert!(finding.cause.contains("SIGSTOP"), "{finding:?}");
        row.0.clone_from(&finding.cause);
        row.1 = format!(
            "achieved_pps {:.0} of 10000, frames_unsent {}",
            achieved,
            sent.frames_unsent.unwrap()
        );
        Ok(())
    });
    table::row("3", "run FILE --json (10 kpps for 3s; SIGSTOP for 1.5 s)", &row.0, 0, &row.1);
    in_time(|| {
        let before = seen.count().unwrap().frames;
        let mut running =
            Running::start(crate::pacing::rig::with_priority(&trafficgen(&["run", &config.path])));
        running.wait_until("frames arrive", |_| seen.count().unwrap().frames > before + 5000);
        running.signal(Signal::STOP);
        pass(1500);
        running.signal(Signal::CONT);
        let finished = running.end();
        let sentence = line(&finished.stdout, &["asked for 10 kpps, sent "]);
        let reported = sentence
            .ends_with("had no frame, for the process was stopped, or the machine was paused");
        or_miss(reported && !finished.stdout.contains("use more CPUs"), || format!("{finished:?}"))
    });
}

/// 2.3 million frames in 1 s, after a delay of 2 s, were reported as 0.768 Mpps.
#[test]
fn rates_are_not_over_a_delay() {
    let Some(lab) = Lab::enter() else { return };
    let sink = sink("xtg1");
    let options = "udp xtg0 --dst-mac 02:00:00:00:00:02 --delay 1s --duration 1s";
    let udp = |more: &[&str]| {
        let options: Vec<&str> = options.split(' ').chain(more.iter().copied()).collect();
        Finished::of(crate::pacing::rig::with_priority(&trafficgen(&options)))
    };
    for rate in [&["--json"][..], &["--json", "--rate", "10kpps"]] {
        let report = udp(rate).report(0);
        let sent = report.only_port();
        assert!(report.duration_ns >= 2_000_000_000, "{report:?}");
        // Far from the two seconds with the delay; a thread with a priority may be throttled.
        assert!((900_000_000..1_500_000_000).contains(&sent.due_ns), "{sent:?}");
        let over = sent.frames_tx as f64 * 1e9 / sent.due_ns as f64;
        assert!((sent.pps as f64 / over - 1.0).abs() < 0.01, "{sent:?}");
        if let Some(achieved) = sent.achieved_pps {
            assert!((achieved / over - 1.0).abs() < 0.02, "{sent:?}");
        }
        let figures =
            format!("frames_tx {}, due_ns {}, pps {}", sent.frames_tx, sent.due_ns, sent.pps);
        table::row(
            "3",
            &format!("{options} {}", rate.join(" ")),
            "pps is over the 1 s that it was due to send",
            0,
            &figures,
        );
    }
    // Both flows send for a second each, one after the other, with a second without frames between.
    let text =
        port("") + &flow(0, "duration = '500ms'") + &flow(1, "delay = '1s'\nduration = '500ms'");
    let report = Config::write(&text).run(&[]).end().report(0);
    assert!((950_000_000..1_500_000_000).contains(&report.only_port().due_ns), "{report:?}");
    for name in ["f0", "f1"] {
        assert!((450_000_000..900_000_000).contains(&report.flow(name).due_ns), "{report:?}");
    }
    // Waiting for the instant of the start is not a part of the run.
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(2);
    let at = format!("@{}.{:09}", at.as_secs(), at.subsec_nanos());
    let config = Config::write(&(port("") + &flow(0, "duration = '500ms'")));
    let report = config.run(&["--at", &at]).end().report(0);
    assert!((450_000_000..900_000_000).contains(&report.only_port().due_ns), "{report:?}");
    drop((sink, lab));
}
