//! What clients without a token can take: each has its timeouts, and each address its share.

use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

use super::*;

/// A connection from that address of this machine.
async fn from(address: [u8; 4], port: &TestPort) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(address), 0).into()).unwrap();
    socket.connect(port.address).await.unwrap()
}

/// Everything that the server sends until it closes the connection.
async fn read_all(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// Waits until the server asks a client to leave, and closes the connection.
async fn asked_to_leave(client: &mut Client) {
    loop {
        match client.next().await {
            Some(Frame::GoAway(reason)) => assert_eq!(reason, 0, "NO_ERROR"),
            Some(Frame::Ping(asked)) => client.pong(asked).await,
            Some(_) => {}
            None => return,
        }
    }
}

#[tokio::test]
async fn a_thousand_connections_may_wait_until_they_are_accepted() {
    let listener = bind("a test", ([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    // The system drops one that has no room, and the client tries again after a second.
    let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
    let clients: Vec<_> = (0..1_000).map(connect).collect();
    for _ in clients {
        listener.accept().await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_client_is_asked_to_leave_and_one_with_an_open_call_stays() {
    let port = TestPort::start().await;
    let mut busy = port.client().await;
    busy.send(headers(1, "/wait")).await;
    busy.ping().await;
    let mut idle = port.client().await;
    idle.send(headers(1, "/at-once")).await;
    assert_eq!(idle.answer(1).await, b"done");
    asked_to_leave(&mut idle).await;
    // This one is older.
    busy.ping().await;
    port.handlers.gate.cancel();
    busy.send(data(1, 3, true)).await;
    assert_eq!(busy.answer(1).await, b"3");
    asked_to_leave(&mut busy).await;
}

#[tokio::test]
async fn a_slow_body_has_a_timeout_and_a_stream_has_none() {
    let port = TestPort::start().await;
    let mut client = port.client().await;
    let late = "the request's body took too long to arrive";
    client
        .send([headers(1, "/wait"), data(1, 3, false), headers(3, "/whole"), data(3, 3, false)].concat())
        .await;
    let answer = client.answer(3).await;
    assert!(String::from_utf8_lossy(&answer).contains(late), "{answer:?}");
    let mut http1 = port.http1().await;
    let said = ask(&mut http1, "POST /whole HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nxxx").await;
    assert!(said.contains(late), "{said}");
    assert_eq!(http1.read(&mut [0; 1]).await.unwrap(), 0, "what it still owes is not waited for");
    // Single bytes do not extend the timeout.
    let mut slow = port.client().await;
    slow.send(headers(1, "/whole")).await;
    let answer = loop {
        slow.send(data(1, 1, false)).await;
        slow.ping().await;
        if port.handlers.open.load(SeqCst) == 1 {
            break slow.answer(1).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(String::from_utf8_lossy(&answer).contains(late), "{answer:?}");
    port.handlers.gate.cancel();
    client.send(data(1, 4, true)).await;
    assert_eq!(client.answer(1).await, b"7", "a stream stays open without a limit");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_disconnected() {
    let port = TestPort::start().await;
    let mut stream = port.http1().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    port.shutdown.cancel();
    // It waits for that connection, and for 20 s at most.
    tokio::time::timeout(Duration::from_secs(15), port.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_has_its_share_of_a_port_and_refusals_are_counted() {
    let port = TestPort::start().await;
    let (one, other, third) = ([127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]);
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut stream = from(one, &port).await;
        assert!(ask(&mut stream, AT_ONCE).await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    let refusal = read_all(from(one, &port).await).await;
    assert!(
        refusal.starts_with("HTTP/1.1 503") && refusal.ends_with("too many connections from your address.\n")
    );
    for _ in 0..4 {
        let mut stream = from(other, &port).await;
        assert!(ask(&mut stream, AT_ONCE).await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    let refusal = read_all(from(third, &port).await).await;
    assert!(refusal.starts_with("HTTP/1.1 503") && refusal.ends_with("\r\n\r\ntoo many connections\n"));
    for counted in ["address_full\"} 1", "port_full\"} 1", "forwarded_full\"} 0"] {
        let line = format!("ringpad_connections_refused_total{{port=\"test\",reason=\"{counted}\n");
        assert!(port.metrics().contains(&line), "{line}{}", port.metrics());
    }
    drop(held);
    loop {
        let mut stream = from(one, &port).await;
        let mut said = [0; 12];
        stream.write_all(AT_ONCE.as_bytes()).await.unwrap();
        stream.read_exact(&mut said).await.unwrap();
        if said.ends_with(b"200") {
            break;
        }
    }
}

#[tokio::test]
async fn one_of_our_proxies_has_no_share_and_the_addresses_it_names_have_one() {
    let port = TestPort::start_for(Clients::Public, &["127.0.0.0/8"]).await;
    let get = |path: &str, client: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\r\n")
    };
    let mut held = Vec::new();
    for client in (0..12).map(|_| "6.6.6.6, 203.0.113.9").chain(["203.0.113.10", "none"]) {
        let mut stream = port.http1().await;
        stream.write_all(get("/wait", client).as_bytes()).await.unwrap();
        held.push(stream);
    }
    while port.handlers.open.load(SeqCst) < 14 {
        tokio::task::yield_now().await;
    }
    let mut stream = port.http1().await;
    stream.write_all(get("/at-once", "203.0.113.9").as_bytes()).await.unwrap();
    let mut said = [0; 512];
    let read = stream.read(&mut said).await.unwrap();
    let said = String::from_utf8_lossy(&said[..read]);
    assert!(said.starts_with("HTTP/1.1 429") && said.contains("retry-after: 1"), "{said}");
    // On the same connection, since the proxy has others' requests as well.
    assert!(ask(&mut stream, &get("/at-once", "203.0.113.11")).await.starts_with("HTTP/1.1 200"));
    assert!(port.metrics().contains("reason=\"forwarded_full\"} 1\n"), "{}", port.metrics());
    port.handlers.gate.cancel();
    for stream in &mut held {
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
    }
    assert!(ask(&mut stream, &get("/at-once", "203.0.113.9")).await.starts_with("HTTP/1.1 200"));
}

/// Pages of memory that this process has now.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4 / 1024
}

/// Fills the windows of 200 calls with frames of one byte that nobody reads, until the connection is ended; returns how many
/// frames were taken.
async fn one_byte_frames(clients: Clients) -> usize {
    let port = TestPort::start_for(clients, &[]).await;
    let before = resident();
    let mut client = port.client().await;
    let (mut taken, mut most) = (0, before);
    client.send((0..200).flat_map(|call| headers(2 * call + 1, "/wait")).collect()).await;
    client.ping().await;
    'sending: for stream in (0..200).map(|call| 2 * call + 1) {
        for _ in 0..client.stream_window / 4_096 {
            client.send(data(stream, 1, false).repeat(4_096)).await;
            if !client.reaches().await {
                break 'sending;
            }
            taken += 4_096;
            most = most.max(resident());
        }
    }
    eprintln!(
        "{clients:?}: {taken} frames of one byte held, {before} MiB of memory before and {most} MiB then"
    );
    taken
}

#[tokio::test]
async fn unread_small_frames_are_kept_up_to_a_bound() {
    let unknown = one_byte_frames(Clients::Public).await;
    assert!((40_000..=65_793).contains(&unknown), "{unknown}");
    let internal = one_byte_frames(Clients::Internal).await;
    assert!((500_000..=526_344).contains(&internal), "{internal}");
}
