//! The result of a diagnosis: a cause, its cure, and how bad it is.

/// A fact that explains something, with its cause and cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name for programs, such as `veth_peer_without_receiver`.
    pub code: &'static str,
    /// Its effect on a run.
    pub severity: Severity,
    /// The cause: a sentence without a full stop.
    pub cause: String,
    /// The cure: a sentence without a full stop, with the command to type where there is one.
    /// Empty when there is none.
    pub cure: String,
}

/// The effect of a finding on a run; the worst is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Frames leave slower, or less evenly, than they could.
    Slows,
    /// Some frames are lost, or the numbers cannot be trusted.
    Loses,
    /// Not one frame leaves.
    Blocks,
}

impl Severity {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Slows => "slows",
            Self::Loses => "loses",
            Self::Blocks => "blocks",
        }
    }
}

impl Finding {
    pub(super) fn new(
        code: &'static str,
        severity: Severity,
        cause: String,
        cure: impl Into<String>,
    ) -> Self {
        Self { code, severity, cause, cure: cure.into() }
    }
}
