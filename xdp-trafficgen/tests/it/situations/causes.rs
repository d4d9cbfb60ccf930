//! A false cause or cure is worse than none. These tests check the cause that a drop is attributed
//! to, and whether its cure helps.

mod cures;
mod moments;
mod names;
mod peers;
mod stack;

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use crate::harness::{Finding, Finished, RECEIVER_MAC, Report, ethtool, ip, reached, trafficgen};

/// `udp INTERFACE` to the receiver with more options, as a command and as a user would type it.
fn udp(interface: &str, more: &str) -> (Command, String) {
    let typed = format!("udp {interface} --dst-mac {RECEIVER_MAC} {more}");
    let mut command = trafficgen(&typed.split_whitespace().collect::<Vec<_>>());
    command.arg("--json");
    (command, typed)
}

/// Runs `udp` to its end; its report.
#[track_caller]
fn report(interface: &str, more: &str, exit: i32) -> Report {
    Finished::of(udp(interface, more).0).report(exit)
}

/// The finding with this code.
#[track_caller]
fn finding<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code} in {report:?}"))
}

#[track_caller]
fn assert_says(finding: &Finding, parts: &[&str]) {
    let text = format!("{} | {}", finding.cause, finding.cure);
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

/// Another network namespace without a name, as a container has; it lives as long as this value.
struct Elsewhere(Child);

impl Elsewhere {
    /// Makes a namespace and moves this interface into it.
    fn with(interface: &str) -> Self {
        let child =
            Command::new("unshare").args(["--net", "sleep", "600"]).stdin(Stdio::null()).spawn();
        let elsewhere = Self(child.expect("util-linux is installed"));
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let id = elsewhere.0.id().to_string();
        // The test's own thread has a namespace of its own too, and the child was started in it.
        assert!(reached(
            || namespace(&id).is_some_and(|other| Some(other) != namespace("thread-self"))
        ));
        ip(&format!("link set {interface} netns {id}"));
        elsewhere
    }

    #[track_caller]
    fn run(&self, command: &str) {
        let id = self.0.id().to_string();
        let status = Command::new("nsenter")
            .args(["--target", &id, "--net"])
            .args(command.split(' '))
            .status()
            .unwrap();
        assert!(status.success(), "{command}");
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // The kernel removes the namespace's interfaces with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
