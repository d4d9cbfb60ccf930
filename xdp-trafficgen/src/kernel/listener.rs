//! Listens to the kernel's trace points for all ports of the process: see the eBPF crate's
//! `listening`.

use std::{
    collections::BTreeSet,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::{
    maps::{MapData, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};
use xdp_trafficgen_ebpf::abi::{MAX_PLACES, Worker, handler};

use crate::{
    kernel::{
        KernelError, TracePoint, TracePoints, map_error,
        object::{Loader, Object, duplicate},
        tiny::{Kind, Tiny},
    },
    sys::bpf,
};

/// The map that the listener shares with the ports.
const WORKERS: &str = "WORKERS";
/// The programs of a port that the listener calls, numbered as in [`handler`].
const PROGRAMS: [(u32, &str); handler::PER_PORT as usize] =
    [(handler::BULK, "bulk"), (handler::NOT_REDIRECTED, "not_redirected")];

/// Learns from trace points what becomes of the frames of all ports. Clones share one listener.
#[derive(Clone)]
pub struct Listener(Arc<Inner>);

struct Inner {
    found: TracePoints,
    places: u32,
    /// The map of workers, for the ports' objects.
    shared: OwnedFd,
    workers: Mutex<PerCpuArray<MapData, Worker>>,
    handlers: OwnedFd,
    /// Stands in for the handlers of places that are free. An entry that is cleared makes the kernel
    /// wait for RCU, 16 ms; one that is replaced does not (`bpf_arch_poke_desc_update` of
    /// arch/x86/net/bpf_jit_comp.c).
    idle: Tiny,
    free: Mutex<BTreeSet<u32>>,
    _links: Vec<OwnedFd>,
}

impl Listener {
    /// A listener with places for `ports` ports. It attaches to those of the `wanted` trace points
    /// that the kernel has.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new(ports: usize, wanted: &[TracePoint]) -> Result<Self, KernelError> {
        let places = u32::try_from(ports).ok().filter(|&ports| ports <= MAX_PLACES);
        // Maps have one entry at least.
        let places = places.ok_or(KernelError::TooManyPorts(ports))?.max(1);
        let mut object =
            Loader::new().constant("PLACES", &places).entries(WORKERS, places).load()?;
        let workers = object.map(WORKERS)?;
        let workers = PerCpuArray::try_from(workers).map_err(map_error(WORKERS))?;
        let (found, links) = TracePoints::attach(&mut object, wanted)?;
        let handlers = duplicate(object.descriptor("HANDLERS")?)?;
        let shared = duplicate(object.descriptor(WORKERS)?)?;
        let free = (0..places).collect::<BTreeSet<_>>().into();
        let inner = Inner {
            found,
            places,
            shared,
            workers: workers.into(),
            handlers,
            idle: Tiny::load(Kind::RawTracePoint)?,
            free,
            _links: links,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The trace points that the listener is attached to.
    pub fn trace_points(&self) -> &TracePoints {
        &self.0.found
    }

    /// Takes a free place for one more port.
    pub(super) fn place(&self) -> Result<PortSlot, KernelError> {
        let index = lock(&self.0.free)
            .pop_first()
            .ok_or(KernelError::TooManyPorts(self.0.places as usize + 1))?;
        Ok(PortSlot { index, listener: self.clone() })
    }
}

/// A port's place with a listener; dropping it frees the place.
pub(super) struct PortSlot {
    index: u32,
    listener: Listener,
}

impl PortSlot {
    /// The number of the place.
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// The trace points that the listener is attached to.
    pub(super) fn trace_points(&self) -> &TracePoints {
        self.listener.trace_points()
    }

    /// Gives this place to the object that is loaded next.
    pub(super) fn share<'a>(&'a self, loader: &mut Loader<'a>) {
        loader.constant("PLACE", &self.index).share(WORKERS, &self.listener.0.shared);
    }

    /// Lets the listener call the programs of the port's object.
    pub(super) fn call(&self, object: &mut Object) -> Result<(), KernelError> {
        for (number, name) in PROGRAMS {
            let program = object.program(name)?;
            // The array holds the program from here on.
            let entry = handler::entry(self.index, number);
            set_handler(&self.listener.0.handlers, entry, &program)?;
        }
        Ok(())
    }

    /// Resets the place's counters: otherwise frames of this port without a known fate would be
    /// counted for the next port.
    fn clear(&self) -> Result<(), KernelError> {
        let cpus = nr_cpus().map_err(|(_, source)| KernelError::Syscall {
            call: "reading the CPU count",
            source,
        })?;
        let nothing = PerCpuValues::try_from(vec![Worker::NEW; cpus])
            .map_err(|source| KernelError::Syscall { call: "laying out per-CPU values", source })?;
        lock(&self.listener.0.workers).set(self.index, nothing, 0).map_err(map_error(WORKERS))
    }
}

impl Drop for PortSlot {
    fn drop(&mut self) {
        let Inner { handlers, idle, .. } = &*self.listener.0;
        for (number, _) in PROGRAMS {
            // Best effort: `drop` cannot report a failure. The next port takes over the entry.
            let _ = set_handler(handlers, handler::entry(self.index, number), idle);
        }
        // A place that cannot be reset is not used again.
        if self.clear().is_ok() {
            lock(&self.listener.0.free).insert(self.index);
        }
    }
}

/// Writes an entry of the array of handlers.
fn set_handler(handlers: &OwnedFd, entry: u32, program: &impl AsFd) -> Result<(), KernelError> {
    let failed = |source| KernelError::Syscall { call: "bpf(BPF_MAP_UPDATE_ELEM)", source };
    bpf::set_program(handlers.as_fd(), entry, program.as_fd()).map_err(failed)
}

/// The lock of a thread that panicked is used as it is: each change is complete when the lock is
/// released.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
