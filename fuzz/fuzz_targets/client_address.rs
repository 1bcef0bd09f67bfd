//! The client address from `X-Forwarded-For`, which any client may write. The input's lines are headers; the first byte
//! decides whether the TCP peer is one of our proxies.

#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use ingest_svc::source::{Source, Sources};
use libfuzzer_sys::fuzz_target;
use ringpad_runtime::forwarded;

const SOURCE: &str = r#"
[[source]]
name = "x"
allow = ["210.109.108.0/24"]
trusted_proxies = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"]
"#;
const STRANGER: [u8; 4] = [203, 0, 113, 9];
const PROXY: [u8; 4] = [10, 0, 0, 1];

std::thread_local! {
    static SOURCES: Sources = Sources::parse(SOURCE).expect("the text above is right");
}

fuzz_target!(|input: &[u8]| {
    if let Some((first, rest)) = input.split_first() {
        SOURCES.with(|sources| {
            let source = sources.get("x").expect("it is in the text above");
            let lines: Vec<_> = rest.split(|byte| *byte == b'\n').collect();
            match first % 2 {
                0 => from_a_stranger(&lines, source),
                _ => through_a_proxy(&lines, source),
            }
        });
    }
});

/// Without a trusted proxy the header is ignored.
fn from_a_stranger(lines: &[&[u8]], source: &Source) {
    let peer = IpAddr::from(STRANGER);
    assert_eq!(client(lines, peer, source), Some(peer));
}

fn through_a_proxy(lines: &[&[u8]], source: &Source) {
    let peer = IpAddr::from(PROXY);
    let Some(found) = client(lines, peer, source) else { return };
    assert!(!source.trusts(found), "a proxy is not a client");
    // The entries before the client were written by the client.
    let forged = [&[&b"210.109.108.7"[..]], lines].concat();
    assert_eq!(client(&forged, peer, source), Some(found));
    // One more trusted proxy changes nothing.
    let appended = [lines, &[&b"192.0.2.1:443, [fd00::1]"[..]]].concat();
    assert_eq!(client(&appended, peer, source), Some(found));
}

fn client(lines: &[&[u8]], peer: IpAddr, source: &Source) -> Option<IpAddr> {
    let mut headers = HeaderMap::new();
    // The HTTP server refuses invalid header values.
    for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("x-forwarded-for", value);
    }
    forwarded::client(&headers, peer, |address| source.trusts(address))
}
