//! A network interface's names, index, state and address.

use std::io;

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, netdevice, socket},
};

/// A MAC address.
pub type Mac = [u8; 6];

/// The address in text.
pub fn show_mac([a, b, c, d, e, f]: Mac) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// The address as a number, as fields hold it.
pub fn mac_value(mac: Mac) -> u128 {
    mac.iter().fold(0, |value, &byte| value << 8 | u128::from(byte))
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its alternative names (`ip link property add dev NAME altname OTHER`), which may be longer
    /// than 15 characters.
    pub alt_names: Vec<String>,
    /// Its index in this network namespace.
    pub index: u32,
    /// Largest network-layer packet, in bytes.
    pub mtu: u32,
    /// Whether it was set up (`ip link set up`).
    pub up: bool,
    /// Whether it has carrier.
    pub carrier: bool,
    /// Its MAC address; none if it is not an Ethernet interface.
    pub mac: Option<Mac>,
    /// Bits a second, as the kernel says (10 Gb/s for any veth); none when the kernel does not
    /// know.
    pub speed: Option<u64>,
    /// The bus its device is on, such as `pci` or `virtio`; none for virtual interfaces, and
    /// before Linux 5.14.
    pub bus: Option<String>,
}

impl Link {
    /// Whether this is its name or one of its alternative names. No two interfaces of a network
    /// namespace share one.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.alt_names.iter().any(|other| other == name)
    }

    /// Its name, then its alternative names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        [self.name.as_str()].into_iter().chain(self.alt_names.iter().map(String::as_str))
    }
}

/// The index of the interface of this name in the calling thread's network namespace.
///
/// # Errors
/// When there is none.
pub fn index_of(name: &str) -> io::Result<u32> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, name)?)
}

/// The current name of the interface with this index in the calling thread's network namespace;
/// none when it is gone.
pub fn name_of(index: u32) -> Option<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::index_to_name(socket, index).ok()
}

/// Whether the interface with this index is gone from the calling thread's network namespace. A
/// renamed interface is not gone. False where the kernel does not say.
pub fn is_gone(index: u32) -> bool {
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return false };
    netdevice::index_to_name(socket, index)
        .is_err_and(|error| matches!(error, Errno::NODEV | Errno::NXIO))
}
