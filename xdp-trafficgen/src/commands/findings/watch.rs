//! Explains losses while frames are sent, on a thread of its own: reading the machine's facts
//! delays neither the loop that drives a run nor its end.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
};

use super::{RunFindings, found};
use crate::{
    output::{NewDrops, PortFinding, together},
    stats::Snapshot,
};

/// A function that takes counts and returns the lines about earlier ones. It never blocks.
pub(super) fn watch(run_findings: RunFindings) -> impl FnMut(&Snapshot) -> Vec<String> + use<> {
    let (counts, counted) = channel();
    let (lines, said) = channel();
    let watcher = Watcher { run_findings, told: BTreeSet::new(), renamed: BTreeSet::new() };
    // The thread is not joined: it ends after the run. If it cannot be spawned, the report still
    // explains the losses.
    let _ = thread::Builder::new()
        .name("watcher".to_owned())
        .spawn(move || watcher.watch(&counted, &lines));
    move |snapshot: &Snapshot| {
        // Fails where the thread could not be spawned.
        let _ = counts.send(snapshot.clone());
        said.try_iter().collect()
    }
}

struct Watcher {
    run_findings: RunFindings,
    /// Ports, by their places, whose first losses were reported.
    told: BTreeSet<usize>,
    /// Ports whose interfaces were said to be renamed.
    renamed: BTreeSet<usize>,
}

impl Watcher {
    fn watch(mut self, counted: &Receiver<Snapshot>, lines: &Sender<String>) {
        while let Ok(mut snapshot) = counted.recv() {
            thread::sleep(self.run_findings.rest());
            loop {
                match counted.try_recv() {
                    Ok(later) => snapshot = later,
                    Err(TryRecvError::Empty) => break,
                    // The run is over, and what is left is its report's.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if self.lines(&snapshot).into_iter().any(|line| lines.send(line).is_err()) {
                return;
            }
        }
    }

    /// Of each port: why its first frames were lost, as soon as they are; that a capture runs
    /// there; and that its interface was renamed.
    fn lines(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let ports = &self.run_findings.ports;
        let mut news: Vec<NewDrops> = self.run_findings.learn(snapshot);
        news.sort_by_key(|news| Reverse(news.frames));
        let mut lost = Vec::new();
        for NewDrops { index, finding, .. } in news {
            if let (Some(sending), Some(finding)) = (ports.get(index), finding)
                && self.told.insert(index)
            {
                lost.push(found(sending, finding));
            }
        }
        let captured =
            self.run_findings.newly_captured().into_iter().filter_map(|place| ports.get(place));
        let captured: Vec<PortFinding> =
            captured.map(|sending| found(sending, sending.capture())).collect();
        let mut moved = Vec::new();
        for (place, sending) in ports.iter().enumerate() {
            if let Some(finding) = sending.renamed().filter(|_| !self.renamed.contains(&place)) {
                self.renamed.insert(place);
                moved.push(found(sending, finding));
            }
        }
        let lost = together::as_it_happens("frames are being dropped: ", &lost);
        let others = [captured, moved].map(|findings| together::as_it_happens("", &findings));
        lost.into_iter().chain(others.into_iter().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{
        super::tests::{full, run_findings},
        *,
    };

    /// The loop that drives a run does not wait for facts, however long they take.
    #[test]
    fn a_watch_keeps_nobody() {
        let run_findings = run_findings();
        let mut watch = run_findings.watch();
        let held = run_findings.so_far();
        let (done, is_done) = std::sync::mpsc::channel();
        let watching = thread::spawn(move || {
            let lines = watch(&full(5));
            done.send(lines).unwrap();
            watch
        });
        let at_once = is_done.recv_timeout(Duration::from_secs(60));
        drop(held);
        assert_eq!(at_once, Ok(Vec::new()));
        let mut watch = watching.join().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut lines = Vec::new();
        while lines.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
            lines = watch(&full(5));
        }
        assert!(lines.iter().any(|line| line.contains("frames are being dropped")), "{lines:?}");
    }
}
