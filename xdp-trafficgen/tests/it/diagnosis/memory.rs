//! A run in a control group with too little memory: the kernel kills it, so it must have said why
//! before that.

use std::process::Command;

use crate::{
    diagnosis::{Table, udp},
    harness::{Finished, skipped},
};

/// Mounts a memory controller's hierarchy in a private mount namespace, version 2 if possible and
/// else version 1, makes a group in it, and enters it. Version 2 is used only where the root
/// delegates its memory controller: delegating it here would affect others.
const SCRIPT: &str = r#"
    cgroup=/sys/fs/cgroup
    name=xdp-trafficgen-$$
    limit() { mkdir "$1" && { echo 24M > "$1/$2" || { rmdir "$1"; false; }; }; }
    if mount -t cgroup2 none $cgroup && limit $cgroup/$name memory.max; then
        group=$cgroup/$name
        # Where there is swap, it would only be slow.
        [ ! -e $group/memory.swap.max ] || echo 0 > $group/memory.swap.max
    else
        group=$cgroup/memory/$name
        mount -t tmpfs none $cgroup && mkdir $cgroup/memory && mount -t cgroup -o memory none $cgroup/memory || exit 77
        limit $group memory.limit_in_bytes || exit 77
    fi
    sh -c '{ echo $$ > "$0/cgroup.procs" || exit 77; } && exec "$@"' $group "$@"
    code=$?
    tries=0
    # What the kernel killed is in the group until it is taken apart.
    until rmdir $group 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || exit 78
        sleep 0.01
    done
    exit $code
"#;

/// Exit status of the script: no such group can be made.
const NO_GROUP: i32 = 77;
/// Exit status of the script: the group could not be removed.
const LEFT_BEHIND: i32 = 78;

pub(super) fn too_little(table: &Table) {
    let condition = "memory limit of 24 MiB";
    let run = udp("xtg0", "--packets 1");
    let mut limited = Command::new("unshare");
    limited
        .args(["--mount", "sh", "-c", SCRIPT, "limited"])
        .arg(run.get_program())
        .args(run.get_args());
    let finished = Finished::of(limited);
    assert_ne!(finished.code, Some(LEFT_BEHIND), "{finished:?}");
    if finished.code == Some(NO_GROUP) {
        // Recorded facts replace this trial: see the_machine_is_looked_at_too of
        // src/diagnosis/tests/foreseen.rs.
        let why = "no control group with a memory limit can be made here";
        skipped(format_args!("{condition}: {why}"));
        table.row(condition, "–", "low_memory", why, "");
        return;
    }
    assert_ne!(finished.code, Some(0), "{finished:?}");
    let said = finished.stderr.lines().collect::<Vec<_>>();
    let sentence = said
        .iter()
        .find(|line| line.starts_with("there are only ") && line.contains("MiB of memory"));
    let cure = said.iter().find_map(|line| line.trim().strip_prefix("cure: "));
    let (Some(sentence), Some(cure)) = (sentence, cure) else {
        panic!("killed without an explanation: {finished:?}")
    };
    assert!(cure.contains("memory.max"), "{finished:?}");
    let exit = finished.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
    table.row(condition, &exit, "low_memory", sentence, cure);
}
