//! The generator of one port: the eBPF object specialised for it, its maps, and the call that makes
//! it send.

mod load;

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{DevMap, MapData, PerCpuArray, PerCpuValues, ProgramArray},
    programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use xdp_trafficgen_ebpf::abi::{
    DropLayer, Drops, Flow, FlowCounts, FlowDrops, MAX_TURNS, Schedule, Worker,
    timing::{self, Lateness, Stream, StreamSpec, WorkerClock},
};

use self::load::{fill, load_group, map, mapped, padded, take, xdp_of};
use crate::{
    kernel::{
        KernelError, Listener, PerCpu, StopFlag, TracePoints, anchor::Anchor, close_maps,
        listener::PortSlot, map_error, mapped::Mapped, pins::Pins, program_error,
    },
    plan::{Pacing, Program, pacing::simulation::exponentials},
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
    /// With the program that is called, and without its maps: see [`close_maps`].
    object: Ebpf,
    /// The program that is called.
    entry: &'static str,
    workers: PerCpuArray<MapData, Worker>,
    flows: Mapped<Flow>,
    schedules: Mapped<Schedule>,
    worker_clocks: Mapped<WorkerClock>,
    streams: Mapped<Stream>,
    lateness: Mapped<Lateness>,
    stop: StopFlag,
    drops: PerCpuArray<MapData, Drops>,
    flow_drops: Mapped<FlowDrops>,
    /// None: nobody listens to what becomes of the frames.
    place: Option<PortSlot>,
    /// Those that `entry` calls, where there are several groups. The kernel empties a program
    /// array when its last descriptor goes.
    _programs: Option<ProgramArray<MapData>>,
    facts: Vec<ProgramFacts>,
    _anchor: Option<Anchor>,
}

/// The program of a group.
const GROUP: &str = "generate";
/// The bench's yardstick.
const FLOOR: &str = "floor";

/// A program as the verifier saw it and left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Its name in the object.
    pub name: &'static str,
    /// Instructions the verifier went through, branch by branch.
    pub verified_instructions: u32,
    /// Bytes of eBPF that are left when what this configuration does not use is removed.
    pub translated_bytes: u32,
}

impl ProgramFacts {
    fn of(name: &'static str, program: &Xdp) -> Result<Self, KernelError> {
        let info = program.info().map_err(program_error(name))?;
        Ok(Self {
            name,
            verified_instructions: info.verified_instruction_count().unwrap_or(0),
            translated_bytes: info.size_translated().unwrap_or(0),
        })
    }
}

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

/// How a live call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All repetitions ran.
    All,
    /// A signal ended the call between two batches; how many ran, only the counters know.
    Interrupted,
}

impl Generator {
    /// Loads the object for sending out of the interface with index `egress`, as `pacing` says or
    /// as fast as it can. `listener` learns what becomes of the frames; none for a generator
    /// that redirects nothing.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load(
        program: &Program,
        pacing: Option<&Pacing>,
        egress: u32,
        role: Role,
        listener: Option<&Listener>,
    ) -> Result<Self, KernelError> {
        let mut generator = Self::load_program(program, pacing, role, listener)?;
        let map = generator.object.map_mut("EGRESS").ok_or(KernelError::Missing("EGRESS"))?;
        let mut map = DevMap::try_from(map).map_err(map_error("EGRESS"))?;
        map.set(0, egress, None, 0).map_err(KernelError::Egress)?;
        generator.place.as_ref().map_or(Ok(()), |place| place.call(&mut generator.object))?;
        close_maps(&mut generator.object);
        let program = xdp_of(&mut generator.object, generator.entry)?;
        let program = program.fd().map_err(program_error(generator.entry))?;
        generator._anchor = Some(Anchor::hold(program)?);
        Ok(generator)
    }

    /// Loads the object for ordinary runs only: nothing is attached, nothing can leave, and every
    /// run on the CPU of a worker makes a frame, whenever it would depart: the schedule says
    /// whose.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load_dry(program: &Program) -> Result<Self, KernelError> {
        let mut program = program.clone();
        program.generator.pacing = timing::pacing::NONE;
        let mut generator = Self::load_program(&program, None, Role::Generate, None)?;
        close_maps(&mut generator.object);
        Ok(generator)
    }

    /// With all of its maps.
    fn load_program(
        program: &Program,
        pacing: Option<&Pacing>,
        role: Role,
        listener: Option<&Listener>,
    ) -> Result<Self, KernelError> {
        let place = listener.map(Listener::place).transpose()?;
        let pins = if program.groups.len() > 1 { Some(Pins::new()?) } else { None };
        let load = |group| load_group(program, pacing, group, pins.as_ref(), place.as_ref());
        let mut objects = program.groups.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let Program { bodies, flow_bodies, workers, flows, header_states, values, .. } = program;
        fill(&objects, "VALUES", values.iter().copied())?;
        fill(&objects, "HEADER_STATES", header_states.iter().copied())?;
        fill(&objects, "BODIES", bodies.iter().map(|body| padded(body)))?;
        fill(&objects, "FLOW_BODIES", flow_bodies.iter().copied())?;
        fill(&objects, "FLOWS", flows.iter().copied())?;
        if let Some(Pacing { departures, segments, calendars, .. }) = pacing {
            fill(&objects, "STREAMS", streams_of_groups(departures, &program.turns))?;
            fill(&objects, "SEGMENTS", segments.iter().copied())?;
            fill(&objects, "CALENDARS", calendars.iter().copied())?;
            if departures.iter().any(|stream| stream.spec.kind == timing::stream_kind::POISSON) {
                fill(&objects, "EXPONENTIAL", exponentials().into_iter())?;
            }
        }
        let start = PerCpu::make(|cpu| workers.get(&cpu).copied().unwrap_or(Worker::ABSENT))?;
        let start = PerCpuValues::try_from(start.into_kernel())
            .map_err(|source| KernelError::Syscall { call: "laying out per-CPU values", source })?;
        let mut state: PerCpuArray<_, Worker> =
            PerCpuArray::try_from(take(&mut objects, "WORKERS")?).map_err(map_error("WORKERS"))?;
        state
            .set(place.as_ref().map_or(0, PortSlot::index), start, 0)
            .map_err(map_error("WORKERS"))?;
        let entry = match role {
            Role::Floor => FLOOR,
            Role::Generate if objects.len() > 1 => "dispatch",
            Role::Generate => GROUP,
        };
        let drops =
            PerCpuArray::try_from(take(&mut objects, "DROPS")?).map_err(map_error("DROPS"))?;
        let mut called = Vec::new();
        let programs = if entry == "dispatch" {
            Some(fill_programs(&mut objects, &mut called)?)
        } else {
            None
        };
        let flows = mapped(&objects, "FLOWS")?;
        let schedules = mapped(&objects, "SCHEDULES")?;
        let worker_clocks = mapped(&objects, "WORKER_CLOCKS")?;
        let streams = mapped(&objects, "STREAMS")?;
        let lateness = mapped(&objects, "LATENESS")?;
        let flow_drops = mapped(&objects, "FLOW_DROPS")?;
        let stop = StopFlag::of(map(&objects, "STOP")?, "STOP")?;
        // The programs of the other groups stay in the array of programs.
        let mut object = objects.into_iter().next().ok_or(KernelError::Missing(entry))?;
        let xdp = xdp_of(&mut object, entry)?;
        if xdp.fd().is_err() {
            xdp.load().map_err(program_error(entry))?;
        }
        let mut facts = vec![ProgramFacts::of(entry, xdp)?];
        facts.extend(called);
        Ok(Self {
            object,
            entry,
            workers: state,
            flows,
            schedules,
            worker_clocks,
            streams,
            lateness,
            stop,
            drops,
            flow_drops,
            place,
            _programs: programs,
            facts,
            _anchor: None,
        })
    }

    /// Gives a worker, by its index, the order in which its flows take turns from now on: `turns`
    /// are indices of the program's flows, at most [`MAX_TURNS`]. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_schedule(
        &self,
        worker: u32,
        program: &Program,
        turns: &[u32],
    ) -> Result<(), KernelError> {
        let mut schedule = Schedule { position: 0, len: 0, turns: [0; MAX_TURNS] };
        for (turn, &flow) in schedule.turns.iter_mut().zip(turns) {
            *turn = program.turns.get(flow as usize).copied().unwrap_or_default();
            schedule.len += 1;
        }
        self.schedules.set(worker, &schedule)
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
    /// sent.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn lateness(&self, worker: u32, program: &Program) -> Result<Vec<Lateness>, KernelError> {
        let count = program.generator.flow_count;
        let first = worker * count;
        (first..first + count).map(|entry| self.lateness.get(entry)).collect()
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
        program: &Program,
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
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            repeat,
            attrs: TestRunAttrs::new().xdp_live_frames(batch_size),
            ..TestRunOptions::new()
        };
        match self.xdp()?.test_run(options) {
            Ok(_) => Ok(Sent::All),
            Err(ProgramError::SyscallError(error))
                if error.io_error.kind() == io::ErrorKind::Interrupted =>
            {
                Ok(Sent::Interrupted)
            }
            Err(source) => Err(KernelError::Program { program: self.entry, source }),
        }
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
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ..TestRunOptions::new()
        };
        let result = self.xdp()?.test_run(options).map_err(program_error(self.entry))?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }

    /// What an ordinary run of so many repetitions takes, on the calling thread's CPU. Sends
    /// nothing.
    ///
    /// # Errors
    /// When the kernel refuses to run it.
    pub fn time(&self, frame: &[u8], repeat: u32) -> Result<Duration, KernelError> {
        let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::new() };
        let started = Instant::now();
        self.xdp()?.test_run(options).map_err(program_error(self.entry))?;
        Ok(started.elapsed())
    }

    /// What the kernel says of the programs that make frames.
    pub fn programs(&self) -> &[ProgramFacts] {
        &self.facts
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
        self.entry != FLOOR
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
        program: &Program,
    ) -> Result<FlowDrops, KernelError> {
        let count = program.generator.flow_count;
        self.flow_drops.get(worker * count + flow)
    }

    fn xdp(&self) -> Result<&Xdp, KernelError> {
        let program = self.object.program(self.entry);
        program
            .ok_or(KernelError::Missing(self.entry))?
            .try_into()
            .map_err(program_error(self.entry))
    }
}

/// Streams as the program reads them: each names its flow with its group. `turns`: those of all
/// flows. One after the other, because a copy of all of them would take memory that the plan does
/// not count.
fn streams_of_groups<'a>(
    streams: &'a [Stream],
    turns: &'a [u32],
) -> impl Iterator<Item = Stream> + 'a {
    streams.iter().map(|stream| {
        let flow = stream.spec.turn as usize;
        Stream { spec: StreamSpec { turn: turns[flow], ..stream.spec }, ..*stream }
    })
}

/// Loads each group's program and puts it where `dispatch` finds it; adds what the kernel says of
/// it to `facts`.
fn fill_programs(
    objects: &mut [Ebpf],
    facts: &mut Vec<ProgramFacts>,
) -> Result<ProgramArray<MapData>, KernelError> {
    let mut programs =
        ProgramArray::try_from(take(objects, "PROGRAMS")?).map_err(map_error("PROGRAMS"))?;
    for (index, object) in (0..).zip(objects) {
        let group = xdp_of(object, GROUP)?;
        group.load().map_err(program_error(GROUP))?;
        facts.push(ProgramFacts::of(GROUP, group)?);
        programs
            .set(index, group.fd().map_err(program_error(GROUP))?, 0)
            .map_err(map_error("PROGRAMS"))?;
        group.unload().map_err(program_error(GROUP))?;
    }
    Ok(programs)
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
