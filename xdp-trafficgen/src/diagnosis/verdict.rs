//! Whether something can send, from its findings.

use super::{Finding, Severity};

/// Whether something can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It can, without findings.
    Ready,
    /// It can, with these findings.
    ReadyWithRemarks,
    /// Not one frame would leave.
    NotReady,
}

impl Verdict {
    /// The verdict of these findings.
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.severity).max() {
            None => Self::Ready,
            Some(Severity::Blocks) => Self::NotReady,
            Some(Severity::Note | Severity::Slows | Severity::Loses) => Self::ReadyWithRemarks,
        }
    }

    /// The verdict after a trial in which the driver took so many frames: what happened outweighs
    /// what was foreseen.
    #[must_use]
    pub fn after_trial(self, frames_tx: u64) -> Self {
        match (self, frames_tx) {
            (_, 0) => Self::NotReady,
            (Self::NotReady, _) => Self::ReadyWithRemarks,
            (verdict, _) => verdict,
        }
    }

    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ReadyWithRemarks => "ready_with_remarks",
            Self::NotReady => "not_ready",
        }
    }

    /// Words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ReadyWithRemarks => "ready with remarks",
            Self::NotReady => "not ready",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding { code: "test", severity, cause: String::new(), cure: String::new() }
    }

    #[test]
    fn the_worst_finding_decides() {
        #[track_caller]
        fn check(severities: &[Severity], expected: Verdict) {
            let findings: Vec<Finding> = severities.iter().copied().map(finding).collect();
            assert_eq!(Verdict::of(&findings), expected);
        }
        check(&[], Verdict::Ready);
        check(&[Severity::Note], Verdict::ReadyWithRemarks);
        check(&[Severity::Loses, Severity::Slows], Verdict::ReadyWithRemarks);
        check(&[Severity::Note, Severity::Blocks, Severity::Slows], Verdict::NotReady);
    }

    #[test]
    fn frames_that_left_have_the_last_word() {
        for (before, frames_tx, after) in [
            (Verdict::Ready, 64, Verdict::Ready),
            (Verdict::Ready, 0, Verdict::NotReady),
            (Verdict::ReadyWithRemarks, 1, Verdict::ReadyWithRemarks),
            (Verdict::NotReady, 64, Verdict::ReadyWithRemarks),
            (Verdict::NotReady, 0, Verdict::NotReady),
        ] {
            assert_eq!(before.after_trial(frames_tx), after, "{before:?}, {frames_tx}");
        }
    }
}
