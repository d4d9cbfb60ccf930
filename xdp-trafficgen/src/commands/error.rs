//! Why commands fail, in words, in fields of the log, and as an exit status.

use std::{fmt::Write as _, io};

use super::PaceTestError;
use crate::{
    config::{Diagnostics, Styling},
    diagnosis::{self, Finding, in_full},
    engine::{EngineError, WorkerError},
    host::{FactsError, System, allowed_cpus, online_cpus},
    kernel::{AttachError, KernelError, probe::CannotSend},
    output::{
        format::EmitError,
        log::{Complaint, one_line},
        streams,
    },
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What the user wrote.
    #[error("{0}")]
    Config(Diagnostics),
    /// A file the user named.
    #[error("cannot {action} {path}")]
    File {
        /// What was to be done: read or write.
        action: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// This machine cannot send.
    #[error(transparent)]
    CannotSend(#[from] CannotSend),
    /// This machine does not tell what must be known.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A thread could not be bound to its CPU.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The kernel refused something outside of a run.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A run failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A run ended and nothing was sent; the report says why.
    #[error("not one frame could be sent: see the reasons above")]
    NothingSent,
    /// The gaps between frames could not be measured.
    #[error(transparent)]
    PaceTest(#[from] PaceTestError),
    /// `--strict`: less was sent than was asked for.
    #[error("less than was asked for (--strict): {0}")]
    Short(String),
    /// `probe` found that nothing could be sent; its report says why.
    #[error("{0} is not ready to send: see the reasons above")]
    NotReady(String),
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] EmitError),
    /// A file that was opened before the run took no more.
    #[error("cannot write {path}, {left}")]
    Unwritten {
        /// The file.
        path: String,
        /// What is there instead.
        left: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused something.
    #[error("{what}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl CommandError {
    /// Standard output took no more of a result that is written bit by bit.
    pub(crate) fn standard_output(source: io::Error) -> Self {
        Self::Output(EmitError::StandardOutput(source))
    }

    /// 2 for what the user can put right before a run, 1 for what went wrong in one.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Short(_) => 3,
            Self::Config(_)
            | Self::File { .. }
            | Self::CannotSend(_)
            | Self::NotReady(_)
            | Self::Engine(EngineError::StartIsOver) => 2,
            Self::Kernel(KernelError::Attach(error))
            | Self::Engine(EngineError::Load { source: KernelError::Attach(error), .. })
                if !matches!(error, AttachError::NotPutBack { .. }) =>
            {
                2
            }
            Self::PaceTest(error) => error.exit_code(),
            Self::Facts(_)
            | Self::Worker(_)
            | Self::Kernel(_)
            | Self::Engine(_)
            | Self::NothingSent
            | Self::Output(_)
            | Self::Unwritten { .. }
            | Self::System { .. } => 1,
        }
    }

    /// Whether a stop ended the wait for next hops, which is no failure.
    pub(crate) const fn is_stopped(&self) -> bool {
        matches!(self, Self::Facts(FactsError::Stopped))
    }

    /// The sentence for the user, with all causes.
    pub(crate) fn render(&self) -> String {
        if let Self::Config(diagnostics) = self {
            let styling =
                if streams::colour_for_people() { Styling::Colour } else { Styling::Plain };
            return diagnostics.render(styling);
        }
        let mut text = format!("error: {}", in_full(self));
        if let Some(Finding { cause, cure, .. }) = self.finding() {
            let _ = write!(text, "\n  cause: {cause}\n  cure: {cure}");
        }
        text
    }

    /// The fields of the log's lines; at least one line.
    pub(crate) fn complaints(&self) -> Vec<Complaint> {
        if let Self::Config(diagnostics) = self {
            return Complaint::of_config(diagnostics);
        }
        let (code, cause, cure) = match self.finding() {
            Some(Finding { code, severity: _, cause, cure }) => {
                (Some(code), Some(one_line(&cause)), Some(one_line(&cure)))
            }
            None => (None, None, None),
        };
        vec![Complaint { error: one_line(&in_full(self)), place: None, code, cause, cure }]
    }

    /// What it means that the kernel refused something, or a worker was moved, where that is known.
    pub(crate) fn finding(&self) -> Option<Finding> {
        if let Self::Engine(EngineError::Worker { source, .. }) = self
            && let WorkerError::Moved { cpu, .. }
            | WorkerError::Strayed { cpu, .. }
            | WorkerError::Astray { cpu, .. } = source
        {
            let (online, allowed) =
                (online_cpus().unwrap_or_default(), allowed_cpus().unwrap_or_default());
            return Some(diagnosis::of_moved(*cpu, &online, &allowed));
        }
        diagnosis::of_kernel_error(self.kernel()?, System::gather().lockdown)
    }

    /// The port that failed, if it was one.
    pub(super) fn port(&self) -> Option<&str> {
        match self {
            Self::Engine(
                EngineError::Load { port, .. }
                | EngineError::Worker { port, .. }
                | EngineError::Count { port, .. },
            ) => Some(port),
            _ => None,
        }
    }

    /// What the kernel refused.
    fn kernel(&self) -> Option<&KernelError> {
        match self {
            Self::Kernel(error) | Self::CannotSend(CannotSend::Kernel(error)) => Some(error),
            Self::Worker(error) | Self::Engine(EngineError::Worker { source: error, .. }) => {
                match error {
                    WorkerError::Send(error) | WorkerError::Count(error) => Some(error),
                    WorkerError::Pin { .. }
                    | WorkerError::Moved { .. }
                    | WorkerError::Strayed { .. }
                    | WorkerError::Astray { .. }
                    | WorkerError::InterfaceGone
                    | WorkerError::Panicked => None,
                }
            }
            Self::Engine(
                EngineError::Load { source, .. }
                | EngineError::Count { source, .. }
                | EngineError::Clock(source)
                | EngineError::Listen(source)
                | EngineError::Release(source),
            ) => Some(source),
            Self::Engine(EngineError::Thread(_) | EngineError::StartIsOver)
            | Self::CannotSend(
                CannotSend::Privilege(_) | CannotSend::NotMounted(_) | CannotSend::NoLiveFrames,
            )
            | Self::Config(_)
            | Self::File { .. }
            | Self::Facts(_)
            | Self::NothingSent
            | Self::PaceTest(_)
            | Self::Short(_)
            | Self::NotReady(_)
            | Self::Output(_)
            | Self::Unwritten { .. }
            | Self::System { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refused_is_explained() {
        #[track_caller]
        fn check(error: impl FnOnce(KernelError) -> EngineError) {
            let refused = KernelError::Syscall {
                call: "bpf(BPF_PROG_LOAD)",
                source: io::Error::from_raw_os_error(libc::ENOMEM),
            };
            let finding = CommandError::Engine(error(refused)).finding();
            assert_eq!(finding.map(|finding| finding.code), Some("no_memory"));
        }
        check(EngineError::Listen);
        check(EngineError::Release);
        check(|source| EngineError::Load { port: "p".to_owned(), source });
    }
}
