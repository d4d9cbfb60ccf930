//! A tap whose frames a test reads.

#![expect(unsafe_code, reason = "a tap is opened by an ioctl that rustix does not wrap")]

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
};

/// include/uapi/linux/if_tun.h
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;

/// An interface of the calling thread's network namespace, which the kernel removes when this is
/// dropped.
pub(crate) struct Tap(File);

impl Tap {
    pub(crate) fn open(name: &str) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .unwrap();
        // SAFETY: all-zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *place = byte.cast_signed();
        }
        request.ifr_ifru.ifru_flags =
            libc::c_short::try_from(libc::IFF_TAP | libc::IFF_NO_PI).unwrap();
        // SAFETY: the ioctl reads and writes an ifreq, which outlives the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        Self(file)
    }

    /// The number of frames that wait to be read.
    pub(crate) fn read_frames(&self) -> u64 {
        let mut frames = 0;
        loop {
            match (&self.0).read(&mut [0; 2048]) {
                Ok(len) => {
                    // 64 bytes on the wire, of which 4 are the FCS.
                    assert_eq!(len, 60);
                    frames += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return frames,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
