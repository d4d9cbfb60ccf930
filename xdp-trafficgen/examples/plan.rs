//! A plan without a kernel: what a configuration would send on a machine that is only described.
//!
//! A plan is a pure function of a configuration and of facts, and facts are plain values. So a
//! planner for other machines, or a test of a configuration, needs neither privileges nor
//! interfaces:
//!
//!     cargo run --example plan
//!
//! It exits non-zero when the configuration is wrong.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use xdp_trafficgen::{
    config::{Diagnostics, Source, file},
    host::{Facts, Link},
    plan::{self, DefaultRoute, Plan},
};

const CONFIGURATION: &str = r#"
[[ports]]
name = "west"
interface = "eth1"
cpus = [0, 1]

[[flows]]
name = "calls"
port = "west"
size = 218
rate = "50pps"
packet = [{ ethernet = { dst = "02:00:00:00:00:02" } }, { ipv4 = { dscp = 46 } }, { udp = {} }]

[[flows]]
name = "backup"
port = "west"
size = 1518
rate = "40%"
packets = 1_000_000
packet = [{ ethernet = { dst = "02:00:00:00:00:02" } }, { ipv4 = {} }, { tcp = { dst_port = 443 } }]
"#;

fn main() -> ExitCode {
    match show(&mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            // Best effort: the exit status says it too.
            let _ = writeln!(io::stderr(), "{wrong}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn show(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    // The error has all that is wrong, each mistake with its line and what helps.
    let plan = plan_for(&machine())?;
    for port in &plan.ports {
        writeln!(
            out,
            "port {} sends out of {} on CPUs {:?}",
            port.name, port.interface, port.cpus
        )?;
        for flow in &port.flows {
            let ends = flow
                .packets
                .map_or("without end".to_owned(), |packets| format!("{packets} frames"));
            writeln!(out, "  flow {}: frames of {} bytes, {ends}", flow.name, flow.largest)?;
        }
    }
    // What was decided because the configuration does not say it.
    for note in &plan.notes {
        writeln!(out, "{note}")?;
    }
    Ok(())
}

fn plan_for(facts: &Facts) -> Result<Plan, Diagnostics> {
    let config = file::parse(Source::file("example.toml", CONFIGURATION))?;
    plan::plan(&config, facts, DefaultRoute::Refuse)
}

/// A machine with two CPUs and a link of 10 Gb/s. [`Facts::gather`] asks the machine that this runs
/// on.
fn machine() -> Facts {
    let eth1 = Link {
        name: "eth1".to_owned(),
        alt_names: Vec::new(),
        index: 2,
        mtu: 1500,
        up: true,
        carrier: true,
        mac: Some([2, 0, 0, 0, 0, 1]),
        speed: Some(10_000_000_000),
        bus: Some("pci".to_owned()),
    };
    Facts { links: vec![eth1], cpus: vec![0, 1], allowed_cpus: vec![0, 1], ..Facts::default() }
}
