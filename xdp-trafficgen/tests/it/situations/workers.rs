//! Worker threads and their surroundings: workers that are moved, processes with other clocks, the
//! cost of reports and ports, and the end of a run.

use std::{collections::BTreeSet, fs, io::Write as _, process::Command};

use rustix::{
    process::{Pid, Signal},
    thread::{CpuSet, sched_setaffinity},
};
use xdp_trafficgen::kernel::Sink;

use crate::{
    harness::{
        self, Finished, RECEIVER_MAC, Report, Running, Stage, assert_arrived, skipped, trafficgen,
    },
    situations::table::row,
};

#[test]
fn a_paced_worker_moved_to_another_cpu() {
    moved("0", &["--rate", "100kpps"], &[(0, &[1])]);
}

#[test]
fn a_worker_moved_in_the_middle_of_a_call() {
    moved("0", &[], &[(0, &[1])]);
}

#[test]
fn two_paced_workers_on_one_cpu() {
    moved("0,1", &["--rate", "20kpps", "--packets", "2000000"], &[(1, &[0])]);
}

#[test]
fn two_workers_on_one_cpu() {
    moved("0,1", &[], &[(1, &[0])]);
}

#[test]
fn two_paced_workers_change_places() {
    moved("0,1", &["--rate", "100kpps"], &[(0, &[1]), (1, &[0])]);
}

#[test]
fn a_time_namespace_far_ahead() {
    time_namespace(1_000_000);
}

#[test]
fn a_time_namespace_behind() {
    time_namespace(-60);
}

/// A run whose workers are moved by the test.
struct Disturbed {
    command: String,
    running: Running,
    sink: Sink,
}

impl Disturbed {
    /// Starts `udp` on these CPUs and waits until it sends. None on a machine without two of them.
    fn start(cpus: &str, options: &[&str]) -> Option<Self> {
        let udp = ["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--cpus", cpus];
        Self::start_command(
            &[&udp[..], options].concat(),
            format!("udp xtg0 --cpus {cpus} {}", options.join(" ")),
        )
    }

    fn start_command(arguments: &[&str], command: String) -> Option<Self> {
        if harness::cpu_lists().len() < 2 {
            skipped("it takes a second CPU to move a worker to");
            return None;
        }
        let sink = harness::sink("xtg1");
        let mut running = Running::start(trafficgen(&[arguments, &["--json"]].concat()));
        running.wait_until("frames", |_| sink.count().unwrap().frames > 1000);
        Some(Self { command, running, sink })
    }

    /// Changes the affinity of the worker of this CPU.
    fn send_to(&self, worker: u32, cpus: &[usize]) {
        let mut set = CpuSet::new();
        cpus.iter().for_each(|&cpu| set.set(cpu));
        // Threads may have ended in the meantime; these tests provoke that.
        if let Some(thread) = self.thread(worker) {
            let _ = sched_setaffinity(Some(thread), &set);
        }
    }

    fn thread(&self, worker: u32) -> Option<Pid> {
        let tasks =
            fs::read_dir(format!("/proc/{}/task", self.running.pid().as_raw_nonzero())).ok()?;
        let of_worker = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name.trim() == format!("worker-{worker}"))
        };
        let task = tasks.filter_map(Result::ok).find(of_worker)?;
        Pid::from_raw(task.file_name().to_str()?.parse().ok()?)
    }
}

/// Every frame is counted once, wherever workers were moved, and none is taken for another
/// sender's.
#[track_caller]
fn assert_exact(report: &Report, sink: &Sink) {
    let port = report.only_port();
    assert_arrived(sink, port.frames_tx);
    let counters = port.interface_counters.as_ref().unwrap();
    assert_eq!(counters.tx_packets, port.frames_tx, "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.code != "other_traffic"), "{report:?}");
}

/// The run names the CPUs, counts exactly, and fails.
#[track_caller]
fn assert_moved(finished: &Finished, sink: &Sink) -> Report {
    let report = finished.report(1);
    let finding = report.findings.iter().find(|finding| finding.code == "worker_moved");
    let finding = finding.unwrap_or_else(|| panic!("{finished:?}"));
    assert!(finding.cure.contains("--cpus") && finding.cure.contains("taskset"), "{finding:?}");
    assert_exact(&report, sink);
    report
}

fn failure(finished: &Finished) -> String {
    finished.stderr.lines().find(|line| line.starts_with("error")).unwrap_or_default().to_owned()
}

/// Each worker of the list is given other CPUs, once.
#[track_caller]
fn moved(cpus: &str, options: &[&str], moves: &[(u32, &[usize])]) {
    let Some(_stage) = Stage::set() else { return };
    let Some(run) = Disturbed::start(cpus, options) else { return };
    move_about(run, cpus, moves);
}

/// Flows that each have departures of their own, in a calendar.
#[test]
fn workers_of_flows_with_rates_change_places() {
    let Some(_stage) = Stage::set() else { return };
    let flow = |name, rate| {
        format!(
            "[[flows]]\nname = '{name}'\nport = 'p'\nrate = '{rate}'\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}]\n"
        )
    };
    let text = "[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncpus = [0, 1]\n".to_owned();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(
        (text + &flow("a", "50kpps") + &flow("b", "30kpps") + &flow("c", "7kpps")).as_bytes(),
    )
    .unwrap();
    let arguments = ["run", file.path().to_str().unwrap()];
    let Some(run) = Disturbed::start_command(
        &arguments,
        "run with three flows of rates on CPUs 0, 1".to_owned(),
    ) else {
        return;
    };
    move_about(run, "0,1", &[(0, &[1]), (1, &[0])]);
}

#[track_caller]
fn move_about(run: Disturbed, cpus: &str, moves: &[(u32, &[usize])]) {
    for (worker, cpus) in moves {
        run.send_to(*worker, cpus);
    }
    let Disturbed { command, running, sink } = run;
    let finished = running.end();
    let report = assert_moved(&finished, &sink);
    let said = |worker: u32, now: usize| {
        failure(&finished).contains(&format!(
            "the worker of CPU {worker} was found on CPU {now}: its thread was moved"
        ))
    };
    // The message names the first worker to notice; where two change places, it may be either.
    let noticed = moves.iter().any(|&(worker, cpus)| said(worker, cpus[0]));
    let strayed =
        finished.stderr.contains("of the") && finished.stderr.contains("frames of its worker");
    assert!(noticed || strayed, "{finished:?}");
    let port = report.only_port();
    let own: BTreeSet<u32> = cpus.split(',').map(|cpu| cpu.parse().unwrap()).collect();
    for worker in port.workers.iter().filter(|worker| !own.contains(&worker.cpu)) {
        assert_eq!((worker.frames_tx, worker.drops.len()), (0, 1), "{report:?}");
        assert_eq!(worker.drops[0].reason, "worker_moved");
    }
    let figures =
        format!("{} accepted, as many received, {} dropped", port.frames_tx, port.frames_dropped);
    row("2", &format!("{command}, taskset -p {moves:?}"), &failure(&finished), 1, &figures);
}

/// The worker is moved away and back before the call ends: the thread itself cannot notice, but the
/// counts show it.
#[test]
fn a_worker_that_comes_back() {
    let Some(_stage) = Stage::set() else { return };
    let Some(run) = Disturbed::start("0", &[]) else { return };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // Whether it was away during a call or between two calls is chance.
    while run.thread(0).is_some() {
        run.send_to(0, &[1]);
        run.send_to(0, &[0]);
        assert!(std::time::Instant::now() < deadline, "the move is never noticed");
    }
    let Disturbed { command, running, sink } = run;
    let finished = running.end();
    let report = assert_moved(&finished, &sink);
    let figures = format!("{} accepted, as many received", report.only_port().frames_tx);
    row("2", &format!("{command}, taskset -p to CPU 1 and back"), &failure(&finished), 1, &figures);
}

/// A worker that may run elsewhere has not been moved: all goes well as long as its thread stays.
#[test]
fn a_worker_that_may_go_elsewhere() {
    let Some(_stage) = Stage::set() else { return };
    let Some(run) = Disturbed::start("0", &["--rate", "20kpps", "--packets", "20000"]) else {
        return;
    };
    run.send_to(0, &[0, 1]);
    let Disturbed { command, running, sink } = run;
    let finished = running.end();
    let (report, sees) = if finished.code == Some(1) {
        (assert_moved(&finished, &sink), failure(&finished))
    } else {
        let report = finished.report(0);
        assert_exact(&report, &sink);
        let port = report.only_port();
        assert_eq!(port.frames_tx + port.frames_unsent.unwrap(), 20_000, "{report:?}");
        (report, "an ordinary report".to_owned())
    };
    let figures = format!("{} accepted, as many received", report.only_port().frames_tx);
    row("2", &format!("{command}, taskset -p 0-1"), &sees, finished.code.unwrap_or(-1), &figures);
}

/// Departures follow the machine's clock, not the clock of the process's time namespace.
fn time_namespace(ahead: i64) {
    let Some(_stage) = Stage::set() else { return };
    let offset = ahead.to_string();
    let unshare = ["--time", "--fork", "--monotonic", &offset];
    if !Command::new("unshare")
        .args(unshare)
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        return skipped("unshare makes no such time namespace here");
    }
    let sink = harness::sink("xtg1");
    // On a busy machine frames may be late, but they leave.
    let options =
        ["--rate", "20kpps", "--packets", "2000", "--behind", "catch_up=60s", "--cpus", "0"];
    let udp = [&["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--json"], &options[..]].concat();
    let mut command = Command::new("unshare");
    command
        .args(unshare)
        .arg(env!("CARGO_BIN_EXE_xdp-trafficgen"))
        .args(udp)
        .env_remove("RUST_LOG");
    let finished = Finished::of(command);
    let report = finished.report(0);
    let port = report.only_port();
    assert_eq!((port.frames_tx, port.frames_unsent), (2000, Some(0)), "{report:?}");
    assert_arrived(&sink, 2000);
    let command = format!("unshare --time --monotonic {ahead} udp xtg0 {}", options.join(" "));
    let figures =
        format!("2000 of 2000 received, {:.0} of 20 000 frames/s", port.achieved_pps.unwrap());
    row("5", &command, "an ordinary report", 0, &figures);
}

/// The number of descriptors of the process while so many ports send.
fn descriptors(stage: &Stage, ports: usize) -> usize {
    let mut text = String::new();
    for port in 0..ports {
        let (name, peer) = (format!("va{port}"), format!("vb{port}"));
        stage.pair(&name, &peer, 1);
        text += &format!(
            "[[ports]]\nname = 'p{port}'\ninterface = '{name}'\ncpus = [0]\naction = 'redirect'\n\
             [[flows]]\nname = 'f{port}'\nport = 'p{port}'\nrate = '100pps'\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}]\n"
        );
    }
    let sinks: Vec<Sink> = (0..ports).map(|port| harness::sink(&format!("vb{port}"))).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let mut running = Running::start(trafficgen(&["run", file.path().to_str().unwrap()]));
    running.wait_until("frames of all ports", |_| {
        sinks.iter().all(|sink| sink.count().unwrap().frames > 0)
    });
    let open =
        fs::read_dir(format!("/proc/{}/fd", running.pid().as_raw_nonzero())).unwrap().count();
    running.signal(Signal::INT);
    assert_eq!(running.end().code, Some(0));
    for port in 0..ports {
        harness::ip(&format!("link del va{port}"));
    }
    open
}

/// The soft limit of most systems, 1024, is enough for more than a hundred ports.
#[test]
fn descriptors_of_a_port() {
    let Some(stage) = Stage::set() else { return };
    let (two, six) = (descriptors(&stage, 2), descriptors(&stage, 6));
    let each = (six - two) / 4;
    assert!(each <= 8, "{two} with two ports, {six} with six");
    row(
        "9",
        "run with 2 and 6 ports; /proc/PID/fd",
        "reports",
        0,
        &format!("{each} descriptors a port (36 before)"),
    );
}

/// Counts of many flows are read in another thread than the runtime's, and in few system calls.
#[test]
fn reports_of_many_flows() {
    const FLOWS: usize = 20_000;
    let Some(_stage) = Stage::set() else { return };
    let sink = harness::sink("xtg1");
    let mut text = "[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncpus = [0]\n".to_owned();
    for flow in 0..FLOWS {
        text += &format!(
            "[[flows]]\nname = 'f{flow}'\nport = 'p'\nrate = '1pps'\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}]\n"
        );
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let mut running = Running::start(trafficgen(&["run", file.path().to_str().unwrap(), "--json"]));
    running.wait_until("frames", |_| sink.count().unwrap().frames > 1000);
    let pid = running.pid().as_raw_nonzero();
    // CPU time of the runtime's thread in user and kernel mode, in ticks of 10 ms
    // (proc_pid_stat(5)).
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).unwrap();
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        // The state, the third field, is not a number; utime is the 14th.
        fields[10] + fields[11]
    };
    let (began, before, from) = (std::time::Instant::now(), ticks(), sink.count().unwrap().frames);
    // Each flow sends once a second, so this takes three seconds, or more if the machine is busy.
    running.wait_until("three reports", |_| sink.count().unwrap().frames > from + 3 * FLOWS as u64);
    let (used, elapsed) = (ticks() - before, began.elapsed());
    let part = used as f64 / 100.0 / elapsed.as_secs_f64();
    assert!(part <= 0.2, "the runtime's thread had {used} ticks of 10 ms in {elapsed:?}");
    running.signal(Signal::INT);
    let finished = running.end();
    let report = finished.report(0);
    let port = report.only_port();
    assert_arrived(&sink, port.frames_tx);
    let figures = format!("{FLOWS} flows: the runtime's thread had {:.1} % of a CPU", part * 100.0);
    row("11", "run with 20 000 paced flows, a report a second", "a report", 0, &figures);
}

/// Departures due before the stop have left, and those after it are not unsent.
#[test]
fn a_stop_misses_nothing() {
    const STOPS: usize = 10;
    let Some(_stage) = Stage::set() else { return };
    let (mut punctual, mut single) = (0, 0);
    for stop in 0..STOPS {
        let sink = harness::sink("xtg1");
        let options =
            ["--rate", "1kpps", "--behind", "catch_up=60s", "--strict", "--cpus", "0", "--json"];
        let arguments = [&["udp", "xtg0", "--dst-mac", RECEIVER_MAC], &options[..]].concat();
        let mut running = Running::start(trafficgen(&arguments));
        // The stop comes at another phase of the rate each time.
        running.wait_until("frames", |_| sink.count().unwrap().frames > 100 + 7 * stop as u64);
        running.signal(Signal::INT);
        let finished = running.end();
        let code = finished.code.unwrap_or(-1);
        let report = finished.report(code);
        let port = report.only_port();
        assert_arrived(&sink, port.frames_tx);
        // On a busy machine the worker may get no CPU for longer than frames may catch up; those
        // departures really are unsent.
        assert!(
            code == 0 || (code == 3 && port.frames_unsent.is_some_and(|unsent| unsent > 0)),
            "{report:?}"
        );
        punctual += usize::from(code == 0);
        single += usize::from(port.frames_unsent == Some(1));
        drop(sink);
    }
    assert!(single <= STOPS / 5, "{single} of {STOPS} stops missed a single departure");
    let figures = format!(
        "{punctual} of {STOPS} stops with status 0, {single} with a single departure missed"
    );
    row("18", "udp xtg0 --rate 1kpps --strict, SIGINT", "an ordinary report", 0, &figures);
}

/// A call that begins before the rate falls then takes seconds for its repetitions, while the
/// program keeps working.
#[test]
fn a_rate_that_falls_is_no_standstill() {
    let Some(_stage) = Stage::set() else { return };
    let sink = harness::sink("xtg1");
    // When the rate falls, a call has up to 10 000 repetitions of up to 100 µs each.
    let steps = "steps = [{ rate = '200kpps', duration = '500ms' }, { rate = '5kpps', duration = '2500ms' }]";
    let text = format!(
        "[[ports]]\nname = 'p'\ninterface = 'xtg0'\ncpus = [0]\n\
         [[flows]]\nname = 'f'\nport = 'p'\nrate = {{ {steps} }}\nduration = '3s'\n\
         packet = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}]\n"
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let finished = Finished::of(trafficgen(&["run", file.path().to_str().unwrap(), "--json"]));
    let report = finished.report(0);
    let port = report.only_port();
    assert_arrived(&sink, port.frames_tx);
    assert!(report.findings.iter().all(|finding| finding.code != "stood_still"), "{report:?}");
    let figures = format!("{} of 112 500 received", port.frames_tx);
    row(
        "3",
        "run FILE --json (200 kpps, then 5 kpps)",
        "a report without stood_still",
        0,
        &figures,
    );
}
