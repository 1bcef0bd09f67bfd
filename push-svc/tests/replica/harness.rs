//! A log, a bus, and replicas on ports of their own.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use clap::Parser;
use push_svc::{
    Listeners, Settings,
    admission::token::{Pad, PadTokens},
    run,
};
use ringpad_bus::{Bus, Event, Origin, Publisher};
use ringpad_proto::v1::SubscribeRequest;
use ringpad_runtime::{CancellationToken, Failure};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle, time::timeout};
use uuid::Uuid;

use crate::{
    fake_log::{FakeLog, TOKEN},
    pads::{TRANSPORTS, TestPad, Transport},
};

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);
const TTL: Duration = Duration::from_secs(30);

/// Everything outside the replicas.
pub struct World {
    pub log: FakeLog,
    pub bus: Bus,
    pub log_address: SocketAddr,
    publisher: Mutex<Publisher>,
    stop: CancellationToken,
}

/// A running replica.
pub struct Replica {
    pub pads: SocketAddr,
    pub admin: SocketAddr,
    pub shutdown: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl World {
    pub async fn new() -> Self {
        let log = FakeLog::new(&["a", "b"]);
        let bus = Bus::in_process();
        let stop = CancellationToken::new();
        let log_address = log.serve(stop.clone()).await;
        let publisher = Mutex::new(new_publisher(&bus, &log).await);
        Self { log, bus, log_address, publisher, stop }
    }

    /// A replica with these further settings, once it is ready.
    pub async fn replica_with(&self, flags: &[&str]) -> Replica {
        let replica = self.starting(flags).await;
        wait_for("ready", async || http_get(replica.pads, "/readyz").await.0 == 200).await;
        replica
    }

    /// A replica that may not be ready yet.
    pub async fn starting(&self, flags: &[&str]) -> Replica {
        let log = format!("--ingest-url=http://{}", self.log_address);
        let [secret, internal] =
            [format!("--pad-token-secret={SECRET}"), format!("--internal-token={TOKEN}")];
        let fixed = ["push-svc", &log, &secret, &internal, "--drain-window=300ms", "--retry-max-interval=1s"];
        // clap refuses a repeated flag, so a fixed one is left out if it is given.
        let name = |flag: &str| flag.split('=').next().unwrap().to_owned();
        let kept = fixed.iter().filter(|fixed| !flags.iter().any(|flag| name(flag) == name(fixed)));
        let settings = Settings::try_parse_from(kept.chain(flags)).unwrap();
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners = Listeners { pads: bind().await, admin: bind().await };
        let [pads, admin] =
            [&listeners.pads, &listeners.admin].map(|listener| listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let mut checked = settings.check().unwrap();
        checked.bus = self.bus.clone();
        let task = tokio::spawn(run(checked, listeners, shutdown.clone()));
        Replica { pads, admin, shutdown, task }
    }

    pub async fn replica(&self) -> Replica {
        self.replica_with(&[]).await
    }

    /// A new call, in the log and on the bus.
    pub async fn ring(&self, store: &str) -> u64 {
        let event = self.log.ring(store);
        let position = event.position;
        self.publish(&[event]).await;
        position
    }

    /// Puts a batch on the bus.
    pub async fn publish(&self, events: &[Event]) {
        let mut publisher = self.publisher.lock().await;
        publisher.send(events, TTL).await.unwrap();
        publisher.outcome().await.unwrap();
    }

    /// ingest-svc is started again, with the current log.
    pub async fn new_publisher(&self) {
        *self.publisher.lock().await = new_publisher(&self.bus, &self.log).await;
    }

    /// The log can no longer be reached.
    pub fn cut_log(&self) {
        self.stop.cancel();
    }
}

async fn new_publisher(bus: &Bus, log: &FakeLog) -> Publisher {
    bus.publisher(Origin { epoch: log.epoch(), instance: Uuid::new_v4() }).await.unwrap()
}

impl Replica {
    /// Opens a stream of pad `p` of `store`.
    pub async fn pad(&self, transport: Transport, store: &str, request: SubscribeRequest) -> TestPad {
        TestPad::connect(transport, self.pads, &token("p", store), request, None).await
    }

    /// A new stream of store `a` on each transport, with snapshot and first heartbeat.
    pub async fn pads(&self) -> Vec<TestPad> {
        let mut pads = Vec::new();
        for transport in TRANSPORTS {
            let mut pad = self.pad(transport, "a", SubscribeRequest::default()).await;
            pad.begin().await;
            pads.push(pad);
        }
        pads
    }

    /// Shuts the replica down and waits for its end.
    pub async fn end(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("the replica ends").unwrap()
    }
}

pub fn token(pad: &str, store: &str) -> String {
    token_until(pad, store, SystemTime::now() + Duration::from_secs(600))
}

pub fn token_until(pad: &str, store: &str, expires: SystemTime) -> String {
    let pad = Pad { id: pad.into(), name: "Counter".into(), store: store.into(), expires };
    PadTokens::new(&SECRET.into()).unwrap().sign(&pad).unwrap()
}

/// A token with these claims and no others.
pub fn signed(claims: &serde_json::Value) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let text = format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(claims.to_string()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", BASE64.encode(ring::hmac::sign(&key, text.as_bytes())))
}

/// A request with a position.
pub fn after(position: u64, epoch: impl ToString) -> SubscribeRequest {
    SubscribeRequest {
        after_position: Some(position),
        epoch: epoch.to_string(),
        ..SubscribeRequest::default()
    }
}

/// A request with a session.
pub fn session(session: &str) -> SubscribeRequest {
    SubscribeRequest { session: session.to_owned(), ..SubscribeRequest::default() }
}

/// Waits until `reached` is true.
pub async fn wait_for(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// The value of a metric; zero if it is not there yet.
pub async fn metric(replica: &Replica, name: &str) -> f64 {
    let (_, _, metrics) = http_get(replica.admin, "/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Status, head and body of `GET path`.
pub async fn http_get(address: SocketAddr, path: &str) -> (u16, http::HeaderMap, String) {
    http_request(address, http::Request::get(path).body(String::new()).unwrap()).await
}

/// Status, head and body of a request. The body is read until it ends.
pub async fn http_request(
    address: SocketAddr,
    mut request: http::Request<String>,
) -> (u16, http::HeaderMap, String) {
    use http_body_util::BodyExt;
    request.headers_mut().insert("host", address.to_string().parse().unwrap());
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let exchange = async {
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    };
    tokio::select! {
        answer = exchange => answer,
        ended = connection => panic!("the connection ended before the answer: {ended:?}"),
    }
}
