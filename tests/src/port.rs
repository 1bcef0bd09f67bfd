//! Free TCP ports for processes that are given their port and keep it over a restart.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range of the local ports of outgoing connections (32768 and up): no outgoing connection can take a port of this
/// range between two starts of a process.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

static TAKEN: AtomicU16 = AtomicU16::new(0);

/// A loopback address on which nothing listens; no two calls in one process return the same.
///
/// # Panics
/// There is none left.
pub fn free_address() -> SocketAddr {
    let span = PORTS.end - PORTS.start;
    // Test processes that run side by side begin at different ports.
    let first = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(span)).unwrap_or_default();
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(taken < span, "no free port is left");
        let port = PORTS.start + (first + taken) % span;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The port of a [`free_address`].
pub fn free_port() -> u16 {
    free_address().port()
}
