//! The counters of an interface and its NIC, to be compared with our own.

use std::{collections::BTreeMap, io};

use rtnetlink::{
    packet_core::NLM_F_REQUEST,
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkMessage},
    },
    sys::{Socket, protocols::NETLINK_ROUTE},
};

use crate::{
    host::StackAnswers,
    sys::{
        ioctl::Drivers,
        netlink::{self, receive, send, unexpected},
    },
};

/// Counters since the interface exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames sent, all senders together (rtnetlink's `tx_packets`).
    pub tx_packets: u64,
    /// Bytes of these frames; most drivers do not count the FCS.
    pub tx_bytes: u64,
    /// Frames dropped, mostly because a queue was full.
    pub tx_dropped: u64,
    /// Frames that could not be sent because of errors.
    pub tx_errors: u64,
    /// The driver's own counters (`ethtool -S`), by name.
    pub nic: BTreeMap<String, u64>,
    /// Answers of this host's own stack in the same period, by whichever interface: `tx_packets`
    /// may include them.
    pub answers: StackAnswers,
}

impl Counters {
    /// Reads the counters of the interface with this index in the calling thread's network
    /// namespace.
    ///
    /// # Errors
    /// As [`CounterReader`]'s.
    pub fn read(index: u32) -> io::Result<Self> {
        CounterReader::open()?.read(index)
    }

    /// Adds the counts of another period.
    pub fn add(&mut self, other: &Self) {
        let Self { tx_packets, tx_bytes, tx_dropped, tx_errors, nic, answers } = other;
        self.answers.add(answers);
        self.tx_packets += tx_packets;
        self.tx_bytes += tx_bytes;
        self.tx_dropped += tx_dropped;
        self.tx_errors += tx_errors;
        for (name, count) in nic {
            *self.nic.entry(name.clone()).or_default() += count;
        }
    }

    /// The counts since `earlier`; zero where a counter was reset.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let nic = self.nic.iter().map(|(name, count)| {
            (name.clone(), count.saturating_sub(earlier.nic.get(name).copied().unwrap_or_default()))
        });
        Self {
            tx_packets: self.tx_packets.saturating_sub(earlier.tx_packets),
            tx_bytes: self.tx_bytes.saturating_sub(earlier.tx_bytes),
            tx_dropped: self.tx_dropped.saturating_sub(earlier.tx_dropped),
            tx_errors: self.tx_errors.saturating_sub(earlier.tx_errors),
            nic: nic.collect(),
            answers: self.answers.since(&earlier.answers),
        }
    }
}

/// Reads counters of interfaces in the network namespace of the thread that opened it. Needs no
/// runtime, so it can be used inside of one.
#[derive(Debug)]
pub struct CounterReader {
    route: Socket,
    drivers: Drivers,
}

impl CounterReader {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn open() -> io::Result<Self> {
        Ok(Self { route: netlink::open(NETLINK_ROUTE)?, drivers: Drivers::open()? })
    }

    /// The counters of the interface with this index. Some drivers ask their hardware first, which
    /// takes milliseconds.
    ///
    /// # Errors
    /// `ENODEV` when there is no such interface.
    pub fn read(&self, index: u32) -> io::Result<Counters> {
        let mut wanted = LinkMessage::default();
        wanted.header.index = index;
        send(&self.route, RouteNetlinkMessage::GetLink(wanted), NLM_F_REQUEST)?;
        let answer = receive(&self.route)?.answers.into_iter().next();
        let Some(RouteNetlinkMessage::NewLink(link)) = answer else { return Err(unexpected()) };
        let mut counters = Counters { answers: StackAnswers::read(), ..Counters::default() };
        let mut name = String::new();
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::IfName(found) => name = found,
                LinkAttribute::Stats64(stats) => {
                    counters.tx_packets = stats.tx_packets;
                    counters.tx_bytes = stats.tx_bytes;
                    counters.tx_dropped = stats.tx_dropped;
                    counters.tx_errors = stats.tx_errors;
                }
                _ => {}
            }
        }
        // By its current name: the interface may have been renamed.
        counters.nic = self.drivers.counters(&name)?.into_iter().collect();
        Ok(counters)
    }
}
