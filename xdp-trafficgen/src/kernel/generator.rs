//! The generator of one port: the eBPF object specialised for it, its maps, and the call that makes it send.

mod load;

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{Array, DevMap, Map, MapData, PerCpuArray, PerCpuValues, ProgramArray},
    programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use xdp_trafficgen_ebpf::abi::{
    DropLayer, Drops, Flow, FlowDrops, MAX_SLOTS, Schedule, Worker,
    timing::{self, Departures, Lateness, Pace},
};

use self::load::{fill, load_group, padded, take, xdp_of};
use crate::{
    kernel::{
        KernelError, Listener, PerCpu, TracePoints, anchor::Anchor, listener::Place, map_error, pins::Pins,
        program_error,
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

/// A loaded generator. Everything it holds in the kernel goes when it is dropped, or when the process ends.
pub struct Generator {
    /// One for each group.
    objects: Vec<Ebpf>,
    /// The program that is called; in the first object.
    entry: &'static str,
    workers: PerCpuArray<MapData, Worker>,
    flows: Array<MapData, Flow>,
    schedules: Mutex<Array<MapData, Schedule>>,
    paces: Mutex<Array<MapData, Pace>>,
    departures: Mutex<Array<MapData, Departures>>,
    lateness: Array<MapData, Lateness>,
    stop: Mutex<Array<MapData, u64>>,
    drops: PerCpuArray<MapData, Drops>,
    flow_drops: Array<MapData, FlowDrops>,
    /// None: nobody listens to what becomes of the frames.
    place: Option<Place>,
    /// The kernel empties a program array when its last descriptor goes.
    programs: ProgramArray<MapData>,
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

/// Frames that were refused, by who refused them and with which errno (positive, 0 for none).
pub type Refusals = BTreeMap<(DropLayer, u32), u64>;

fn refusals(Drops { driver, redirect }: &Drops) -> Refusals {
    let layers = [(DropLayer::Driver, driver), (DropLayer::Redirect, redirect)];
    let counts = layers.into_iter().flat_map(|(layer, counts)| {
        (0..).zip(counts).filter(|(_, count)| **count > 0).map(move |(errno, &count)| ((layer, errno), count))
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
    /// Loads the object for sending out of the interface with index `egress`, as `pacing` says or as fast as it can. `listener`
    /// learns what becomes of the frames; none for a generator that redirects nothing.
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
        let mut map = DevMap::try_from(generator.map_mut("EGRESS")?).map_err(map_error("EGRESS"))?;
        map.set(0, egress, None, 0).map_err(KernelError::Egress)?;
        if let Some(object) = generator.objects.first_mut() {
            generator.place.as_ref().map_or(Ok(()), |place| place.call(object))?;
        }
        generator._anchor = Some(Anchor::hold(generator.entry, generator.xdp_mut()?)?);
        Ok(generator)
    }

    /// Loads the object for ordinary runs only: nothing is attached, nothing can leave, and every run on the CPU of a worker
    /// makes a frame, whenever it would depart: the schedule says whose.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load_dry(program: &Program) -> Result<Self, KernelError> {
        let mut program = program.clone();
        program.generator.pacing = timing::pacing::NONE;
        Self::load_program(&program, None, Role::Generate, None)
    }

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
        let Program { bodies, flow_bodies, workers, flows, worked, values, .. } = program;
        fill(&mut objects, "VALUES", values)?;
        fill(&mut objects, "WORKED", worked)?;
        fill(&mut objects, "BODIES", &bodies.iter().map(|body| padded(body)).collect::<Vec<_>>())?;
        fill(&mut objects, "FLOW_BODIES", flow_bodies)?;
        fill(&mut objects, "FLOWS", flows)?;
        if let Some(Pacing { departures, segments, calendars, .. }) = pacing {
            fill(&mut objects, "DEPARTURES", departures)?;
            fill(&mut objects, "SEGMENTS", segments)?;
            fill(&mut objects, "CALENDARS", calendars)?;
            if departures.iter().any(|stream| stream.kind == timing::departures::POISSON) {
                fill(&mut objects, "EXPONENTIAL", &exponentials())?;
            }
        }
        let start = PerCpu::make(|cpu| workers.get(&cpu).copied().unwrap_or(Worker::ABSENT))?;
        let start = PerCpuValues::try_from(start.into_kernel())
            .map_err(|source| KernelError::Syscall { call: "laying out per-CPU values", source })?;
        let mut state: PerCpuArray<_, Worker> =
            PerCpuArray::try_from(take(&mut objects, "WORKERS")?).map_err(map_error("WORKERS"))?;
        state.set(place.as_ref().map_or(0, Place::index), start, 0).map_err(map_error("WORKERS"))?;
        let mut generator = Self {
            entry: match role {
                Role::Floor => FLOOR,
                Role::Generate if objects.len() > 1 => "dispatch",
                Role::Generate => GROUP,
            },
            workers: state,
            flows: Array::try_from(take(&mut objects, "FLOWS")?).map_err(map_error("FLOWS"))?,
            schedules: Array::try_from(take(&mut objects, "SCHEDULES")?).map_err(map_error("SCHEDULES"))?.into(),
            paces: Array::try_from(take(&mut objects, "PACES")?).map_err(map_error("PACES"))?.into(),
            departures: Array::try_from(take(&mut objects, "DEPARTURES")?).map_err(map_error("DEPARTURES"))?.into(),
            lateness: Array::try_from(take(&mut objects, "LATENESS")?).map_err(map_error("LATENESS"))?,
            stop: Array::try_from(take(&mut objects, "STOP")?).map_err(map_error("STOP"))?.into(),
            drops: PerCpuArray::try_from(take(&mut objects, "DROPS")?).map_err(map_error("DROPS"))?,
            flow_drops: Array::try_from(take(&mut objects, "FLOW_DROPS")?).map_err(map_error("FLOW_DROPS"))?,
            place,
            programs: ProgramArray::try_from(take(&mut objects, "PROGRAMS")?).map_err(map_error("PROGRAMS"))?,
            objects,
            _anchor: None,
        };
        if generator.entry == "dispatch" {
            for (index, object) in (0..).zip(&mut generator.objects) {
                let group = xdp_of(object, GROUP)?;
                group.load().map_err(program_error(GROUP))?;
                let fd = group.fd().map_err(program_error(GROUP))?;
                generator.programs.set(index, fd, 0).map_err(map_error("PROGRAMS"))?;
            }
        }
        let entry = generator.entry;
        generator.xdp_mut()?.load().map_err(program_error(entry))?;
        Ok(generator)
    }

    /// Gives a worker, by its index, the order in which its flows take turns from now on: `turns` are indices of the
    /// program's flows, at most [`MAX_SLOTS`]. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_schedule(&self, worker: u32, program: &Program, turns: &[u32]) -> Result<(), KernelError> {
        let mut schedule = Schedule { position: 0, len: 0, slots: [0; MAX_SLOTS] };
        for (slot, &flow) in schedule.slots.iter_mut().zip(turns) {
            *slot = program.slots.get(flow as usize).copied().unwrap_or_default();
            schedule.len += 1;
        }
        lock(&self.schedules).set(worker, schedule, 0).map_err(map_error("SCHEDULES"))
    }

    /// Where a worker, by its index, stands in time.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn pace(&self, worker: u32) -> Result<Pace, KernelError> {
        lock(&self.paces).get(&worker, 0).map_err(map_error("PACES"))
    }

    /// Sets it. Not while that worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_pace(&self, worker: u32, pace: Pace) -> Result<(), KernelError> {
        lock(&self.paces).set(worker, pace, 0).map_err(map_error("PACES"))
    }

    /// A stream of departures, by its place in [`Pacing::departures`].
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn departures(&self, entry: u32) -> Result<Departures, KernelError> {
        lock(&self.departures).get(&entry, 0).map_err(map_error("DEPARTURES"))
    }

    /// Sets it. Not while its worker sends.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_departures(&self, entry: u32, stream: Departures) -> Result<(), KernelError> {
        lock(&self.departures).set(entry, stream, 0).map_err(map_error("DEPARTURES"))
    }

    /// How punctual the frames of each of the program's flows were that a worker, by its index, has sent.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn lateness(&self, worker: u32, program: &Program) -> Result<Vec<Lateness>, KernelError> {
        let count = u32::try_from(program.slots.len()).unwrap_or(u32::MAX);
        let first = worker * count;
        (first..first + count).map(|entry| self.lateness.get(&entry, 0).map_err(map_error("LATENESS"))).collect()
    }

    /// Lets nothing depart any more: paced calls under way come to their end at once. Others take no notice. `now`: on the
    /// monotonic clock, in nanoseconds, not 0.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn stop(&self, now: u64) -> Result<(), KernelError> {
        lock(&self.stop).set(0, now, 0).map_err(map_error("STOP"))
    }

    /// When nothing departed any more; none: there has been no stop.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn stopped(&self) -> Result<Option<u64>, KernelError> {
        let stopped = lock(&self.stop).get(&0, 0).map_err(map_error("STOP"))?;
        Ok(Some(stopped).filter(|&stopped| stopped != 0))
    }

    /// What a worker, by its index, has counted of each of the program's flows; empty for a single flow.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flows(&self, worker: u32, program: &Program) -> Result<Vec<Flow>, KernelError> {
        if program.flows.is_empty() {
            return Ok(Vec::new());
        }
        let count = u32::try_from(program.slots.len()).unwrap_or(u32::MAX);
        let first = worker * count;
        (first..first + count).map(|entry| self.flows.get(&entry, 0).map_err(map_error("FLOWS"))).collect()
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
            Err(source) => Err(KernelError::Program { program: self.entry, source }),
        }
    }

    /// One ordinary run, without side effects: the XDP action and the frame the program made of `frame`.
    ///
    /// Advances the sequence of the calling thread's CPU, which must be one of the workers'.
    ///
    /// # Errors
    /// When the kernel refuses to run it.
    pub fn dry_run(&self, frame: &[u8]) -> Result<(u32, Vec<u8>), KernelError> {
        let mut out = vec![0; frame.len()];
        let options = TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let result = self.xdp()?.test_run(options).map_err(program_error(self.entry))?;
        out.truncate(usize::try_from(result.data_size_out).unwrap_or(usize::MAX));
        Ok((result.return_value, out))
    }

    /// What an ordinary run of so many repetitions takes, on the calling thread's CPU. Sends nothing.
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
    ///
    /// # Errors
    /// When it does not.
    pub fn programs(&self) -> Result<Vec<ProgramFacts>, KernelError> {
        let mut names = vec![self.entry];
        if self.entry == "dispatch" {
            names.push(GROUP);
        }
        let mut facts = Vec::new();
        for name in names {
            let objects = if name == self.entry { &self.objects[..1] } else { &self.objects[..] };
            for program in objects.iter().filter_map(|object| object.program(name)) {
                let info = program.info().map_err(program_error(name))?;
                facts.push(ProgramFacts {
                    name,
                    verified_instructions: info.verified_instruction_count().unwrap_or(0),
                    translated_bytes: info.size_translated().unwrap_or(0),
                });
            }
        }
        Ok(facts)
    }

    /// What every CPU's worker has counted so far; of a CPU without one, its `aborted` repetitions: workers' threads ran there
    /// that somebody had moved.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn workers(&self) -> Result<PerCpu<Worker>, KernelError> {
        let place = self.place.as_ref().map_or(0, Place::index);
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

    /// Why frames of a flow were dropped that a worker sent, both by their index: counts in the order of
    /// [`CLASSES`](xdp_trafficgen_ebpf::abi::CLASSES). Only with several flows.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flow_drops(&self, worker: u32, flow: u32, program: &Program) -> Result<FlowDrops, KernelError> {
        let count = u32::try_from(program.slots.len()).unwrap_or(u32::MAX);
        self.flow_drops.get(&(worker * count + flow), 0).map_err(map_error("FLOW_DROPS"))
    }

    fn xdp(&self) -> Result<&Xdp, KernelError> {
        let program = self.objects.first().and_then(|object| object.program(self.entry));
        program.ok_or(KernelError::Missing(self.entry))?.try_into().map_err(program_error(self.entry))
    }

    fn xdp_mut(&mut self) -> Result<&mut Xdp, KernelError> {
        let entry = self.entry;
        xdp_of(self.objects.first_mut().ok_or(KernelError::Missing(entry))?, entry)
    }

    fn map_mut(&mut self, name: &'static str) -> Result<&mut Map, KernelError> {
        self.objects.first_mut().and_then(|object| object.map_mut(name)).ok_or(KernelError::Missing(name))
    }
}

/// A map that user space writes while the program runs; what one thread writes is nobody else's.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
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
