//! The open requests of a connection: how many there are, and how long each may take to arrive.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body, extract::ConnectInfo, response::IntoResponse};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    header::{CONNECTION, HeaderValue, RETRY_AFTER},
};
use tokio::{
    sync::{oneshot, watch},
    time::{Sleep, sleep, timeout},
};
use tonic::{Code, Status};
use tower::ServiceExt;

use super::{
    admission::{ConnectionPermit, Peer},
    long_stream::LongStream,
    metrics::Refused,
    port::Port,
};

/// Answers the requests of one connection, and counts the open ones.
pub(super) struct Requests {
    port: Arc<Port>,
    peer: Peer,
    /// `None` before the first request.
    open: Arc<watch::Sender<Option<usize>>>,
    /// Takes a [`LongStream`] from hyper; `None` once it has.
    long: Arc<Mutex<Option<oneshot::Sender<Response<AnswerBody>>>>>,
}

/// A request that is open, until hyper has taken its whole answer.
struct OpenRequest {
    all: Arc<watch::Sender<Option<usize>>>,
    _permit: Option<ConnectionPermit>,
}

impl Requests {
    /// With where a [`LongStream`] over HTTP/1.1 comes, which is the connection's last answer.
    pub(super) fn new(port: Arc<Port>, peer: Peer) -> (Self, oneshot::Receiver<Response<AnswerBody>>) {
        let (long, taken) = oneshot::channel();
        let (open, long) = (Arc::new(watch::Sender::new(None)), Arc::new(Mutex::new(Some(long))));
        (Self { port, peer, open, long }, taken)
    }

    /// For waiting until there are none.
    pub(super) fn open(&self) -> OpenRequests {
        OpenRequests(self.open.subscribe())
    }

    /// Answers a request.
    pub(super) fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + use<> {
        let (version, port) = (request.version(), Arc::clone(&self.port));
        let permit = port.admission.request(&self.peer, request.headers());
        self.open.send_modify(|open| *open = Some(open.unwrap_or_default() + 1));
        let open = OpenRequest { all: Arc::clone(&self.open), _permit: permit.clone().ok() };
        let long = Arc::clone(&self.long);
        let answering = permit.map(|permit| {
            request.extensions_mut().insert(ConnectInfo(self.peer.address));
            request.extensions_mut().insert(permit);
            let is_stream = port.limits.streams.contains(&request.uri().path());
            let request = request.map(|body| match is_stream {
                true => body::Body::new(body),
                false => body::Body::new(InTime::new(body, port.limits.timeouts.body)),
            });
            port.router.clone().oneshot(request)
        });
        async move {
            let mut answer = match answering {
                Ok(answer) => answer.await?,
                Err(client) => {
                    port.metrics.refused(Refused::Forwarded, client);
                    let retry = [(RETRY_AFTER, "1")];
                    (StatusCode::TOO_MANY_REQUESTS, retry, "too many requests from your address\n")
                        .into_response()
                }
            };
            if port.shutdown.is_cancelled() {
                announce_close(&mut answer, version);
            }
            let is_long = version == Version::HTTP_11 && answer.extensions().get() == Some(&LongStream);
            let answer = answer.map(|body| AnswerBody { body, _open: open });
            let long =
                if is_long { long.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
            let Some(long) = long else { return Ok(answer) };
            match long.send(answer) {
                // The connection's task drops hyper's connection, and this with it.
                Ok(()) => std::future::pending().await,
                // The connection is about to end.
                Err(answer) => Ok(answer),
            }
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.all.send_modify(|open| *open = open.map(|open| open - 1));
    }
}

/// Over HTTP/1.1 an answer announces that it is the connection's last one, unless it is an upgrade.
fn announce_close<B>(answer: &mut Response<B>, version: Version) {
    if version < Version::HTTP_2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether a connection has open requests.
pub(super) struct OpenRequests(watch::Receiver<Option<usize>>);

impl OpenRequests {
    /// Resolves after the first request.
    pub(super) async fn first(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            // No request can come any more, and the connection notices that itself.
            std::future::pending().await
        }
    }

    /// Resolves when no request has been open for so long.
    pub(super) async fn none_for(&mut self, time: Duration) {
        let is_open = |open: &Option<usize>| open.is_some_and(|open| open > 0);
        loop {
            if self.0.wait_for(|open| !is_open(open)).await.is_err() {
                // No request can come any more, and the connection notices that itself.
                return std::future::pending().await;
            }
            if timeout(time, self.0.wait_for(is_open)).await.is_err() {
                return;
            }
        }
    }
}

/// An answer's body. Its request is open until hyper has taken the whole body.
pub(super) struct AnswerBody {
    body: body::Body,
    _open: OpenRequest,
}

impl Body for AnswerBody {
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

/// A request's body with a deadline. What arrived before the deadline can also be read after it.
pub struct InTime<B> {
    body: B,
    deadline: Pin<Box<Sleep>>,
}

impl<B> InTime<B> {
    /// A body that ends with an error if it has not arrived completely within this time; see [`is_late`].
    pub fn new(body: B, within: Duration) -> Self {
        Self { body, deadline: Box::pin(sleep(within)) }
    }
}

/// Whether a body ended with this error because it did not arrive in time.
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
            Poll::Pending if self.deadline.as_mut().poll(cx).is_ready() => {
                // A status, because gRPC cannot distinguish the errors of a body in another way.
                let error = Status::deadline_exceeded("the request's body took too long to arrive");
                Poll::Ready(Some(Err(error.into())))
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
