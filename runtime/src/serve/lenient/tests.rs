//! Requests that keep to the standard, requests that do not, and arbitrary bytes.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::*;

/// Bytes of a head at most.
const LIMIT: usize = 80 * 1024;

/// What came out, and what was refused.
type Outcome = (Vec<u8>, Option<UnreadableHead>);

/// Sends bytes in pieces that begin at these places, and then nothing more.
fn sent(bytes: &[u8], cuts: &[Index]) -> Outcome {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let (mut requests, mut ready, mut unreadable) = (HeadRepair::new(LIMIT), Vec::new(), None);
    for piece in cuts.windows(2) {
        let refused = requests.push(&bytes[piece[0]..piece[1]], &mut ready);
        assert!(refused.is_none() || unreadable.is_none(), "one is refused at most");
        unreadable = unreadable.or(refused);
    }
    let refused = requests.finish(&mut ready);
    assert!(refused.is_none() || unreadable.is_none(), "one is refused at most");
    (ready, unreadable.or(refused))
}

fn read(bytes: impl AsRef<[u8]>) -> String {
    let (ready, unreadable) = sent(bytes.as_ref(), &[]);
    assert_eq!(unreadable, None, "{}", bytes.as_ref().escape_ascii());
    String::from_utf8(ready).unwrap()
}

fn refused(bytes: impl AsRef<[u8]>) -> (HeadFault, String) {
    let (ready, unreadable) = sent(bytes.as_ref(), &[]);
    let unreadable = unreadable.unwrap_or_else(|| panic!("{} is read", bytes.as_ref().escape_ascii()));
    (unreadable.fault, String::from_utf8(ready).unwrap())
}

/// The target of the one request that came out of a request line.
fn target(line: impl AsRef<[u8]>) -> String {
    let ready = read([line.as_ref(), b"\r\nHost: x\r\n\r\n"].concat());
    let (target, rest) = ready.strip_prefix("GET ").unwrap().split_once(' ').unwrap();
    assert_eq!(rest, "HTTP/1.1\r\nHost: x\r\n\r\n");
    target.to_owned()
}

#[test]
fn a_target_that_hyper_refuses_is_percent_encoded() {
    for (line, expected) in [
        (&b"GET /a?memo=\xbc\xbc\xc2\xf7 HTTP/1.1"[..], "/a?memo=%BC%BC%C2%F7"),
        ("GET /a?memo=세차 HTTP/1.1".as_bytes(), "/a?memo=%EC%84%B8%EC%B0%A8"),
        (b"GET /a?memo=a b  c HTTP/1.1", "/a?memo=a%20b%20%20c"),
        (b"GET /a?memo=\"a\" <b> `c` HTTP/1.1", "/a?memo=%22a%22%20%3Cb%3E%20%60c%60"),
        (b"GET /a?memo=#1&vn=2 HTTP/1.1", "/a?memo=%231&vn=2"),
        (b"GET /a?memo=\x00\x01\t\x0b\x1b\x7f HTTP/1.1", "/a?memo=%00%01%09%0B%1B%7F"),
        (b"GET /s<e\"c`r#t\xff?a HTTP/1.1", "/s%3Ce%22c%60r%23t%FF?a"),
        // hyper takes these as they are.
        (b"GET /a?{|}\\^[]'()%zz%41+ HTTP/1.1", "/a?{|}\\^[]'()%zz%41+"),
        (b"GET http://x/a?b=c HTTP/1.1", "http://x/a?b=c"),
        (b"GET http://x/a?b=c d HTTP/1.1", "http://x/a?b=c%20d"),
        // Blanks around the three words.
        (b"GET   /a?b=c   HTTP/1.1", "/a?b=c"),
        (b"GET /a?b=c HTTP/1.1  ", "/a?b=c"),
        (b"GET /a?b=c http/1.1", "/a?b=c"),
        (b"GET /a?memo=HTTP/1.0 HTTP/1.1", "/a?memo=HTTP/1.0"),
        (b"GET /a?memo=of HTTP/1.0 HTTP/1.1", "/a?memo=of%20HTTP/1.0"),
    ] {
        assert_eq!(target(line), expected, "{}", line.escape_ascii());
    }
}

#[test]
fn usual_deviations_of_senders_are_read() {
    for request in [
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\n\n",
        "GET /a HTTP/1.1\nHost: x\n\n",
        "GET /a HTTP/1.1\r\nHost: x\n\r\n",
        "get /a HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nX: \u{ac15}\r\nY:\r\nZ:  \t\r\n\r\n",
        "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\na=b",
        "POST /a HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\na=bGET /b HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\na=b\r\n0\r\nT: 1\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(read(request), request);
    }
    assert_eq!(
        read("\r\n\n\r\nGET /a HTTP/1.1\r\n\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
        "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
    );
    // A header that continues in the next line.
    assert_eq!(
        read("GET /a HTTP/1.1\r\nX: a\r\n  b\n\tc\r\n \r\nHost: x\r\n\r\n"),
        "GET /a HTTP/1.1\r\nX: a b \tc \r\nHost: x\r\n\r\n"
    );
}

#[test]
fn requests_after_a_body_are_repaired_too() {
    let bad = "GET /a?b= c HTTP/1.1\r\n\r\n";
    let good = "GET /a?b=%20c HTTP/1.1\r\n\r\n";
    // A body that looks like a head.
    let by_length = format!("POST /x HTTP/1.1\r\nContent-Length: {}\r\n\r\n{bad}", bad.len());
    let chunks = format!("{:x}\r\n{bad}\r\n3\r\n\r\n\r\r\n0\r\nA: b\r\nC: d\r\n\r\n", bad.len());
    let chunked = format!("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    for body in [by_length, chunked] {
        let line = "POST /x HTTP/1.1";
        assert_eq!(read(format!("{body}{bad}{body}{bad}")), format!("{body}{good}{body}{good}"), "{line}");
    }
}

#[test]
fn a_head_without_a_plain_meaning_is_refused() {
    for (request, fault) in [
        ("GET\r\n\r\n", HeadFault::RequestLine),
        (" GET /a HTTP/1.1\r\n\r\n", HeadFault::RequestLine),
        ("G\u{e9}T /a HTTP/1.1\r\n\r\n", HeadFault::RequestLine),
        ("GET\t/a HTTP/1.1\r\n\r\n", HeadFault::RequestLine),
        ("GET /a\rb HTTP/1.1\r\n\r\n", HeadFault::RequestLine),
        ("\rGET /a HTTP/1.1\r\n\r\n", HeadFault::RequestLine),
        ("<xml>", HeadFault::RequestLine),
        ("{\"seq\":1}", HeadFault::RequestLine),
        ("\u{16}\u{3}\u{1}", HeadFault::RequestLine),
        ("GET /a\r\n\r\n", HeadFault::Version),
        ("GET /a HTTP/2.0\r\n\r\n", HeadFault::Version),
        ("GET /a HTTP/1.1x\r\n\r\n", HeadFault::Version),
        ("GET HTTP/1.1\r\n\r\n", HeadFault::Version),
        ("GET a/b HTTP/1.1\r\n\r\n", HeadFault::Target),
        ("GET http:///a HTTP/1.1\r\n\r\n", HeadFault::Target),
        ("GET  HTTP/1.1\r\n\r\n", HeadFault::Version),
        ("GET /a HTTP/1.1\r\nHost : x\r\n\r\n", HeadFault::Header),
        ("GET /a HTTP/1.1\r\n Host: x\r\n\r\n", HeadFault::Header),
        ("GET /a HTTP/1.1\r\nHost\r\n\r\n", HeadFault::Header),
        ("GET /a HTTP/1.1\r\n: x\r\n\r\n", HeadFault::Header),
        ("GET /a HTTP/1.1\r\nX: a\u{0}\r\n\r\n", HeadFault::Header),
        ("GET /a HTTP/1.1\r\nX: a\rb\r\n\r\n", HeadFault::Header),
        ("GET /a HTTP/1.1\r\n\u{ac15}: a\r\n\r\n", HeadFault::Header),
        ("POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length:\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HeadFault::Length),
        (
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadFault::Length,
        ),
        ("POST /a HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.1\r\nContent-Length: 1\r\n 0\r\n\r\n", HeadFault::Length),
        ("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadFault::Length),
        ("GET /a HTTP/1.1", HeadFault::Incomplete),
        ("GET /a HTTP/1.1\r\nHost: x\r\n", HeadFault::Incomplete),
        ("GE", HeadFault::Incomplete),
    ] {
        let (refused, ready) = refused(request);
        assert_eq!(refused, fault, "{request:?}");
        assert!(ready.starts_with("GET /") && ready.ends_with("connection: close\r\n\r\n"), "{ready:?}");
    }
}

#[test]
fn a_head_is_refused_as_soon_as_it_is_certainly_too_long() {
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 1));
    assert_eq!(read(target(65_534)), target(65_534));
    assert_eq!(refused(target(65_535)).0, HeadFault::TargetTooLong);
    // Percent-encoded, each has three bytes.
    assert_eq!(refused(format!("GET /{} HTTP/1.1\r\n\r\n", "<".repeat(22_000))).0, HeadFault::TargetTooLong);
    assert_eq!(refused(format!("GET /{}", "a".repeat(LIMIT))).0, HeadFault::TargetTooLong);
    assert_eq!(refused("x".repeat(LIMIT)).0, HeadFault::RequestLine);
    let head = |length: usize| {
        let line = "GET /a HTTP/1.1\r\nX: ";
        format!("{line}{}\r\n\r\n", "a".repeat(length - line.len() - 4))
    };
    assert_eq!(read(head(LIMIT)), head(LIMIT));
    assert_eq!(refused(head(LIMIT + 1)).0, HeadFault::HeadTooLong);
    assert_eq!(refused(&head(LIMIT + 10)[..LIMIT]).0, HeadFault::HeadTooLong);
    assert_eq!(refused(format!("GET /a HTTP/1.1\r\n{}: b\r\n\r\n", "a".repeat(70_000))).0, HeadFault::Header);
    let many = |count: usize| format!("GET /a HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(count));
    assert_eq!(read(many(100)), many(100));
    assert_eq!(refused(many(101)).0, HeadFault::HeadTooLong);
}

#[test]
fn the_replacement_has_the_path_and_the_forwarded_addresses() {
    let tail = "connection: close\r\n\r\n";
    for (request, expected) in [
        ("GET /v1/cdr/biz?seq=1\r\n\r\n", "GET /v1/cdr/biz HTTP/1.1\r\n"),
        ("GET   /v1/cdr/biz/s\"t#?seq=1\r\n\r\n", "GET /v1/cdr/biz/s%22t HTTP/1.1\r\n"),
        ("GET /v1/cdr/biz", "GET /v1/cdr/biz HTTP/1.1\r\n"),
        ("GET \r\n\r\n", "GET / HTTP/1.1\r\n"),
        ("POST v1/x HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n"),
        ("P\u{d6}ST /a HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n"),
        (
            "GET /a HTTP/9\r\nX: y\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-for:5.6.7.8, 9.9.9.9 \r\n\r\n",
            "GET /a HTTP/1.1\r\nx-forwarded-for: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8, 9.9.9.9\r\n",
        ),
        // In an incomplete head the line of our own proxy may be missing.
        ("GET /a HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\n", "GET /a HTTP/1.1\r\n"),
        ("GET /a HTTP/9\r\nX-Forwarded-For: 1.2.3.4\r\n , 6.6.6.6\r\n\r\n", "GET /a HTTP/1.1\r\n"),
        (
            "GET /a HTTP/9\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: \u{0}\r\n\r\n",
            "GET /a HTTP/1.1\r\n",
        ),
    ] {
        let (_, ready) = refused(request);
        assert_eq!(ready, format!("{expected}{tail}"), "{request:?}");
        assert_eq!(read(&ready), ready, "it can be read itself");
    }
    // Nothing after it is read, and everything before it is.
    let all = "GET /b HTTP/1.1\r\n\r\nGET /a\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
    let (_, ready) = refused(all);
    assert_eq!(ready, format!("GET /b HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n{tail}"));
    let (_, unreadable) = sent(all.as_bytes(), &[]);
    assert_eq!(unreadable.unwrap().head, "GET /a\r\n\r\n");
}

#[test]
fn http2_and_broken_chunks_are_not_changed() {
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\n\n<>\"";
    assert_eq!(sent(http2, &[]), (http2.to_vec(), None));
    assert_eq!(refused("GET /a HTTP/1.1\r\n\r\nPRI * HTTP/2.0\r\n\r\n").0, HeadFault::Version);
    for chunks in
        ["x\r\n", "3\r\nabcd\r\n", "3\nabc\r\n", "0\r\n\nGET", "0\r\nA: b\n\r\n", "fffffffffffffffff\r\n"]
    {
        let request =
            format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks} /a b HTTP/1.1\r\n\r\n");
        assert_eq!(read(&request), request);
    }
}

/// A request that keeps to the standard.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let target = "(/[!$%&'()*+,./0-9:;=?@A-Z_a-z~-]{0,20}|\\*|http://x[.]y:80(/[a-z?=]{0,9})?)";
    let headers = vec(("X-[A-Za-z-]{1,8}", "[ -~]{0,20}"), 0..4);
    let body = prop_oneof![
        Just((String::new(), Vec::new())),
        vec(any::<u8>(), 1..60).prop_map(|body| (format!("Content-Length: {}\r\n", body.len()), body)),
        vec(vec(any::<u8>(), 1..20), 0..4).prop_map(|chunks| {
            let chunk =
                |chunk: Vec<u8>| [format!("{:X};a=b\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
            let mut body: Vec<u8> = chunks.into_iter().flat_map(chunk).collect();
            body.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
            ("Transfer-Encoding: chunked\r\n".to_owned(), body)
        }),
    ];
    (select(vec!["GET", "POST", "PUT", "OPTIONS"]), target, headers, body).prop_map(
        |(method, target, headers, (length, body))| {
            let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            [format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}{length}\r\n").as_bytes(), &body]
                .concat()
        },
    )
}

/// Bytes that often look like a part of a request.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(vec![
            "GET ", "POST ", "/a?b=", " ", "\t", "#", "\"", " HTTP/1.1\r\n", " HTTP/1.0\n", "\r\n", "\n", "\r", "Host: x",
            ": ", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "5\r\nabcde\r\n", "\u{ac15}",
            "PRI * HTTP/2.0\r\n\r\n", "X-Forwarded-For: 1.2.3.4\r\n",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..6),
        1 => request(),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Reads the heads of what came out as hyper does.
fn read_as_hyper(mut ready: &[u8]) {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(ready) {
            Ok(httparse::Status::Complete(length)) => length,
            other => return assert!(ready.is_empty(), "{other:?}: {}", ready.escape_ascii()),
        };
        hyper::Uri::try_from(request.path.unwrap().as_bytes()).unwrap();
        // Another test finds the end of bodies.
        let has_body = |header: &httparse::Header<'_>| {
            ["content-length", "transfer-encoding"].iter().any(|name| header.name.eq_ignore_ascii_case(name))
        };
        if request.headers.iter().any(has_body) {
            return;
        }
        ready = &ready[length..];
    }
}

proptest! {
    #[test]
    fn requests_that_keep_to_the_standard_are_not_changed(
        requests in vec(request(), 0..4),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let bytes = requests.concat();
        prop_assert_eq!(sent(&bytes, &cuts), (bytes.clone(), None));
        let each: Vec<_> = (0..bytes.len()).map(|at| bytes[at..=at].to_vec()).collect();
        let (mut state, mut ready) = (HeadRepair::new(LIMIT), Vec::new());
        each.iter().for_each(|byte| assert_eq!(state.push(byte, &mut ready), None));
        prop_assert_eq!(ready, bytes);
        prop_assert_eq!(state.passed_on(), requests.len() as u64);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_result(bytes in nearly(), cuts in vec(any::<Index>(), 0..12)) {
        let ((pieces, of_pieces), (whole, of_whole)) = (sent(&bytes, &cuts), sent(&bytes, &[]));
        prop_assert_eq!(pieces, whole);
        let fault = |unreadable: &Option<UnreadableHead>| unreadable.as_ref().map(|unreadable| unreadable.fault);
        prop_assert_eq!(fault(&of_pieces), fault(&of_whole));
        // If it is not a request at all, the kept head depends on the pieces.
        if let (Some(of_pieces), Some(of_whole)) = (of_pieces, of_whole) {
            prop_assert!(of_pieces == of_whole || of_pieces.fault == HeadFault::RequestLine);
            prop_assert!(of_whole.head.starts_with(&of_pieces.head));
        }
    }

    #[test]
    fn hyper_reads_the_result(bytes in nearly()) {
        let (ready, unreadable) = sent(&bytes, &[]);
        if !ready.starts_with(b"PRI * HTTP/2.0") {
            read_as_hyper(&ready);
        }
        if let Some(unreadable) = unreadable {
            prop_assert!(bytes.windows(unreadable.head.len()).any(|part| part == unreadable.head));
        }
    }

    #[test]
    fn a_target_decodes_to_what_was_sent(query in vec(any::<u8>(), 0..60)) {
        prop_assume!(!query.contains(&b'\n') && !query.contains(&b'\r') && query.last() != Some(&b' '));
        let line = [b"GET /a?", &query[..], b" HTTP/1.1"].concat();
        let target = target(line);
        let uri: hyper::Uri = target.parse().unwrap();
        let encoded_query = uri.query().unwrap();
        // A `%` of the sender's own stands as it was; so undo only what was done.
        let mut undone = Vec::new();
        let mut at = 0;
        for byte in &query {
            let came = encoded_query.as_bytes()[at];
            let encoded = came == b'%' && *byte != b'%';
            undone.push(if encoded { u8::from_str_radix(&encoded_query[at + 1..at + 3], 16).unwrap() } else { came });
            at += if encoded { 3 } else { 1 };
        }
        prop_assert_eq!(at, encoded_query.len());
        prop_assert_eq!(undone, query);
    }
}
