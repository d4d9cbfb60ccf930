//! What the kernel's answers to `probe` mean for sending, without regard to interfaces.

use super::{Finding, Severity, of_kernel_error, of_lacking, words::in_full};
use crate::{
    host::{Lockdown, System},
    kernel::{Answer, KernelError, Survey, TracePoint, Unanswered},
};

/// What keeps this process from sending, or limits what it can measure; the worst first.
pub fn of_survey(survey: &Survey, system: &System) -> Vec<Finding> {
    let Survey {
        missing_capabilities,
        live_frames,
        largest_frame: _,
        batch_limit: _,
        trace_points,
        bpf_loop,
        call: _,
    } = survey;
    let release = &system.release;
    let mut findings = Vec::new();
    if !missing_capabilities.is_empty() {
        findings.push(Finding::new(
            "missing_capability",
            Severity::Blocks,
            format!(
                "this process lacks {}, without which it can send nothing",
                missing_capabilities.join(" and ")
            ),
            "run it with sudo, or let `setcap cap_net_admin,cap_sys_admin+ep` give them to the \
             program",
        ));
    }
    match live_frames {
        Ok(true) | Err(Unanswered::Privilege(_) | Unanswered::NoLiveFrames) => {}
        Ok(false) => findings.push(Finding::new(
            "no_live_frames",
            Severity::Blocks,
            format!("Linux {release} cannot send live frames with BPF_PROG_RUN"),
            "use Linux 5.18 or later",
        )),
        Err(Unanswered::Kernel(error)) => findings.push(refused(error, system.lockdown)),
    }
    findings.extend(of_lacking(&lacking(trace_points)));
    if matches!(bpf_loop, Ok(false)) {
        findings.push(Finding::new(
            "no_bpf_loop",
            Severity::Note,
            format!(
                "Linux {release} has no `bpf_loop`, in which programs wait for a departure: \
                     nothing can be sent at a rate"
            ),
            "use Linux 5.17 or later, or send as fast as it goes",
        ));
    }
    findings
}

/// The kernel refuses even a program of two instructions.
fn refused(error: &KernelError, lockdown: Lockdown) -> Finding {
    let known = of_kernel_error(error, lockdown);
    let cause = format!("the kernel takes no eBPF program from this process: {}", in_full(error));
    match known {
        Some(known) => Finding { cause: format!("{cause}; {}", known.cause), ..known },
        None => Finding::new(
            "bpf_refused",
            Severity::Blocks,
            cause,
            "look for the reason in the kernel's log (`dmesg`) and in the limits of this process \
             (`ulimit -a`), and try it as root of the machine itself, outside of containers",
        ),
    }
}

/// Absent trace points without which a count is missing: one of `xdp_redirect_err` and
/// `xdp_redirect_map_err` is enough.
fn lacking(trace_points: &[(TracePoint, Answer<bool>)]) -> Vec<TracePoint> {
    let absent = |point| {
        trace_points.iter().any(|(known, answer)| *known == point && matches!(answer, Ok(false)))
    };
    let both = absent(TracePoint::RedirectErr) && absent(TracePoint::RedirectMapErr);
    let devmap = absent(TracePoint::DevmapXmit).then_some(TracePoint::DevmapXmit);
    devmap.into_iter().chain(both.then_some(TracePoint::RedirectErr)).collect()
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;
    use crate::kernel::CallTimes;

    /// The answers of a kernel that can do everything.
    fn able() -> Survey {
        Survey {
            missing_capabilities: Vec::new(),
            live_frames: Ok(true),
            largest_frame: Ok(3408),
            batch_limit: Ok(256),
            trace_points: TracePoint::ALL
                .map(|point| (point, Ok(point != TracePoint::RedirectMapErr)))
                .into(),
            bpf_loop: Ok(true),
            call: Ok(CallTimes {
                alone: Duration::from_millis(46),
                anchored: Duration::from_micros(36),
            }),
        }
    }

    #[track_caller]
    fn check(survey: &Survey, expected: &[(&str, Severity)]) {
        let findings =
            of_survey(survey, &System { release: "6.18.0".to_owned(), ..System::default() });
        let found: Vec<_> =
            findings.iter().map(|finding| (finding.code, finding.severity)).collect();
        assert_eq!(found, expected);
        for Finding { cause, cure, .. } in &findings {
            assert!(!cause.is_empty() && !cause.ends_with('.') && !cure.is_empty(), "{findings:?}");
        }
    }

    #[test]
    fn answers_and_what_they_mean() {
        check(&able(), &[]);
        check(
            &Survey { live_frames: Ok(false), ..able() },
            &[("no_live_frames", Severity::Blocks)],
        );
        check(&Survey { bpf_loop: Ok(false), ..able() }, &[("no_bpf_loop", Severity::Note)]);
        let missing = vec!["CAP_SYS_ADMIN"];
        let unanswered = || Unanswered::Privilege(missing.clone());
        let unprivileged = Survey {
            missing_capabilities: missing.clone(),
            live_frames: Err(unanswered()),
            trace_points: TracePoint::ALL.map(|point| (point, Err(unanswered()))).into(),
            bpf_loop: Err(unanswered()),
            ..able()
        };
        check(&unprivileged, &[("missing_capability", Severity::Blocks)]);
        let error = KernelError::Syscall {
            call: "bpf(BPF_PROG_LOAD)",
            source: io::Error::from_raw_os_error(libc::EPERM),
        };
        let refused = Survey { live_frames: Err(Unanswered::Kernel(error)), ..able() };
        check(&refused, &[("denied", Severity::Blocks)]);
        let error = KernelError::Syscall {
            call: "bpf(BPF_PROG_LOAD)",
            source: io::Error::from_raw_os_error(libc::EMFILE),
        };
        let findings = of_survey(
            &Survey { live_frames: Err(Unanswered::Kernel(error)), ..able() },
            &System::default(),
        );
        assert_eq!(findings.first().map(|finding| finding.code), Some("few_descriptors"));
        assert!(findings.first().is_some_and(|finding| finding.cure.contains("ulimit")));
    }

    #[test]
    fn the_older_of_two_trace_points_is_missed_only_when_both_are() {
        let without = |absent: &[TracePoint]| {
            let points = TracePoint::ALL.map(|point| (point, Ok(!absent.contains(&point))));
            Survey { trace_points: points.into(), ..able() }
        };
        check(&without(&[TracePoint::RedirectErr]), &[]);
        check(&without(&[TracePoint::Exception]), &[]);
        let both = [TracePoint::RedirectErr, TracePoint::RedirectMapErr];
        check(&without(&both), &[("no_trace_points", Severity::Loses)]);
        check(&without(&[TracePoint::DevmapXmit]), &[("no_trace_points", Severity::Loses)]);
    }
}
