//! Packet sockets that capture at an interface, as tcpdump opens them.

use crate::host::files::Files;

/// `ETH_P_ALL` of include/uapi/linux/if_ether.h, as /proc/net/packet writes it.
const EVERYTHING: &str = "0003";

/// Whether a packet socket for all protocols is bound to the interface with this index, in the
/// calling thread's network namespace. Sockets that are bound to no interface (`tcpdump -i any`) do
/// not count: they receive at the other end too.
pub fn is_captured(index: u32) -> bool {
    let sockets = Files::of_this_machine().text("proc/thread-self/net/packet");
    sockets.is_some_and(|sockets| captures(&sockets, index))
}

/// The columns are address, references, type, protocol, interface and others (packet_seq_show of
/// net/packet/af_packet.c).
fn captures(sockets: &str, index: u32) -> bool {
    let index = index.to_string();
    sockets.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(3);
        columns.next() == Some(EVERYTHING) && columns.next() == Some(index.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_for_everything_on_one_interface() {
        let sockets = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                       00000000d8b2c4f5 3      3    0003   2     1 0      0      91027\n\
                       00000000d8b2c4f6 3      3    88cc   3     1 0      0      91028\n\
                       00000000d8b2c4f7 3      3    0003   0     1 0      0      91029\n";
        assert!(captures(sockets, 2));
        assert!(!captures(sockets, 3), "of one protocol");
        assert!(!captures(sockets, 1) && !captures("", 2));
    }
}
