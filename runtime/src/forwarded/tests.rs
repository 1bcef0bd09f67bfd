//! Forged and genuine `X-Forwarded-For` headers.

use axum::http::HeaderValue;

use super::*;

type Headers = &'static [&'static [u8]];

/// The client address, with the proxies 10.0.0.0/8 and 2001:db8::/32.
fn client_of(peer: &str, headers: &[&[u8]]) -> Option<String> {
    let proxies = ["10.0.0.0/8", "2001:db8::/32"].map(|text| network(text).unwrap());
    let mut map = HeaderMap::new();
    for header in headers {
        map.append(X_FORWARDED_FOR, HeaderValue::from_bytes(header).unwrap());
    }
    let found = client(&map, peer.parse().unwrap(), |address| contains(&proxies, address));
    found.map(|address| address.to_string())
}

#[test]
fn the_client_is_the_rightmost_address_that_is_not_our_proxy() {
    let rows: &[(&str, Headers, Option<&str>)] = &[
        // Without a proxy no header is trusted.
        ("203.0.113.9", &[], Some("203.0.113.9")),
        ("203.0.113.9", &[b"210.109.108.7"], Some("203.0.113.9")),
        ("::ffff:203.0.113.9", &[b"210.109.108.7"], Some("203.0.113.9")),
        // With proxies: entries left of the client are the client's own.
        ("10.0.0.1", &[b"210.109.108.7"], Some("210.109.108.7")),
        ("10.0.0.1", &[b"210.109.108.7, 203.0.113.9"], Some("203.0.113.9")),
        ("10.0.0.1", &[b"210.109.108.7,203.0.113.9 , 10.0.0.2"], Some("203.0.113.9")),
        ("::ffff:10.0.0.1", &[b"210.109.108.7"], Some("210.109.108.7")),
        ("2001:db8::1", &[b"210.109.108.7"], Some("210.109.108.7")),
        // Several headers are one list.
        ("10.0.0.1", &[b"210.109.108.7", b"203.0.113.9"], Some("203.0.113.9")),
        ("10.0.0.1", &[b"203.0.113.9", b"10.0.0.3", b"10.0.0.2, 10.0.0.4"], Some("203.0.113.9")),
        // Ports, brackets, IPv6, IPv4-mapped addresses, empty entries.
        ("10.0.0.1", &[b"210.109.108.7:52100"], Some("210.109.108.7")),
        ("10.0.0.1", &[b"[2a00::7]:52100"], Some("2a00::7")),
        ("10.0.0.1", &[b"[2a00::7]"], Some("2a00::7")),
        ("10.0.0.1", &[b"2a00::7"], Some("2a00::7")),
        ("10.0.0.1", &[b"[::ffff:210.109.108.7]:443, ::ffff:10.0.0.2"], Some("210.109.108.7")),
        ("10.0.0.1", &[b"210.109.108.7, ,"], Some("210.109.108.7")),
        // A proxy wrote something that is not an address: the client is unknown.
        ("10.0.0.1", &[b"210.109.108.7, unknown"], None),
        ("10.0.0.1", &[b"210.109.108.7, _hidden, 10.0.0.2"], None),
        ("10.0.0.1", &[b"210.109.108.7, 210.109.108"], None),
        ("10.0.0.1", &[b"210.109.108.7, 210.109.108.7:99999"], None),
        ("10.0.0.1", &[b"210.109.108.7", b"\xff"], None),
        ("10.0.0.1", &[b"210.109.108.7, fe80::1%eth0"], None),
        // Only proxies.
        ("10.0.0.1", &[], None),
        ("10.0.0.1", &[b"10.0.0.2"], None),
    ];
    for (peer, headers, expected) in rows {
        assert_eq!(client_of(peer, headers).as_deref(), *expected, "{peer} {headers:?}");
    }
}

#[test]
fn a_setting_lists_networks() {
    let networks: Networks = " 10.0.0.0/8, 2001:db8::7 ,::ffff:192.0.2.0/120,".parse().unwrap();
    let is_in = |address: &str| contains(&networks.0, address.parse().unwrap());
    assert!(is_in("10.1.2.3") && is_in("::ffff:10.1.2.3") && is_in("2001:db8::7") && is_in("192.0.2.9"));
    assert!(!is_in("11.0.0.1") && !is_in("2001:db8::8"));
    assert_eq!("".parse(), Ok(Networks::default()));
    let wrong = "10.0.0.0/8,lb.internal".parse::<Networks>().unwrap_err();
    assert!(wrong.contains("\"lb.internal\" is wrong"), "{wrong}");
}
