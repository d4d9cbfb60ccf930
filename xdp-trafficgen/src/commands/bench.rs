//! `bench-run` and `bench-sink`: single measurements, which `cargo xtask bench` interleaves and compares.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, BenchCase},
    commands::{
        CommandError,
        demo::Stage,
        probe_kernel,
        send::{default_route, drive, work_out},
    },
    config::{FieldSetting, Located, Pattern, pattern::Count},
    engine::Loaded,
    kernel::{Sink, generator::Role, sink::AfterCounting},
    packet::HeaderKind,
};

pub(super) fn run(options: &cli::BenchRun) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let stage = Stage::set(Some(options.cpus.0.clone()))?;
    let duration = seconds(options.seconds);
    let mut config = stage.port_range(Some(duration)).map_err(CommandError::Config)?;
    if options.case == BenchCase::FourFields {
        for header in config.flows.iter_mut().flat_map(|flow| &mut flow.packet) {
            let (names, first): ([&str; 2], u128) = match header.kind.value {
                HeaderKind::Ipv4 => (["src", "dst"], 0x0a00_0001),
                HeaderKind::Udp => (["src_port", "dst_port"], 1024),
                _ => continue,
            };
            header.fields = names
                .into_iter()
                .filter_map(|name| header.kind.value.field(name))
                .zip([1000, 999])
                .map(|(field, count)| FieldSetting {
                    field,
                    pattern: Located::default(Pattern::Increment(Count { start: first, step: 1, count })),
                })
                .collect();
        }
    }
    let plan = work_out(&config, Some(capabilities), default_route(false))?;
    let role = match options.case {
        BenchCase::Floor => Role::Floor,
        BenchCase::PortRange | BenchCase::FourFields => Role::Generate,
    };
    let loaded = Loaded::with_role(plan, role)?;
    let (snapshot, failure) = drive(loaded, &CancellationToken::new(), None)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    report(stage.sink.count()?.frames, snapshot.elapsed);
    Ok(())
}

pub(super) fn sink(options: &cli::BenchSink) -> Result<(), CommandError> {
    let sink = Sink::attach(&options.interface, AfterCounting::Drop)?;
    let (before, started) = (sink.count()?.frames, Instant::now());
    thread::sleep(seconds(options.seconds));
    let frames = sink.count()?.frames - before;
    report(frames, started.elapsed());
    Ok(())
}

fn report(frames: u64, elapsed: Duration) {
    println!(
        "{}",
        serde_json::json!({ "frames_rx": frames, "duration_ns": u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX) })
    );
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1))
}
