//! `demo`: two interfaces of our own, one sends, at full speed or a rate, the other counts.

use std::time::Duration;

use crate::{
    cli::{self, PortRange},
    commands::{
        CommandError, probe_kernel,
        quick::udp,
        send::{self, send_plan, work_out},
    },
    config::Config,
    host::{Facts, Mac, Netlink, NetlinkError},
    kernel::{PrivateNetns, Sink, sink::SinkAction},
    output::{streams::say, together::notes},
    units::CpuList,
};

pub(super) fn demo(options: &cli::Demo) -> Result<(), CommandError> {
    let capabilities = probe_kernel()?;
    let stage = CountedPair::set(None, None)?;
    let sending = format!(
        "sending UDP frames of 64 bytes from {SENDER} to {RECEIVER}, in a namespace of their own, on {} for {}",
        cpus_in_words(&stage.cpus),
        humantime::format_duration(options.duration)
    );
    let config = stage
        .port_range(Some(options.duration), options.rate.clone())
        .map_err(CommandError::Config)?;
    let session = cli::Session { at: None, strict: options.strict };
    let options = send::Options::of(&cli::Common::default(), session, &options.output);
    let plan = work_out(&config, Some(capabilities), options.consent)?;
    // Once nothing can be wrong any more that was written.
    say(sending);
    notes(&plan.notes).iter().for_each(say);
    send_plan(plan, options, Some(&stage.sink))
}

pub(super) const SENDER: &str = "xtg0";
pub(super) const RECEIVER: &str = "xtg1";

/// A veth pair, [`SENDER`] and [`RECEIVER`], in a namespace that this process moved into.
pub(super) struct VethPair {
    pub(super) cpus: Vec<u32>,
    pub(super) receiver_mac: Mac,
    netns: PrivateNetns,
}

impl VethPair {
    /// Moves the calling thread, and with it all threads to come, into the new namespace. `cpus`:
    /// those to send on, all that are allowed when none are given. `queues`: of each end, one for
    /// each CPU when none are given.
    pub(super) fn lay(cpus: Option<Vec<u32>>, queues: Option<u32>) -> Result<Self, CommandError> {
        let netns = PrivateNetns::enter()?;
        let allowed = Facts::gather(&[], &[], None)?.allowed_cpus;
        let cpus = cpus.unwrap_or_else(|| allowed.clone());
        let netlink = Netlink::open().map_err(crate::host::FactsError::from)?;
        // A queue for each CPU: a veth's receive work then stays on the CPU that sends, and no ring
        // overflows.
        let one_each = || allowed.iter().chain(&cpus).max().map_or(1, |&last| last + 1);
        let queues = queues.unwrap_or_else(one_each);
        let links = lay_quietly(&netlink, (SENDER, RECEIVER), queues)
            .and_then(|()| netlink.links())
            .map_err(crate::host::FactsError::from)?;
        let receiver_mac = links
            .iter()
            .find(|link| link.name == RECEIVER)
            .and_then(|link| link.mac)
            .unwrap_or_default();
        Ok(Self { cpus, receiver_mac, netns })
    }
}

/// Two interfaces that face each other, up, with so many queues each.
fn lay_quietly(
    netlink: &Netlink,
    (one, other): (&str, &str),
    queues: u32,
) -> Result<(), NetlinkError> {
    netlink
        .add_veth(one, other, queues)
        // The kernel's own neighbour discovery would be counted by the receiver too.
        .and_then(|()| netlink.keep_quiet(one))
        .and_then(|()| netlink.keep_quiet(other))
        .and_then(|()| netlink.set_up(one))
        .and_then(|()| netlink.set_up(other))
}

/// A [`VethPair`] with a counting receiver at one end.
pub(super) struct CountedPair {
    pub(super) sink: Sink,
    pub(super) cpus: Vec<u32>,
    pub(super) receiver_mac: Mac,
    _netns: PrivateNetns,
}

impl CountedPair {
    /// As [`VethPair::lay`].
    pub(super) fn set(cpus: Option<Vec<u32>>, queues: Option<u32>) -> Result<Self, CommandError> {
        Self::slow(cpus, queues, 0)
    }

    /// The same, with a receiver that takes so many nanoseconds over each frame.
    pub(super) fn slow(
        cpus: Option<Vec<u32>>,
        queues: Option<u32>,
        busy_ns: u64,
    ) -> Result<Self, CommandError> {
        let VethPair { cpus, receiver_mac, netns } = VethPair::lay(cpus, queues)?;
        let sink = Sink::taking(RECEIVER, SinkAction::Drop, busy_ns)?;
        Ok(Self { sink, cpus, receiver_mac, _netns: netns })
    }

    /// UDP to a range of 64 000 ports, frames of 64 bytes.
    pub(super) fn port_range(
        &self,
        duration: Option<Duration>,
        rate: Option<String>,
    ) -> Result<Config, crate::config::Diagnostics> {
        udp::config(&cli::Udp {
            quick: cli::Quick {
                dst_mac: Some(self.receiver_mac),
                duration,
                cpus: Some(CpuList(self.cpus.clone())),
                rates: cli::QuickRateOptions { rate, ..cli::QuickRateOptions::default() },
                ..cli::Quick::new(SENDER, cli::Common::default())
            },
            dst_port: PortRange { first: 1024, last: 65023 },
            src_port: PortRange { first: 49152, last: 49152 },
        })
    }
}

/// Pairs of interfaces with a counting receiver each, in a namespace that this process moved into.
pub(super) struct CountedPairs {
    /// Of the pairs, in their order.
    pub(super) sinks: Vec<Sink>,
    _netns: PrivateNetns,
}

impl CountedPairs {
    /// As [`VethPair::lay`], so many of them.
    pub(super) fn set(count: u32) -> Result<Self, CommandError> {
        let netns = PrivateNetns::enter()?;
        let allowed = Facts::gather(&[], &[], None)?.allowed_cpus;
        let queues = allowed.iter().max().map_or(1, |&last| last + 1);
        let netlink = Netlink::open().map_err(crate::host::FactsError::from)?;
        let mut sinks = Vec::new();
        for number in 0..count {
            let receiver = format!("rx{number}");
            lay_quietly(&netlink, (&Self::sender(number), &receiver), queues)
                .map_err(crate::host::FactsError::from)?;
            sinks.push(Sink::attach(&receiver, SinkAction::Drop)?);
        }
        Ok(Self { sinks, _netns: netns })
    }

    /// The sending end of a pair.
    pub(super) fn sender(number: u32) -> String {
        format!("tx{number}")
    }
}

pub(super) fn cpus_in_words(cpus: &[u32]) -> String {
    let list = CpuList(cpus).one_by_one();
    if cpus.len() == 1 { format!("CPU {list}") } else { format!("CPUs {list}") }
}
