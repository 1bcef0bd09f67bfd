//! A small HTTP/1.1 client that keeps its one connection, as a number provider does.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

use crate::wait::{SOON, must};

/// How long an answer may take. Providers give up after 5–15 s; a test machine is slower.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A request got no answer: nothing listens, or the connection broke.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {address}: {why}")]
pub struct NoAnswer {
    /// The server's address.
    pub address: SocketAddr,
    /// The cause.
    pub why: String,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("is not JSON ({error}): {}", self.text()))
    }
}

/// Sends bytes as they are, closes the sending side, and reads everything that comes back.
///
/// # Errors
/// The connection breaks, or does not end in time.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Result<String, NoAnswer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answers).into_owned())
    };
    let answered = timeout(ANSWER_TIMEOUT, exchange).await;
    let answered = answered.map_err(|_| format!("it took more than {ANSWER_TIMEOUT:?}"));
    let answered = answered.and_then(|answered| answered.map_err(|error| error.to_string()));
    answered.map_err(|why| NoAnswer { address, why })
}

/// What `/metrics` of a program shows now.
///
/// # Panics
/// There is no answer.
pub async fn metrics(admin: SocketAddr) -> String {
    must("/metrics", Client::new(admin).get("/metrics").await).text()
}

/// One metric of a program now, by its name and labels as `/metrics` writes them; zero if it is not shown yet.
///
/// # Panics
/// There is no answer.
pub async fn metric(admin: SocketAddr, series: &str) -> f64 {
    let metrics = metrics(admin).await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| must(series, value.parse()))
}

/// A connection to a gRPC port; its calls have the deadline [`SOON`].
///
/// # Panics
/// Nothing listens.
pub async fn channel(at: SocketAddr) -> Channel {
    let endpoint = must("an endpoint", Endpoint::from_shared(format!("http://{at}")));
    must("a gRPC connection", endpoint.timeout(SOON).connect().await)
}

/// A client with at most one connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    own: Option<Ipv4Addr>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client of `address`; it connects at the first request, and again when the connection is gone.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, own: None, connection: None }
    }

    /// Gives it another source address than 127.0.0.1: all of 127.0.0.0/8 is this machine.
    #[must_use]
    pub fn own(mut self, own: Ipv4Addr) -> Self {
        self.own = Some(own);
        self
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(&mut self, target: &str) -> Result<Answer, NoAnswer> {
        self.send("GET", target, &[], Bytes::new()).await
    }

    /// Sends a request once and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer. The request may have arrived nevertheless.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, NoAnswer> {
        let mut request =
            Request::builder().method(method).uri(target).header(header::HOST, self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("the test's request is valid");
        let answered = timeout(ANSWER_TIMEOUT, self.exchange(request)).await;
        let answered = answered.unwrap_or_else(|_| Err(format!("it took more than {ANSWER_TIMEOUT:?}")));
        if answered.is_err() {
            self.connection = None;
        }
        answered.map_err(|why| NoAnswer { address: self.address, why })
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let sender = self.connection().await?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let usable = match self.connection.take() {
            // Waits for the answer before; an error means that the server has closed the connection.
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match usable {
            Some(sender) => sender,
            None => connect(self.own, self.address).await?,
        };
        Ok(self.connection.insert(sender))
    }
}

/// Opens a connection; it is driven until its sender is dropped.
async fn connect(own: Option<Ipv4Addr>, address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    if let Some(own) = own {
        socket.bind(SocketAddr::from((own, 0))).map_err(|error| error.to_string())?;
    }
    let stream = socket.connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // If it fails, the request that is under way fails.
        connection.await.ok();
    });
    Ok(sender)
}
