//! Why a system call failed, from the call and its errno.

use libc::{
    E2BIG, EACCES, EBUSY, EEXIST, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSPC, ENOSYS,
    EOPNOTSUPP, EPERM, ERANGE,
};

use super::{Finding, Severity, machine};
use crate::host::Lockdown;

/// Kinds of calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Makes a map, or opens a trace point.
    Bpf,
    /// Loads a program.
    Load,
    /// Runs live frames.
    TestRun,
    /// Attaches a program to an interface.
    RequiredProgram,
    /// Attaches a program, and the kernel's text says that the driver has no XDP (dev_xdp_attach of
    /// net/core/dev.c).
    AttachWithoutXdp,
    /// Makes or enters a network namespace.
    Namespace,
    /// Any other.
    Other,
}

impl Kind {
    /// From the names that aya and this program give to calls.
    fn of(call: &str) -> Self {
        let call = call.to_ascii_lowercase();
        let has = |part: &str| call.contains(part);
        if has("test_run") {
            Self::TestRun
        } else if has("does not support xdp") {
            Self::AttachWithoutXdp
        } else if has("link_create") || has("set_xdp") || has("attach") {
            Self::RequiredProgram
        } else if has("prog_load") {
            Self::Load
        } else if has("bpf") || has("map `") {
            Self::Bpf
        } else if has("setns") || has("unshare") {
            Self::Namespace
        } else {
            Self::Other
        }
    }
}

/// The cause of a call's failure with this errno, if it is known. `call`: its name, as errors have
/// it.
pub fn of_error(call: &str, errno: i32, lockdown: Lockdown) -> Option<Finding> {
    let kind = Kind::of(call);
    let (code, cause, cure) = match (kind, errno) {
        (
            Kind::Bpf | Kind::Load | Kind::TestRun | Kind::RequiredProgram | Kind::Namespace,
            EPERM | EACCES,
        ) => {
            return Some(denied(lockdown));
        }
        (_, EMFILE) => {
            return Some(Finding::new(
                "few_descriptors",
                Severity::Blocks,
                "this process has as many files open as it may (RLIMIT_NOFILE), and loading a port \
                 takes some dozens"
                    .to_owned(),
                format!("{}, or send on fewer ports in one process", machine::DESCRIPTORS),
            ));
        }
        (_, ENFILE) => (
            "no_file_table",
            "the processes of this machine together have as many files open as it may have \
             (fs.file-max)",
            "raise it: `sysctl -w fs.file-max=1000000`, or end processes that have many open",
        ),
        (Kind::Load, ENOMEM) => (
            "no_memory",
            "there is no memory left for the program, or it is more than all programs of this \
             machine may take together (net.core.bpf_jit_limit)",
            "free memory, raise the limit of the control group this runs in (`memory.max`), or \
             `sysctl -w net.core.bpf_jit_limit=1000000000`",
        ),
        (_, ENOMEM) => (
            "no_memory",
            "the machine, or the control group of this process, has no memory left",
            "free memory, raise the limit of the control group this runs in (`memory.max`), or use \
             fewer CPUs and flows",
        ),
        (Kind::TestRun, E2BIG) => (
            "batch_too_large",
            "the kernel takes no batch as large as this",
            "use a smaller batch size: 256 at most",
        ),
        (Kind::Load, E2BIG) => (
            "program_too_large",
            "the program is larger than the verifier accepts (a million instructions): too many \
             fields and checksums vary in one flow",
            "vary fewer fields in a flow, or use several flows",
        ),
        (Kind::Bpf, E2BIG) => (
            "map_too_large",
            "this is more than the kernel keeps in one map (4 GiB): too many flows and CPUs on one \
             port",
            "split the flows over several ports, or use fewer CPUs",
        ),
        (_, ENOSPC) => (
            "no_room",
            "the kernel has no room left: its XDP dispatcher holds at most 48 programs",
            "end other programs that use XDP (`bpftool prog show` lists them)",
        ),
        (Kind::RequiredProgram, EBUSY | EEXIST) => (
            "program_in_the_way",
            "another XDP program is attached already",
            "`bpftool net show` names it: detach it, or have it replaced for the run with \
             --replace-xdp",
        ),
        (Kind::AttachWithoutXdp, _) => (
            "driver_without_xdp",
            "its driver does not run XDP programs",
            "use an interface whose driver does, such as one end of a veth pair; `xdp-trafficgen \
             probe` tells",
        ),
        (Kind::RequiredProgram, EOPNOTSUPP | ERANGE | EINVAL) => (
            "driver_takes_no_program",
            "the driver takes no XDP program: it does not support XDP, or the interface's MTU is \
             too large, or it has too many queues in use or too few to spare",
            "lower the MTU (`ip link set IFACE mtu 1500`), use fewer queues (`ethtool -L IFACE \
             combined N`, half of the most), switch off LRO (`ethtool -K IFACE lro off`); the \
             kernel's log (`dmesg`) often has the driver's reason",
        ),
        (Kind::TestRun, EINVAL) => (
            "live_frames_refused",
            "the kernel refuses this run of live frames: it is older than 5.18, or its frames are \
             too large for it",
            "use Linux 5.18 or later, and see the largest frame with `xdp-trafficgen probe`",
        ),
        (Kind::RequiredProgram | Kind::TestRun, ENODEV) => {
            ("interface_gone", "the interface is gone", "start again when it is back")
        }
        (Kind::Bpf | Kind::Load, ENOSYS) => (
            "no_bpf",
            "this kernel is built without eBPF, or a seccomp profile forbids it",
            "use a kernel with CONFIG_BPF_SYSCALL=y",
        ),
        _ => return None,
    };
    Some(Finding::new(code, Severity::Blocks, cause.to_owned(), cure))
}

/// The process has the capabilities: missing ones were reported before.
fn denied(lockdown: Lockdown) -> Finding {
    let (cause, cure) = match lockdown {
        Lockdown::None => (
            "it is forbidden though this process has capabilities: they may be those of a user \
             namespace only (as in rootless containers), or a security module (SELinux, AppArmor) \
             or a seccomp profile forbids it",
            "run it as root of the machine itself, outside of containers, or in one that is \
             privileged; `dmesg` and the audit log tell which module it was",
        ),
        Lockdown::Integrity | Lockdown::Confidentiality => (
            "it is forbidden, perhaps by the lockdown of this kernel, which secure boot switches on",
            "`cat /sys/kernel/security/lockdown` shows the mode: boot with `lockdown=none`, or \
             without secure boot",
        ),
    };
    Finding::new("denied", Severity::Blocks, cause.to_owned(), cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_calls_mean() {
        #[track_caller]
        fn check(call: &str, errno: i32, code: Option<&str>) {
            let finding = of_error(call, errno, Lockdown::None);
            assert_eq!(finding.as_ref().map(|finding| finding.code), code, "{call} {errno}");
            assert!(finding.is_none_or(|finding| !finding.cure.is_empty() && !finding.cause.ends_with('.')));
        }
        check("bpf_map_create", libc::EPERM, Some("denied"));
        check("bpf_prog_load", libc::EACCES, Some("denied"));
        check("bpf_prog_test_run", libc::ENOMEM, Some("no_memory"));
        check("failed to create map `FLOWS` with code -1", libc::EPERM, Some("denied"));
        check("bpf_prog_test_run", libc::E2BIG, Some("batch_too_large"));
        check("bpf_prog_load", libc::E2BIG, Some("program_too_large"));
        check("bpf_map_create", libc::E2BIG, Some("map_too_large"));
        check(
            "failed to create map `HEADER_STATES` with code -1",
            libc::E2BIG,
            Some("map_too_large"),
        );
        check("failed to create map `HEADER_STATES` with code -1", libc::ENOMEM, Some("no_memory"));
        check("bpf_prog_load", libc::ENOMEM, Some("no_memory"));
        check("bpf_map_create", libc::EMFILE, Some("few_descriptors"));
        check("making a BPF file system", libc::EMFILE, Some("few_descriptors"));
        check("open(/proc/thread-self/ns/net)", libc::EMFILE, Some("few_descriptors"));
        check("bpf_prog_load", libc::ENFILE, Some("no_file_table"));
        check("bpf_prog_test_run", libc::ENOSPC, Some("no_room"));
        check("bpf_link_create", libc::EBUSY, Some("program_in_the_way"));
        check("bpf_link_create", libc::EEXIST, Some("program_in_the_way"));
        check("bpf_link_create", libc::EOPNOTSUPP, Some("driver_takes_no_program"));
        let said = "attach: Underlying driver does not support XDP in native mode";
        check(said, libc::EOPNOTSUPP, Some("driver_without_xdp"));
        check("attach: MTU too large w/ XDP", libc::EINVAL, Some("driver_takes_no_program"));
        check("bpf_link_create", libc::ERANGE, Some("driver_takes_no_program"));
        check("bpf_link_create", libc::EINVAL, Some("driver_takes_no_program"));
        check("bpf(BPF_PROG_TEST_RUN)", libc::EINVAL, Some("live_frames_refused"));
        check("bpf_link_create", libc::ENODEV, Some("interface_gone"));
        check("bpf_prog_load", libc::ENOSYS, Some("no_bpf"));
        check("setns", libc::EPERM, Some("denied"));
        check("reading the CPU count", libc::EPERM, None);
        check("bpf_map_create", libc::EINTR, None);
    }

    #[test]
    fn lockdown_is_suspected_where_there_is_one() {
        let cause = |lockdown| of_error("bpf_prog_load", libc::EPERM, lockdown).unwrap().cause;
        assert!(cause(Lockdown::Integrity).contains("lockdown"));
        assert!(cause(Lockdown::None).contains("user namespace"));
    }
}
