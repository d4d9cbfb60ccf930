//! A run in a control group with too little memory: the kernel kills it, so that it must have said why before.

use std::process::Command;

use crate::{Table, stage::Finished, udp};

/// Mounts the memory controller's own hierarchy (version 1) where nobody else sees it, makes a group in it, and goes there;
/// exits with 77 where the machine has no such hierarchy.
const SCRIPT: &str = r#"
    mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/memory || exit 77
    mount -t cgroup -o memory none /sys/fs/cgroup/memory || exit 77
    group=/sys/fs/cgroup/memory/xdp-trafficgen-$$
    mkdir $group && echo 24M > $group/memory.limit_in_bytes || exit 77
    sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' $group "$@"
    code=$?
    while ! rmdir $group 2>/dev/null; do sleep 0.01; done
    exit $code
"#;

pub(super) fn too_little(table: &Table) {
    let condition = "memory limit of 24 MiB";
    let run = udp("xtg0", "--packets 1");
    let mut limited = Command::new("unshare");
    limited.args(["--mount", "sh", "-c", SCRIPT, "limited"]).arg(run.get_program()).args(run.get_args());
    let finished = Finished::of(limited);
    if finished.code == Some(77) {
        // Recorded facts stand for it: the_machine_is_looked_at_too of src/diagnosis/tests.rs.
        table.row(condition, "–", "low_memory", "no control group of version 1 can be made here", "");
        return;
    }
    assert_ne!(finished.code, Some(0), "{finished:?}");
    let said = finished.stderr.lines().collect::<Vec<_>>();
    let sentence = said.iter().find(|line| line.starts_with("there are only ") && line.contains("MiB of memory"));
    let cure = said.iter().find_map(|line| line.trim().strip_prefix("cure: "));
    let (Some(sentence), Some(cure)) = (sentence, cure) else { panic!("killed without a word: {finished:?}") };
    assert!(cure.contains("memory.max"), "{finished:?}");
    let exit = finished.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
    table.row(condition, &exit, "low_memory", sentence, cure);
}
