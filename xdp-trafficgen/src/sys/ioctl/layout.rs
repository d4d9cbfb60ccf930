//! ethtool's requests as the kernel lays them out (include/uapi/linux/ethtool.h).

/// A request that the kernel overwrites with its answer.
///
/// # Safety
/// Its layout is that of the kernel's struct for its command, without padding, so that the kernel
/// reads and writes only its bytes, and any bytes are a valid value.
pub(super) unsafe trait Request: Copy {}

/// `struct ethtool_drvinfo`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct DriverInfo {
    pub(super) cmd: u32,
    pub(super) driver: [u8; 32],
    pub(super) version: [u8; 32],
    pub(super) fw_version: [u8; 32],
    pub(super) bus_info: [u8; 32],
    pub(super) erom_version: [u8; 32],
    pub(super) reserved: [u8; 12],
    pub(super) numbers: [u32; 5],
}

impl DriverInfo {
    pub(super) const ZERO: Self = Self {
        cmd: 0,
        driver: [0; 32],
        version: [0; 32],
        fw_version: [0; 32],
        bus_info: [0; 32],
        erom_version: [0; 32],
        reserved: [0; 12],
        numbers: [0; 5],
    };
}

// SAFETY: the fields of the kernel's struct, in its order.
unsafe impl Request for DriverInfo {}
const _: () = assert!(size_of::<DriverInfo>() == 196);

/// `struct ethtool_channels`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct ChannelCounts {
    pub(super) cmd: u32,
    pub(super) max_rx: u32,
    pub(super) max_tx: u32,
    pub(super) max_other: u32,
    pub(super) max_combined: u32,
    pub(super) rx_count: u32,
    pub(super) tx_count: u32,
    pub(super) other_count: u32,
    pub(super) combined_count: u32,
}

// SAFETY: the fields of the kernel's struct, in its order.
unsafe impl Request for ChannelCounts {}
const _: () = assert!(size_of::<ChannelCounts>() == 36);

/// `struct ethtool_ringparam`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct RingSizes {
    pub(super) cmd: u32,
    pub(super) rx_max_pending: u32,
    pub(super) rx_mini_max_pending: u32,
    pub(super) rx_jumbo_max_pending: u32,
    pub(super) tx_max_pending: u32,
    pub(super) rx_pending: u32,
    pub(super) rx_mini_pending: u32,
    pub(super) rx_jumbo_pending: u32,
    pub(super) tx_pending: u32,
}

// SAFETY: the fields of the kernel's struct, in its order.
unsafe impl Request for RingSizes {}
const _: () = assert!(size_of::<RingSizes>() == 36);

/// `struct ethtool_value`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Value {
    pub(super) cmd: u32,
    pub(super) data: u32,
}

// SAFETY: the fields of the kernel's struct, in its order.
unsafe impl Request for Value {}
const _: () = assert!(size_of::<Value>() == 8);

/// `struct ethtool_sset_info` of one set: its `data` is one length, and the rest is padding.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct SetInfo {
    pub(super) cmd: u32,
    pub(super) reserved: u32,
    pub(super) sset_mask: u64,
    pub(super) length: u32,
    pub(super) padding: u32,
}

// SAFETY: the fields of the kernel's struct, in its order; it writes a length for each bit of the
// mask, of which one is set.
unsafe impl Request for SetInfo {}
const _: () = assert!(size_of::<SetInfo>() == 24);
