//! The client address of a request: the rightmost of (`X-Forwarded-For` entries, TCP peer) that is not one of our own proxies.
//!
//! Each proxy appends the address that connected to it, so the client itself may have written all entries left of its own
//! address. A request that does not come from one of our proxies has no entry that can be trusted.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client address. `trusts` is true for our own proxies. `None` if it is unknown: an entry that one of our proxies wrote
/// is not an address, or all of them are proxies.
pub fn client(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !trusts(peer) {
        return Some(peer);
    }
    // Several headers are one list, in their order.
    let entries = headers.get_all(X_FORWARDED_FOR).iter().rev().flat_map(|value| {
        value
            .as_bytes()
            .rsplit(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|entry| !entry.is_empty())
    });
    for entry in entries {
        let address = entry_address(entry)?;
        if !trusts(address) {
            return Some(address);
        }
    }
    None
}

/// An address with or without a port; IPv6 with or without brackets.
fn entry_address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || entry.parse::<SocketAddr>().ok();
    let address = entry.parse::<IpAddr>().ok();
    let address = address
        .or_else(|| with_port().map(|address| address.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))?;
    Some(address.to_canonical())
}

/// A network, or a single address. An IPv4-mapped IPv6 address is read as IPv4, as clients' addresses are.
pub fn network(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    match (net.addr().to_canonical(), net.prefix_len()) {
        (IpAddr::V4(mapped), length @ 96..) if net.addr().is_ipv6() => {
            Ipv4Net::new(mapped, length - 96).ok().map(IpNet::V4)
        }
        _ => Some(net),
    }
}

/// Whether an address is in one of these networks.
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    // An IPv4 client of a socket that is also for IPv6 comes as ::ffff:a.b.c.d.
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// The address by which a client's share is counted. A client with one IPv6 address has a whole network of 64 bits (RFC 6177).
pub fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// Networks, as a setting lists them with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(pub Arc<[IpNet]>);

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let networks = text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(|text| {
            network(text).ok_or_else(|| {
                format!("{text:?} is wrong; networks or addresses are expected, e.g. 10.0.0.0/8,2001:db8::7")
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
