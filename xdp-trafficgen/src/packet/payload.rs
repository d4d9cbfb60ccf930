//! What fills the frame behind the headers.

use xdp_trafficgen_ebpf::random;

use super::StackError;

/// What fills the frame behind the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Zero bytes.
    Zeros,
    /// These bytes, over and over; not empty.
    Pattern(Vec<u8>),
    /// These bytes once, then zeros.
    Bytes(Vec<u8>),
    /// Bytes that count up from this one: 0x00, 0x01, … 0xff, 0x00, …
    Increment(u8),
    /// Random bytes, the same in every frame of the flow.
    Random {
        /// The same seed gives the same bytes.
        seed: u64,
    },
}

impl Payload {
    /// Fills `room`, which is zeros, with it.
    pub(super) fn fill(&self, room: &mut [u8]) -> Result<(), StackError> {
        match self {
            Self::Zeros => {}
            Self::Pattern(pattern) => {
                for (byte, &value) in room.iter_mut().zip(pattern.iter().cycle()) {
                    *byte = value;
                }
            }
            Self::Bytes(bytes) if bytes.len() > room.len() => {
                return Err(StackError::PayloadTooLong { payload: bytes.len(), room: room.len() });
            }
            Self::Bytes(bytes) => room[..bytes.len()].copy_from_slice(bytes),
            Self::Increment(first) => {
                let mut value = *first;
                for byte in room {
                    *byte = value;
                    value = value.wrapping_add(1);
                }
            }
            &Self::Random { seed } => {
                for (index, bytes) in (0..).zip(room.chunks_mut(8)) {
                    bytes.copy_from_slice(
                        &random::split_mix_64(seed, index).to_be_bytes()[..bytes.len()],
                    );
                }
            }
        }
        Ok(())
    }
}
