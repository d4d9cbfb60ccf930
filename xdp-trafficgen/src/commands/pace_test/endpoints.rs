//! Where frames leave and where they arrive.

use super::PaceTestError;
use crate::{
    cli,
    commands::{
        CommandError,
        demo::{RECEIVER, SENDER, VethPair},
    },
    host::{Facts, FactsError, Link, Mac, Netlink},
    plan::DefaultRoute,
};

/// Where frames leave and where they arrive.
pub(super) struct Endpoints {
    pub(super) sender: String,
    pub(super) receiver: String,
    pub(super) receiver_mac: Option<Mac>,
    pub(super) cpus: Option<Vec<u32>>,
    /// Its namespace lives as long.
    _wire: Option<VethPair>,
}

impl Endpoints {
    pub(super) fn find(options: &cli::PaceTest) -> Result<Self, CommandError> {
        let cpus = options.cpus.as_ref().map(|cpus| cpus.0.clone());
        let Some(sender) = options.interface.clone() else {
            let wire = VethPair::lay(cpus.clone(), None)?;
            return Ok(Self {
                sender: SENDER.to_owned(),
                receiver: RECEIVER.to_owned(),
                receiver_mac: Some(wire.receiver_mac),
                cpus,
                _wire: Some(wire),
            });
        };
        let netlink = Netlink::open().map_err(FactsError::from)?;
        let links = netlink.links().map_err(FactsError::from)?;
        let receiver = match &options.receiver {
            Some(receiver) => named(&links, receiver)?,
            None => {
                let peer =
                    netlink.veth_peer(named(&links, &sender)?.index).map_err(FactsError::from)?;
                let peer = links.iter().find(|link| Some(link.index) == peer);
                peer.ok_or_else(|| PaceTestError::NoReceiver(sender.clone()))?
            }
        };
        Ok(Self {
            sender,
            receiver: receiver.name.clone(),
            receiver_mac: receiver.mac,
            cpus,
            _wire: None,
        })
    }
}

fn named<'a>(links: &'a [Link], name: &str) -> Result<&'a Link, PaceTestError> {
    links
        .iter()
        .find(|link| link.answers_to(name))
        .ok_or_else(|| PaceTestError::NoInterface(name.to_owned()))
}

/// The receiver's name, which may have been given by an alternative one. Every frame that arrives
/// is dropped: not where this machine is reached.
pub(super) fn check_receive_only(
    receiver: &str,
    default_route: DefaultRoute,
) -> Result<String, CommandError> {
    let facts = Facts::gather(&[], &[], None)?;
    let link = named(&facts.links, receiver)?;
    if facts.default_route.contains(&link.index) && default_route == DefaultRoute::Refuse {
        return Err(PaceTestError::DefaultRoute(receiver.to_owned()).into());
    }
    Ok(link.name.clone())
}
