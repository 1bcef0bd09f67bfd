//! Bodies with a `Content-Encoding`.

use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::*;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

impl Edge {
    async fn encoded(&self, content_encoding: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post("/v1/cdr/bizcall")
            .header(CONTENT_TYPE, FORM)
            .header(header::CONTENT_ENCODING, content_encoding);
        self.send(request, body).await
    }
}

#[tokio::test]
async fn a_compressed_body_is_read() {
    let edge = Edge::open().await;
    edge.get(&format!("/v1/cdr/bizcall?{RING}")).await.is("accepted");
    let ring = RING.as_bytes();
    // Several members of gzip are one text.
    let members = [gzip(&ring[..10]), gzip(&ring[10..])].concat();
    for (content_encoding, body) in [
        ("gzip", gzip(ring)),
        ("GZip", gzip(ring)),
        ("x-gzip", gzip(ring)),
        ("gzip", members),
        ("deflate", zlib(ring)),
        ("deflate", raw_deflate(ring)),
        ("identity", ring.to_vec()),
        ("", ring.to_vec()),
        ("identity, gzip", gzip(ring)),
        ("deflate, gzip", gzip(&zlib(ring))),
        ("gzip,deflate,gzip", gzip(&raw_deflate(&gzip(ring)))),
    ] {
        edge.encoded(content_encoding, body).await.is("duplicate");
    }
    let two_headers = Request::post("/v1/cdr/bizcall")
        .header(CONTENT_TYPE, FORM)
        .header(header::CONTENT_ENCODING, "deflate")
        .header(header::CONTENT_ENCODING, "gzip");
    edge.send(two_headers, gzip(&zlib(ring))).await.is("duplicate");
    // Nothing to decode.
    let empty = Request::get(format!("/v1/cdr/bizcall?{RING}")).header(header::CONTENT_ENCODING, "br");
    edge.send(empty, Body::empty()).await.is("duplicate");
    edge.encoded("gzip", gzip(b"")).await.is_problem(422);
}

#[tokio::test]
async fn the_limit_applies_to_the_decoded_body() {
    let edge = Edge::open().await;
    let memo = |bytes: usize| format!("{RING}&memo={}", "a".repeat(bytes - RING.len() - "&memo=".len()));
    type Encode = fn(&[u8]) -> Vec<u8>;
    let encoders: [(&str, Encode); 3] = [("gzip", gzip), ("deflate", zlib), ("deflate", raw_deflate)];
    for (name, encode) in encoders {
        edge.encoded(name, encode(memo(RECORD.request_bytes).as_bytes())).await.is_taken();
        edge.encoded(name, encode(memo(RECORD.request_bytes + 1).as_bytes())).await.is_problem(413);
        // 40 MB from 40 KB; compressed several times, from a few hundred bytes.
        let bomb = encode(&vec![b'a'; 40 << 20]);
        assert!(bomb.len() < RECORD.request_bytes);
        edge.encoded(name, bomb.clone()).await.is_problem(413);
        edge.encoded(&format!("{name}, gzip"), gzip(&bomb)).await.is_problem(413);
    }
    // Random data becomes larger.
    let stored = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(memo(RECORD.request_bytes).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    assert!(stored.len() > RECORD.request_bytes);
    edge.encoded("gzip", stored).await.is_taken();
}

#[tokio::test]
async fn an_unknown_encoding_is_named_and_its_body_quarantined() {
    let edge = Edge::open().await;
    for name in ["br", "zstd", "compress", "gzip, br", "utf-8", "gzip,gzip,gzip,gzip,gzip"] {
        let answer = edge.encoded(name, "sent").await;
        assert_eq!(answer.is_problem(415).headers[header::ACCEPT_ENCODING], "gzip, deflate");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(name.split(',').next().unwrap()), "{detail}");
        assert!(edge.quarantined().await[0].request.body == RawBody::Unread("sent".into()));
    }
    let whole = gzip(RING.as_bytes());
    let cut = &whole[..whole.len() - 9];
    for (name, body) in
        [("gzip", cut), ("gzip", RING.as_bytes()), ("deflate", b"\x78\x9cxxxx"), ("deflate", b"\xff")]
    {
        let answer = edge.encoded(name, body.to_vec()).await;
        assert_eq!(answer.is_problem(422).fields(), ["body"]);
        assert!(edge.quarantined().await[0].request.body == RawBody::Unread(body.to_vec().into()));
    }
}

proptest! {
    #[test]
    fn a_compressed_body_is_decoded(body in vec(arbitrary::<u8>(), 1..3_000), layers in vec(0..3_usize, 1..4)) {
        let mut encoded = body.clone();
        for layer in &layers {
            encoded = [gzip, zlib, raw_deflate][*layer](&encoded);
        }
        let mut headers = HeaderMap::new();
        let names: Vec<_> = layers.iter().map(|layer| ["gzip", "deflate", "deflate"][*layer]).collect();
        headers.insert(header::CONTENT_ENCODING, names.join(",").parse().unwrap());
        let decoded = content_encoding::decode(&headers, &encoded.into()).unwrap();
        prop_assert_eq!(&*decoded, &*body);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(arbitrary::<u8>(), 0..300), name in "gzip|deflate|gzip,deflate") {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, name.parse().unwrap());
        if let Ok(decoded) = content_encoding::decode(&headers, &bytes.into()) {
            prop_assert!(decoded.len() <= RECORD.request_bytes);
        }
    }
}
