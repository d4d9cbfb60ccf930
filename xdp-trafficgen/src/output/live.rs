//! Progress on standard error while a run goes on: a table on a terminal, a plain line a second
//! anywhere else.

mod table;

use std::time::Duration;

use crate::{
    output::{numbers, streams::say, terminal::Terminal},
    plan::port_name,
    stats::{PortCount, Punctuality, Snapshot},
};

/// Shows how a run goes; goes away when dropped.
pub struct Live {
    terminal: Option<Terminal>,
    last: Snapshot,
    explain: Explain,
}

/// The new remarks about counts, a line each.
pub type Explain = Box<dyn FnMut(&Snapshot) -> Vec<String>>;

impl Live {
    /// For this process's standard error.
    pub fn new() -> Self {
        Self::explaining(Box::new(|_| Vec::new()))
    }

    /// [`Live::new`], with remarks about what goes wrong as it happens.
    pub fn explaining(explain: Explain) -> Self {
        Self { terminal: Terminal::find(), last: Snapshot::default(), explain }
    }

    /// How often [`Live::show`] wants to be called.
    pub const fn interval(&self) -> Duration {
        if self.terminal.is_some() { Duration::from_millis(250) } else { Duration::from_secs(1) }
    }

    /// Shows the counts, and the rates since the last call.
    pub fn show(&mut self, snapshot: Snapshot) {
        if self.terminal.is_none() {
            lines(&snapshot, &self.last).iter().for_each(say);
        }
        (self.explain)(&snapshot).iter().for_each(say);
        if let Some(terminal) = &self.terminal {
            terminal.show(&table::render(&snapshot, &self.last, terminal.size()));
        }
        self.last = snapshot;
    }
}

/// Frames of a port a second since the last call: the one figure that is not of the whole run.
fn now(snapshot: &Snapshot, last: &Snapshot, index: usize) -> f64 {
    let sent = |snapshot: &Snapshot| snapshot.ports.get(index).map_or(0, |port| port.frames_tx);
    let seconds = snapshot.elapsed.saturating_sub(last.elapsed).as_secs_f64();
    numbers::mega(sent(snapshot).saturating_sub(sent(last)), seconds) * 1e6
}

/// A rate that may not be known yet.
fn known(rate: Option<f64>) -> String {
    rate.map_or_else(|| "–".to_owned(), numbers::pps)
}

/// For a log: one a port.
fn lines(snapshot: &Snapshot, last: &Snapshot) -> Vec<String> {
    let line = |(index, port): (usize, &PortCount)| {
        let (elapsed, now) = (numbers::duration(snapshot.elapsed), now(snapshot, last, index));
        let PortCount { name, interface, frames_tx, .. } = port;
        let name = port_name(name, interface);
        let counts =
            format!("{elapsed} {name}: sent {frames_tx}, dropped {}", port.frames_dropped());
        let Some(Punctuality { requested, achieved, late, unsent, .. }) = port.punctuality else {
            return format!("{counts}, {:.3} Mpps", now / 1e6);
        };
        let (now, requested, achieved) =
            (numbers::pps(now.round()), known(requested), known(achieved));
        format!(
            "{counts}, now {now}, requested {requested}, achieved {achieved}, late {late}, never sent {unsent}"
        )
    };
    snapshot.ports.iter().enumerate().map(line).collect()
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::terminal::Size;

    /// A port that has sent so much after so many seconds.
    fn after(seconds: u64, frames_tx: u64, punctuality: Option<Punctuality>) -> Snapshot {
        let port = PortCount {
            name: "west".to_owned(),
            interface: "eth1".to_owned(),
            elapsed: Duration::from_secs(seconds),
            frames_attempted: frames_tx,
            frames_tx,
            punctuality,
            ..PortCount::default()
        };
        Snapshot { elapsed: Duration::from_secs(seconds), ports: vec![port] }
    }

    /// The row of the table without its spaces, and the line for a log.
    #[track_caller]
    fn check(punctuality: Option<Punctuality>, row: &str, line: &str) {
        let (last, snapshot) = (after(1, 400_000, punctuality), after(3, 1_000_000, punctuality));
        let shown = table::render(&snapshot, &last, Size { columns: 100, rows: 24 });
        let shown = shown.lines().find(|line| line.contains("west")).unwrap();
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), row);
        assert_eq!(lines(&snapshot, &last), [line]);
    }

    #[test]
    fn what_is_seen() {
        let counts = "3.000 s west (eth1): sent 1000000, dropped 0";
        check(None, "west (eth1) 1 000 000 0 0.300", &format!("{counts}, 0.300 Mpps"));
        let punctuality = Punctuality {
            requested: Some(5e5),
            achieved: None,
            late: 1234,
            unsent: 5,
            ..Punctuality::default()
        };
        let row = "west (eth1) 1 000 000 0 300 kpps 500 kpps – 1 234 5";
        let line = format!(
            "{counts}, now 300 kpps, requested 500 kpps, achieved –, late 1234, never sent 5"
        );
        check(Some(punctuality), row, &line);
    }
}
