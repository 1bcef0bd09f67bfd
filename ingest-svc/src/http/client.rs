//! Who sent a request: the rightmost of (`X-Forwarded-For` entries, TCP peer) that is not one of our own proxies.
//!
//! Each proxy appends the address that connected to it, so what stands left of the first stranger is whatever that
//! stranger wrote. A request that reached us without passing a proxy has no entry to trust at all.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use crate::source::Source;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address; `None` if it cannot be told: an entry that a proxy of ours vouches for is no address, or all of
/// them are proxies.
pub fn address(headers: &HeaderMap, peer: Option<IpAddr>, source: &Source) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !source.trusts(peer) {
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
        if !source.trusts(address) {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
