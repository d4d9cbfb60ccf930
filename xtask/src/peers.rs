//! Other traffic generators, run for `cargo xtask bench` under the same conditions as this one: the
//! same veth pair, the same counting receiver, one core, frames of 64 bytes (or the smallest the
//! generator has) with a varying UDP port, and the fastest options that each has. Both ends of the
//! pair have a native XDP program before the generator starts.
//!
//! All sending happens in a network namespace made here and within a time limit, and nothing is
//! left behind: the namespace lives as long as a process in it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{bench_program, program, setup, target_dir};

/// A generator to compare with.
pub(crate) struct Peer {
    /// The name in the table.
    pub(crate) name: String,
    /// How to run it on [`SENDER`], or why it cannot run.
    pub(crate) command: Result<Vec<String>, String>,
    /// On how many cores it sends.
    pub(crate) cores: usize,
    /// Whether it sends live frames as this one does, so that a bar makes sense.
    pub(crate) is_live_frames: bool,
}

const SENDER: &str = "xtg0";
const RECEIVER: &str = "xtg1";

/// How long a peer sends before it is measured, from its first frame on: a number of seconds.
pub(crate) const WARM_UP_SECONDS: f64 = 0.3;
/// How long a peer may take for all of a measurement, its start included.
const LIMIT: Duration = Duration::from_secs(20);

/// trafgen, tcpreplay, and every `xdp-trafficgen` on PATH of another project, as fast as they can.
/// Missing Debian packages are installed.
pub(crate) fn find(sh: &Shell, cpus: usize) -> Result<Vec<Peer>> {
    let mut peers = debian(sh, "", "--topspeed")?;
    for path in other_makers(sh) {
        let path = path.display().to_string();
        // The command line of xdp-tools: the port starts at -p and varies over -d values, thread n of
        // -t sends from CPU n.
        for cores in (1..=2).filter(|&cores| cores <= cpus) {
            let threads = cores.to_string();
            let command = ["udp", "-p", "1024", "-d", "1000", "-t", &threads, SENDER];
            peers.push(Peer {
                name: format!("{path}, {}", if cores == 1 { "1 core" } else { "2 cores, 1 queue" }),
                command: Ok([&path[..]].into_iter().chain(command).map(str::to_owned).collect()),
                cores,
                is_live_frames: true,
            });
        }
    }
    Ok(peers)
}

/// The generators that can keep a rate, with this rate in frames a second.
pub(crate) fn find_paced(sh: &Shell, pps: u32) -> Result<Vec<Peer>> {
    let mut peers = debian(sh, &format!("--rate {pps}pps "), &format!("--pps={pps}"))?;
    for peer in &mut peers {
        peer.name += &format!(", {} kpps", pps / 1000);
    }
    Ok(peers)
}

/// trafgen and tcpreplay, with these options for their rates.
fn debian(sh: &Shell, trafgen_rate: &str, tcpreplay_rate: &str) -> Result<Vec<Peer>> {
    let folder = target_dir().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let write = |name: &str, content: &[u8]| -> Result<String> {
        let path = folder.join(name);
        fs::write(&path, content)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path.display().to_string())
    };
    // trafgen would raise the socket memory limit, which is the machine's and which a namespace may
    // not change; this ring fits the default.
    let trafgen = format!(
        "trafgen --no-sock-mem --ring-size 256KiB --cpus 1 {trafgen_rate}--dev {SENDER} --conf {}",
        write("trafgen.cfg", trafgen_config().as_bytes())?
    );
    let tcpreplay = format!(
        "tcpreplay --intf1={SENDER} {tcpreplay_rate} --preload-pcap --no-flow-stats --loop=100000000 {}",
        write("frames.pcap", &pcap())?
    );
    let debian = [("trafgen", "netsniff-ng", trafgen), ("tcpreplay", "tcpreplay", tcpreplay)];
    let peers = debian.into_iter().map(|(name, package, command)| Peer {
        name: name.to_owned(),
        command: match setup::ensure_programs(sh, "bench", &[(name, package)]) {
            Ok(()) => Ok(command.split(' ').map(str::to_owned).collect()),
            Err(error) => Err(format!("not installed: {error:#}")),
        },
        cores: 1,
        is_live_frames: false,
    });
    Ok(peers.collect())
}

/// Programs of the same name from another project: neither this build nor an installed one of the
/// same version.
fn other_makers(sh: &Shell) -> Vec<PathBuf> {
    let version = |path: &Path| {
        cmd!(sh, "{path} --version").quiet().ignore_stderr().ignore_status().read().ok()
    };
    let ours = program();
    let mut found: Vec<PathBuf> = Vec::new();
    for path in setup::find_programs("xdp-trafficgen").filter_map(|path| path.canonicalize().ok()) {
        let is_ours =
            ours.canonicalize().is_ok_and(|ours| ours == path) || version(&path) == version(&ours);
        if !is_ours && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Runs the generator for a while on one core, and measures in the middle of that time what
/// arrives, with a receiver: a subcommand of the bench program, with its options. Returns the
/// receiver's report.
pub(crate) fn measure(
    command: &[String],
    receiver: &[String],
    seconds: Duration,
) -> Result<String> {
    let log = target_dir().join("bench/peer.log");
    let output =
        File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
    let namespace = Namespace::new()?;
    // The programs are attached before the generator starts, because it may ask whether its
    // interface sends XDP frames.
    let receiver = StandbyReceiver::start(&namespace, receiver, RECEIVER, seconds)?;
    let _sender = StandbyReceiver::start(&namespace, &["sink".to_owned()], SENDER, seconds)?;
    ensure_it_sends(&namespace)?;
    let limit = LIMIT.as_secs().to_string();
    // Without a terminal: some generators read keys, and one that is not in the foreground would be
    // stopped for that.
    let mut peer = namespace
        .command("timeout")
        .args(["--signal=INT", "--kill-after=2", &limit, "taskset", "--cpu-list", "0"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("the peer's log cannot be shared")?)
        .stderr(output)
        .spawn()
        .context("the peer cannot be started")?;
    let report = receiver.measure();
    let stopped_early = peer.try_wait().context("the peer is lost")?;
    // `timeout` hands the signal on. That a peer has ended already is looked at below.
    Command::new("kill")
        .args(["-INT", &peer.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .context("the peer cannot be ended")?;
    peer.wait().context("the peer is lost")?;

    if let Some(status) = stopped_early {
        bail!("it ended too early, with {status}: {}", last_words(&log));
    }
    report.with_context(|| format!("it sent nothing that arrived: {}", last_words(&log)))
}

/// The last lines that a peer said.
fn last_words(log: &Path) -> String {
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it did not say why".to_owned();
    }
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

/// Checks that the sending end takes XDP frames according to its kernel features, which some
/// generators ask for (xdp-tools' refuses to run without). Kernels before 6.3 do not report
/// features.
fn ensure_it_sends(namespace: &Namespace) -> Result<()> {
    let probed = namespace
        .command(program())
        .args(["probe", SENDER, "--json"])
        .output()
        .context("probe failed")?;
    let text = String::from_utf8_lossy(&probed.stdout);
    let report: Value =
        serde_json::from_str(&text).with_context(|| format!("not a report of probe: {text:?}"))?;
    let interface = &report["interface"];
    let programs = interface["xdp_programs"].as_array().map_or(0, Vec::len);
    ensure!(
        programs > 0 && interface["peer"]["native_xdp"] == true,
        "no program is at both ends: {interface}"
    );
    let features = interface["xdp_features"].as_array();
    let sends =
        features.is_none_or(|features| features.iter().any(|feature| feature == "ndo-xmit"));
    ensure!(
        sends,
        "{SENDER} sends no XDP frames though a program is at both ends: {}",
        interface["xdp_features"]
    );
    Ok(())
}

/// A receiver whose program stays at its interface as long as this value lives, and which measures
/// when it gets the start signal.
struct StandbyReceiver {
    child: Child,
    /// None once the start signal was sent, or the receiver is to end.
    start_signal: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl StandbyReceiver {
    fn start(
        namespace: &Namespace,
        receiver: &[String],
        interface: &str,
        seconds: Duration,
    ) -> Result<Self> {
        let mut child = namespace
            .command(bench_program())
            .args(receiver)
            .args([interface, "--standing-by", "--seconds", &seconds.as_secs_f64().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the receiver cannot be started")?;
        let (start_signal, said) =
            (child.stdin.take(), child.stdout.take().context("the receiver has no output")?);
        let mut standing = Self { child, start_signal, said: BufReader::new(said) };
        let mut line = String::new();
        standing.said.read_line(&mut line).context("the receiver is lost")?;
        ensure!(
            line.contains("standing_by"),
            "the receiver at {interface} failed: it says why above"
        );
        Ok(standing)
    }

    /// Sends the start signal, and waits for the report.
    fn measure(mut self) -> Result<String> {
        let mut start_signal =
            self.start_signal.take().context("the receiver was started already")?;
        start_signal.write_all(b"\n").context("the receiver is lost")?;
        let mut report = String::new();
        self.said.read_to_string(&mut report).context("the receiver is lost")?;
        ensure!(
            self.child.wait().context("the receiver is lost")?.success(),
            "the receiver failed: it says why above"
        );
        Ok(report)
    }
}

impl Drop for StandbyReceiver {
    fn drop(&mut self) {
        drop(self.start_signal.take());
        // The receiver may have ended already, which is what is wanted.
        self.child.wait().ok();
    }
}

/// A network namespace without a name, with a veth pair. The process that keeps it waits for the
/// end of its standard input, so the namespace ends with this value or with this process, however
/// that ends.
struct Namespace {
    keeper: Child,
}

impl Namespace {
    fn new() -> Result<Self> {
        let script = format!(
            "ip link add {SENDER} type veth peer name {RECEIVER} && ip link set {SENDER} up && \
             ip link set {RECEIVER} up && echo ready && exec cat"
        );
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare (Debian package util-linux) cannot be run")?;
        let mut ready = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut ready)
                .context("the namespace's keeper is lost")?;
        }
        let namespace = Self { keeper };
        ensure!(
            ready == "ready\n",
            "a network namespace with a veth pair cannot be made: is the veth module there?"
        );
        Ok(namespace)
    }

    /// The program as a command that runs in this namespace.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keeper.id())).arg("--").arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The process may have ended already, which is what is wanted.
        self.keeper.wait().ok();
    }
}

/// Offset of the UDP destination port in [`FRAME`].
const PORT_OFFSET: usize = 36;

/// A UDP frame from 198.18.0.1 to 198.18.0.2, ports 9 and 1024, 64 bytes on the wire. It has no UDP
/// checksum, as RFC 768 allows, so that no generator has to compute one.
#[rustfmt::skip]
const FRAME: [u8; 60] = [
    0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00,
    0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0xee, 0x97, 198, 18, 0, 1, 198, 18, 0, 2,
    0, 9, 0x04, 0x00, 0, 26, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A configuration in which the frame's port counts through 256 values. This is faster than
/// trafgen's own headers, which recompute the checksums.
fn trafgen_config() -> String {
    let mut bytes = FRAME.map(|byte| byte.to_string());
    bytes[PORT_OFFSET + 1] = "dinc(0, 255)".to_owned();
    format!("{{ {} }}\n", bytes.join(", "))
}

/// The frame with 1000 different ports, as a classic pcap file (magic, version 2.4, Ethernet).
fn pcap() -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_le_bytes());
    }
    for port in 1024..2024_u16 {
        let mut frame = FRAME;
        frame[PORT_OFFSET..PORT_OFFSET + 2].copy_from_slice(&port.to_be_bytes());
        for word in [0, 0, 60, 60_u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::{FRAME, pcap, trafgen_config};

    #[test]
    fn the_ipv4_header_of_the_frame_sums_to_all_ones() {
        let mut sum: u32 =
            FRAME[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        sum = (sum & 0xffff) + (sum >> 16);
        assert_eq!(sum, 0xffff);
    }

    #[test]
    fn the_pcap_holds_a_thousand_frames_with_ports_of_their_own() {
        let file = pcap();
        let records: Vec<_> = file[24..].chunks(16 + FRAME.len()).collect();
        assert_eq!(records.len(), 1000);
        assert_eq!(records[0][16..], FRAME);
        assert_eq!(records[999][16 + 36..16 + 38], 2023_u16.to_be_bytes());
    }

    #[test]
    fn trafgen_counts_in_the_low_byte_of_the_port() {
        assert!(trafgen_config().contains("0, 9, 4, dinc(0, 255), 0, 26,"));
    }
}
