//! Progress on standard error while a run goes on: a table on a terminal, a plain line a second anywhere else.

use std::{
    io::{IsTerminal as _, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{output::text, stats::Snapshot};

/// Shows how a run goes; goes away when dropped.
pub struct Live {
    bar: Option<ProgressBar>,
    last: Snapshot,
}

impl Live {
    /// For this process's standard error.
    pub fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        Self { bar, last: Snapshot::default() }
    }

    /// How often [`Live::show`] wants to be called.
    pub const fn interval(&self) -> Duration {
        if self.bar.is_some() { Duration::from_millis(250) } else { Duration::from_secs(1) }
    }

    /// Shows the counts, and the rates since the last call.
    pub fn show(&mut self, snapshot: Snapshot) {
        let seconds = snapshot.elapsed.saturating_sub(self.last.elapsed).as_secs_f64();
        let rates: Vec<f64> = (0..)
            .zip(&snapshot.ports)
            .map(|(index, port)| {
                let before = self.last.ports.get::<usize>(index).map_or(0, |port| port.transmitted);
                text::mega(port.transmitted.saturating_sub(before), seconds)
            })
            .collect();
        match &self.bar {
            Some(bar) => {
                let mut table = text::table(&["port", "interface", "sent", "dropped", "Mpps"], 2);
                for (port, rate) in snapshot.ports.iter().zip(&rates) {
                    table.add_row([
                        port.name.clone(),
                        port.interface.clone(),
                        text::grouped(port.transmitted),
                        text::grouped(port.dropped()),
                        format!("{rate:.3}"),
                    ]);
                }
                bar.set_message(format!("{table}\n{}", text::duration(snapshot.elapsed)));
                bar.tick();
            }
            None => {
                for (port, rate) in snapshot.ports.iter().zip(&rates) {
                    eprintln!(
                        "{} {} ({}): sent {}, dropped {}, {rate:.3} Mpps",
                        text::duration(snapshot.elapsed),
                        port.name,
                        port.interface,
                        port.transmitted,
                        port.dropped()
                    );
                }
            }
        }
        self.last = snapshot;
    }
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
