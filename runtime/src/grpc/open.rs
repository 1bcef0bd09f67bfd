//! Streams that a client keeps open for as long as it likes.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use futures_util::stream::{StreamExt, unfold};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Frame;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::unavailable;

/// Streams of reflection at a time. A client that does not read the answers keeps its questions here, unread.
const REFLECTIONS: usize = 32;

/// The streams of reflection that a port has open.
#[derive(Debug, Clone)]
pub struct Reflections {
    leaving: CancellationToken,
    room: Arc<Semaphore>,
}

impl Reflections {
    /// None yet. They end once the process is `leaving`.
    pub fn new(leaving: CancellationToken) -> Self {
        Self { leaving, room: Arc::new(Semaphore::new(REFLECTIONS)) }
    }
}

/// Bounds the streams of reflection, and ends them with UNAVAILABLE once the process is leaving: of itself none ends before
/// its client does. For a whole port's services: `axum::middleware::from_fn_with_state`.
pub async fn end_reflections(State(open): State<Reflections>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/grpc.reflection.") {
        return next.run(request).await;
    }
    let Ok(permit) = open.room.try_acquire_owned() else {
        let message = format!("{REFLECTIONS} streams of reflection at a time are open");
        return Status::resource_exhausted(message).into_http::<Body>();
    };
    // What answers the questions reads them in a task of its own, which ends with them.
    let answered = CancellationToken::new();
    let request = request.map(|body| until(body, answered.clone()));
    let held = (permit, answered.drop_guard());
    next.run(request).await.map(|body| until_leaving(body, open.leaving, held))
}

/// A request's body, for as long as there is somebody to answer it.
fn until(body: Body, answered: CancellationToken) -> Body {
    Body::new(StreamBody::new(BodyStream::new(body).take_until(answered.cancelled_owned())))
}

/// An answer's body, which ends with a status once the process is leaving. `held` is dropped with it.
fn until_leaving(body: Body, leaving: CancellationToken, held: impl Send + 'static) -> Body {
    let frames = unfold(Some((body, held)), move |open| {
        let leaving = leaving.clone();
        async move {
            let (mut body, held) = open?;
            tokio::select! {
                biased;
                frame = body.frame() => Some((frame?, Some((body, held)))),
                () = leaving.cancelled() => {
                    let mut trailers = HeaderMap::new();
                    // A status that cannot be written would end the stream without one.
                    unavailable("this process is leaving").add_header(&mut trailers).ok()?;
                    Some((Ok(Frame::trailers(trailers)), None))
                }
            }
        }
    });
    Body::new(StreamBody::new(frames))
}
