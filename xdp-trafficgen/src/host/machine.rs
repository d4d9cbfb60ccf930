//! The machine in one line, for the record of measurements.

use std::fs;

use rustix::system::uname;

use super::online_cpus;

/// Kernel, CPU and number of CPUs in a line: `Linux 6.18.4, Intel(R) Xeon(R) Processor, 2 CPUs`.
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let release = uname().release().to_string_lossy().into_owned();
    let count = online_cpus().map_or(0, |cpus| cpus.len());
    format!(
        "Linux {release}, {}, {count} CPU{}",
        model(&cpuinfo),
        if count == 1 { "" } else { "s" }
    )
}

/// Not every architecture tells it.
fn model(cpuinfo: &str) -> &str {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown CPU", |(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::model;

    #[test]
    fn the_model_is_named_where_it_is_known() {
        assert_eq!(
            model("processor\t: 0\nmodel\t\t: 6\nmodel name\t: Intel(R) Xeon(R)\n"),
            "Intel(R) Xeon(R)"
        );
        assert_eq!(model("processor\t: 0\nBogoMIPS\t: 50.00\n"), "unknown CPU");
    }
}
