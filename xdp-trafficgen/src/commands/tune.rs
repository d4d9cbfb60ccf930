//! `tune`: sends with one setting after the other, shows a table of what each came to, and proposes
//! or stores the best.
//!
//! What is tried is [`sweep`]'s, what is chosen [`tuning`]'s, what is stored [`store`]'s and
//! [`file`]'s.

mod explain;
mod file;
mod sweep;

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::{
    cli,
    commands::{
        CommandError,
        demo::cpus_in_words,
        probe_kernel, results,
        send::signal_stop,
        tune::{
            file::Target,
            sweep::{Run, Sweep, Swept},
        },
    },
    config::{
        self, Action, Config, DEFAULT_BATCH_SIZE, Origin, Source,
        store::{self, Settings},
    },
    host::show_mac,
    output::{
        format::emit,
        streams::say,
        tune::{Ended, TuneReport},
    },
    stats::tuning::{self, ROUNDS, Setting},
};

pub(super) fn tune(options: &cli::Tune) -> Result<(), CommandError> {
    let target =
        options.write.as_deref().map(|path| Target::find(path, &options.interface)).transpose()?;
    let run = Run {
        config: config(options)?,
        capabilities: probe_kernel()?,
        consent: options.common.consent(),
        round: options.duration / ROUNDS,
    };
    let cpus = options.cpus.as_ref().map_or_else(|| run.cpus(), |cpus| Ok(cpus.0.clone()))?;
    let default = Setting {
        action: Action::Redirect,
        cpus: cpus[..1].to_vec(),
        batch_size: DEFAULT_BATCH_SIZE,
    };
    let longest = sweep::longest(cpus.len(), run.round);
    // Before: a program that made way is put back only by an end in order.
    let stop = signal_stop()?;
    let sweep = match Sweep::prepare(run, default, &cpus, &stop) {
        // Stopped before the first frame is no failure.
        Err(error) if error.is_stopped() => {
            say(error);
            return Ok(());
        }
        sweep => sweep?,
    };
    say(format_args!(
        "tuning {} with UDP frames of {} bytes at full speed on {}, {} for each setting: {} s in all at most",
        options.interface,
        options.size,
        cpus_in_words(&cpus),
        humantime::format_duration(options.duration),
        longest.as_secs().max(1),
    ));
    let started = Instant::now();
    let Swept { points, findings, end } = sweep.run(&cpus, &stop);
    let report = TuneReport {
        interface: options.interface.clone(),
        size: options.size,
        each: options.duration,
        choice: tuning::choose(&points),
        points,
        ended: *end.as_ref().unwrap_or(&Ended::Early),
        findings,
        elapsed: started.elapsed(),
    };
    let printed = emit(&report, options.output.output);
    results::both(end.and_then(|_| store(target.as_ref(), options, &report, &stop)), printed)
}

/// Stores what was found, where that was asked for, and something was.
fn store(
    target: Option<&Target>,
    options: &cli::Tune,
    report: &TuneReport,
    stop: &CancellationToken,
) -> Result<(), CommandError> {
    if !report.points.iter().any(|point| point.count.frames_tx > 0) {
        // Stopped before the first frame is no failure.
        return if stop.is_cancelled() { Ok(()) } else { Err(CommandError::NothingSent) };
    }
    match target {
        Some(target) => finish(target, options, report),
        None => Ok(()),
    }
}

/// Stores what was found, or says why not.
fn finish(target: &Target, options: &cli::Tune, report: &TuneReport) -> Result<(), CommandError> {
    let path = target.path().display();
    let (Ended::Complete, Some(point)) = (report.ended, report.chosen()) else {
        say(format_args!("{path} stays as it is: not everything was measured"));
        return Ok(());
    };
    let Setting { action, cpus, batch_size } = &point.setting;
    let settings = Settings { action: *action, cpus, batch_size: *batch_size };
    let mac = options.dst_mac.map(show_mac);
    for line in target.write(settings, || {
        store::new_file(&options.interface, mac.as_deref(), options.size, settings)
    })? {
        say(line);
    }
    Ok(())
}

/// One flow of UDP frames, as a new file would have it: what is measured is what would be stored.
fn config(options: &cli::Tune) -> Result<Config, CommandError> {
    let settings =
        Settings { action: Action::Redirect, cpus: &[0], batch_size: DEFAULT_BATCH_SIZE };
    let mac = options.dst_mac.map(show_mac);
    let text = store::new_file(&options.interface, mac.as_deref(), options.size, settings);
    let mut config =
        config::file::parse(Source::file("tune", &text)).map_err(CommandError::Config)?;
    // What is wrong with them, the user wrote on the command line, if at all.
    config.source = Source::command_line();
    for port in &mut config.ports {
        port.interface.place = Origin::Option("INTERFACE");
    }
    for flow in &mut config.flows {
        flow.size.place = Origin::Option("--size");
        flow.packet.iter_mut().for_each(|header| header.kind.place = Origin::Default);
    }
    Ok(config)
}
