//! The requests of `ethtool` to drivers (ioctl `SIOCETHTOOL`), as plain values. They change
//! nothing.
//!
//! Generic netlink has most of them too, but not the driver's own counters (`ethtool -S`), and
//! every driver answers the ioctls. Names and numbers are those of include/uapi/linux/ethtool.h,
//! which libc does not have.

mod answers;
mod guarded;
mod layout;

use std::{
    ffi::CStr,
    io,
    mem::size_of,
    os::fd::{AsRawFd as _, OwnedFd},
};

pub(crate) use answers::Channels;
pub use answers::{Driver, Queues, Rings};
use guarded::Guarded;
use layout::{ChannelCounts, DriverInfo, Request, RingSizes, SetInfo, Value};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GRINGPARAM: u32 = 0x10;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GGRO: u32 = 0x2b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// The set of the driver's own counters.
const ETH_SS_STATS: u32 = 1;
const ETH_GSTRING_LEN: usize = 32;

/// A socket through which drivers are asked, in the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Drivers {
    socket: OwnedFd,
}

impl Drivers {
    /// Opens the socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub(crate) fn open() -> io::Result<Self> {
        let socket =
            socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket })
    }

    /// The driver of the interface of this name (`ethtool -i`); none where there is none, as for
    /// `lo`.
    ///
    /// # Errors
    /// When there is no such interface.
    pub(crate) fn driver(&self, interface: &str) -> io::Result<Option<Driver>> {
        let answer =
            self.ask(interface, DriverInfo { cmd: ETHTOOL_GDRVINFO, ..DriverInfo::ZERO })?;
        Ok(answer.map(|info| Driver {
            name: text(&info.driver),
            version: text(&info.version),
            bus_info: text(&info.bus_info),
        }))
    }

    /// The interface's queues (`ethtool -l`); none when the driver does not say.
    ///
    /// # Errors
    /// When there is no such interface.
    pub(crate) fn channels(&self, interface: &str) -> io::Result<Option<Channels>> {
        let answer = self
            .ask(interface, ChannelCounts { cmd: ETHTOOL_GCHANNELS, ..ChannelCounts::default() })?;
        // The sum of a driver that answers nonsense stays at the largest number.
        let queues = |rx: u32, tx: u32, combined: u32| Queues {
            rx: rx.saturating_add(combined),
            tx: tx.saturating_add(combined),
        };
        Ok(answer.map(|counts| Channels {
            current: queues(counts.rx_count, counts.tx_count, counts.combined_count),
            most: queues(counts.max_rx, counts.max_tx, counts.max_combined),
        }))
    }

    /// The interface's rings (`ethtool -g`); none when the driver does not say.
    ///
    /// # Errors
    /// When there is no such interface.
    pub(crate) fn rings(&self, interface: &str) -> io::Result<Option<Rings>> {
        let answer =
            self.ask(interface, RingSizes { cmd: ETHTOOL_GRINGPARAM, ..RingSizes::default() })?;
        Ok(answer.map(|sizes| Rings {
            rx: sizes.rx_pending,
            rx_max: sizes.rx_max_pending,
            tx: sizes.tx_pending,
            tx_max: sizes.tx_max_pending,
        }))
    }

    /// Whether generic receive offload is on, as `ethtool -k` shows it.
    ///
    /// # Errors
    /// When there is no such interface.
    pub(crate) fn gro(&self, interface: &str) -> io::Result<Option<bool>> {
        Ok(self.ask(interface, Value { cmd: ETHTOOL_GGRO, data: 0 })?.map(|value| value.data != 0))
    }

    /// The driver's own counters (`ethtool -S`), in its order; empty when it has none, or when
    /// their number changed between two requests.
    ///
    /// # Errors
    /// When there is no such interface.
    pub(crate) fn counters(&self, interface: &str) -> io::Result<Vec<(String, u64)>> {
        let request = SetInfo {
            cmd: ETHTOOL_GSSET_INFO,
            reserved: 0,
            sset_mask: 1 << ETH_SS_STATS,
            length: 0,
            padding: 0,
        };
        // The kernel clears the bits of sets that the driver has not.
        let count = match self.ask(interface, request)? {
            Some(info) if info.sset_mask != 0 && info.length > 0 => info.length,
            _ => return Ok(Vec::new()),
        };
        let names = self.list(
            interface,
            &[ETHTOOL_GSTRINGS, ETH_SS_STATS, count],
            count as usize * ETH_GSTRING_LEN,
        )?;
        let values =
            self.list(interface, &[ETHTOOL_GSTATS, count], count as usize * size_of::<u64>())?;
        let (Some(names), Some(values)) = (names, values) else { return Ok(Vec::new()) };
        let names = names.bytes()[3 * size_of::<u32>()..].chunks_exact(ETH_GSTRING_LEN).map(text);
        let (values, _) = values.bytes()[2 * size_of::<u32>()..].as_chunks();
        Ok(names.zip(values.iter().copied().map(u64::from_ne_bytes)).collect())
    }

    /// The answer to a request whose header consists of `u32`s, the last of which is the number of
    /// entries; `entries` is the size of all entries in bytes. None when the driver has another
    /// number of them by now.
    fn list(&self, interface: &str, header: &[u32], entries: usize) -> io::Result<Option<Guarded>> {
        let header_bytes = size_of_val(header);
        let mut memory = Guarded::new(header_bytes + entries)?;
        for (word, value) in memory.bytes_mut().chunks_exact_mut(size_of::<u32>()).zip(header) {
            word.copy_from_slice(&value.to_ne_bytes());
        }
        // SAFETY: the request's header is complete, and what the kernel writes behind it ends at
        // the end of the memory, or at its guard page.
        let answered = unsafe { self.call(interface, memory.as_mut_ptr().cast()) };
        match answered {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => return Ok(None),
            Err(error) => return Err(error),
        }
        let written = &memory.bytes()[header_bytes - size_of::<u32>()..header_bytes];
        let expected = header.last().is_some_and(|count| written == count.to_ne_bytes());
        Ok(expected.then_some(memory))
    }

    /// Sends a request of fixed size and returns the answer. None when the driver does not support
    /// the request.
    fn ask<R: Request>(&self, interface: &str, mut request: R) -> io::Result<Option<R>> {
        // SAFETY: `Request` promises that the kernel writes no more than the request's size.
        let answered = unsafe { self.call(interface, (&raw mut request).cast()) }?;
        Ok(answered.then_some(request))
    }

    /// Whether the driver supports this request.
    ///
    /// # Safety
    /// `data` points at a request of ethtool's, and the kernel may write its answer there.
    unsafe fn call(&self, interface: &str, data: *mut libc::c_char) -> io::Result<bool> {
        // SAFETY: all-zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero.
        if interface.len() >= request.ifr_name.len() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_data = data;
        // SAFETY: the name ends with a zero, and the caller vouches for `data`.
        let result =
            unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
        if result != -1 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
            error => Err(error),
        }
    }
}

/// Bytes up to the first zero.
fn text(bytes: &[u8]) -> String {
    CStr::from_bytes_until_nul(bytes)
        .map_or_else(|_| String::from_utf8_lossy(bytes), CStr::to_string_lossy)
        .into_owned()
}
