//! The peer of a veth, in words and commands.

use crate::{diagnosis::Situation, host::Peer};

/// The peer: its name, and where commands for it are typed.
pub(crate) struct OtherEnd<'a> {
    /// Its name; none where the kernel does not tell.
    name: Option<&'a str>,
    /// Whether it is in another network namespace, and the name that `ip netns` has for that.
    elsewhere: Option<Option<&'a str>>,
}

impl<'a> OtherEnd<'a> {
    /// None when the interface has no peer, or the peer is being removed.
    pub(crate) fn of(situation: &Situation<'a>) -> Option<Self> {
        Some(match situation.interface?.peer.as_ref()? {
            Peer::Here { name, .. } => Self { name: Some(name), elsewhere: None },
            Peer::There { name, namespace, .. } => {
                Self { name: Some(name), elsewhere: Some(namespace.as_deref()) }
            }
            Peer::Elsewhere => Self { name: None, elsewhere: Some(None) },
        })
    }

    /// `` the peer `vb` of `va` ``.
    pub(crate) fn words(&self, of: &str) -> String {
        let peer = match self.name {
            Some(name) => format!("the peer `{name}` of `{of}`"),
            None => format!("the peer of `{of}`"),
        };
        match self.elsewhere {
            None => peer,
            Some(None) => format!("{peer}, in another network namespace,"),
            Some(Some(namespace)) => format!("{peer}, in the network namespace `{namespace}`,"),
        }
    }

    /// Its name for a command.
    pub(crate) fn name(&self) -> &'a str {
        self.name.unwrap_or("PEER")
    }

    /// Commands to be typed in the peer's namespace, joined by `with`.
    pub(crate) fn commands(&self, commands: &[String], with: &str) -> String {
        let (place, before) = match self.elsewhere {
            None => (String::new(), String::new()),
            Some(None) => ("in its namespace: ".to_owned(), String::new()),
            Some(Some(namespace)) => (String::new(), format!("ip netns exec {namespace} ")),
        };
        let commands: Vec<String> =
            commands.iter().map(|command| format!("`{before}{command}`")).collect();
        format!("{place}{}", commands.join(with))
    }

    pub(crate) fn up(&self) -> String {
        format!("ip link set {} up", self.name())
    }

    pub(crate) fn mtu(&self, mtu: u32) -> String {
        format!("ip link set {} mtu {mtu}", self.name())
    }

    pub(super) fn gro(&self, state: &str) -> String {
        format!("ethtool -K {} gro {state}", self.name())
    }
}
