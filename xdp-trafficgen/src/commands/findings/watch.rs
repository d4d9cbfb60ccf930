//! Says why frames are lost while they are sent, by a thread of its own: a look at the machine
//! keeps neither who drives a run nor who ends it.

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

/// Takes counts, and gives what there is to say of those before them. It waits for nothing.
pub(super) fn watch(outlook: RunFindings) -> impl FnMut(&Snapshot) -> Vec<String> + use<> {
    let (counts, counted) = channel();
    let (lines, said) = channel();
    let watcher = Watcher { outlook, told: BTreeSet::new(), renamed: BTreeSet::new() };
    // Nobody waits for its end, which follows that of the run. Without it the report tells all the
    // same.
    let _ = thread::Builder::new()
        .name("watcher".to_owned())
        .spawn(move || watcher.watch(&counted, &lines));
    move |snapshot: &Snapshot| {
        // It takes none where there was no thread to be had.
        let _ = counts.send(snapshot.clone());
        said.try_iter().collect()
    }
}

struct Watcher {
    outlook: RunFindings,
    /// Ports, by their places, whose first losses were told.
    told: BTreeSet<usize>,
    /// Ports whose interfaces were said to be renamed.
    renamed: BTreeSet<usize>,
}

impl Watcher {
    fn watch(mut self, counted: &Receiver<Snapshot>, lines: &Sender<String>) {
        while let Ok(mut snapshot) = counted.recv() {
            thread::sleep(self.outlook.rest());
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

    /// Of each port, as soon as it loses frames, why the first ones were lost; that somebody
    /// captures there; and that its interface was renamed.
    fn lines(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let ports = &self.outlook.ports;
        let mut news: Vec<NewDrops> = self.outlook.learn(snapshot);
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
            self.outlook.newly_captured().into_iter().filter_map(|place| ports.get(place));
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
        super::tests::{full, outlook},
        *,
    };

    /// Whoever drives a run, or ends it, does not wait for a look, however long that takes.
    #[test]
    fn a_watch_keeps_nobody() {
        let outlook = outlook();
        let mut watch = outlook.watch();
        let held = outlook.so_far();
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
