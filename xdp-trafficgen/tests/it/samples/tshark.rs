//! What `show --pcap` writes of every sample, checked by tshark: no frame malformed, no checksum
//! wrong but those requested, every field at the file's value, sizes and flows in the file's order
//! and proportions, and times that fit its rates.
//!
//! `XTG_TSHARK_FRAMES=100000` checks so many frames of each port.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use pcap_file::pcap::PcapReader;

use crate::{
    harness::{Stage, skipped},
    samples::{
        sample::{
            Flow, Sample, Shown, Sizes,
            departures::Departures,
            header::{Checksum, Field, Header},
            hex, number, reduced, shown,
            values::{Form, Values},
        },
        show,
    },
};

/// Header, field and tshark's name for it. The first field of each header is in every instance of
/// the header.
static NAMES: &[(&str, &str, &str)] = &[
    ("ethernet", "dst", "eth.dst"),
    ("ethernet", "src", "eth.src"),
    ("ieee8021ad", "id", "ieee8021ad.id"),
    ("ieee8021ad", "priority", "ieee8021ad.priority"),
    ("vlan", "id", "vlan.id"),
    ("vlan", "priority", "vlan.priority"),
    ("pppoe", "session_id", "pppoe.session_id"),
    ("mpls", "label", "mpls.label"),
    ("mpls", "traffic_class", "mpls.exp"),
    ("mpls", "time_to_live", "mpls.ttl"),
    ("arp", "operation", "arp.opcode"),
    ("arp", "sender_hardware_addr", "arp.src.hw_mac"),
    ("arp", "sender_protocol_addr", "arp.src.proto_ipv4"),
    ("arp", "target_hardware_addr", "arp.dst.hw_mac"),
    ("arp", "target_protocol_addr", "arp.dst.proto_ipv4"),
    ("ipv4", "src", "ip.src"),
    ("ipv4", "dst", "ip.dst"),
    ("ipv4", "dscp", "ip.dsfield.dscp"),
    ("ipv4", "dont_fragment", "ip.flags.df"),
    ("ipv4", "time_to_live", "ip.ttl"),
    ("ipv6", "src", "ipv6.src"),
    ("ipv6", "dst", "ipv6.dst"),
    ("ipv6", "traffic_class", "ipv6.tclass"),
    ("ipv6", "flow_label", "ipv6.flow"),
    ("ipv6", "hop_limit", "ipv6.hlim"),
    ("ipv6_hop_by_hop", "next_header", "ipv6.hopopts.nxt"),
    ("ipv6_destination", "next_header", "ipv6.dstopts.nxt"),
    ("ipv6_routing", "routing_type", "ipv6.routing.type"),
    ("ipv6_routing", "segments_left", "ipv6.routing.segleft"),
    ("ipv6_fragment", "identification", "ipv6.fraghdr.ident"),
    ("udp", "src_port", "udp.srcport"),
    ("udp", "dst_port", "udp.dstport"),
    ("tcp", "src_port", "tcp.srcport"),
    ("tcp", "dst_port", "tcp.dstport"),
    ("tcp", "seq_num", "tcp.seq_raw"),
    ("tcp", "ack_num", "tcp.ack_raw"),
    ("tcp", "window", "tcp.window_size_value"),
    ("tcp", "urgent_pointer", "tcp.urgent_pointer"),
    ("tcp", "ecn_echo", "tcp.flags.ece"),
    ("tcp", "ctl_urg", "tcp.flags.urg"),
    ("tcp", "ctl_ack", "tcp.flags.ack"),
    ("tcp", "ctl_psh", "tcp.flags.push"),
    ("tcp", "ctl_rst", "tcp.flags.reset"),
    ("tcp", "ctl_syn", "tcp.flags.syn"),
    ("tcp", "ctl_fin", "tcp.flags.fin"),
    ("icmp", "type", "icmp.type"),
    // tshark shows this field twice, the second time in the other byte order.
    ("icmp", "identifier", "icmp.ident"),
    ("icmp", "sequence_number", "icmp.seq"),
    ("icmpv6", "type", "icmpv6.type"),
    ("icmpv6", "identifier", "icmpv6.echo.identifier"),
    ("icmpv6", "sequence_number", "icmpv6.echo.sequence_number"),
    ("gre", "protocol", "gre.proto"),
    ("gre", "key", "gre.key"),
    ("gre", "sequence_number", "gre.sequence_number"),
    ("vxlan", "vni", "vxlan.vni"),
    ("gtpv1", "teid", "gtp.teid"),
    ("gtpv1", "sequence_number", "gtp.seq_number"),
];

/// tshark's verdict on a checksum: 0 is bad, 1 is good.
static STATUSES: [(&str, &str); 6] = [
    ("ipv4", "ip.checksum.status"),
    ("udp", "udp.checksum.status"),
    ("tcp", "tcp.checksum.status"),
    ("icmp", "icmp.checksum.status"),
    ("icmpv6", "icmpv6.checksum.status"),
    ("gre", "gre.checksum.status"),
];

const TIME: &str = "frame.time_epoch";
const PROTOCOLS: &str = "frame.protocols";
const SEVERITY: &str = "_ws.expert.severity";
const GROUP: &str = "_ws.expert.group";
/// Wireshark's `epan/proto.h`.
const PI_ERROR: u128 = 0x0080_0000;
const PI_CHECKSUM: u128 = 0x0100_0000;
const PI_MALFORMED: u128 = 0x0700_0000;

/// Samples with the UDP ports of applications, whose dissectors then find no message of theirs.
const OF_APPLICATIONS: [&str; 3] = ["patterns", "two-ports", "udp-port-range"];

#[test]
fn every_sample_is_what_tshark_sees() {
    let Some(_stage) = Stage::set() else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        return skipped("tshark is not installed (`apt-get install tshark`)");
    }
    let frames = env::var("XTG_TSHARK_FRAMES")
        .map_or(2000, |frames| frames.parse().expect("a number of frames"));
    for sample in Sample::all() {
        check(&sample, frames);
    }
}

fn check(sample: &Sample, frames: u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.pcap");
    let ports = shown(&show(&sample.path, frames, &file));
    let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        sample.ports.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "{}",
        sample.name
    );
    let mut reader = PcapReader::new(BufReader::new(File::open(&file).unwrap())).unwrap();
    let mut number = 0;
    let turns = sample.ports.iter().zip(&sample.departures);
    let turns = turns.map(|((_, flows), departures)| Turns::new(flows, departures.as_ref()));
    let mut ports_left = ports.iter().map(|(_, shown)| shown).zip(turns);
    let mut port = ports_left.next().unwrap();
    let mut at = 0;
    dissect(&file, OF_APPLICATIONS.contains(&sample.name.as_str()), |dissected| {
        if at == port.0.len() {
            port.1.end(frames);
            (port, at) = (
                ports_left.next().unwrap_or_else(|| panic!("{}: too many frames", sample.name)),
                0,
            );
        }
        let raw = reader.next_packet().unwrap().unwrap().data;
        let Shown { flow: name, size, at: time } = &port.0[at];
        let context = || {
            format!("{}: frame {} of flow {name}: {:?}", sample.name, at + 1, dissected.filled())
        };
        assert_eq!(raw.len() as u64, size - 4, "{}", context());
        // Without a rate the file has one frame a microsecond.
        let place = || format!("{}.{:06}000", number / 1_000_000, number % 1_000_000);
        assert_eq!(dissected.texts(TIME).join(""), time.clone().unwrap_or_else(place));
        port.1.frame(name, &raw, dissected, &context);
        port.1.time(time.as_deref(), &context);
        number += 1;
        at += 1;
    });
    assert!(
        reader.next_packet().is_none() && at == port.0.len() && ports_left.next().is_none(),
        "{}",
        sample.name
    );
    port.1.end(frames);
}

/// A frame's fields: the values of all their instances, outer to inner.
struct Dissected<'a> {
    columns: &'a BTreeMap<&'static str, usize>,
    line: Vec<&'a str>,
}

impl Dissected<'_> {
    fn texts(&self, name: &str) -> Vec<&str> {
        self.line[self.columns[name]].split('|').filter(|text| !text.is_empty()).collect()
    }

    fn numbers(&self, name: &str) -> Vec<u128> {
        self.texts(name).into_iter().map(number).collect()
    }

    /// The fields with a value, for messages.
    fn filled(&self) -> Vec<(&str, &str)> {
        let columns = self.columns.iter().map(|(&name, &column)| (name, self.line[column]));
        columns.filter(|(_, text)| !text.is_empty()).collect()
    }
}

/// Calls `each` for every frame of the file.
fn dissect(file: &Path, of_applications: bool, mut each: impl FnMut(&Dissected<'_>)) {
    let names = NAMES.iter().map(|&(.., name)| name).chain(STATUSES.iter().map(|&(_, name)| name));
    let names: BTreeSet<&'static str> = names.chain([TIME, PROTOCOLS, SEVERITY, GROUP]).collect();
    let columns: BTreeMap<&'static str, usize> = names.iter().copied().zip(0..).collect();
    let mut command = Command::new("tshark");
    command.arg("-nr").arg(file).args(["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|"]);
    // tshark always verifies checksums of ICMP, ICMPv6 and GRE.
    for protocol in ["ip", "udp", "tcp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    // Tracking TCP streams serves no check here, and costs time.
    command.args([
        "-o",
        "tcp.analyze_sequence_numbers:FALSE",
        "-o",
        "tcp.desegment_tcp_streams:FALSE",
    ]);
    if of_applications {
        command.args(["-d", "udp.port==0-65535,data"]);
    }
    for name in &names {
        command.args(["-e", name]);
    }
    let mut tshark =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    for line in BufReader::new(tshark.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        each(&Dissected { columns: &columns, line: line.split('\t').collect() });
    }
    assert!(tshark.wait().unwrap().success(), "{command:?}");
}

/// A port's flows, and what has been seen of them so far.
struct Turns<'a> {
    flows: &'a [Flow],
    /// The departures of the port, where its flows share a rate.
    departures: Option<&'a Departures>,
    seen: Vec<Seen>,
    /// Index of each frame's flow.
    order: Vec<usize>,
    /// The departure of each frame, in seconds, where there is a rate.
    times: Vec<f64>,
}

#[derive(Default)]
struct Seen {
    frames: u64,
    sizes: BTreeMap<u64, u64>,
    /// The longest random payload.
    payload: Vec<u8>,
    /// Values of random fields: those that may repeat, and all distinct ones.
    random: BTreeMap<(usize, String), (Vec<u128>, BTreeSet<u128>)>,
}

impl<'a> Turns<'a> {
    fn new(flows: &'a [Flow], departures: Option<&'a Departures>) -> Self {
        let seen = flows.iter().map(|_| Seen::default()).collect();
        Self { flows, departures, seen, order: Vec::new(), times: Vec::new() }
    }

    /// Checks and records the time at which the last frame leaves.
    fn time(&mut self, time: Option<&str>, context: &dyn Fn() -> String) {
        let index = *self.order.last().unwrap();
        let own = self.flows[index].departures.as_ref();
        let number =
            if own.is_some() { self.seen[index].frames } else { self.order.len() as u64 } - 1;
        let Some(departures) = own.or(self.departures) else {
            return assert_eq!(time, None, "{}", context());
        };
        let time = time.unwrap_or_else(|| panic!("no time: {}", context())).parse().unwrap();
        departures.check_at(number, time, context);
        assert!(
            self.times.last().is_none_or(|last| *last <= time),
            "in the order of time: {}",
            context()
        );
        self.times.push(time);
    }

    fn frame(
        &mut self,
        name: &str,
        raw: &[u8],
        dissected: &Dissected<'_>,
        context: &dyn Fn() -> String,
    ) {
        let index = self.flows.iter().position(|flow| flow.name == name).unwrap();
        self.order.push(index);
        let (flow, seen) = (&self.flows[index], &mut self.seen[index]);
        assert_seen_whole(flow, dissected, context);
        assert_checksums(flow, dissected, context);
        seen.check_fields(flow, raw, dissected, context);
        seen.check_size(flow, raw.len() as u64 + 4, context);
        seen.check_payload(flow, raw, context);
        seen.frames += 1;
    }

    /// All frames have been seen, and flows took turns as their weights say, or left at random as
    /// their rates say.
    fn end(&self, frames: u64) {
        assert_eq!(
            self.order.len() as u64,
            frames.min(self.flows.iter().map(|flow| flow.packets).sum())
        );
        for (flow, seen) in self.flows.iter().zip(&self.seen) {
            seen.end(flow);
        }
        for (index, flow) in self.flows.iter().enumerate() {
            let own = self
                .order
                .iter()
                .zip(&self.times)
                .filter(|(flow, _)| **flow == index)
                .map(|(_, time)| *time);
            if let Some(departures) = &flow.departures {
                departures.check_all(&own.collect::<Vec<_>>());
            }
        }
        if self.flows.iter().any(|flow| flow.departures.is_some()) {
            return;
        }
        let weights = self.flows.iter().map(|flow| flow.weight).enumerate();
        let weights: Vec<(u64, u64)> =
            reduced(&weights.map(|(index, weight)| (index as u64, weight)).collect::<Vec<_>>());
        let cycle: u64 = weights.iter().map(|(_, weight)| weight).sum();
        let cycles = self
            .flows
            .iter()
            .zip(&weights)
            .map(|(flow, (_, weight))| flow.packets / weight)
            .min()
            .unwrap();
        let turns = self.order.chunks_exact(usize::try_from(cycle).unwrap());
        for turns in turns.take(usize::try_from(cycles).unwrap()) {
            for &(index, weight) in &weights {
                let own = turns.iter().filter(|&&turn| turn as u64 == index).count() as u64;
                assert_eq!(
                    own,
                    weight,
                    "turns of flow {}: {turns:?}",
                    self.flows[usize::try_from(index).unwrap()].name
                );
            }
        }
    }
}

/// Each kind of header appears as often as the flow has it, and tshark reports no error.
fn assert_seen_whole(flow: &Flow, dissected: &Dissected<'_>, context: &dyn Fn() -> String) {
    assert!(!dissected.texts(PROTOCOLS).concat().contains("malformed"), "{}", context());
    assert!(!dissected.numbers(GROUP).contains(&PI_MALFORMED), "{}", context());
    let bad = flow.headers.iter().filter(|header| header.checksum == Some(Checksum::Bad)).count();
    let count = |name: &str, wanted| {
        dissected.numbers(name).into_iter().filter(|found| *found == wanted).count()
    };
    // Which checksums are bad is checked in `assert_checksums`: protocols report them in different
    // ways.
    assert!(count(GROUP, PI_CHECKSUM) <= bad && count(SEVERITY, PI_ERROR) <= bad, "{}", context());
    let mut before = "";
    for &(kind, _, tshark) in NAMES {
        if kind != before {
            // Custom bytes belong to no known header; those of the sample are an Ethernet header.
            let own = usize::from(kind == "ethernet" && flow.headers[0].kind == "custom");
            let there = flow.headers.iter().filter(|header| header.kind == kind).count() + own;
            assert_eq!(dissected.texts(tshark).len(), there, "{kind}: {}", context());
        }
        before = kind;
    }
}

fn assert_checksums(flow: &Flow, dissected: &Dissected<'_>, context: &dyn Fn() -> String) {
    for (kind, name) in STATUSES {
        let statuses = dissected.numbers(name);
        for (status, checksum) in [(0, Checksum::Bad), (1, Checksum::Good)] {
            let found = statuses.iter().filter(|found| **found == status).count();
            let of = |header: &&Header| header.kind == kind && header.checksum == Some(checksum);
            assert_eq!(
                found,
                flow.headers.iter().filter(of).count(),
                "{checksum:?} {kind}: {}",
                context()
            );
        }
    }
}

/// How many values a field has advanced by the flow's frame `number`.
fn moves(flow: &Flow, values: &Values, number: u128) -> u128 {
    let Some((leader, rounds)) = &values.follow else { return number };
    let leader = find(flow, leader);
    let moved = moves(flow, leader, number);
    if *rounds { moved / leader.count().unwrap() } else { moved }
}

/// The values of the field of this path.
fn find<'a>(flow: &'a Flow, path: &str) -> &'a Values {
    let (header, field) = path.split_once('.').unwrap();
    let (kind, which) = header.split_once('[').unwrap_or((header, "0]"));
    // The name that the file uses.
    let is = |found: &str| found == kind || (found == "ieee8021ad" && kind == "vlan");
    let mut alike = flow.headers.iter().filter(|header| is(&header.kind));
    let header = alike.nth(which.trim_end_matches(']').parse().unwrap()).unwrap();
    &header.fields.iter().find(|found| found.name == field).unwrap().values
}

impl Seen {
    fn check_fields(
        &mut self,
        flow: &Flow,
        raw: &[u8],
        dissected: &Dissected<'_>,
        context: &dyn Fn() -> String,
    ) {
        let mut start = 0;
        for (index, header) in flow.headers.iter().enumerate() {
            let which =
                flow.headers[..index].iter().filter(|before| before.kind == header.kind).count();
            // Custom bits may overlap a field that is set too, whose value is then not the file's.
            let has_bits = header.fields.iter().any(|field| field.bits.is_some());
            for field in header.fields.iter().filter(|field| field.bits.is_some() || !has_bits) {
                let Some(found) = value(header, field, which, &raw[start..], dissected) else {
                    continue;
                };
                self.check_value(flow, index, field, found, context);
            }
            start += header.bytes;
        }
    }

    fn check_value(
        &mut self,
        flow: &Flow,
        index: usize,
        field: &Field,
        found: u128,
        context: &dyn Fn() -> String,
    ) {
        let of = &field.values;
        let moved = moves(flow, of, self.frames.into());
        let Form::Random { min, max, count } = of.form else {
            assert_eq!(
                Some(found),
                of.at(moved),
                "{} of header {index}: {}",
                field.name,
                context()
            );
            return;
        };
        assert!(
            min <= found && max.is_none_or(|max| found <= max),
            "{} of header {index}: {}",
            field.name,
            context()
        );
        let (again, all) = self.random.entry((index, field.name.clone())).or_default();
        all.insert(found);
        if let Some(count) = count {
            match again.get(usize::try_from(moved % count).unwrap()) {
                Some(first) => {
                    assert_eq!(found, *first, "{} comes again: {}", field.name, context())
                }
                None => again.push(found),
            }
        }
    }

    fn check_size(&mut self, flow: &Flow, size: u64, context: &dyn Fn() -> String) {
        *self.sizes.entry(size).or_default() += 1;
        match &flow.sizes {
            Sizes::Order(sizes) => {
                let index = usize::try_from(self.frames).unwrap() % sizes.len();
                assert_eq!(size, sizes[index], "{}", context());
            }
            Sizes::Between(sizes) => assert!(sizes.contains(&size), "{}", context()),
            Sizes::Shares(shares) => {
                let cycle: u64 = shares.iter().map(|(_, share)| share).sum();
                let sent = self.frames + 1;
                for (size, share) in shares {
                    // Shares are exact after each cycle, and evenly spread within it.
                    let found = self.sizes.get(size).copied().unwrap_or(0) * cycle;
                    let most = if sent.is_multiple_of(cycle) { 0 } else { 2 * cycle };
                    assert!(
                        found.abs_diff(share * sent) <= most,
                        "{size} bytes: {:?}: {}",
                        self.sizes,
                        context()
                    );
                }
                assert!(shares.iter().any(|(share, _)| *share == size), "{}", context());
            }
        }
    }

    fn check_payload(&mut self, flow: &Flow, raw: &[u8], context: &dyn Fn() -> String) {
        let headers: usize = flow.headers.iter().map(|header| header.bytes).sum();
        let payload = &raw[headers..];
        let form = |key: &str| flow.payload.as_ref().and_then(|payload| payload.get(key));
        let then_zeros = |bytes: Vec<u8>| {
            let zeros = payload.len() - bytes.len();
            [bytes, vec![0; zeros]].concat()
        };
        let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
        let expected = if let Some(pattern) = form("pattern") {
            hex(&text(pattern)).into_iter().cycle().take(payload.len()).collect()
        } else if let Some(bytes) = form("hex") {
            then_zeros(hex(&text(bytes)))
        } else if let Some(bytes) = form("text") {
            then_zeros(text(bytes).into_bytes())
        } else if let Some(increment) = form("increment") {
            let start = usize::try_from(increment["start"].as_integer().unwrap()).unwrap();
            (start..start + payload.len()).map(|value| u8::try_from(value % 256).unwrap()).collect()
        } else if form("random").is_some() {
            if payload.len() > self.payload.len() {
                self.payload = payload.to_vec();
            }
            self.payload[..payload.len()].to_vec()
        } else {
            vec![0; payload.len()]
        };
        assert!(payload == expected, "payload {payload:02x?}: {}", context());
    }

    fn end(&self, flow: &Flow) {
        // Some hundreds of random bytes contain nearly every value.
        let distinct = self.payload.iter().collect::<BTreeSet<_>>().len();
        assert!(self.payload.len() < 1000 || distinct > 200, "{}: {distinct} bytes", flow.name);
        for ((header, field), (again, all)) in &self.random {
            let range = flow.headers[*header]
                .fields
                .iter()
                .find(|found| found.name == *field)
                .map(|field| &field.values.form);
            let Some(Form::Random { min, max, .. }) = range else { panic!("{field}") };
            // A field without limits has thousands of values at least.
            let range = max.map_or(4096, |max| max - min + 1);
            let drawn =
                if again.is_empty() { u128::from(self.frames) } else { again.len() as u128 };
            // Half of the possible values, or half of the number drawn: chance gives more than 63 %
            // of the smaller one.
            let least = range.min(drawn) / 2;
            assert!(
                all.len() as u128 >= least,
                "{}: {field}: {} values of {range} in {drawn}",
                flow.name,
                all.len()
            );
        }
    }
}

/// The value of a field, of the header with this number among its kind; `raw` begins with that
/// header's bytes. None where tshark does not show it.
fn value(
    header: &Header,
    field: &Field,
    which: usize,
    raw: &[u8],
    dissected: &Dissected<'_>,
) -> Option<u128> {
    if let Some((offset, mask)) = &field.bits {
        let big_endian =
            |bytes: &[u8]| bytes.iter().fold(0, |value: u128, byte| value << 8 | u128::from(*byte));
        let mask_value = big_endian(mask);
        return Some(
            (big_endian(&raw[*offset..*offset + mask.len()]) & mask_value)
                >> mask_value.trailing_zeros(),
        );
    }
    // The tag's own presence shows this field's value: tshark would not have found a tag otherwise.
    if field.name == "tpid" {
        return None;
    }
    let known = NAMES.iter().find(|(kind, name, _)| *kind == header.kind && *name == field.name);
    let (.., name) =
        known.unwrap_or_else(|| panic!("teach this test {}.{}", header.kind, field.name));
    Some(dissected.numbers(name)[which])
}
