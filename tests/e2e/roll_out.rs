//! Replicas that drain, are killed, hang or do not exist, behind the shipped nginx: every request for a stream and every action
//! finds a replica that serves, if there is one.

mod upgrade;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use bytes::{BufMut, BytesMut};
use futures_util::future::join_all;
use prost::Message as _;
use ringpad_proto::v1::{PadServiceListCallsRequest, pad_service_client::PadServiceClient};
use ringpad_tests::{
    http::{Client, channel},
    nginx::{Nginx, Upstreams},
    pads::{Pad, Subscription, Transport},
    port::free_address,
    provider::Provider,
    rabbit::{RabbitNode, unique},
    services::{Shop, System},
    token::{Claims, with_token},
    wait::{SOON, must, until, within},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::load_balancer::{BROWSERS, balanced};

/// A pad that opens its next stream as soon as one ends, as the pad page does, and notes what it was shown.
struct Follower {
    nginx: SocketAddr,
    token: String,
    pad: Pad,
    /// What it was shown on its earlier streams.
    before: Vec<String>,
    returned: usize,
}

impl Follower {
    async fn open(nginx: &Nginx, transport: Transport, store: &Shop) -> Self {
        let token = Claims::new(&store.id, &unique("pad")).token();
        let at = nginx.at_for(transport);
        let pad = Pad::open(transport, at, &Subscription::new(&token)).await;
        Self { nginx: at, token, pad, before: Vec::new(), returned: 0 }
    }

    /// Eighteen of them: the replicas have two of each transport, since nginx gives them streams one after the other, and the
    /// transports come in another order each time.
    async fn eighteen(nginx: &Nginx, store: &Shop) -> Vec<Self> {
        let mut followers = Vec::new();
        for round in 0..6 {
            let mut order = Transport::ALL;
            order.rotate_left(round % Transport::ALL.len());
            for transport in order {
                followers.push(Self::open(nginx, transport, store).await);
            }
        }
        followers
    }

    /// Reads up to a position. After a stream's end there is one attempt, which must succeed: to find a replica that accepts
    /// the next stream is the task of the load balancer.
    async fn follow(&mut self, position: u64) {
        self.follow_within(position, 2 * SOON).await;
    }

    /// The same with a bound for the whole wait.
    async fn follow_within(&mut self, position: u64, bound: Duration) {
        within("a pad that comes back gets everything", bound, async {
            while self.pad.reach(position, bound).await.is_err() {
                let next = Pad::open(self.pad.transport, self.nginx, &self.pad.resumption(&self.token)).await;
                assert!(next.snapshot.resumed, "{:?}", next.transport);
                assert_eq!(next.snapshot.position, self.pad.position(), "{:?}", next.transport);
                self.before = self.shown();
                self.pad = next;
                self.returned += 1;
            }
        })
        .await;
    }

    /// The calls it was shown, in that order.
    fn shown(&self) -> Vec<String> {
        [self.before.clone(), self.pad.shown()].concat()
    }
}

/// Rings so many calls, and returns their ids.
async fn calls(provider: &mut Provider, store: &Shop, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(provider.deliver(&store.ring()).await.call_id);
    }
    ids
}

#[tokio::test]
async fn pads_of_a_draining_and_of_a_killed_replica_come_back_through_nginx_and_miss_nothing() {
    let (mut system, nginx) = balanced(&[]).await;
    let store = system.store("gangnam").await;
    let mut provider = Provider::new(nginx.at, system.secrets.clone());
    let mut followers = Follower::eighteen(&nginx, &store).await;
    let mut ids = calls(&mut provider, &store, 2).await;
    for follower in &mut followers {
        follower.follow(2).await;
    }

    system.push[0].terminate();
    ids.extend(calls(&mut provider, &store, 5).await);
    assert_eq!(system.push[0].exit().await, 0);
    ids.extend(calls(&mut provider, &store, 1).await);
    for follower in &mut followers {
        follower.follow(8).await;
    }
    let moved = |followers: &[Follower]| {
        let moved = followers.iter().filter(|follower| follower.returned > 0);
        moved.map(|follower| format!("{:?}", follower.pad.transport)).collect::<BTreeSet<_>>()
    };
    assert_eq!(moved(&followers).len(), 3, "pads of all transports were on the replica that drained");

    for follower in &mut followers {
        follower.returned = 0;
    }
    system.push[1].kill().await;
    ids.extend(calls(&mut provider, &store, 3).await);
    for follower in &mut followers {
        follower.follow(11).await;
    }
    assert_eq!(moved(&followers).len(), 3, "pads of all transports were on the replica that was killed");

    // An update that came twice or late would be before the sentinel.
    ids.extend(calls(&mut provider, &store, 1).await);
    for follower in &mut followers {
        follower.follow(12).await;
        assert_eq!(follower.shown(), ids, "{:?}", follower.pad.transport);
    }
}

#[tokio::test]
async fn a_new_stream_that_meets_a_draining_replica_gets_another_one() {
    let (mut system, nginx) = balanced(&[("DRAIN_WINDOW", "5s")]).await;
    let store = system.store("gangnam").await;
    let mut followers = Follower::eighteen(&nginx, &store).await;
    system.push[0].terminate();
    system.push[0].not_ready().await;
    // Each replica is tried, also the draining one.
    for _ in 0..3 {
        for transport in BROWSERS {
            followers.push(Follower::open(&nginx, transport, &store).await);
        }
    }
    let mut provider = Provider::new(nginx.at, system.secrets.clone());
    calls(&mut provider, &store, 1).await;
    for follower in &mut followers {
        follower.follow(1).await;
    }
    assert_eq!(system.push[0].exit().await, 0);
    calls(&mut provider, &store, 1).await;
    for follower in &mut followers {
        follower.follow(2).await;
    }
    drop(followers);
    until("a stream was refused by one replica and taken by another", SOON, async || {
        let lines = nginx.accesses();
        let mut refused =
            lines.iter().filter_map(|line| line["upstream_status"].as_str()?.strip_prefix("503, "));
        refused.find(|then| ["200", "101"].contains(then)).map(|_| ())
    })
    .await;
}

/// An address where connections are neither accepted nor refused, as with a machine that does not run.
struct Unreachable {
    at: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Unreachable {
    /// Fills the queue of a listener that accepts nothing: the kernel drops what does not fit.
    async fn new() -> Self {
        const DROPPED: Duration = Duration::from_millis(500);
        let socket = must("a socket", TcpSocket::new_v4());
        must("an address", socket.bind(free_address()));
        let listener = must("a listener", socket.listen(0));
        let at = must("its address", listener.local_addr());
        let mut waiting = Vec::new();
        while let Ok(taken) = timeout(DROPPED, TcpStream::connect(at)).await {
            waiting.push(must("a connection", taken));
            assert!(waiting.len() < 16, "its queue is never full");
        }
        Self { at, _listener: listener, _waiting: waiting }
    }
}

/// One try of everything that a pad may need, several at once, so that each replica is tried more than once: a stream on
/// each transport, and a single call from a browser and from a native client. Each must be answered at its first try.
async fn all_are_served(nginx: &Nginx, store: &Shop, moment: &str) {
    // Each with another pad, since a pad has a limit of streams.
    let token = || Claims::new(&store.id, &unique("pad")).token();
    let turns = 0..4;
    let streams = turns.clone().flat_map(|_| Transport::ALL).map(async |transport| {
        let opened = Pad::try_open(transport, nginx.at_for(transport), &Subscription::new(&token())).await;
        opened.err().map(|end| format!("{transport:?} stream: {end:?}"))
    });
    let from_browsers = turns.clone().map(async |_| browser_lists_calls(nginx.at, &token()).await);
    let from_others = turns.map(async |_| native_client_lists_calls(nginx.grpc_at, &token()).await);
    let all = async {
        let (streams, browsers, others) =
            tokio::join!(join_all(streams), join_all(from_browsers), join_all(from_others));
        streams.into_iter().chain(browsers).chain(others).flatten().collect::<Vec<_>>()
    };
    let failed = within("answers", 2 * SOON, all).await;
    assert_eq!(failed, Vec::<String>::new(), "{moment}");
}

/// `ListCalls` as a page sends it; returns the error, if there is one.
async fn browser_lists_calls(nginx: SocketAddr, token: &str) -> Option<String> {
    const TYPE: &str = "application/grpc-web+proto";
    let message = PadServiceListCallsRequest::default().encode_to_vec();
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("a small message"));
    body.put_slice(&message);
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", TYPE), ("x-grpc-web", "1"), ("authorization", bearer.as_str())];
    let path = "/ringpad.v1.PadService/ListCalls";
    match Client::new(nginx).send("POST", path, &headers, body.freeze()).await {
        // The trailers are the end of the body.
        Ok(answer) if answer.text().contains("grpc-status:0") => None,
        Ok(answer) => Some(format!("a browser's call: {} {}", answer.status, answer.text())),
        Err(none) => Some(format!("a browser's call: {none}")),
    }
}

/// `ListCalls` as a native client sends it; returns the error, if there is one.
async fn native_client_lists_calls(nginx: SocketAddr, token: &str) -> Option<String> {
    let channel = channel(nginx).await;
    let request = with_token(token, PadServiceListCallsRequest::default());
    let answer = PadServiceClient::new(channel).list_calls(request).await;
    answer.err().map(|status| format!("a native client's call: {status:?}"))
}

#[tokio::test]
async fn every_request_finds_a_replica_that_serves_while_all_are_replaced_at_any_pace() {
    let (mut system, nginx) = balanced(&[("DRAIN_WINDOW", "600s")]).await;
    let store = system.store("gangnam").await;
    for replica in 0..3 {
        // The replica stays as long as this pad.
        let held = system.pad(Transport::WebSocket, replica, &store.id).await;
        system.push[replica].terminate();
        system.push[replica].not_ready().await;
        all_are_served(&nginx, &store, &format!("replica {replica} drains")).await;
        drop(held);
        assert_eq!(system.push[replica].exit().await, 0);
        all_are_served(&nginx, &store, &format!("replica {replica} is gone")).await;
        system.push[replica].start().await;
    }
    all_are_served(&nginx, &store, "all are back").await;
}

#[tokio::test]
async fn every_request_finds_the_only_replica_that_serves() {
    let (mut system, nginx) = balanced(&[("DRAIN_WINDOW", "600s")]).await;
    let store = system.store("gangnam").await;
    let (draining, killed) = (0, 1);
    let _held = system.pad(Transport::WebSocket, draining, &store.id).await;
    system.push[draining].terminate();
    system.push[killed].kill().await;
    system.push[draining].not_ready().await;
    all_are_served(&nginx, &store, "one drains and one is gone").await;
    system.push[killed].start().await;
    system.push[2].kill().await;
    // Immediately: all three have just failed.
    all_are_served(&nginx, &store, "another one is gone, and the first is back").await;
}

#[tokio::test]
async fn a_replica_that_hangs_only_costs_time() {
    let (system, nginx) = balanced(&[]).await;
    let store = system.store("gangnam").await;
    system.push[1].running().freeze();
    all_are_served(&nginx, &store, "one hangs").await;
    all_are_served(&nginx, &store, "one hangs, second try").await;
    system.push[1].running().thaw();
    all_are_served(&nginx, &store, "it continues").await;
}

#[tokio::test]
async fn a_machine_that_does_not_exist_only_costs_time() {
    let system = System::start(&RabbitNode::shared().await.url(), 2).await;
    let store = system.store("gangnam").await;
    let unreachable = Unreachable::new().await;
    let push = [system.push_at[0].pads, unreachable.at, system.push_at[1].pads];
    let upstreams = Upstreams { ingest: vec![system.ingest_at.http], push };
    let nginx = Nginx::start_before(upstreams, system.directory.path()).await;
    all_are_served(&nginx, &store, "one is not there").await;
}
