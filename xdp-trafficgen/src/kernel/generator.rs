//! The generator of one port: the eBPF object specialised for it, its maps, and the call that makes
//! it send.

mod load;

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use aya::maps::{MapData, PerCpuArray, PerCpuValues};
use xdp_trafficgen_ebpf::abi::{
    DropLayer, Drops, Flow, FlowCounts, FlowDrops, Gate, MAX_TURNS, Schedule, Worker,
    timing::{self, Calendar, FlowLateness, Lateness, Stream, WorkerClock},
};

pub use super::program::{ProgramFacts, Sent};

use self::load::{fill, fill_rows, fill_with, load_object, mapped, padded};
use crate::{
    kernel::{
        KernelError, Listener, PerCpu, StopFlag, TracePoints, anchor::Anchor, listener::PortSlot,
        map_error, mapped::Mapped, object::Object, program::Program,
    },
    plan::{self, Pacing, pacing::simulation::exponentials},
    sys::bpf,
};

/// Which program of the object does the sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The generator.
    Generate,
    /// A bare redirect of the template: the bench's yardstick.
    Floor,
}

/// A loaded generator. Everything it holds in the kernel goes when it is dropped, or when the
/// process ends.
pub struct Generator {
    /// The program that is called.
    entry: Program,
    workers: PerCpuArray<MapData, Worker>,
    flows: Mapped<Flow>,
    schedules: Mapped<Schedule>,
    calendars: Mapped<Calendar>,
    worker_clocks: Mapped<WorkerClock>,
    gates: Mapped<Gate>,
    streams: Mapped<Stream>,
    lateness: Mapped<FlowLateness>,
    stop: StopFlag,
    drops: PerCpuArray<MapData, Drops>,
    flow_drops: Mapped<FlowDrops>,
    /// None: nobody listens to what becomes of the frames.
    place: Option<PortSlot>,
    facts: ProgramFacts,
    _anchor: Option<Anchor>,
}

/// The program that makes frames.
const GENERATE: &str = "generate";
/// The bench's yardstick.
const FLOOR: &str = "floor";

/// Frames that were refused, by who refused them and with which errno (positive, 0 for none).
pub type Refusals = BTreeMap<(DropLayer, u32), u64>;

fn refusals(Drops { driver, redirect }: &Drops) -> Refusals {
    let layers = [(DropLayer::Driver, driver), (DropLayer::Redirect, redirect)];
    let counts = layers.into_iter().flat_map(|(layer, counts)| {
        (0..)
            .zip(counts)
            .filter(|(_, count)| **count > 0)
            .map(move |(errno, &count)| ((layer, errno), count))
    });
    counts.collect()
}

impl Generator {
    /// Loads the object for sending out of the interface with index `egress`, as `pacing` says or
    /// as fast as it can. `listener` learns what becomes of the frames; none for a generator
    /// that redirects nothing.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load(
        program: &plan::Program,
        pacing: Option<&Pacing>,
        egress: u32,
        role: Role,
        listener: Option<&Listener>,
    ) -> Result<Self, KernelError> {
        let mut generator = Self::load_adrift(program, pacing, egress, role, listener)?;
        generator.hold(Anchor::new()?)?;
        Ok(generator)
    }

    /// As [`Generator::load`], for a generator that gets its anchor later ([`Generator::hold`]).
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load_adrift(
        program: &plan::Program,
        pacing: Option<&Pacing>,
        egress: u32,
        role: Role,
        listener: Option<&Listener>,
    ) -> Result<Self, KernelError> {
        let (generator, mut object) = Self::load_program(program, pacing, role, listener)?;
        bpf::set_device(object.descriptor("EGRESS")?.as_fd(), 0, egress)
            .map_err(KernelError::Egress)?;
        generator.place.as_ref().map_or(Ok(()), |place| place.call(&mut object))?;
        Ok(generator)
    }

    /// Makes calls cheap, as long as the generator lives: see [`Anchor`].
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn hold(&mut self, anchor: Anchor) -> Result<(), KernelError> {
        anchor.attach(&self.entry)?;
        self._anchor = Some(anchor);
        Ok(())
    }

    /// Loads the object for ordinary runs only: nothing is attached, nothing can leave, and every
    /// run on the CPU of a worker makes a frame, whenever it would depart: the schedule says
    /// whose.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load_dry(program: &plan::Program) -> Result<Self, KernelError> {
        let mut program = program.clone();
        program.generator.pacing = timing::pacing::NONE;
        Self::load_program(&program, None, Role::Generate, None).map(|(generator, _)| generator)
    }

    /// Also gives the object, with the port's maps.
    fn load_program(
        program: &plan::Program,
        pacing: Option<&Pacing>,
        role: Role,
        listener: Option<&Listener>,
    ) -> Result<(Self, Object), KernelError> {
        let place = listener.map(Listener::place).transpose()?;
        let mut object = load_object(program, pacing, place.as_ref())?;
        let entry = object.program(match role {
            Role::Floor => FLOOR,
            Role::Generate => GENERATE,
        })?;
        let facts = entry.facts()?;
        let plan::Program { bodies, flow_bodies, workers, flows, .. } = program;
        fill_rows(&mut object, &program.rows)?;
        fill(&mut object, "REGISTERS", &program.registers)?;
        fill(&mut object, "EFFECTS", &program.effects)?;
        fill(&mut object, "PICK_SETS", &program.pick_sets)?;
        fill(&mut object, "LISTS", &program.lists)?;
        fill_with(&mut object, "BODIES", bodies.iter().map(|body| padded(body)))?;
        fill(&mut object, "FLOW_BODIES", flow_bodies)?;
        fill(&mut object, "FLOWS", flows)?;
        if let Some(Pacing { departures, segments, calendars, .. }) = pacing {
            fill(&mut object, "STREAMS", departures)?;
            fill(&mut object, "SEGMENTS", segments)?;
            fill(&mut object, "CALENDARS", calendars)?;
            if departures.iter().any(|stream| stream.spec.kind == timing::stream_kind::POISSON) {
                fill(&mut object, "EXPONENTIAL", &exponentials())?;
            }
        }
        let start = PerCpu::make(|cpu| workers.get(&cpu).copied().unwrap_or(Worker::ABSENT))?;
        let start = PerCpuValues::try_from(start.into_kernel())
            .map_err(|source| KernelError::Syscall { call: "laying out per-CPU values", source })?;
        let mut state: PerCpuArray<_, Worker> =
            PerCpuArray::try_from(object.map("WORKERS")?).map_err(map_error("WORKERS"))?;
        state
            .set(place.as_ref().map_or(0, PortSlot::index), start, 0)
            .map_err(map_error("WORKERS"))?;
        let drops = PerCpuArray::try_from(object.map("DROPS")?).map_err(map_error("DROPS"))?;
        let generator = Self {
            entry,
            workers: state,
            flows: mapped(&mut object, "FLOWS")?,
            schedules: mapped(&mut object, "SCHEDULES")?,
            calendars: mapped(&mut object, "CALENDARS")?,
            worker_clocks: mapped(&mut object, "WORKER_CLOCKS")?,
            gates: mapped(&mut object, "GATES")?,
            streams: mapped(&mut object, "STREAMS")?,
            lateness: mapped(&mut object, "LATENESS")?,
            stop: StopFlag::of(&object.map("STOP")?, "STOP")?,
            drops,
            flow_drops: mapped(&mut object, "FLOW_DROPS")?,
            place,
            facts,
            _anchor: None,
        };
        Ok((generator, object))
    }

    /// Gives a worker, by its index, the order in which its flows take turns from now on: `turns`
    /// are indices of the program's flows, at most [`MAX_TURNS`]. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_schedule(&self, worker: u32, turns: &[u32]) -> Result<(), KernelError> {
        let mut schedule = Schedule { position: 0, len: 0, turns: [0; MAX_TURNS] };
        for (turn, &flow) in schedule.turns.iter_mut().zip(turns) {
            *turn = flow;
            schedule.len += 1;
        }
        self.schedules.set(worker, &schedule)
    }

    /// Gives a worker, by its index, another calendar of its streams. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_calendar(&self, worker: u32, calendar: &Calendar) -> Result<(), KernelError> {
        self.calendars.set(worker, calendar)
    }

    /// Where a worker, by its index, stands in time.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn worker_clock(&self, worker: u32) -> Result<WorkerClock, KernelError> {
        self.worker_clocks.get(worker)
    }

    /// Sets it. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_worker_clock(&self, worker: u32, clock: WorkerClock) -> Result<(), KernelError> {
        self.worker_clocks.set(worker, &clock)
    }

    /// The gate of a worker, by its index.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn gate(&self, worker: u32) -> Result<Gate, KernelError> {
        self.gates.get(worker)
    }

    /// Sets it. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_gate(&self, worker: u32, gate: Gate) -> Result<(), KernelError> {
        self.gates.set(worker, &gate)
    }

    /// A stream of departures, by its place in [`Pacing::departures`].
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn stream(&self, entry: u32) -> Result<Stream, KernelError> {
        self.streams.get(entry)
    }

    /// Sets it. Not while its worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_stream(&self, entry: u32, stream: Stream) -> Result<(), KernelError> {
        self.streams.set(entry, &stream)
    }

    /// How punctual the frames of each of the program's flows were that a worker, by its index, has
    /// sent; empty where flows do not share a stream: then streams tell.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn lateness(
        &self,
        worker: u32,
        program: &plan::Program,
    ) -> Result<Vec<Lateness>, KernelError> {
        let count = program.generator.sharing_flows();
        let entries = worker * count..(worker + 1) * count;
        entries.map(|entry| Ok(self.lateness.get(entry)?.lateness)).collect()
    }

    /// The stop flag.
    pub fn stop(&self) -> &StopFlag {
        &self.stop
    }

    /// What a worker, by its index, has counted of each of the program's flows; empty for a single
    /// flow.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flow_counts(
        &self,
        worker: u32,
        program: &plan::Program,
    ) -> Result<Vec<FlowCounts>, KernelError> {
        if program.flows.is_empty() {
            return Ok(Vec::new());
        }
        let count = program.generator.flow_count;
        let first = worker * count;
        (first..first + count).map(|entry| Ok(self.flows.get(entry)?.counts)).collect()
    }

    /// Makes the kernel run the program `repeat` times on copies of `frame` and really transmit
    /// them, `batch_size` at a time. Runs on the calling thread's CPU, which must be one of the
    /// workers'.
    ///
    /// `ingress`: index of the interface the frames seem to come from, never 0 (the kernel would
    /// take `lo`, and its XDP_TX would leave by `lo`).
    ///
    /// # Errors
    /// Only what stops the call as a whole; the fate of single frames is in the counters.
    pub fn send(
        &self,
        frame: &[u8],
        ingress: u32,
        repeat: u32,
        batch_size: u32,
    ) -> Result<Sent, KernelError> {
        let context = xdp_md(frame, ingress)?;
        self.entry.run_live(frame, &context, repeat, batch_size)
    }

    /// One ordinary run, without side effects: the XDP action and the frame the program made of
    /// `frame`.
    ///
    /// Advances the sequence of the calling thread's CPU, which must be one of the workers'.
    ///
    /// # Errors
    /// When the kernel refuses to run it.
    pub fn dry_run(&self, frame: &[u8]) -> Result<(u32, Vec<u8>), KernelError> {
        let mut out = vec![0; frame.len()];
        let (action, len) = self.entry.run_dry(frame, 1, &mut out)?;
        out.truncate(len);
        Ok((action, out))
    }

    /// What an ordinary run of so many repetitions takes, on the calling thread's CPU. Sends
    /// nothing.
    ///
    /// # Errors
    /// When the kernel refuses to run it.
    pub fn time(&self, frame: &[u8], repeat: u32) -> Result<Duration, KernelError> {
        let started = Instant::now();
        self.entry.run_dry(frame, repeat, &mut [])?;
        Ok(started.elapsed())
    }

    /// What the kernel says of the program that makes frames.
    pub const fn program(&self) -> ProgramFacts {
        self.facts
    }

    /// What every CPU's worker has counted so far; of a CPU without one, its `aborted` repetitions:
    /// workers' threads ran there that somebody had moved.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn workers(&self) -> Result<PerCpu<Worker>, KernelError> {
        let place = self.place.as_ref().map_or(0, PortSlot::index);
        PerCpu::of_kernel(&self.workers.get(&place, 0).map_err(map_error("WORKERS"))?)
    }

    /// Whether its program counts what it does. The bench's yardstick does nothing but redirect.
    pub fn counts(&self) -> bool {
        self.entry.name() != FLOOR
    }

    /// Which trace points tell what becomes of the frames.
    pub fn trace_points(&self) -> TracePoints {
        self.place.as_ref().map(|place| place.trace_points().clone()).unwrap_or_default()
    }

    /// Why frames of every CPU's worker were dropped so far.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn drops(&self) -> Result<PerCpu<Refusals>, KernelError> {
        let drops = PerCpu::of_kernel(&self.drops.get(&0, 0).map_err(map_error("DROPS"))?)?;
        Ok(drops.map(refusals))
    }

    /// Why frames of a flow were dropped that a worker sent, both by their index: counts in the
    /// order of [`CLASSES`](xdp_trafficgen_ebpf::abi::CLASSES). Only with several flows.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flow_drops(
        &self,
        worker: u32,
        flow: u32,
        program: &plan::Program,
    ) -> Result<FlowDrops, KernelError> {
        let count = program.generator.flow_count;
        self.flow_drops.get(worker * count + flow)
    }
}

/// A `struct xdp_md` (include/uapi/linux/bpf.h): data, data_end, data_meta, ingress_ifindex,
/// rx_queue_index, egress_ifindex, each 32 bits in the machine's order.
fn xdp_md(frame: &[u8], ingress: u32) -> Result<[u8; 24], KernelError> {
    let mut context = [0; 24];
    let data_end = u32::try_from(frame.len()).map_err(io::Error::other);
    let data_end = data_end
        .map_err(|source| KernelError::Syscall { call: "bpf(BPF_PROG_TEST_RUN)", source })?;
    context[4..8].copy_from_slice(&data_end.to_ne_bytes());
    context[12..16].copy_from_slice(&ingress.to_ne_bytes());
    Ok(context)
}
