//! How WebSockets end, frame by frame: by RFC 6455 both sides send a Close, and then the server ends the connection.

use std::net::SocketAddr;

use ringpad_proto::v1::SubscribeRequest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::*;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A frame of a client, which is masked.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, 0x80, payload.len());
    let mask = [7, 11, 13, 17];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn head(first: u8, mask: u8, length: usize) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..126 => head.push(mask | u8::try_from(length).unwrap()),
        126..65_536 => {
            head.push(mask | 126);
            head.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            head.push(mask | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

/// The payload of a Close.
fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

struct RawPad(TcpStream);

impl RawPad {
    /// A WebSocket over which nothing has been sent.
    async fn silent(replica: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(replica).await.unwrap();
        let request = format!(
            "GET /v1/subscribe HTTP/1.1\r\nhost: {replica}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        Self(stream)
    }

    /// A WebSocket with an open stream.
    async fn subscribed(replica: SocketAddr) -> Self {
        let mut pad = Self::silent(replica).await;
        let mut first = serde_json::to_value(SubscribeRequest::default()).unwrap();
        first["token"] = token("p", "a").into();
        pad.send(&masked(FIN | TEXT, first.to_string().as_bytes())).await;
        let (opcode, snapshot) = pad.frame().await.unwrap();
        assert!(opcode == TEXT && snapshot.starts_with(b"{\"snapshot\""), "{snapshot:?}");
        pad
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next frame: its opcode and payload; `None` at the connection's end.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let first = match self.0.read_u8().await {
                Ok(first) => first,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
                Err(error) => panic!("the connection broke: {error}"),
            };
            let length = match self.0.read_u8().await.unwrap() {
                126 => u64::from(self.0.read_u16().await.unwrap()),
                127 => self.0.read_u64().await.unwrap(),
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.unwrap();
            Some((first & 0x0f, payload))
        };
        timeout(PATIENCE, reading).await.expect("a frame or the end")
    }

    /// The payload of the next Close, after any other frames. Checks that the connection then ends in order.
    async fn close(&mut self) -> Vec<u8> {
        let payload = loop {
            let (opcode, payload) = self.frame().await.expect("a Close before the end");
            if opcode == CLOSE {
                break payload;
            }
        };
        assert_eq!(self.frame().await, None, "nothing follows a Close");
        payload
    }

    async fn close_code(&mut self) -> u16 {
        let payload = self.close().await;
        assert!(std::str::from_utf8(&payload[2..]).is_ok_and(|reason| !reason.is_empty()));
        u16::from_be_bytes([payload[0], payload[1]])
    }
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_the_connection_ends() {
    let world = World::new().await;
    let replica = world.replica().await;
    let closes = [
        (close_payload(1000, ""), close_payload(1000, "")),
        (close_payload(1001, "the tab is closed"), close_payload(1001, "the tab is closed")),
        (close_payload(4000, "own"), close_payload(4000, "own")),
        (Vec::new(), Vec::new()),
    ];
    for (sent, answered) in closes {
        let mut pad = RawPad::subscribed(replica.pads).await;
        pad.send(&masked(FIN | CLOSE, &sent)).await;
        assert_eq!(pad.close().await, answered);
        let mut pad = RawPad::silent(replica.pads).await;
        pad.send(&masked(FIN | CLOSE, &sent)).await;
        assert_eq!(pad.close().await, answered, "before the first message");
    }
    wait_for("the streams to end", async || {
        let (_, _, metrics) = http_get(replica.admin, "/metrics").await;
        metrics.contains(r#"ringpad_push_stream_ends_total{transport="websocket",reason="client"} 4"#)
    })
    .await;
}

#[tokio::test]
async fn a_close_after_a_ping_or_within_a_message_is_answered() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pad = RawPad::subscribed(replica.pads).await;
    pad.send(&masked(FIN | PING, b"there?")).await;
    pad.send(&masked(TEXT, b"{\"more\":")).await;
    pad.send(&masked(FIN | CLOSE, &close_payload(1000, ""))).await;
    assert_eq!(pad.close().await, close_payload(1000, ""));
}

#[tokio::test]
async fn a_violation_of_the_protocol_ends_with_its_code() {
    let world = World::new().await;
    let replica = world.replica().await;
    let violations = [
        ("no mask", [head(FIN | TEXT, 0, 2), b"{}".to_vec()].concat(), 1002),
        ("reserved bits", masked(FIN | 0x40 | TEXT, b"{}"), 1002),
        ("a reserved opcode", masked(FIN | 3, b"{}"), 1002),
        ("a reserved control opcode", masked(FIN | 11, b""), 1002),
        ("a ping in parts", masked(PING, b""), 1002),
        ("a long ping", masked(FIN | PING, &[b'x'; 126]), 1002),
        ("a continuation of nothing", masked(FIN | CONTINUATION, b"{}"), 1002),
        ("a message within a message", [masked(TEXT, b"{"), masked(FIN | TEXT, b"{}")].concat(), 1002),
        ("a close of one byte", masked(FIN | CLOSE, &[3]), 1002),
        ("binary data", masked(FIN | BINARY, b"{}"), 1003),
        ("no UTF-8", masked(FIN | TEXT, &[b'{', 0xc0, 0xaf, b'}']), 1007),
        ("no UTF-8 in a close", masked(FIN | CLOSE, &[3, 0xe8, 0xff]), 1007),
        ("a long message", masked(FIN | TEXT, &vec![b'x'; 2 << 20]), 1009),
        (
            "a long message in parts",
            [masked(TEXT, &[b'x'; 9_000]), masked(FIN | CONTINUATION, &[b'x'; 9_000])].concat(),
            1009,
        ),
    ];
    for (what, bytes, code) in &violations {
        let mut pad = RawPad::subscribed(replica.pads).await;
        pad.send(bytes).await;
        assert_eq!(pad.close_code().await, *code, "{what}");
        let mut pad = RawPad::silent(replica.pads).await;
        pad.send(bytes).await;
        assert_eq!(pad.close_code().await, *code, "{what}, before the first message");
    }
    let (_, _, metrics) = http_get(replica.admin, "/metrics").await;
    let counted = format!(
        r#"ringpad_push_stream_ends_total{{transport="websocket",reason="malformed"}} {}"#,
        2 * violations.len()
    );
    assert!(metrics.contains(&counted), "{metrics}");
}

#[tokio::test]
async fn a_close_with_a_forbidden_code_is_a_violation() {
    let world = World::new().await;
    let replica = world.replica().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 5000] {
        let mut pad = RawPad::subscribed(replica.pads).await;
        pad.send(&masked(FIN | CLOSE, &close_payload(code, ""))).await;
        assert_eq!(pad.close_code().await, 1002, "{code}");
    }
}

#[tokio::test]
async fn a_long_reason_is_cut_to_the_length_of_a_close() {
    let world = World::new().await;
    let replica = world.replica().await;
    let mut pad = RawPad::silent(replica.pads).await;
    let faulty = signed(
        &serde_json::json!({"sub": 1, "store": 2, "name": 3, "exp": "4", "aud": 5, "nbf": "6", "iat": "7"}),
    );
    pad.send(&masked(FIN | TEXT, format!(r#"{{"token":"{faulty}"}}"#).as_bytes())).await;
    let payload = pad.close().await;
    assert_eq!(payload.len(), 125);
    assert!(payload.starts_with(&close_payload(4401, "the token is faulty: sub is not")), "{payload:?}");
}
