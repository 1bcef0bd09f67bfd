//! A connection of a number provider: requests that are passed on are HTTP/1.x that hyper accepts, for any split of the bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringpad_runtime::serve::lenient::{HeadRepair, UnreadableHead};

/// Limit of a head, in bytes: small, so that a short input reaches it.
const LIMIT: usize = 512;

fn sent<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<UnreadableHead>) {
    let (mut requests, mut ready, mut unreadable) = (HeadRepair::new(LIMIT), Vec::new(), None);
    for piece in pieces {
        unreadable = unreadable.or(requests.push(piece, &mut ready));
    }
    unreadable = unreadable.or(requests.finish(&mut ready));
    assert_eq!(requests.is_finished(), unreadable.is_some(), "nothing is passed on behind what is refused");
    (ready, unreadable)
}

/// Reads the first head as hyper does; returns the bytes after it, if they are a head as well.
fn next_head(ready: &[u8]) -> Option<&[u8]> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = request.parse(ready) else {
        panic!("{} is no head", ready.escape_ascii())
    };
    let target = request.path.expect("a whole head has a target");
    assert!(http::Uri::try_from(target).is_ok() && !target.contains('#'), "{target:?}");
    let has_body = |header: &httparse::Header<'_>| {
        ["content-length", "transfer-encoding"].iter().any(|name| header.name.eq_ignore_ascii_case(name))
    };
    (!request.headers.iter().any(has_body)).then(|| &ready[length..])
}

fuzz_target!(init: ringpad_fuzz::warm_up(), |bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let (ready, unreadable) = sent(std::iter::once(bytes));
    let (by_pieces, of_pieces) = sent(bytes.chunks(usize::from(*size) + 1));
    assert_eq!(by_pieces, ready);
    assert_eq!(
        of_pieces.map(|unreadable| unreadable.fault),
        unreadable.as_ref().map(|unreadable| unreadable.fault)
    );
    if ready.starts_with(b"PRI * HTTP/2.0") {
        return;
    }
    let mut heads = Some(&ready[..]);
    while let Some(head) = heads.filter(|head| !head.is_empty()) {
        heads = next_head(head);
    }
});
