//! What a diagnosis ends with: a cause, a cure, and how bad it is.

/// What was found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A name that stays the same, for programs, such as `veth_peer_without_receiver`.
    pub code: &'static str,
    /// What it does to a run.
    pub severity: Severity,
    /// What is the matter: a sentence without a full stop.
    pub cause: String,
    /// What to do: a sentence without a full stop, with the command to type where there is one. Empty when nothing can be done.
    pub cure: String,
}

/// What a finding does to a run; the worst one last.
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
    /// A name that stays the same, for programs.
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
    pub(super) fn new(code: &'static str, severity: Severity, cause: String, cure: impl Into<String>) -> Self {
        Self { code, severity, cause, cure: cure.into() }
    }
}
