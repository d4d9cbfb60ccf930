//! A stamping receiver: an XDP program that records when each frame arrives at an interface. A BPF
//! link attaches it, so it is detached when the process ends.

use aya::{
    maps::{Array, MapData, PerCpuArray},
    util::nr_cpus,
};
use xdp_trafficgen_ebpf::abi::arrivals::{BLOCK_STAMPS, Block, Log, Receiver, parts_of_stamp};

use crate::{
    host::index_of,
    kernel::{KernelError, ProgramClock, attachment::Attachment, map_error, object::Loader},
    plan::ExistingProgram,
};

/// Which frames are stamped, and how they are told apart. Offsets are bytes from the start of the
/// frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The receiver stamps only frames that have these four bytes at this offset, and passes
    /// others to the network stack. None: it stamps every frame.
    pub mark: Option<(u32, [u8; 4])>,
    /// Offset of the two bytes of a frame's tag (36: the UDP destination port behind Ethernet and
    /// IPv4). None: the tag is 0.
    pub tag: Option<u32>,
}

/// The arrival of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Nanoseconds since the receiver was attached, on the monotonic clock.
    pub ns: u64,
    /// Tells frames apart: [`Match::tag`].
    pub tag: u16,
}

/// The arrivals of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// In the order of time.
    pub stamps: Vec<Stamp>,
    /// Matching frames for which the log had no room left.
    pub missed: u64,
    /// Frames that did not match.
    pub passed: u64,
}

/// How many frames were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Stamped.
    pub stamped: u64,
    /// As [`Arrived::missed`].
    pub missed: u64,
    /// As [`Arrived::passed`].
    pub passed: u64,
}

/// Records when frames arrive at an interface, and drops them.
pub struct Arrivals {
    attachment: Attachment,
    blocks: Array<MapData, Block>,
    next: Array<MapData, u64>,
    logs: PerCpuArray<MapData, Log>,
}

impl Arrivals {
    /// Attaches the receiver to `interface`, in the driver. The log has room for at least
    /// `capacity` frames, of 8 bytes each.
    ///
    /// # Errors
    /// When another program is there already, the driver has no XDP, or there is not enough memory.
    pub fn attach(interface: &str, matching: Match, capacity: u64) -> Result<Self, KernelError> {
        Self::attach_over(interface, matching, capacity, ExistingProgram::Keep)
    }

    /// As [`Arrivals::attach`]; `existing` says what is done with a program that is attached
    /// already.
    ///
    /// # Errors
    /// As [`Arrivals::attach`].
    pub fn attach_over(
        interface: &str,
        matching: Match,
        capacity: u64,
        existing: ExistingProgram,
    ) -> Result<Self, KernelError> {
        // The last block of each CPU may hold as little as one stamp.
        let cpus = nr_cpus()
            .map_err(|(_, source)| KernelError::Syscall { call: "read(possible CPUs)", source })?
            as u64;
        let blocks = capacity.div_ceil(BLOCK_STAMPS as u64).saturating_add(cpus);
        let entries = u32::try_from(blocks).map_err(|_| KernelError::TooManyArrivals(capacity))?;
        let (match_offset, mark, match_mask) =
            matching.mark.map_or((0, [0; 4], 0), |(at, mark)| (at, mark, u32::MAX));
        let receiver = Receiver {
            epoch: ProgramClock::of_kernel()?.now(),
            blocks: entries.into(),
            match_offset,
            match_value: u32::from_be_bytes(mark),
            match_mask,
            tag_offset: matching.tag.unwrap_or(0),
        };
        let mut object = Loader::new()
            .constant("RECEIVER", &receiver)
            .entries("ARRIVAL_BLOCKS", entries)
            .load()?;
        let blocks = Array::try_from(object.map("ARRIVAL_BLOCKS")?);
        let blocks = blocks.map_err(map_error("ARRIVAL_BLOCKS"))?;
        let next =
            Array::try_from(object.map("ARRIVAL_NEXT")?).map_err(map_error("ARRIVAL_NEXT"))?;
        let logs = PerCpuArray::try_from(object.map("ARRIVAL_LOGS")?);
        let logs = logs.map_err(map_error("ARRIVAL_LOGS"))?;
        let program = object.program("arrivals")?;
        let call = "looking up an interface (ioctl SIOCGIFINDEX)";
        let index = index_of(interface).map_err(|source| KernelError::Syscall { call, source })?;
        let attachment = Attachment::native(&program, index, existing)?;
        Ok(Self { attachment, blocks, next, logs })
    }

    /// How many frames were seen so far, all CPUs together.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn seen(&self) -> Result<Seen, KernelError> {
        let logs = self.logs.get(&0, 0).map_err(map_error("ARRIVAL_LOGS"))?;
        Ok(logs.iter().fold(Seen::default(), |sum, log| Seen {
            stamped: sum.stamped + log.stamped,
            missed: sum.missed + log.missed,
            passed: sum.passed + log.passed,
        }))
    }

    /// Detaches the receiver and reads its log.
    ///
    /// # Errors
    /// When a map cannot be read, or a program that was detached for the receiver cannot be
    /// attached again.
    pub fn take(self) -> Result<Arrived, KernelError> {
        let Self { attachment, blocks, next, logs } = self;
        // A frame that is being stamped at this moment may or may not be in the log.
        attachment.release()?;
        // The counter of a full log exceeds the number of blocks.
        let taken = next.get(&0, 0).map_err(map_error("ARRIVAL_NEXT"))?;
        let taken = u32::try_from(taken).map_or(blocks.len(), |taken| taken.min(blocks.len()));
        let mut stamps = Vec::new();
        for index in 0..taken {
            let block = blocks.get(&index, 0).map_err(map_error("ARRIVAL_BLOCKS"))?;
            stamps.extend(block.into_iter().filter(|&stamp| stamp != 0));
        }
        stamps.sort_unstable();
        let stamps =
            stamps.into_iter().map(parts_of_stamp).map(|(ns, tag)| Stamp { ns, tag }).collect();
        let (mut missed, mut passed) = (0, 0);
        for log in logs.get(&0, 0).map_err(map_error("ARRIVAL_LOGS"))?.iter() {
            missed += log.missed;
            passed += log.passed;
        }
        Ok(Arrived { stamps, missed, passed })
    }
}
