//! What other programs answer.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// What a program prints, or none where it fails, as `ethtool` does for what a driver lacks.
pub(crate) fn output(program: &str, arguments: &str) -> Option<String> {
    let output = Command::new(program).args(arguments.split(' ')).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}: install it (xtask does)"));
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// What `ip` says of one interface.
#[track_caller]
pub(crate) fn ip(interface: &str) -> Value {
    let text = output("ip", &format!("-j -d -s link show {interface}")).unwrap();
    let Value::Array(links) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    links.into_iter().next().unwrap()
}

/// Lines of `key: value` from `ethtool`. For values that it shows as maximum and as current, the
/// keys start with `most ` and `now `.
pub(crate) fn ethtool(option: &str, interface: &str) -> BTreeMap<String, String> {
    let mut section = "";
    let mut values = BTreeMap::new();
    for line in output("ethtool", &format!("{option} {interface}")).unwrap_or_default().lines() {
        match line.trim() {
            "Pre-set maximums:" => section = "most ",
            "Current hardware settings:" => section = "now ",
            line => {
                let (key, value) = line.split_once(':').unwrap_or((line, ""));
                values.insert(format!("{section}{key}"), value.trim().to_owned());
            }
        }
    }
    values
}

/// Queues in use, counted in the /sys of this namespace: `rx` or `tx`.
pub(crate) fn queues(interface: &str, direction: &str) -> u32 {
    let list = format!(
        "mount -t sysfs none /sys && ls /sys/class/net/{interface}/queues | grep -c {direction}-"
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &list]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// The name of an eBPF program.
pub(crate) fn program_name(id: u64) -> Option<String> {
    let text = output("bpftool", &format!("-j prog show id {id}"))?;
    let program: Value = serde_json::from_str(&text).unwrap();
    program["name"].as_str().map(str::to_owned)
}

/// Runs a program that changes something.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &str) {
    assert!(output(program, arguments).is_some(), "{program} {arguments}");
}
