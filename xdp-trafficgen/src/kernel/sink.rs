//! A counting receiver: an XDP program on a receiving interface. A BPF link attaches it, so it is
//! detached when the process ends.

use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray},
    programs::{Xdp, XdpMode},
};
use xdp_trafficgen_ebpf::abi;

use crate::kernel::{KernelError, OBJECT, close_maps, map_error, program_error};

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
    _ebpf: Ebpf,
    counters: PerCpuArray<MapData, abi::Sink>,
}

impl Sink {
    /// Attaches the receiver to `interface`, in the driver.
    ///
    /// # Errors
    /// When another program is there already, or the driver has no XDP.
    pub fn attach(interface: &str, after: SinkAction) -> Result<Self, KernelError> {
        // `enum xdp_action`
        let action: u32 = match after {
            SinkAction::Drop => 1,
            SinkAction::Pass => 2,
        };
        let mut ebpf =
            EbpfLoader::new().override_global("SINK_ACTION", &action, true).load(OBJECT)?;
        let map = ebpf.take_map("SINK").ok_or(KernelError::Missing("SINK"))?;
        let counters = PerCpuArray::try_from(map).map_err(map_error("SINK"))?;
        let program: &mut Xdp = ebpf
            .program_mut("sink")
            .ok_or(KernelError::Missing("sink"))?
            .try_into()
            .map_err(program_error("sink"))?;
        program.load().map_err(program_error("sink"))?;
        program.attach(interface, XdpMode::Driver).map_err(program_error("sink"))?;
        close_maps(&mut ebpf);
        Ok(Self { _ebpf: ebpf, counters })
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
