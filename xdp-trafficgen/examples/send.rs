//! Sends a million frames out of an interface and reads the counts:
//!
//!     cargo build --example send
//!     sudo target/debug/examples/send eth1 02:00:00:00:00:02
//!
//! The second argument is the MAC address that the frames go to. It really sends: take an interface
//! that carries nothing else.

use std::{
    env,
    error::Error,
    io::{self, Write},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use xdp_trafficgen::{
    config::{Source, file},
    engine::{Loaded, Start},
    host::Facts,
    plan::{self, DefaultRoute},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [interface, dst_mac] = arguments.as_slice() else {
        return Err("usage: send INTERFACE DST_MAC".into());
    };
    send(interface, dst_mac, &mut io::stdout())
}

pub(crate) fn send(
    interface: &str,
    dst_mac: &str,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    // What to send. A file is read the same way.
    let text = configuration(interface, dst_mac);
    let config = file::parse(Source::file("example.toml", &text))?;

    // What this machine has, as far as the configuration is concerned. It blocks, and so does not
    // belong into async code.
    let facts = Facts::gather(&plan::sought(&config), &plan::interfaces(&config), None)?;

    // What can be wrong with it is found before anything is loaded.
    let plan = plan::plan(&config, &facts, DefaultRoute::Refuse)?;

    // One pinned thread a CPU sends. Cancelling the token, in a signal handler for example, ends
    // the session in order.
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (snapshot, failure) = runtime.block_on(async {
        let session = Loaded::new(plan)?.start(Start::Now, &stop)?;
        session.run(Duration::from_secs(1), |_progress| {}).await
    })?;

    for port in &snapshot.ports {
        writeln!(
            out,
            "{} attempted, {} taken by the driver of {}",
            port.frames_attempted, port.frames_tx, port.interface
        )?;
        for (reason, frames) in &port.drops {
            writeln!(out, "{frames} dropped: {reason:?}")?;
        }
    }
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// UDP frames of 64 bytes to a thousand ports.
fn configuration(interface: &str, dst_mac: &str) -> String {
    format!(
        r#"
[[ports]]
name = "out"
interface = "{interface}"

[[flows]]
name = "million"
port = "out"
packets = "1M"
packet = [
  {{ ethernet = {{ dst = "{dst_mac}" }} }},
  {{ ipv4 = {{ src = "198.18.0.1", dst = "198.19.0.1" }} }},
  {{ udp = {{ dst_port = {{ increment = {{ start = 1024, count = 1000 }} }} }} }},
]
"#
    )
}
