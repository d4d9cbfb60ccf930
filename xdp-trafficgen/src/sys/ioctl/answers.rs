//! What drivers answer, as plain values.

/// As `ethtool -i` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Such as `ice`.
    pub name: String,
    /// Its version; for drivers of the kernel, that of the kernel.
    pub version: String,
    /// Where the device is, such as `0000:3b:00.0`; empty for virtual interfaces.
    pub bus_info: String,
}

/// Numbers of queues. Combined ones are counted in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// For receiving.
    pub rx: u32,
    /// For transmitting.
    pub tx: u32,
}

/// Numbers of queues, and how many there could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    /// In use.
    pub(crate) current: Queues,
    /// At most.
    pub(crate) most: Queues,
}

/// Entries of rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// Entries of a receive ring.
    pub rx: u32,
    /// The most the driver allows.
    pub rx_max: u32,
    /// Entries of a transmit ring.
    pub tx: u32,
    /// The most the driver allows.
    pub tx_max: u32,
}
