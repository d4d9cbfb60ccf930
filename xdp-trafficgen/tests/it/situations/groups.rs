//! Programs that run in control groups of their own.

use std::process::Command;

use crate::harness::skipped;

/// Mounts the hierarchy of a controller (`$1`) in a private mount namespace, at a path with a
/// space, version 2 if possible and else version 1, makes a group in it, writes its settings (`$2`:
/// lines of `version file value`), and runs the other arguments inside. At the end it prints the
/// group's `cpu.stat` on standard error. Version 2 is used only where the root delegates its
/// controller: delegating it here would affect others.
const SCRIPT: &str = r#"
    controller=$1 settings=$2
    shift 2
    top='/sys/fs/cgroup/all groups'
    mount -t tmpfs none /sys/fs/cgroup && mkdir "$top" || exit 77
    if mount -t cgroup2 none "$top" 2>/dev/null && grep -qw $controller "$top/cgroup.subtree_control"; then
        version=2
    else
        umount "$top" 2>/dev/null
        version=1
        # Some are mounted together, and then only together.
        together=$(sed -n "s/^[0-9]*:\([a-z_,]*\):.*/\1/p" /proc/self/cgroup | grep -w $controller)
        mount -t cgroup -o ${together:-$controller} none "$top" || exit 77
    fi
    group="$top/xdp-trafficgen-$$"
    mkdir "$group" || exit 77
    echo "$settings" | while read of file value; do
        [ -z "$file" ] || [ $of != $version ] || echo "$value" > "$group/$file" || exit 77
    done || { rmdir "$group"; exit 77; }
    sh -c '{ echo $$ > "$0/cgroup.procs" || exit 77; } && exec "$@"' "$group" "$@"
    code=$?
    [ ! -e "$group/cpu.stat" ] || cat "$group/cpu.stat" >&2
    tries=0
    until rmdir "$group" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || exit 78
        sleep 0.01
    done
    exit $code
"#;

/// `command`, inside a group of this controller with these settings.
pub(super) fn inside(controller: &str, settings: &str, command: &Command) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", SCRIPT, "inside", controller, settings]);
    inside.arg(command.get_program()).args(command.get_args());
    inside
}

/// Whether such groups can be made here; prints a message where not.
pub(super) fn can_be_made(controller: &str, settings: &str) -> bool {
    let status = inside(controller, settings, &Command::new("true"))
        .status()
        .expect("util-linux is installed");
    if !status.success() {
        skipped(format_args!(
            "no control group of the controller {controller} can be made here: {status}"
        ));
    }
    status.success()
}
