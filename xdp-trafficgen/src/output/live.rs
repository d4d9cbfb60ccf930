//! Progress on standard error while a run goes on: a table on a terminal, a plain line a second anywhere else.

use std::{
    io::{IsTerminal as _, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    output::{streams::say, text},
    stats::{PortCount, Punctuality, Snapshot},
};

/// Shows how a run goes; goes away when dropped.
pub struct Live {
    bar: Option<ProgressBar>,
    last: Snapshot,
    explain: Explain,
}

/// What there is to say of counts that has not been said before, a line each.
pub type Explain = Box<dyn FnMut(&Snapshot) -> Vec<String>>;

impl Live {
    /// For this process's standard error.
    pub fn new() -> Self {
        Self::explaining(Box::new(|_| Vec::new()))
    }

    /// The same, with a word about what goes wrong, while it does.
    pub fn explaining(explain: Explain) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        Self { bar, last: Snapshot::default(), explain }
    }

    /// How often [`Live::show`] wants to be called.
    pub const fn interval(&self) -> Duration {
        if self.bar.is_some() { Duration::from_millis(250) } else { Duration::from_secs(1) }
    }

    /// Shows the counts, and the rates since the last call.
    pub fn show(&mut self, snapshot: Snapshot) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(table(&snapshot, &self.last));
                bar.tick();
            }
            None => lines(&snapshot, &self.last).iter().for_each(say),
        }
        for line in (self.explain)(&snapshot) {
            match &self.bar {
                Some(bar) => bar.println(line),
                None => say(line),
            }
        }
        self.last = snapshot;
    }
}

/// Frames of a port a second since the last look: the one figure that is not of the whole run.
fn now(snapshot: &Snapshot, last: &Snapshot, index: usize) -> f64 {
    let sent = |snapshot: &Snapshot| snapshot.ports.get(index).map_or(0, |port| port.transmitted);
    let seconds = snapshot.elapsed.saturating_sub(last.elapsed).as_secs_f64();
    text::mega(sent(snapshot).saturating_sub(sent(last)), seconds) * 1e6
}

/// A rate that may not be known yet.
fn known(rate: Option<f64>) -> String {
    rate.map_or_else(|| "–".to_owned(), text::pps)
}

/// For a terminal.
fn table(snapshot: &Snapshot, last: &Snapshot) -> String {
    let paced = snapshot.ports.iter().any(|port| port.punctuality.is_some());
    let mut headings = vec!["port", "interface", "sent", "dropped"];
    headings.extend_from_slice(if paced { &["now", "requested", "achieved", "late", "never sent"] } else { &["Mpps"] });
    let mut table = text::table(&headings, 2);
    for (index, port) in snapshot.ports.iter().enumerate() {
        let mut row = vec![
            port.name.clone(),
            port.interface.clone(),
            text::grouped(port.transmitted),
            text::grouped(port.dropped()),
        ];
        let now = now(snapshot, last, index);
        row.push(if paced { text::pps(now.round()) } else { format!("{:.3}", now / 1e6) });
        if let Some(Punctuality { requested, achieved, late, worst: _, unsent, time: _ }) = port.punctuality {
            row.extend([known(requested), known(achieved), text::grouped(late), text::grouped(unsent)]);
        }
        table.add_row(row);
    }
    format!("{table}\n{}", text::duration(snapshot.elapsed))
}

/// For a log: one a port.
fn lines(snapshot: &Snapshot, last: &Snapshot) -> Vec<String> {
    let line = |(index, port): (usize, &PortCount)| {
        let (elapsed, now) = (text::duration(snapshot.elapsed), now(snapshot, last, index));
        let PortCount { name, interface, transmitted, .. } = port;
        let counts = format!("{elapsed} {name} ({interface}): sent {transmitted}, dropped {}", port.dropped());
        let Some(Punctuality { requested, achieved, late, worst: _, unsent, time: _ }) = port.punctuality else {
            return format!("{counts}, {:.3} Mpps", now / 1e6);
        };
        let (now, requested, achieved) = (text::pps(now.round()), known(requested), known(achieved));
        format!("{counts}, now {now}, requested {requested}, achieved {achieved}, late {late}, never sent {unsent}")
    };
    snapshot.ports.iter().enumerate().map(line).collect()
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that has sent so much after so many seconds.
    fn after(seconds: u64, transmitted: u64, punctuality: Option<Punctuality>) -> Snapshot {
        let port = PortCount {
            name: "west".to_owned(),
            interface: "eth1".to_owned(),
            elapsed: Duration::from_secs(seconds),
            attempted: transmitted,
            transmitted,
            punctuality,
            ..PortCount::default()
        };
        Snapshot { elapsed: Duration::from_secs(seconds), ports: vec![port] }
    }

    /// The row of the table without its spaces, and the line for a log.
    #[track_caller]
    fn check(punctuality: Option<Punctuality>, row: &str, line: &str) {
        let (last, snapshot) = (after(1, 400_000, punctuality), after(3, 1_000_000, punctuality));
        let shown = table(&snapshot, &last);
        let shown = shown.lines().find(|line| line.contains("west")).unwrap();
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), row);
        assert_eq!(lines(&snapshot, &last), [line]);
    }

    #[test]
    fn what_is_seen() {
        let counts = "3.000 s west (eth1): sent 1000000, dropped 0";
        check(None, "west eth1 1 000 000 0 0.300", &format!("{counts}, 0.300 Mpps"));
        let punctuality =
            Punctuality { requested: Some(5e5), achieved: None, late: 1234, unsent: 5, ..Punctuality::default() };
        let row = "west eth1 1 000 000 0 300 kpps 500 kpps – 1 234 5";
        let line = format!("{counts}, now 300 kpps, requested 500 kpps, achieved –, late 1234, never sent 5");
        check(Some(punctuality), row, &line);
    }
}
