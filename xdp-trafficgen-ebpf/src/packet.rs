//! The frame at hand: stores the verifier can follow, and the copying of headers.

use aya_ebpf::programs::XdpContext;
use xdp_trafficgen_ebpf::{abi::LINE_LEN, frame::FrameMut};

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

    #[inline(always)]
    pub fn store<T>(&mut self, at: usize, value: T) {
        // SAFETY: the verifier proves that `at + size` lies within the bounds that were checked.
        // Alignment is the kernel's business: where the machine needs it the verifier
        // checks it, and `write_unaligned` would be compiled to single bytes everywhere.
        unsafe { *((self.start + at) as *mut T) = value }
    }
}

impl FrameMut for Packet {
    #[inline(always)]
    fn store_u8(&mut self, at: usize, value: u8) {
        self.store(at, value);
    }
    #[inline(always)]
    fn store_u16(&mut self, at: usize, value: u16) {
        self.store(at, value.to_be());
    }
    #[inline(always)]
    fn store_u32(&mut self, at: usize, value: u32) {
        self.store(at, value.to_be());
    }
    #[inline(always)]
    fn store_u64(&mut self, at: usize, value: u64) {
        self.store(at, value.to_be());
    }
}

/// Stores the first `words` four-byte words of several lines; `line` gives an eight-byte word of
/// one.
#[inline(always)]
pub fn copy(packet: &mut Packet, words: u64, line: impl Fn(u64, usize) -> u64) {
    const LINE: u64 = LINE_LEN as u64 / 4;
    copy_line(packet, 0, words, |word| line(0, word));
    macro_rules! more {
        () => {};
        ($index:literal $($rest:literal)*) => {
            if words > $index * LINE {
                copy_line(packet, $index * LINE_LEN, words - $index * LINE, |word| line($index, word));
                more!($($rest)*);
            }
        };
    }
    more!(1 2 3);
}

/// Stores the first `words` four-byte words of a line at `at`; a line has 16. An arm for each
/// number, for the verifier to keep just one.
#[inline(always)]
pub fn copy_line(packet: &mut Packet, at: usize, words: u64, line: impl Fn(usize) -> u64) {
    macro_rules! copy {
        ($tail:literal; $($word:literal)*) => {{
            $( packet.store(at + 8 * $word, line($word)); )*
            let end = 0 $( + { let _ = $word; 1 } )*;
            if $tail == 4 {
                // The first four bytes in the order of memory.
                let [a, b, c, d, ..] = line(end).to_ne_bytes();
                packet.store(at + 8 * end, u32::from_ne_bytes([a, b, c, d]));
            }
        }};
    }
    match words {
        0 => {}
        1 => copy!(4;),
        2 => copy!(0; 0),
        3 => copy!(4; 0),
        4 => copy!(0; 0 1),
        5 => copy!(4; 0 1),
        6 => copy!(0; 0 1 2),
        7 => copy!(4; 0 1 2),
        8 => copy!(0; 0 1 2 3),
        9 => copy!(4; 0 1 2 3),
        10 => copy!(0; 0 1 2 3 4),
        11 => copy!(4; 0 1 2 3 4),
        12 => copy!(0; 0 1 2 3 4 5),
        13 => copy!(4; 0 1 2 3 4 5),
        14 => copy!(0; 0 1 2 3 4 5 6),
        15 => copy!(4; 0 1 2 3 4 5 6),
        _ => copy!(0; 0 1 2 3 4 5 6 7),
    }
}
