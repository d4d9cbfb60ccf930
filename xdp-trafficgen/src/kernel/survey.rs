//! Everything that `probe` asks the kernel. Each question stands alone, so that a failure hides no
//! other answer.
//!
//! Sends nothing: the programs drop their frames. [`crate::diagnosis`] says what the answers mean.

use std::{
    cell::OnceCell,
    io,
    time::{Duration, Instant},
};

use aya::{
    Btf,
    programs::{ProgramError, ProgramType},
    sys::{BpfHelper, SyscallError, is_helper_supported},
};
use aya_obj::btf::BtfKind;

use crate::kernel::{
    KernelError, TracePoint,
    anchor::Anchor,
    probe::{accepted, largest_frame, missing_capabilities, sends_live_frames},
    tiny::{FRAME_LEN, Kind, Run, Tiny, failed},
};
use crate::units;

/// What the kernel answered.
#[derive(Debug)]
pub struct Survey {
    /// Capabilities that sending needs and this process lacks.
    pub missing_capabilities: Vec<&'static str>,
    /// Whether the kernel has live frames (Linux 5.18).
    pub live_frames: Answer<bool>,
    /// Bytes of the largest frame that live mode takes, without FCS.
    pub largest_frame: Answer<usize>,
    /// The largest batch.
    pub batch_limit: Answer<u32>,
    /// Which of the trace points that tell the fate of frames the kernel has.
    pub trace_points: Vec<(TracePoint, Answer<bool>)>,
    /// Whether programs can wait in `bpf_loop` (Linux 5.17); paced programs do.
    pub bpf_loop: Answer<bool>,
    /// How long a call takes.
    pub call: Answer<CallTimes>,
}

/// How long a live call of [`CALL_FRAMES`] frames takes, all of which the program drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimes {
    /// When the kernel puts the program into its XDP dispatcher for the call.
    pub alone: Duration,
    /// When the program is in the dispatcher already, because it is attached to a private
    /// interface: as in every run.
    pub anchored: Duration,
}

/// Frames of a timed call. More than one, because for one the kernel does not change its
/// dispatcher.
pub const CALL_FRAMES: u32 = 64;

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Unanswered>;

/// Why the kernel could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The process lacks these capabilities.
    #[error("needs {}", .0.join(" and "))]
    Privilege(Vec<&'static str>),
    /// Only kernels with live frames can answer.
    #[error("needs live frames")]
    NoLiveFrames,
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl Unanswered {
    /// If capabilities are missing, a refusal is put down to them.
    fn of(error: KernelError, missing: &[&'static str]) -> Self {
        match error.errno() {
            Some(libc::EPERM | libc::EACCES) if !missing.is_empty() => {
                Self::Privilege(missing.to_vec())
            }
            _ => Self::Kernel(error),
        }
    }
}

/// Asks all questions. Takes a quarter of a second, most of it for [`CallTimes::alone`].
pub fn survey() -> Survey {
    let missing = missing_capabilities();
    let types = Types::default();
    let why = |error| Unanswered::of(error, &missing);
    let live_frames =
        Tiny::load(Kind::Xdp).and_then(|program| sends_live_frames(&program)).map_err(why);
    // Each answer needs a program of its own, because it owns the error of loading it.
    let live = || match &live_frames {
        Ok(true) => Tiny::load(Kind::Xdp).map_err(why),
        Ok(false) => Err(Unanswered::NoLiveFrames),
        Err(Unanswered::Privilege(missing)) => Err(Unanswered::Privilege(missing.clone())),
        Err(_) => Tiny::load(Kind::Xdp).map_err(why),
    };
    Survey {
        largest_frame: live().and_then(|program| largest_frame(&program).map_err(why)),
        batch_limit: live().and_then(|program| batch_limit(&program).map_err(why)),
        call: live().and_then(|program| call_times(&program).map_err(why)),
        trace_points: TracePoint::ALL
            .map(|point| {
                let answer = has_trace_point(point).map_err(why);
                (point, types.or(answer, &format!("btf_trace_{}", point.name()), BtfKind::Typedef))
            })
            .into(),
        bpf_loop: types.or(
            is_helper_supported(ProgramType::Xdp, BpfHelper::BPF_FUNC_loop)
                .map_err(|error| why(failed("bpf(BPF_PROG_LOAD)")(cause(error)))),
            "bpf_loop",
            BtfKind::Func,
        ),
        live_frames,
        missing_capabilities: missing,
    }
}

/// The errno behind aya's error.
fn cause(error: ProgramError) -> io::Error {
    match error {
        ProgramError::SyscallError(SyscallError { io_error, .. })
        | ProgramError::LoadError { io_error, .. } => io_error,
        other => io::Error::other(other),
    }
}

/// The kernel's type information, which every process may read: it lists trace points and helpers
/// by name. Read when it is first needed.
#[derive(Default)]
struct Types(OnceCell<Option<Btf>>);

impl Types {
    /// The answer; where capabilities were missing, the answer of the type information.
    fn or(&self, answer: Answer<bool>, name: &str, kind: BtfKind) -> Answer<bool> {
        if !matches!(answer, Err(Unanswered::Privilege(_))) {
            return answer;
        }
        let types = self.0.get_or_init(|| Btf::from_sys_fs().ok()).as_ref();
        types.map_or(answer, |types| Ok(types.id_by_type_name_kind(name, kind).is_ok()))
    }
}

/// Searched for: above the limit the kernel returns E2BIG (net/bpf/test_run.c, TEST_XDP_MAX_BATCH,
/// 256 so far).
fn batch_limit(program: &Tiny) -> Result<u32, KernelError> {
    let takes = |batch_size| {
        accepted(program.run(Run::Live { len: FRAME_LEN, repeat: 1, batch_size }), libc::E2BIG)
    };
    // A kernel without a limit would allocate an array of so many frames. The search ends at 65536,
    // which is more than any run needs.
    let (mut fits, mut refused) = (1, 1 << 16);
    while refused - fits > 1 {
        let middle = u32::midpoint(fits, refused);
        if takes(middle)? { fits = middle } else { refused = middle }
    }
    Ok(fits)
}

/// Tries to attach to the trace point. This needs no type information.
fn has_trace_point(point: TracePoint) -> Result<bool, KernelError> {
    let program = Tiny::load(Kind::RawTracePoint)?;
    match program.attach_to_trace_point(point.name_for_kernel()) {
        Ok(_detached_again) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(failed("bpf(BPF_RAW_TRACEPOINT_OPEN)")(error)),
    }
}

fn call_times(program: &Tiny) -> Result<CallTimes, KernelError> {
    let alone = median(program, 3)?;
    let anchor = Anchor::new()?;
    anchor.attach(program)?;
    Ok(CallTimes { alone, anchored: median(program, 15)? })
}

/// The median of so many calls. One more call runs first, with cold caches, and is not counted.
fn median(program: &Tiny, calls: usize) -> Result<Duration, KernelError> {
    let mut times = Vec::new();
    for _ in 0..=calls {
        let started = Instant::now();
        let run =
            program.run(Run::Live { len: FRAME_LEN, repeat: CALL_FRAMES, batch_size: CALL_FRAMES });
        run.map_err(failed("bpf(BPF_PROG_TEST_RUN)"))?;
        times.push(started.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(units::median(times.into_iter().skip(1)).unwrap_or(0.0)))
}
