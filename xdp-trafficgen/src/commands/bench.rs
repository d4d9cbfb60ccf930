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
    config::{FieldSetting, Header, Located, Pattern, pattern::Count},
    engine::Loaded,
    kernel::{Sink, generator::Role, sink::AfterCounting},
    packet::HeaderKind,
};

pub(super) fn run(options: &cli::BenchRun) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let stage = Stage::set(Some(options.cpus.0.clone()))?;
    let duration = seconds(options.seconds);
    let mut config = stage.port_range(Some(duration)).map_err(CommandError::Config)?;
    for header in config.flows.iter_mut().flat_map(|flow| &mut flow.packet) {
        vary(header, options.case);
    }
    let plan = work_out(&config, Some(capabilities), default_route(false))?;
    let role = match options.case {
        BenchCase::Floor => Role::Floor,
        _ => Role::Generate,
    };
    let loaded = Loaded::with_role(plan, role)?;
    let (snapshot, failure) = drive(loaded, &CancellationToken::new(), None)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    report(stage.sink.count()?.frames, snapshot.elapsed);
    Ok(())
}

/// Sets the patterns of a header as the case wants them.
fn vary(header: &mut Header, case: BenchCase) {
    let (names, start): (&[&str], u128) = match (header.kind.value, case) {
        (_, BenchCase::Floor | BenchCase::LongPortRange) => return,
        (HeaderKind::Udp, BenchCase::PortRange) => (&["dst_port"], 1024),
        (HeaderKind::Udp, _) => (&["src_port", "dst_port"], 1024),
        (HeaderKind::Ipv4, BenchCase::FourFields | BenchCase::FourFieldsLong | BenchCase::FourFieldsRandom) => {
            (&["src", "dst"], 0x0a00_0001)
        }
        _ => return,
    };
    let pattern = |index: u64| match case {
        BenchCase::FourFieldsRandom => Pattern::Random { min: start, max: start + 999, seed: Some(index), count: None },
        BenchCase::FourFieldsLong => Pattern::Increment(Count { start, step: 1, count: 1000 - index }),
        _ => Pattern::Increment(Count { start, step: 1, count: 1000 }),
    };
    header.fields = (0..)
        .zip(names)
        .filter_map(|(index, name)| Some((index, header.kind.value.field(name)?)))
        .map(|(index, field)| FieldSetting {
            field: field.clone(),
            pattern: Located::default(pattern(index)),
            follow: None,
        })
        .collect();
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
