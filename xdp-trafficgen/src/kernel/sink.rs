//! A counting receiver: an XDP program on a receiving interface. A BPF link attaches it, so it is
//! detached when the process ends.

use aya::maps::{MapData, PerCpuArray};
use xdp_trafficgen_ebpf::abi;

use crate::{
    host::index_of,
    kernel::{KernelError, attachment::Attachment, map_error, object::Loader},
    plan::ExistingProgram,
};

/// What is done with a counted frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkAction {
    /// The frame is dropped.
    Drop,
    /// The frame goes on to the network stack.
    Pass,
}

/// Counts every frame that arrives at one interface.
pub struct Sink {
    _attachment: Attachment,
    counters: PerCpuArray<MapData, abi::Sink>,
}

impl Sink {
    /// Attaches the receiver to `interface`, in the driver.
    ///
    /// # Errors
    /// When another program is there already, or the driver has no XDP.
    pub fn attach(interface: &str, after: SinkAction) -> Result<Self, KernelError> {
        Self::taking(interface, after, 0)
    }

    /// The same, which takes `busy_ns` nanoseconds over each frame, 20 000 at most.
    ///
    /// # Errors
    /// As [`Sink::attach`].
    pub(crate) fn taking(
        interface: &str,
        after: SinkAction,
        busy_ns: u64,
    ) -> Result<Self, KernelError> {
        // `enum xdp_action`
        let action: u32 = match after {
            SinkAction::Drop => 1,
            SinkAction::Pass => 2,
        };
        let mut object = Loader::new()
            .constant("SINK_ACTION", &action)
            .constant("SINK_BUSY_NS", &busy_ns)
            .load()?;
        let counters = PerCpuArray::try_from(object.map("SINK")?).map_err(map_error("SINK"))?;
        let program = object.program("sink")?;
        let call = "looking up an interface (ioctl SIOCGIFINDEX)";
        let index = index_of(interface).map_err(|source| KernelError::Syscall { call, source })?;
        let attachment = Attachment::native(&program, index, ExistingProgram::Keep)?;
        Ok(Self { _attachment: attachment, counters })
    }

    /// Frames and bytes (FCS included) received so far, all CPUs together.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn count(&self) -> Result<abi::Sink, KernelError> {
        let values = self.counters.get(&0, 0).map_err(map_error("SINK"))?;
        Ok(values.iter().fold(abi::Sink::default(), |sum, cpu| abi::Sink {
            frames: sum.frames + cpu.frames,
            bytes: sum.bytes + cpu.bytes,
        }))
    }
}
