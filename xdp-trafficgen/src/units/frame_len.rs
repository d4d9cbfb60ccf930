//! Lengths of Ethernet frames, with and without what the wire adds to them.

use xdp_trafficgen_ebpf::abi::FCS_LEN;

use super::{Pps, Ratio};

/// Bytes of an Ethernet header: two addresses and the type (IEEE 802.3, 3.1.1).
const HEADER: u32 = 14;

/// Bytes of a VLAN tag (IEEE 802.1Q, 9.3).
const TAG: u32 = 4;

/// Bytes of a frame from its destination address to the end of its FCS (IEEE 802.3, 3.1.1), as RFC
/// 2544 counts frame sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameLen(usize);

impl FrameLen {
    /// The length of a frame of this many bytes, FCS included.
    pub const fn new(bytes: u32) -> Self {
        Self(bytes as usize)
    }

    /// The length of a frame of this many bytes without the FCS, as the kernel has it.
    pub const fn of_kernel(bytes: usize) -> Self {
        Self(bytes.saturating_add(FCS_LEN as usize))
    }

    /// The longest untagged frame of an interface with this MTU, which counts the bytes
    /// after the Ethernet header.
    pub const fn of_mtu(mtu: u32) -> Self {
        Self::of_kernel(HEADER as usize + mtu as usize)
    }

    /// The longest frame that the kernel lets an interface with this MTU send: it leaves room for a
    /// tag, whether the frame has one or not (`xdp_ok_fwd_dev` of include/linux/filter.h).
    pub const fn sent_at_mtu(mtu: u32) -> Self {
        Self(Self::of_mtu(mtu).0 + TAG as usize)
    }

    /// The smallest MTU at which the kernel sends a frame of `bytes` bytes, FCS included.
    pub const fn least_mtu(bytes: u32) -> u32 {
        bytes.saturating_sub(HEADER + TAG + FCS_LEN)
    }

    /// The number of bytes with the FCS.
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// The number of bytes without the FCS, as the kernel has the frame.
    pub const fn in_kernel(self) -> usize {
        self.0.saturating_sub(FCS_LEN as usize)
    }

    /// The bytes that the frame takes of the wire.
    pub const fn on_wire(self) -> WireLen {
        WireLen(self.0 as u64 + WireLen::EXTRA)
    }
}

/// Bytes that frames take of the wire: each with a preamble of 7 bytes, a start delimiter of 1
/// (IEEE 802.3, 3.1.1) and the gap of 12 after it (4.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireLen(u64);

impl WireLen {
    /// The bytes of the wire that a frame takes beside its own.
    pub const EXTRA: u64 = 7 + 1 + 12;

    /// The bytes on the wire of frames that have `bytes` bytes together, with their FCS.
    pub const fn of_frames(frames: u64, bytes: u64) -> Self {
        Self(bytes + Self::EXTRA * frames)
    }

    /// The number of bits.
    pub const fn bits(self) -> u64 {
        8 * self.0
    }

    /// The rate at which frames of this length fill a link of `bits_per_s`.
    pub fn line_rate(self, bits_per_s: u64) -> Pps {
        Pps::new(Ratio::new(bits_per_s, self.bits()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames a second in whole numbers, as they are printed: at 10 Mb/s in RFC 2544, appendix B
    /// ("theoretical frame rates"), at 10 Gb/s everywhere.
    #[test]
    fn line_rates_are_the_printed_ones() {
        let check = |bits_per_s: u64, bytes, expected| {
            let rate = FrameLen::new(bytes).on_wire().line_rate(bits_per_s);
            assert_eq!(rate.ratio().floor(), expected, "{bytes} bytes at {bits_per_s} b/s");
        };
        let ethernet = [
            (64, 14_880),
            (128, 8_445),
            (256, 4_528),
            (512, 2_349),
            (768, 1_586),
            (1024, 1_197),
            (1280, 961),
        ];
        ethernet.into_iter().for_each(|(bytes, expected)| check(10_000_000, bytes, expected));
        check(10_000_000, 1518, 812);
        check(10_000_000_000, 64, 14_880_952);
        check(10_000_000_000, 1518, 812_743);
        check(100_000_000_000, 64, 148_809_523);
    }

    #[test]
    fn the_kernel_has_no_fcs() {
        assert_eq!(FrameLen::of_kernel(60), FrameLen::new(64));
        assert_eq!(FrameLen::new(64).in_kernel(), 60);
        assert_eq!(FrameLen::of_mtu(1500).bytes(), 1518);
        assert_eq!(FrameLen::sent_at_mtu(1500).bytes(), 1522);
        assert_eq!((FrameLen::least_mtu(1522), FrameLen::least_mtu(9)), (1500, 0));
        assert_eq!(WireLen::of_frames(2, 128).bits(), 2 * 672);
    }
}
