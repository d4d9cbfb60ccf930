//! Frames built by etherparse, or by hand where it has no header for it.

use etherparse::{PacketBuilder, TcpOptionElement, VlanId};

use super::line;

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const MACS: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02";

/// The frame of `builder`, with a payload.
macro_rules! frame {
    ($builder:expr, $payload:expr) => {{
        let mut frame = Vec::new();
        $builder.write(&mut frame, $payload).unwrap();
        frame
    }};
}

#[track_caller]
fn check(frame: &[u8], expected: &str) {
    assert_eq!(line(frame), expected);
    // However short: no panic, and no more than what is there.
    for len in 0..frame.len() {
        line(&frame[..len]);
    }
}

/// Ethernet, IPv4, this protocol and these bytes.
fn over_ip(protocol: u8, bytes: &[u8]) -> Vec<u8> {
    frame!(
        PacketBuilder::ethernet2(A, B).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2),
        &bytes[8.min(bytes.len())..]
    )
    .into_iter()
    .take(23)
    .chain([protocol])
    .chain([0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    .chain(bytes.iter().copied())
    .collect()
}

#[test]
fn transports() {
    let ip = || PacketBuilder::ethernet2(A, B).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let udp = frame!(ip().udp(1024, 53), &[0; 18]);
    let checksum = u16::from_be_bytes([udp[40], udp[41]]);
    check(&udp, &format!("{MACS}  10.0.0.1 > 10.0.0.2  udp 1024 > 53, checksum {checksum:04x}  18 bytes"));

    let options = [TcpOptionElement::MaximumSegmentSize(1460), TcpOptionElement::WindowScale(7)];
    let tcp = frame!(ip().tcp(1024, 80, 5, 64_240).syn().options(&options).unwrap(), &[]);
    let checksum = u16::from_be_bytes([tcp[50], tcp[51]]);
    check(
        &tcp,
        &format!(
            "{MACS}  10.0.0.1 > 10.0.0.2  tcp 1024 > 80, SYN, seq 5, window 64240, mss 1460, window scale 7, checksum {checksum:04x}"
        ),
    );

    let icmp = frame!(ip().icmpv4_echo_request(7, 9), &[0]);
    let checksum = u16::from_be_bytes([icmp[36], icmp[37]]);
    check(
        &icmp,
        &format!("{MACS}  10.0.0.1 > 10.0.0.2  icmp echo request, id 7, seq 9, checksum {checksum:04x}  1 byte"),
    );

    let v6 = PacketBuilder::ethernet2(A, B).ipv6([0xfe; 16], [0xff; 16], 64);
    let icmp = frame!(v6.icmpv6_echo_reply(7, 9), &[]);
    assert!(line(&icmp).contains("  icmpv6 echo reply, id 7, seq 9, checksum "), "{}", line(&icmp));
}

#[test]
fn tags_and_labels() {
    let id = |id| VlanId::try_new(id).unwrap();
    let mut double = frame!(
        PacketBuilder::ethernet2(A, B).double_vlan(id(100), id(7)).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2),
        &[]
    );
    double[12..14].copy_from_slice(&[0x88, 0xa8]);
    double[14] |= 5 << 5;
    let text = line(&double);
    assert!(text.contains("  vlan 100 tpid 88a8 priority 5  vlan 7  10.0.0.1 > 10.0.0.2  udp 1 > 2"), "{text}");

    let mut mpls = [&B[..], &A, &[0x88, 0x47]].concat();
    mpls.extend([0, 0x01, 0x00, 64, 0, 0x01, 0x17, 63]);
    mpls.extend(&frame!(PacketBuilder::ipv6([0; 16], [1; 16], 9).udp(3, 4), &[])[..]);
    let text = line(&mpls);
    assert!(text.contains("  mpls 16 ttl 64  mpls 17 class 3 ttl 63  :: > 101:101:"), "{text}");
    assert!(text.contains("  udp 3 > 4, "), "{text}");
}

#[test]
fn arp() {
    let mut arp = [&B[..], &A, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &A, &[10, 0, 0, 1], &[0; 6], &[10, 0, 0, 2]].concat();
    check(&arp, &format!("{MACS}  arp who has 10.0.0.2, tell 10.0.0.1"));
    arp[21] = 2;
    check(&arp, &format!("{MACS}  arp 10.0.0.1 is at 02:00:00:00:00:01"));
}

#[test]
fn tunnels() {
    const OUTER: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02  10.0.0.1 > 10.0.0.2";
    let inner = frame!(PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).udp(5, 6), &[]);
    let whole = frame!(PacketBuilder::ethernet2(B, A).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).udp(5, 6), &[]);
    let checksum = u16::from_be_bytes([inner[26], inner[27]]);
    let inner_words = format!("192.0.2.1 > 192.0.2.2  udp 5 > 6, checksum {checksum:04x}");
    let whole_words = format!("02:00:00:00:00:02 > 02:00:00:00:00:01  {inner_words}");

    let gre = [&[0x30, 0, 8, 0, 0, 0, 0, 5, 0, 0, 0, 7][..], &inner].concat();
    check(&over_ip(47, &gre), &format!("{OUTER}  gre key 5 seq 7  {inner_words}"));
    let gre = [&[0x80, 0, 0x65, 0x58, 0xab, 0xcd, 0, 0][..], &whole].concat();
    check(&over_ip(47, &gre), &format!("{OUTER}  gre checksum abcd  {whole_words}"));
    check(&over_ip(4, &inner), &format!("{OUTER}  {inner_words}"));

    let udp = |port: u16, bytes: &[u8]| [&[0, 1][..], &port.to_be_bytes(), &[0; 4], bytes].concat();
    let vxlan = [&[8, 0, 0, 0, 0, 1, 0, 0][..], &whole].concat();
    let udp_words = |port| format!("{OUTER}  udp 1 > {port}, checksum 0000");
    check(&over_ip(17, &udp(4789, &vxlan)), &format!("{}  vxlan 256  {whole_words}", udp_words(4789)));
    check(&over_ip(17, &udp(4789, &[0; 8])), &format!("{}  8 bytes", udp_words(4789)));

    let gtp = [&[0x30, 255, 0, 28, 0, 0, 0, 9][..], &inner].concat();
    check(&over_ip(17, &udp(2152, &gtp)), &format!("{}  gtp-u teid 9  {inner_words}", udp_words(2152)));
    let gtp = [&[0x36, 255, 0, 36, 0, 0, 0, 9, 0, 3, 0, 0x85, 1, 0, 0, 0][..], &inner].concat();
    let words = format!("{}  gtp-u teid 9 seq 3 extension 85  {inner_words}", udp_words(2152));
    check(&over_ip(17, &udp(2152, &gtp)), &words);
}

#[test]
fn extension_headers_and_fragments() {
    let mut frame = [&B[..], &A, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 0, 64]].concat();
    frame.extend([0; 32]);
    frame.extend([44, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend([17, 0, 0, 0x09, 0, 0, 0, 5]);
    frame.extend([0; 8]);
    check(&frame, &format!("{MACS}  :: > ::  hop-by-hop options 8 bytes  id 5, fragment at 8+  8 bytes"));
}

#[test]
fn what_is_not_known() {
    check(&[&B[..], &A, &[0x88, 0xb5, 1, 2]].concat(), &format!("{MACS}  ether type 88b5  2 bytes"));
    check(&over_ip(253, &[1]), "02:00:00:00:00:01 > 02:00:00:00:00:02  10.0.0.1 > 10.0.0.2  ip protocol 253  1 byte");
    check(
        &over_ip(17, &[1, 2]),
        "02:00:00:00:00:01 > 02:00:00:00:00:02  10.0.0.1 > 10.0.0.2  ip protocol 17 cut short  2 bytes",
    );
}
