//! Each statement of the specification of live frames (the kernel's
//! `Documentation/bpf/bpf_prog_run.rst`), tried on the real kernel: first the statement in the
//! specification's words, then how the test observes it.

#![expect(
    unsafe_code,
    reason = "signals, socket options and calls that aya cannot make go to the kernel directly"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CString,
    io,
    net::{SocketAddrV4, UdpSocket},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use aya::maps::{Array, Map, MapData};
use aya_obj::generated::{bpf_cmd, bpf_map_type};
use etherparse::{IpHeaders, IpNumber, Ipv4Header, PacketBuilder};
use xdp_trafficgen::kernel::{Sink, generator::Sent, sink::SinkAction};
use xdp_trafficgen_ebpf::abi::DropLayer;

use crate::harness::{
    PACKET, Port, TestNet, Transmitted, assert_arrived, ip,
    raw::{self, EXIT, Insn, call, insn, mov_imm, redirect},
    transmitted, wait_until,
};

/// "The batch size defaults to 64 packets […], but can be specified by userspace through the
/// batch_size parameter".
///
/// A signal ends a call between two batches, so the number of repetitions is a multiple of the
/// batch size; of nothing larger, because signals come at any time.
#[test]
fn batches_have_64_frames_unless_told_otherwise() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let port = net.port("interface = \"west\"");
    for (batch_size, frames) in [(0, 64), (64, 64), (1, 1), (7, 7), (256, 256)] {
        let mut divisor = 0;
        for _ in 0..200 {
            let before = port.redirected().attempted;
            let sent = interrupted(&port, batch_size);
            assert_eq!(sent, Sent::Interrupted);
            let attempted = port.redirected().attempted - before;
            assert_eq!(attempted % frames, 0, "batch_size {batch_size}");
            divisor = greatest_common_divisor(divisor, attempted);
            if divisor == frames {
                break;
            }
        }
        assert_eq!(divisor, frames, "batch_size {batch_size}");
    }
    assert_arrived(&sink, port.redirected().transmitted);
}

/// Sends without end, until a signal interrupts it.
fn interrupted(port: &Port, batch_size: u32) -> Sent {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        extern "C" fn ignore(_: libc::c_int) {}
        let handler: extern "C" fn(libc::c_int) = ignore;
        // SAFETY: the handler does nothing, which is safe at any time.
        unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    });
    let attempted = || port.total(|worker| worker.frames_attempted());
    let before = attempted();
    // SAFETY: pthread_self always succeeds.
    let sender = unsafe { libc::pthread_self() };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                if attempted() > before {
                    // SAFETY: the sender waits for this thread at the end of the scope.
                    unsafe { libc::pthread_kill(sender, libc::SIGUSR1) };
                }
                thread::yield_now();
            }
        });
        let sent =
            port.generator.send(&port.plan.program.frame, port.plan.ingress, 1 << 30, batch_size);
        over.store(true, Ordering::Release);
        sent.unwrap()
    })
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// "… up to a maximum of 256 packets".
#[test]
fn batches_end_at_256_frames() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let port = net.port("interface = \"west\"\naction = \"drop\"");
    let send = |batch_size| {
        port.generator.send(&port.plan.program.frame, port.plan.ingress, 1000, batch_size)
    };
    assert_eq!(send(256).unwrap(), Sent::All);
    assert_eq!(port.counts().attempted, 1000);
    assert_eq!(send(257).unwrap_err().errno(), Some(libc::E2BIG));
    assert_eq!(send(u32::MAX).unwrap_err().errno(), Some(libc::E2BIG));
    assert_eq!(port.counts().attempted, 1000);
}

/// "setting the data_out or ctx_out attributes in the syscall parameters when running in this mode
/// will be rejected".
#[test]
fn results_are_refused() {
    let Some(_net) = TestNet::enter() else { return };
    let program = raw::load_xdp(&[mov_imm(0, XDP_DROP), EXIT]);
    let mut room = [0; 256];
    let call = Call::new(&[0; 64]);
    assert_eq!(errno(call.run(&program)), None);
    assert_eq!(
        errno(Call { data_out: Some(&mut room), ..Call::new(&[0; 64]) }.run(&program)),
        Some(libc::EINVAL)
    );
    // 6.18 checks these attributes only when it is given a context, as it always is by the
    // generator; without one it ignores data_out.
    assert_eq!(
        errno(Call { ctx_out: Some(&mut room), ..Call::new(&[0; 64]) }.run(&program)),
        Some(libc::EINVAL)
    );
}

/// "Userspace can use this for feature probing: if the reserved flag is rejected, live frame mode
/// is supported".
#[test]
fn unknown_flags_are_rejected() {
    // A namespace is entered only where the probe has found live frames.
    let Some(_net) = TestNet::enter() else { return };
    let program = raw::load_xdp(&[mov_imm(0, XDP_DROP), EXIT]);
    let run = |flags| errno(Call { flags, ..Call::new(&[0; 64]) }.run(&program));
    assert_eq!(run(0), None);
    assert_eq!(run(LIVE_FRAMES), None);
    for bit in (0..32).filter(|bit| 1 << bit != LIVE_FRAMES) {
        assert_eq!(run(1 << bit), Some(libc::EINVAL), "flag bit {bit}");
        assert_eq!(run(LIVE_FRAMES | 1 << bit), Some(libc::EINVAL), "flag bit {bit}");
    }
}

/// "the ingress_ifindex of the context object will point to that interface".
#[test]
fn the_context_has_the_ingress_interface() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    let capture = Capture::attach(net.link("east").index, 16);
    let stamp_ingress = [load(5, 6, INGRESS_IFINDEX), store(2, STAMP, 5)];
    let program = page_program(&stamp_ingress, net.link("west").index);
    let [west, north, lo] = ["west", "north", "lo"].map(|name| net.link(name).index);
    for ingress in [west, north, lo] {
        Call { ingress, ..Call::new(&[0; 64]) }.run(&program).unwrap();
    }
    // Without a context the ingress interface is `lo`.
    Call { context: false, ..Call::new(&[0; 64]) }.run(&program).unwrap();
    let seen: Vec<u32> = capture.frames(4).iter().map(|frame| stamp_of(frame)).collect();
    assert_eq!(seen, [west, north, lo, lo]);
    assert_eq!(
        errno(Call { ingress: 9999, ..Call::new(&[0; 64]) }.run(&program)),
        Some(libc::ENODEV)
    );
}

/// "Each memory page will be initialised with the initial packet data supplied by userspace"; "When
/// recycling, the page content is not rewritten; only the packet boundary pointers […] will be
/// reset".
///
/// The program counts in the packet itself how often it has seen the page, and cuts four bytes off
/// its end. So a fresh page arrives with 1 and a recycled one with more; and all have the same
/// length, unless the end was not reset.
#[test]
fn recycled_pages_keep_their_content_and_get_new_bounds() {
    let Some(net) = TestNet::enter() else { return };
    let repeat = 2000;
    let cut = [mov(1, 6), mov_imm(2, -4), call(ADJUST_TAIL)];
    for batch_size in [1, 7, 64, 256] {
        let (west, east) = (format!("west{batch_size}"), format!("east{batch_size}"));
        net.veth(&west, &east);
        let capture = Capture::attach(net.link(&east).index, repeat);
        let ingress = net.link(&west).index;
        let program = page_program(&[&COUNT_USES[..], &cut].concat(), ingress);
        let mut template = [0xa5; 64];
        template[STAMP as usize..][..4].fill(0);
        let before = transmitted(&west);
        Call { repeat, batch_size, ingress, ..Call::new(&template) }.run(&program).unwrap();
        // A veth may refuse a few, see `counting.rs`.
        let fate = || transmitted(&west) - before;
        wait_until("the fate of all frames", || fate().frames() == u64::from(repeat));
        let Transmitted { packets, dropped } = fate();
        let frames = capture.frames(u32::try_from(packets).unwrap());
        for frame in &frames {
            assert_eq!(frame.len(), 60, "batch_size {batch_size}");
            let rest = [&frame[..STAMP as usize], &frame[STAMP as usize + 4..]].concat();
            assert!(rest.iter().all(|&byte| byte == 0xa5), "batch_size {batch_size}: {frame:x?}");
        }
        let uses: Vec<u32> = frames.iter().map(|frame| stamp_of(frame)).collect();
        // A batch holds its pages until its end, so the program sees no page of the first batch
        // twice.
        assert!(
            uses[..batch_size as usize].iter().all(|&uses| uses == 1),
            "batch_size {batch_size}: {uses:?}"
        );
        let pages_used = |times: u32| uses.iter().filter(|&&uses| uses == times).count() as u64;
        let highest = uses.iter().copied().max().unwrap();
        assert!(highest > 1, "batch_size {batch_size}: no page came back");
        for times in 1..highest {
            // What was written stays: a page that arrives for the nth time has arrived with n - 1
            // before.
            assert!(
                pages_used(times) + dropped >= pages_used(times + 1),
                "batch_size {batch_size}: {uses:?}"
            );
        }
    }
}

/// "if the program drops the packet, the data page is immediately recycled. Otherwise, the packet
/// is buffered until the end of the batch".
///
/// The program passes a page on when it sees it for the second time. All repetitions are one batch:
/// if the kernel kept dropped pages until its end, every page would be new and nothing would
/// arrive.
#[test]
fn dropped_pages_come_back_within_the_batch() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let west = net.link("west").index;
    // if r5 < 2 goto drop, which follows the redirect
    let drop_first = insn(0xa5, 5, 0, 4, 2);
    let program = page_program(&[&COUNT_USES[..], &[drop_first]].concat(), west);
    Call { repeat: 256, batch_size: 256, ingress: west, ..Call::new(&[0; 64]) }
        .run(&program)
        .unwrap();
    wait_until("a frame arrived", || sink.count().unwrap().frames > 0);
}

/// "if a program rewrites the packet contents, it has to be prepared to see either the original
/// content or the modified version": the generator is. What arrives is what etherparse makes of the
/// same values, on fresh and on used pages.
#[test]
fn frames_are_right_on_fresh_and_on_recycled_pages() {
    let Some(net) = TestNet::enter() else { return };
    let flow = r#"
        payload = { pattern = "c0 ff ee" }
        packet = [
            { ethernet = { src = { random = { seed = 1 } }, dst = "02:00:00:00:00:02" } },
            { ipv4 = { src = { increment = { start = "10.0.0.250", step = 3, count = 251 } }, dst = "192.0.2.1" } },
            { udp = { src_port = [7, 65535, 1000], dst_port = { decrement = { start = 65000, count = 50021 } } } },
        ]"#;
    let packets = 3000;
    for batch_size in [1, 7, 64, 256] {
        let (west, east) = (format!("west{batch_size}"), format!("east{batch_size}"));
        net.veth(&west, &east);
        let capture = Capture::attach(net.link(&east).index, packets);
        let port = Port::load(
            net.plan_flow(&format!("interface = \"{west}\"\nbatch_size = {batch_size}"), flow),
        );
        // Two calls, of which the second continues where the first ended.
        port.send(1000);
        port.send(packets - 1000);
        let transmitted = u32::try_from(port.redirected().transmitted).unwrap();
        // A veth may refuse a few, see `counting.rs`.
        assert!(transmitted > packets / 2, "{transmitted}");
        let (mut sources, mut next) = (BTreeSet::new(), 0);
        for frame in capture.frames(transmitted) {
            let (mac, port) =
                (*frame[6..].first_chunk().unwrap(), u16::from_be_bytes([frame[36], frame[37]]));
            let index = 65000 - port;
            assert!(index >= next, "batch_size {batch_size}: in order, and none twice");
            next = index + 1;
            let source = u32::from_be_bytes([10, 0, 0, 250]) + 3 * (u32::from(index) % 251);
            let source_port = [7, 65535, 1000][usize::from(index) % 3];
            let payload: Vec<u8> = [0xc0, 0xff, 0xee].repeat(6);
            let expected = udp_frame(mac, source.to_be_bytes(), source_port, port, &payload);
            assert_eq!(frame, expected, "batch_size {batch_size}, frame {index}");
            sources.insert(mac);
        }
        // Of 2^48 random addresses, none repeats within 3000.
        assert_eq!(sources.len(), transmitted as usize);
    }
}

fn udp_frame(
    source_mac: [u8; 6],
    source: [u8; 4],
    source_port: u16,
    port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut ip = Ipv4Header::new(0, 64, IpNumber::UDP, source, [192, 0, 2, 1]).unwrap();
    ip.dont_fragment = false;
    let ip = IpHeaders::Ipv4(ip, Default::default());
    let builder =
        PacketBuilder::ethernet2(source_mac, [2, 0, 0, 0, 0, 2]).ip(ip).udp(source_port, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// "if it returns XDP_TX, the packet will be transmitted out of that same interface".
#[test]
fn tx_leaves_by_the_ingress_interface() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    let [east, south] = ["east", "south"].map(|peer| Sink::attach(peer, SinkAction::Drop).unwrap());
    let port = net.port("interface = \"west\"\ningress = \"north\"\naction = \"tx\"");
    port.send(1000);
    let counts = port.redirected();
    assert_eq!((counts.attempted, counts.transmitted), (1000, 1000));
    assert_arrived(&south, 1000);
    assert_eq!(south.count().unwrap().bytes, 64_000);
    assert_arrived(&east, 0);
}

/// "if the XDP program returns XDP_PASS, the packet will be injected into the kernel networking
/// stack as though it arrived on that ifindex".
///
/// Two sockets listen for the same datagrams, each bound to one interface. The socket of the
/// ingress interface receives all.
#[test]
fn pass_reaches_a_socket_on_the_ingress_interface() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    ip("addr add 192.0.2.1/24 dev north");
    let mac = net.link("north").mac.unwrap().map(|byte| format!("{byte:02x}")).join(":");
    let flow = format!(
        r#"
        payload = {{ pattern = "c0 ff ee" }}
        packet = [
            {{ ethernet = {{ dst = "{mac}" }} }},
            {{ ipv4 = {{ src = "192.0.2.2", dst = "192.0.2.1" }} }},
            {{ udp = {{ src_port = {{ increment = {{ start = 1000, count = 60000 }} }}, dst_port = 2000 }} }},
        ]"#
    );
    let port = Port::load(
        net.plan_flow("interface = \"west\"\ningress = \"north\"\naction = \"pass\"", &flow),
    );
    let north = socket_on("north");
    let west = socket_on("west");
    let mut source_port = 1000;
    // Few at a time, because a socket's buffer is bounded.
    for _ in 0..20 {
        port.send(16);
        for _ in 0..16 {
            let mut room = [0; 64];
            let (len, from) = north.recv_from(&mut room).unwrap();
            assert_eq!(from, ([192, 0, 2, 2], source_port).into());
            assert_eq!(room[..len], [0xc0, 0xff, 0xee].repeat(6));
            source_port += 1;
        }
    }
    for socket in [&north, &west] {
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
    let counts = port.counts();
    assert_eq!((counts.attempted, counts.transmitted, counts.dropped), (320, 0, 0));
}

/// A socket that hears only what comes in by `interface`.
fn socket_on(interface: &str) -> UdpSocket {
    // The socket is bound to the interface before the port, because the other socket has the same
    // port.
    // SAFETY: socket takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    assert!(socket >= 0);
    // SAFETY: the descriptor is new, and nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let name = CString::new(interface).unwrap();
    // SAFETY: the option's value is a string of the length given.
    let bound = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            libc::socklen_t::try_from(interface.len()).unwrap(),
        )
    };
    assert_eq!(bound, 0);
    rustix::net::bind(&socket, &SocketAddrV4::new([192, 0, 2, 1].into(), 2000)).unwrap();
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// XDP_DROP: "drop the packet".
#[test]
fn drop_sends_nothing() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let dropping = net.port("interface = \"west\"\naction = \"drop\"");
    let before = transmitted("west");
    dropping.send(10_000);
    let counts = dropping.counts();
    assert_eq!((counts.attempted, counts.transmitted, counts.dropped), (10_000, 0, 0));
    // The same counters do move when frames are sent.
    net.port("interface = \"west\"").send(10);
    assert_arrived(&sink, 10);
    assert_eq!(transmitted("west") - before, Transmitted { packets: 10, dropped: 0 });
}

/// "If an error occurs in packet processing, like a failure to redirect to a given interface,
/// execution will continue with the next repetition; these errors can be detected via the same
/// trace points as for regular XDP programs."
#[test]
fn a_failing_redirect_does_not_stop_the_run() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("west", "east");
    net.veth("north", "south");
    let sink = Sink::attach("east", SinkAction::Drop).unwrap();
    let port = Port::load(net.plan_flow(
        "interface = \"west\"\ningress = \"north\"",
        &format!("size = 1000\npacket = [{PACKET}]"),
    ));
    port.send(1000);
    let mut drops = BTreeMap::new();
    for (what, errno) in [
        ("link set west mtu 500", libc::EMSGSIZE),
        ("link set west down", libc::ENETDOWN),
        ("link del west", libc::ENODEV),
    ] {
        if what == "link del west" {
            // All accepted frames have arrived before the wire is removed.
            assert_arrived(&sink, 1000);
        }
        ip(what);
        port.send(1000);
        drops.insert((DropLayer::Redirect, errno.cast_unsigned()), 1000);
        let counts = port.redirected();
        assert_eq!(counts.drops, drops, "{what}");
        assert_eq!(counts.transmitted, 1000, "{what}");
    }
    // Without the ingress interface the whole call fails.
    ip("link del north");
    let failed = port.generator.send(&port.plan.program.frame, port.plan.ingress, 1000, 64);
    assert_eq!(failed.unwrap_err().errno(), Some(libc::ENODEV));
}

/// The limits of a frame, which the specification leaves to the kernel: at least an Ethernet header
/// (commit 6b3d638ca897), and at most a page, minus what else must fit into it.
#[test]
fn frames_have_14_bytes_at_least_and_fit_a_page() {
    let Some(net) = TestNet::enter() else { return };
    let program = raw::load_xdp(&[mov_imm(0, XDP_DROP), EXIT]);
    let largest = net.kernel.largest_frame;
    for (len, refused) in [
        (0, Some(libc::EINVAL)),
        (13, Some(libc::EINVAL)),
        (14, None),
        (largest, None),
        (largest + 1, Some(libc::EINVAL)),
    ] {
        assert_eq!(errno(Call::new(&vec![0; len]).run(&program)), refused, "{len} bytes");
    }
    assert!(largest >= 1514 + 4, "room for a tagged frame of the usual MTU: {largest}");
}

const XDP_DROP: i32 = 1;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`
const LIVE_FRAMES: u32 = 1 << 1;
/// `bpf_xdp_adjust_tail`
const ADJUST_TAIL: i32 = 65;
/// Offset of this field in `struct xdp_md`.
const INGRESS_IFINDEX: i16 = 12;
/// Offset at which test programs leave a number in the frame.
const STAMP: i16 = 52;
/// Adds one to the stamp.
const COUNT_USES: [Insn; 3] = [load(5, 2, STAMP), add_imm(5, 1), store(2, STAMP, 5)];

/// dst = src
const fn mov(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}

/// dst += immediate
const fn add_imm(dst: u8, immediate: i32) -> Insn {
    insn(0x07, dst, 0, 0, immediate)
}

/// dst = *(u32 *)(src + offset)
const fn load(dst: u8, src: u8, offset: i16) -> Insn {
    insn(0x61, dst, src, offset, 0)
}

/// *(u32 *)(dst + offset) = src
const fn store(dst: u8, offset: i16, src: u8) -> Insn {
    insn(0x63, dst, src, offset, 0)
}

/// A program that runs `body` on frames of at least 64 bytes, redirects them to `egress`, and drops
/// shorter ones. Register 2 is the packet, 6 the context.
fn page_program(body: &[Insn], egress: u32) -> OwnedFd {
    let tail = redirect(egress);
    let to_drop = i16::try_from(body.len() + tail.len()).unwrap();
    let head = [
        mov(6, 1),
        load(2, 1, 0),
        load(3, 1, 4),
        mov(4, 2),
        add_imm(4, 64),
        // if r4 > r3 goto drop
        insn(0x2d, 4, 3, to_drop, 0),
    ];
    raw::load_xdp(&[&head[..], body, &tail, &[mov_imm(0, XDP_DROP), EXIT]].concat())
}

fn stamp_of(frame: &[u8]) -> u32 {
    let (stamp, _) = frame[STAMP as usize..].split_first_chunk().unwrap();
    u32::from_ne_bytes(*stamp)
}

fn errno(result: io::Result<()>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().unwrap())
}

/// A `BPF_PROG_RUN` whose attributes a test can all choose.
struct Call<'a> {
    frame: &'a [u8],
    flags: u32,
    repeat: u32,
    batch_size: u32,
    ingress: u32,
    /// Whether a context is given; without one, `ingress` has no effect.
    context: bool,
    data_out: Option<&'a mut [u8]>,
    ctx_out: Option<&'a mut [u8]>,
}

impl<'a> Call<'a> {
    /// One live repetition, from `lo`.
    fn new(frame: &'a [u8]) -> Self {
        Self {
            frame,
            flags: LIVE_FRAMES,
            repeat: 1,
            batch_size: 0,
            ingress: 1,
            context: true,
            data_out: None,
            ctx_out: None,
        }
    }

    fn run(mut self, program: &OwnedFd) -> io::Result<()> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        // struct xdp_md
        let context = [0, size(self.frame), 0, self.ingress, 0, 0];
        let mut attr = raw::attributes();
        attr.test.prog_fd = program.as_raw_fd().cast_unsigned();
        attr.test.flags = self.flags;
        attr.test.repeat = self.repeat;
        attr.test.batch_size = self.batch_size;
        attr.test.data_in = self.frame.as_ptr() as u64;
        attr.test.data_size_in = size(self.frame);
        if self.context {
            attr.test.ctx_in = context.as_ptr() as u64;
            attr.test.ctx_size_in = 24;
        }
        if let Some(room) = &mut self.data_out {
            attr.test.data_out = room.as_mut_ptr() as u64;
            attr.test.data_size_out = size(room);
        }
        if let Some(room) = &mut self.ctx_out {
            attr.test.ctx_out = room.as_mut_ptr() as u64;
            attr.test.ctx_size_out = size(room);
        }
        // SAFETY: frame, context and the room for results outlive the call, and their lengths are
        // right.
        unsafe { raw::bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }.map(drop)
    }
}

/// Copies every frame that arrives at an interface, in order, and drops the frame, so that its page
/// is recycled.
struct Capture {
    count: Array<MapData, u64>,
    frames: Array<MapData, Slot>,
    _link: OwnedFd,
}

const CAPTURED: usize = 60;

/// A frame's length, and its first bytes.
type Slot = [u8; 8 + CAPTURED];

impl Capture {
    fn attach(interface: u32, capacity: u32) -> Self {
        let count = array(8, 1);
        let frames = array(u32::try_from(size_of::<Slot>()).unwrap(), capacity);
        let map =
            |dst, map: &OwnedFd| [insn(0x18, dst, 1, 0, map.as_raw_fd()), insn(0, 0, 0, 0, 0)];
        let (count_map, frames_map) = (map(1, &count), map(1, &frames));
        let program = raw::load_xdp(&[
            mov(6, 1),
            // r0 = &count[0], or done
            insn(0x62, 10, 0, -4, 0),
            count_map[0],
            count_map[1],
            mov(2, 10),
            add_imm(2, -4),
            call(1),
            insn(0x15, 0, 0, 20, 0),
            // index = count[0]++, by one atomic instruction
            mov_imm(1, 1),
            insn(0xdb, 0, 1, 0, 0x01),
            store(10, -4, 1),
            // r7 = &frames[index], or done
            frames_map[0],
            frames_map[1],
            mov(2, 10),
            add_imm(2, -4),
            call(1),
            insn(0x15, 0, 0, 11, 0),
            mov(7, 0),
            // frames[index] = (data_end - data, first bytes)
            load(1, 6, 0),
            load(2, 6, 4),
            insn(0x1f, 2, 1, 0, 0),
            insn(0x7b, 7, 2, 0, 0),
            mov(1, 6),
            mov_imm(2, 0),
            mov(3, 7),
            add_imm(3, 8),
            mov_imm(4, 60),
            call(189),
            mov_imm(0, XDP_DROP),
            EXIT,
        ]);
        let typed = |map| Map::Array(MapData::from_fd(map).unwrap());
        Self {
            count: Array::try_from(typed(count)).unwrap(),
            frames: Array::try_from(typed(frames)).unwrap(),
            _link: raw::attach(&program, interface),
        }
    }

    /// Waits for `count` frames, checks that there are no more, and returns them.
    #[track_caller]
    fn frames(&self, count: u32) -> Vec<Vec<u8>> {
        let arrived = || self.count.get(&0, 0).unwrap();
        wait_until("all frames captured", || arrived() >= u64::from(count));
        assert_eq!(arrived(), u64::from(count));
        (0..count)
            .map(|index| {
                let slot = self.frames.get(&index, 0).unwrap();
                let (len, bytes) = slot.split_first_chunk().unwrap();
                let len = usize::try_from(u64::from_ne_bytes(*len)).unwrap();
                bytes[..len.min(CAPTURED)].to_vec()
            })
            .collect()
    }
}

fn array(value_size: u32, entries: u32) -> OwnedFd {
    let mut attr = raw::attributes();
    attr.__bindgen_anon_1.map_type = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    attr.__bindgen_anon_1.key_size = 4;
    attr.__bindgen_anon_1.value_size = value_size;
    attr.__bindgen_anon_1.max_entries = entries;
    // SAFETY: the command takes no pointers.
    unsafe { raw::bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }.unwrap()
}
