//! A connection's requests, while they are open: how many there are, and how long each may take to come.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body, extract::ConnectInfo, response::IntoResponse};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    header::{CONNECTION, HeaderValue, RETRY_AFTER},
};
use tokio::{
    sync::watch,
    time::{Sleep, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::{ConnectionPermit, Limits, PortMetrics, connection::Caller, metrics::Refused};
use crate::forwarded;

/// How long a request's body may take, from its head to its end. What goes on for as long as its client likes is excepted;
/// see [`Limits::streams`].
const BODY: Duration = if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(10) };

/// What answers the requests of one connection, and counts those that are open.
pub(super) struct Requests {
    router: Router,
    caller: Caller,
    limits: Limits,
    metrics: PortMetrics,
    leaving: CancellationToken,
    /// None before the first one.
    open: Arc<watch::Sender<Option<usize>>>,
}

/// A request that is open, until its answer has been given away to its end.
struct Open {
    requests: Arc<watch::Sender<Option<usize>>>,
    _permit: Option<ConnectionPermit>,
}

impl Requests {
    pub(super) fn new(
        router: Router,
        caller: Caller,
        limits: Limits,
        metrics: PortMetrics,
        leaving: CancellationToken,
    ) -> Self {
        Self { router, caller, limits, metrics, leaving, open: Arc::new(watch::Sender::new(None)) }
    }

    /// For waiting until there are none.
    pub(super) fn idle(&self) -> Idle {
        Idle(self.open.subscribe())
    }

    /// Answers a request.
    pub(super) fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<> {
        let (version, leaving, permit) = (request.version(), self.leaving.clone(), self.permit(&request));
        self.open.send_modify(|open| *open = Some(open.unwrap_or_default() + 1));
        let open = Open { requests: Arc::clone(&self.open), _permit: permit.clone().ok() };
        let answering = permit.map(|permit| {
            request.extensions_mut().insert(ConnectInfo(self.caller.peer));
            request.extensions_mut().insert(permit);
            let streams = self.limits.streams.contains(&request.uri().path());
            let request = request.map(|body| {
                if streams { body::Body::new(body) } else { body::Body::new(InTime::new(body, BODY)) }
            });
            self.router.clone().oneshot(request)
        });
        async move {
            let mut answer = match answering {
                Ok(answer) => answer.await?,
                Err(TooMany) => (
                    StatusCode::TOO_MANY_REQUESTS,
                    [(RETRY_AFTER, "1")],
                    "too many requests of your address\n",
                )
                    .into_response(),
            };
            if leaving.is_cancelled() {
                tell_to_go(&mut answer, version);
            }
            Ok(answer.map(|body| Answer { body, _open: open }))
        }
    }

    /// A request's place: its connection's, and if that is of a proxy of ours, a share of the address that it names.
    fn permit(&self, request: &Request<Incoming>) -> Result<ConnectionPermit, TooMany> {
        let Caller { peer, permit, shares } = &self.caller;
        let trusts = |address: IpAddr| forwarded::contains(&self.limits.proxies, address);
        if !trusts(peer.ip()) {
            return Ok(permit.clone());
        }
        // One whose client cannot be told is the proxy's own.
        let Some(client) = forwarded::client(request.headers(), peer.ip(), trusts) else {
            return Ok(permit.clone());
        };
        let Some(share) = shares.take(client) else {
            self.metrics.refused(Refused::Forwarded, client);
            return Err(TooMany);
        };
        Ok(ConnectionPermit { _share: Some(Arc::new(share)), ..permit.clone() })
    }
}

/// The address that a request was forwarded for has all that it may have.
#[derive(Clone)]
struct TooMany;

impl Drop for Open {
    fn drop(&mut self) {
        self.requests.send_modify(|open| *open = open.map(|open| open - 1));
    }
}

/// Over HTTP/1.1 an answer says that it is the connection's last; an upgrade takes the connection over instead.
fn tell_to_go<B>(answer: &mut Response<B>, version: Version) {
    if version < Version::HTTP_2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Sees whether a connection has an open request.
pub(super) struct Idle(watch::Receiver<Option<usize>>);

impl Idle {
    /// Resolves once there has been a request.
    pub(super) async fn begun(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            // No request can come any more, and the connection sees that by itself.
            std::future::pending().await
        }
    }

    /// Resolves once there has been no open request for so long.
    pub(super) async fn lasts(&mut self, bound: Duration) {
        let is_open = |open: &Option<usize>| open.is_some_and(|open| open > 0);
        loop {
            if self.0.wait_for(|open| !is_open(open)).await.is_err() {
                // No request can come any more, and the connection sees that by itself.
                return std::future::pending().await;
            }
            if timeout(bound, self.0.wait_for(is_open)).await.is_err() {
                return;
            }
        }
    }
}

/// An answer's body, and the request that is open until it has been given away.
pub(super) struct Answer {
    body: body::Body,
    _open: Open,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body, which must have come in time. What has come is read however late that is.
pub struct InTime<B> {
    body: B,
    late: Pin<Box<Sleep>>,
}

impl<B> InTime<B> {
    /// A body that ends in an error unless it has come whole `within` so long; see [`is_late`].
    pub fn new(body: B, within: Duration) -> Self {
        Self { body, late: Box::pin(sleep(within)) }
    }
}

/// Whether an error that a body ended in says that it did not come in time, and not that it broke off.
pub fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut errors = std::iter::successors(Some(error), |error| error.source());
    errors.any(|error| {
        error.downcast_ref::<Status>().is_some_and(|status| status.code() == Code::DeadlineExceeded)
    })
}

impl<B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin> Body for InTime<B> {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending if self.late.as_mut().poll(cx).is_ready() => {
                // A status, for gRPC has no other way to tell one error of a body from another.
                let late = Status::deadline_exceeded("the request's body took too long to come");
                Poll::Ready(Some(Err(late.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
