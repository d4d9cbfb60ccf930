//! Addresses that a user leaves to the host: the kernel's source address, and the MAC address of
//! the next hop. Neighbours are real, in namespaces of their own, where tcpdump shows which
//! requests and frames arrived.

mod next_hops;
mod sources;
mod unreachable;
mod waiting;

use std::{fs, fs::File, net::IpAddr, path::PathBuf, process::Command};

use etherparse::{NetHeaders, PacketHeaders};
use pcap_file::pcap::PcapReader;
use rustix::process::Signal;

use crate::harness::{Finished, Running, Stage, ip, reached};

/// Requests to everybody, not probes of a neighbour that is known already.
const ARP_REQUEST: &str = "arp[6:2] == 1 and ether broadcast";
const SOLICITATION: &str = "ip6[6] == 58 and ip6[40] == 135 and ether multicast";

/// A network namespace that lasts as long as a process in it.
struct Place(Running);

impl Place {
    fn new() -> Self {
        let mut sleep = Command::new("unshare");
        sleep.args(["--net", "sleep", "infinity"]);
        let place = Self(Running::start(sleep));
        let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let moved = || fs::read_link(place.netns()).is_ok_and(|there| there != here);
        assert!(reached(moved), "no namespace: {}", place.0.stderr());
        place
    }

    fn netns(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.pid().as_raw_nonzero()).into()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.netns().display())).arg(program);
        command
    }

    #[track_caller]
    fn ip(&self, arguments: &str) {
        let finished = self.try_ip(arguments);
        assert_eq!(finished.code, Some(0), "ip {arguments}: {finished:?}");
    }

    #[track_caller]
    fn try_ip(&self, arguments: &str) -> Finished {
        let mut command = self.command("ip");
        command.args(arguments.split(' '));
        Finished::of(command)
    }

    /// Moves `interface` from the test's namespace to this one, sets it up and gives it these
    /// addresses.
    #[track_caller]
    fn take(&self, interface: &str, addresses: &[&str]) {
        ip(&format!("link set {interface} netns {}", self.0.pid().as_raw_nonzero()));
        // Without duplicate address detection, which would take time.
        self.ip(&format!("link set {interface} addrgenmode none"));
        self.ip("link set lo up");
        self.ip(&format!("link set {interface} up"));
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            self.ip(&format!("address add {address} dev {interface}{nodad}"));
        }
    }

    /// Starts tcpdump on the far end, and waits until it listens.
    #[track_caller]
    fn listen(&self, filter: &str) -> Listening {
        let folder = tempfile::tempdir().unwrap();
        let mut tcpdump = self.command("tcpdump");
        tcpdump.args(["-i", "xtg1", "-Q", "in", "-Z", "root", "-B", "16384", "-U", "-w"]);
        tcpdump.arg(folder.path().join("arrived.pcap")).args(filter.split(' '));
        let mut tcpdump = Running::start(tcpdump);
        tcpdump.wait_until("tcpdump listens", |tcpdump| tcpdump.stderr().contains("listening on"));
        Listening { tcpdump, folder }
    }
}

struct Listening {
    tcpdump: Running,
    folder: tempfile::TempDir,
}

impl Listening {
    /// The frames that arrived, as soon as there are `count`; more are a failure.
    #[track_caller]
    fn frames(self, count: usize) -> Vec<Vec<u8>> {
        let frames = self.frames_after(count);
        assert_eq!(frames.len(), count, "frames that arrived, and frames that should have");
        frames
    }

    /// The number of frames that arrived, as soon as there are at least `count`.
    #[track_caller]
    fn frames_at_least(self, count: usize) -> usize {
        let frames = self.frames_after(count).len();
        assert!(frames >= count, "{frames} frames arrived, at least {count} should have");
        frames
    }

    fn frames_after(self, count: usize) -> Vec<Vec<u8>> {
        let Self { tcpdump, folder } = self;
        let path = folder.path().join("arrived.pcap");
        let read = || {
            let mut frames = Vec::new();
            let Ok(mut reader) = PcapReader::new(File::open(&path).unwrap()) else { return frames };
            // The last frame may be half written.
            while let Some(Ok(packet)) = reader.next_packet() {
                frames.push(packet.data.into_owned());
            }
            frames
        };
        reached(|| read().len() >= count);
        tcpdump.signal(Signal::INT);
        assert_eq!(tcpdump.end().code, Some(0));
        read()
    }
}

/// Two hosts with addresses of both families: `xtg0` in the test's namespace, `xtg1` in another
/// one. Frames reach `xtg1`.
struct Hosts {
    far: Place,
    stage: Stage,
}

impl Hosts {
    fn set() -> Option<Self> {
        let stage = Stage::set()?;
        let far = Place::new();
        far.take("xtg1", &["192.0.2.2/24", "2001:db8::2/64", "fe80::2/64"]);
        let mut ethtool = far.command("ethtool");
        ethtool.args(["-K", "xtg1", "gro", "on"]);
        assert_eq!(Finished::of(ethtool).code, Some(0));
        // The stage disables IPv6 on all interfaces that it makes.
        ip("link set xtg0 addrgenmode none");
        fs::write("/proc/sys/net/ipv6/conf/xtg0/disable_ipv6", "0").unwrap();
        ip("address add 192.0.2.1/24 dev xtg0");
        ip("address add 2001:db8::1/64 dev xtg0 nodad");
        ip("address add fe80::1/64 dev xtg0 nodad");
        Some(Self { far, stage })
    }
}

/// A file with one port on `xtg0` and these flows.
fn file(flows: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, format!("[[ports]]\nname = 'p'\ninterface = 'xtg0'\n{flows}")).unwrap();
    file
}

fn flow(name: &str, packet: &str) -> String {
    format!(
        "[[flows]]\nname = '{name}'\nport = 'p'\npackets = 12\npacket = [{packet}, {{ udp = {{}} }}]\n"
    )
}

#[track_caller]
fn headers(frame: &[u8]) -> (String, IpAddr, IpAddr) {
    let headers = PacketHeaders::from_ethernet_slice(frame)
        .unwrap_or_else(|error| panic!("{error}: {frame:02x?}"));
    let mac = headers.link.unwrap().ethernet2().unwrap().destination;
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    match headers.net.unwrap() {
        NetHeaders::Ipv4(ip, _) => {
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            (mac, IpAddr::V4(ip.source.into()), IpAddr::V4(ip.destination.into()))
        }
        NetHeaders::Ipv6(ip, _) => {
            (mac, IpAddr::V6(ip.source.into()), IpAddr::V6(ip.destination.into()))
        }
        other => panic!("{other:?}"),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The line of standard error that contains these words.
#[track_caller]
fn line<'a>(finished: &'a Finished, words: &str) -> &'a str {
    let found = finished.stderr.lines().find(|line| line.contains(words));
    found.unwrap_or_else(|| panic!("no line with {words:?}: {finished:?}"))
}
