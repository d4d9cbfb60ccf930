//! The frame at hand: loads and stores that the verifier can follow.

use aya_ebpf::programs::XdpContext;
use xdp_trafficgen_ebpf::abi::MAX_WRITTEN;

/// The packet, of which `holds` makes the headers writable.
pub struct Packet {
    start: usize,
    end: usize,
}

impl Packet {
    #[inline(always)]
    pub fn of(ctx: &XdpContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }

    /// Whether the frame has this many bytes: the bounds check the verifier asks for.
    #[inline(always)]
    pub fn holds(&self, len: u64) -> bool {
        self.start + len as usize <= self.end
    }

    /// Stores within the bytes that it holds.
    #[inline(always)]
    pub fn store<T>(&mut self, at: usize, value: T) {
        // SAFETY: the verifier proves that `at + size` lies within the bounds that were checked.
        // Alignment is the kernel's business: where the machine needs it the verifier
        // checks it, and `write_unaligned` would be compiled to single bytes everywhere.
        unsafe { *((self.start + at) as *mut T) = value }
    }

    /// Changes bytes within those that it holds.
    #[inline(always)]
    pub fn change<T: Copy>(&mut self, at: u32, change: impl FnOnce(T) -> T) {
        let place = (self.start + at as usize) as *mut T;
        // SAFETY: as in `store`.
        unsafe { *place = change(*place) };
    }

    /// Changes bytes at any place within the written ones; none beyond them.
    #[inline(always)]
    pub fn update<T: Copy>(&mut self, at: u32, change: impl FnOnce(T) -> T) -> Option<()> {
        if at > MAX_WRITTEN as u32 {
            return None;
        }
        let place = self.start + at as usize;
        if place + size_of::<T>() > self.end {
            return None;
        }
        let place = place as *mut T;
        // SAFETY: within the packet, as was just checked. Alignment is as in `store`.
        unsafe { *place = change(*place) };
        Some(())
    }
}
