//! The generator of one port: the eBPF object specialised for it, its maps, and the call that makes it send.

use std::{collections::BTreeMap, io};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, DevMap, Map, MapData, PerCpuArray, PerCpuValues},
    programs::{BtfTracePoint, ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
    util::nr_cpus,
};
use xdp_trafficgen_ebpf::abi::{self, DropLayer, Line, MAX_ERRNO, ROW_TABLE_LINES, Word128, Worker};

use crate::{
    kernel::{KernelError, OBJECT, anchor::Anchor, map_error, program_error},
    plan::Program,
};

/// Which program of the object does the sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The generator.
    Generate,
    /// A bare redirect of the template: the bench's yardstick.
    Floor,
}

impl Role {
    const fn program(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Floor => "floor",
        }
    }
}

/// A loaded generator. Everything it holds in the kernel goes when it is dropped, or when the process ends.
pub struct Generator {
    ebpf: Ebpf,
    role: Role,
    workers: PerCpuArray<MapData, Worker>,
    drops: PerCpuArray<MapData, u64>,
    _anchor: Option<Anchor>,
}

/// How a live call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All repetitions ran.
    All,
    /// A signal ended the call between two batches; how many ran, only the counters know.
    Interrupted,
}

impl Generator {
    /// Loads the object for sending out of the interface with index `egress`, and counts what becomes of the frames.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load(program: &Program, egress: u32, role: Role) -> Result<Self, KernelError> {
        let mut generator = Self::load_program(program, role)?;
        let mut map = DevMap::try_from(generator.map_mut("EGRESS")?).map_err(map_error("EGRESS"))?;
        map.set(0, egress, None, 0).map_err(KernelError::Egress)?;
        let btf = Btf::from_sys_fs().map_err(KernelError::NoBtf)?;
        for (name, trace_point) in [("on_devmap_xmit", "xdp_devmap_xmit"), ("on_redirect_err", "xdp_redirect_err")] {
            let program: &mut BtfTracePoint = generator
                .ebpf
                .program_mut(name)
                .ok_or(KernelError::Missing(name))?
                .try_into()
                .map_err(program_error(name))?;
            program.load(trace_point, &btf).map_err(program_error(name))?;
            program.attach().map_err(program_error(name))?;
        }
        let name = role.program();
        generator._anchor = Some(Anchor::hold(name, generator.xdp_mut()?)?);
        Ok(generator)
    }

    /// Loads the object for ordinary runs only: nothing is attached, nothing can leave.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load_dry(program: &Program) -> Result<Self, KernelError> {
        Self::load_program(program, Role::Generate)
    }

    fn load_program(program: &Program, role: Role) -> Result<Self, KernelError> {
        let Program { generator, fields, checksums, values, header, rows, workers } = program;
        let entries = u32::try_from(values.len().max(1)).unwrap_or(u32::MAX);
        let mut row_table = rows.clone();
        row_table.resize(ROW_TABLE_LINES, Line::default());
        let mut ebpf = EbpfLoader::new()
            .override_global("GENERATOR", generator, true)
            .override_global("FIELDS", fields.as_slice(), true)
            .override_global("CHECKSUMS", checksums.as_slice(), true)
            .override_global("HEADER", header.as_flattened(), true)
            .override_global("ROWS", row_table.as_flattened(), true)
            .map_max_entries("VALUES", entries)
            .load(OBJECT)?;
        let mut table: Array<_, Word128> = Array::try_from(take(&mut ebpf, "VALUES")?).map_err(map_error("VALUES"))?;
        for (index, value) in (0..).zip(values) {
            table.set(index, value, 0).map_err(map_error("VALUES"))?;
        }
        let mut state: PerCpuArray<_, Worker> =
            PerCpuArray::try_from(take(&mut ebpf, "WORKERS")?).map_err(map_error("WORKERS"))?;
        let cpus = nr_cpus().map_err(|(_, source)| KernelError::Syscall { call: "reading the CPU count", source })?;
        let start: Vec<Worker> = (0..cpus).map(|cpu| worker_of(workers, cpu)).collect();
        let start = PerCpuValues::try_from(start)
            .map_err(|source| KernelError::Syscall { call: "laying out per-CPU values", source })?;
        state.set(0, start, 0).map_err(map_error("WORKERS"))?;
        let drops = PerCpuArray::try_from(take(&mut ebpf, "DROPS")?).map_err(map_error("DROPS"))?;
        let mut generator = Self { ebpf, role, workers: state, drops, _anchor: None };
        generator.xdp_mut()?.load().map_err(program_error(role.program()))?;
        Ok(generator)
    }

    /// Makes the kernel run the program `repeat` times on copies of `frame` and really transmit them, `batch_size` at a
    /// time. Runs on the calling thread's CPU, which must be one of the workers'.
    ///
    /// `ingress`: index of the interface the frames seem to come from, never 0 (the kernel would take `lo`, and its
    /// XDP_TX would leave by `lo`).
    ///
    /// # Errors
    /// Only what stops the call as a whole; the fate of single frames is in the counters.
    pub fn send(&self, frame: &[u8], ingress: u32, repeat: u32, batch_size: u32) -> Result<Sent, KernelError> {
        let context = xdp_md(frame.len(), ingress);
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            repeat,
            attrs: TestRunAttrs::new().xdp_live_frames(batch_size),
            ..TestRunOptions::new()
        };
        match self.xdp()?.test_run(options) {
            Ok(_) => Ok(Sent::All),
            Err(ProgramError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::Interrupted => {
                Ok(Sent::Interrupted)
            }
            Err(source) => Err(KernelError::Program { program: self.role.program(), source }),
        }
    }

    /// One ordinary run, without side effects: the XDP action and the frame the program made of `frame`.
    ///
    /// Advances the sequence of the calling thread's CPU.
    ///
    /// # Errors
    /// When the kernel refuses to run it.
    pub fn dry_run(&self, frame: &[u8]) -> Result<(u32, Vec<u8>), KernelError> {
        let mut out = vec![0; frame.len()];
        let options = TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let result = self.xdp()?.test_run(options).map_err(program_error(self.role.program()))?;
        out.truncate(usize::try_from(result.data_size_out).unwrap_or(usize::MAX));
        Ok((result.return_value, out))
    }

    /// What every CPU's worker has counted so far; index: CPU.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn workers(&self) -> Result<Vec<Worker>, KernelError> {
        let values = self.workers.get(&0, 0).map_err(map_error("WORKERS"))?;
        Ok(values.iter().copied().collect())
    }

    /// Frames dropped so far, by who refused them and with which errno (0 for none).
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn drops(&self) -> Result<BTreeMap<(DropLayer, u32), u64>, KernelError> {
        let mut drops = BTreeMap::new();
        for layer in [DropLayer::Driver, DropLayer::Redirect] {
            for errno in 0..MAX_ERRNO {
                let values = self.drops.get(&abi::drop_slot(layer, errno), 0).map_err(map_error("DROPS"))?;
                let count: u64 = values.iter().sum();
                if count > 0 {
                    drops.insert((layer, errno), count);
                }
            }
        }
        Ok(drops)
    }

    fn xdp(&self) -> Result<&Xdp, KernelError> {
        let name = self.role.program();
        self.ebpf.program(name).ok_or(KernelError::Missing(name))?.try_into().map_err(program_error(name))
    }

    fn xdp_mut(&mut self) -> Result<&mut Xdp, KernelError> {
        let name = self.role.program();
        self.ebpf.program_mut(name).ok_or(KernelError::Missing(name))?.try_into().map_err(program_error(name))
    }

    fn map_mut(&mut self, name: &'static str) -> Result<&mut Map, KernelError> {
        self.ebpf.map_mut(name).ok_or(KernelError::Missing(name))
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    ebpf.take_map(name).ok_or(KernelError::Missing(name))
}

/// CPUs without a worker start as the first worker does, so that a dry run works on any CPU.
fn worker_of(workers: &BTreeMap<u32, Worker>, cpu: usize) -> Worker {
    u32::try_from(cpu)
        .ok()
        .and_then(|cpu| workers.get(&cpu))
        .or_else(|| workers.values().next())
        .copied()
        .unwrap_or_default()
}

/// A `struct xdp_md` (include/uapi/linux/bpf.h): data, data_end, data_meta, ingress_ifindex, rx_queue_index,
/// egress_ifindex, each 32 bits in the machine's order.
fn xdp_md(frame_len: usize, ingress: u32) -> [u8; 24] {
    let mut context = [0; 24];
    let data_end = u32::try_from(frame_len).unwrap_or(u32::MAX);
    context[4..8].copy_from_slice(&data_end.to_ne_bytes());
    context[12..16].copy_from_slice(&ingress.to_ne_bytes());
    context
}
