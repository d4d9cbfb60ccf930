//! The quick commands: etherparse confirms that the frames that arrive have what the options asked
//! for.

use etherparse::{
    EtherType, IcmpEchoHeader, Icmpv4Type, Icmpv6Type, NetHeaders, PacketHeaders, TcpOptionElement,
    TransportHeader,
};

use crate::harness::{Capture, Finished, RECEIVER_MAC, Stage, ethtool, trafficgen};

const FRAMES: usize = 70;

/// The frames of a command with these options, as they arrive at `xtg1`.
#[track_caller]
fn sent(command: &str, options: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(&folder, FRAMES as u64, "");
    let packets = FRAMES.to_string();
    let mut command =
        trafficgen(&[command, "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", &packets, "--json"]);
    command.args(options.split_whitespace());
    let report = Finished::of(command).report(0);
    assert_eq!(report.only_port().frames_tx, FRAMES as u64, "{report:?}");
    let frames = capture.end();
    assert_eq!(frames.len(), FRAMES);
    frames
}

/// Checks the checksums of each frame, then calls `check` with its number, headers and payload.
#[track_caller]
fn check(frames: &[Vec<u8>], size: usize, mut check: impl FnMut(u16, &PacketHeaders<'_>, &[u8])) {
    for (number, frame) in (0..).zip(frames) {
        assert_eq!(frame.len() + 4, size);
        let headers = PacketHeaders::from_ethernet_slice(frame)
            .unwrap_or_else(|error| panic!("{error}: {frame:02x?}"));
        let payload = headers.payload.slice();
        let transport = headers.transport.clone().unwrap();
        let mut again = transport.clone();
        match headers.net.clone().unwrap() {
            NetHeaders::Ipv4(ip, _) => {
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                again.update_checksum_ipv4(&ip, payload).unwrap();
            }
            NetHeaders::Ipv6(ip, _) => again.update_checksum_ipv6(&ip, payload).unwrap(),
            other => panic!("{other:?}"),
        }
        assert_eq!(again, transport, "the checksum of frame {number}");
        check(number, &headers, payload);
    }
}

fn stage() -> Option<Stage> {
    let stage = Stage::set()?;
    // The far end has no program of the test's: with GRO, veth passes the frames on to whoever
    // listens.
    ethtool("-K xtg1 gro on");
    Some(stage)
}

#[test]
fn udp_with_every_option() {
    let Some(_stage) = stage() else { return };
    let options = "--vlan 100,7 --ttl 3 --dscp 46 --size 128 --payload text:hello --src-mac 02:00:00:00:00:09 \
                   --src-ip 10.0.0.1 --dst-ip 10.0.0.2 --src-port 5 --dst-port 10-12";
    check(&sent("udp", options), 128, |number, headers, payload| {
        let link = headers.link.clone().unwrap().ethernet2().unwrap();
        assert_eq!(
            (link.source, link.ether_type),
            ([2, 0, 0, 0, 0, 9], EtherType::PROVIDER_BRIDGING)
        );
        let ids: Vec<u16> = headers.vlan_ids().iter().map(|id| id.value()).collect();
        assert_eq!(ids, [100, 7]);
        let Some(NetHeaders::Ipv4(ip, _)) = &headers.net else { panic!("{headers:?}") };
        assert_eq!((ip.time_to_live, ip.dscp.value()), (3, 46));
        assert_eq!((ip.source, ip.destination), ([10, 0, 0, 1], [10, 0, 0, 2]));
        let Some(TransportHeader::Udp(udp)) = &headers.transport else { panic!("{headers:?}") };
        assert_eq!((udp.source_port, udp.destination_port), (5, 10 + number % 3));
        assert_eq!(
            (&payload[..5], payload[5..].iter().all(|&byte| byte == 0)),
            (&b"hello"[..], true)
        );
    });
}

#[test]
fn payloads_fill_the_frame() {
    let Some(_stage) = stage() else { return };
    let filled = |options: &str| {
        let mut first = Vec::new();
        check(&sent("udp", options), 600, |_, _, payload| first = payload.to_vec());
        first
    };
    let counting = filled("--size 600 --payload increment");
    assert!(
        (0..=255).cycle().zip(&counting).all(|(expected, &byte)| byte == expected),
        "{counting:02x?}"
    );
    let pattern = filled("--size 600 --payload pattern:c0ffee");
    assert!(
        [0xc0, 0xff, 0xee]
            .into_iter()
            .cycle()
            .zip(&pattern)
            .all(|(expected, &byte)| byte == expected)
    );
    let random = filled("--size 600 --payload random");
    assert!(random.iter().filter(|&&byte| byte == 0).count() < 20, "{random:02x?}");
    assert!(filled("--size 600").iter().all(|&byte| byte == 0));
}

#[test]
fn tcp_syns_that_differ() {
    let Some(_stage) = stage() else { return };
    // The size is the headers' own, and then the smallest that Ethernet allows.
    for (options, size) in [("--dst-ip 2001:db8::2", 82), ("--dst-port 443", 64)] {
        check(&sent("tcp-syn", options), size, |number, headers, _| {
            let Some(TransportHeader::Tcp(tcp)) = &headers.transport else { panic!("{headers:?}") };
            assert_eq!(tcp.source_port, 1024 + number, "{options}");
            assert_eq!(tcp.destination_port, if size == 64 { 443 } else { 80 });
            let others =
                tcp.ack || tcp.fin || tcp.rst || tcp.psh || tcp.urg || tcp.ece || tcp.cwr || tcp.ns;
            assert!(tcp.syn && !others, "{tcp:?}");
            assert_eq!(tcp.window_size, 64_240);
            let tcp_options: Vec<_> = tcp.options_iterator().map(Result::unwrap).collect();
            assert_eq!(tcp_options, [TcpOptionElement::MaximumSegmentSize(1460)]);
        });
    }
}

#[test]
fn icmp_echo_requests_of_both_families() {
    let Some(_stage) = stage() else { return };
    check(&sent("icmp", "--identifier 77 --vlan 5"), 64, |number, headers, _| {
        let Some(TransportHeader::Icmpv4(icmp)) = &headers.transport else { panic!("{headers:?}") };
        let echo = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 77, seq: number });
        assert_eq!(icmp.icmp_type, echo);
    });
    check(&sent("icmp", "--dst-ip 2001:db8::2 --ttl 255 --dscp 1"), 66, |number, headers, _| {
        let Some(NetHeaders::Ipv6(ip, _)) = &headers.net else { panic!("{headers:?}") };
        assert_eq!((ip.hop_limit, ip.traffic_class), (255, 1 << 2));
        let Some(TransportHeader::Icmpv6(icmp)) = &headers.transport else { panic!("{headers:?}") };
        assert_eq!(icmp.icmp_type, Icmpv6Type::EchoRequest(IcmpEchoHeader { id: 1, seq: number }));
    });
}
