//! Bounds the calls that need no token and that a client may keep open.

use std::{sync::Arc, time::Duration};

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
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::status::unavailable;

/// Paths of the calls of reflection, whose requests are streams.
pub const REFLECTIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// The path of a call that gets each change of the readiness.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Streams of reflection at the same time. The requests of a client that does not read its answers stay in memory.
pub const MOST_REFLECTIONS: usize = 32;
/// How long one may take. Clients keep such a stream for their next request, and open another one when it has ended.
pub const REFLECTION: Duration = Duration::from_secs(60);
/// Watches of the health at the same time: as many as any internal port takes connections.
pub const MOST_WATCHES: usize = 512;

/// The open calls of a port that need no token.
#[derive(Debug, Clone)]
pub struct OpenCalls {
    leaving: CancellationToken,
    reflections: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

impl OpenCalls {
    /// None yet. They end once the process is `leaving`.
    pub fn new(leaving: CancellationToken) -> Self {
        let room = |calls| Arc::new(Semaphore::new(calls));
        Self { leaving, reflections: room(MOST_REFLECTIONS), watches: room(MOST_WATCHES) }
    }
}

/// Bounds the calls that need no token and that a client may keep open: streams of reflection by number and time, watches of
/// the health by number. Ends reflection with UNAVAILABLE once the process is leaving; watches end themselves. For a whole
/// port's services: `axum::middleware::from_fn_with_state`.
pub async fn bound_open_calls(State(open): State<OpenCalls>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == WATCH {
        let Ok(permit) = open.watches.try_acquire_owned() else {
            return full(MOST_WATCHES, "watches of the health");
        };
        return next.run(request).await.map(|body| until(body, std::future::pending(), permit));
    }
    if !REFLECTIONS.contains(&path) {
        return next.run(request).await;
    }
    let Ok(permit) = open.reflections.try_acquire_owned() else {
        return full(MOST_REFLECTIONS, "streams of reflection");
    };
    // Another task reads the requests, and ends with them.
    let answered = CancellationToken::new();
    let requests_end = answered.clone();
    let request = request.map(|body| {
        Body::new(StreamBody::new(BodyStream::new(body).take_until(requests_end.cancelled_owned())))
    });
    let held = (permit, answered.drop_guard());
    let end = async move {
        tokio::select! {
            () = open.leaving.cancelled() => unavailable("this process is shutting down; try again"),
            () = sleep(REFLECTION) => unavailable("a stream of reflection is open for 60 s at most"),
        }
    };
    next.run(request).await.map(|body| until(body, end, held))
}

fn full(bound: usize, what: &str) -> Response {
    Status::resource_exhausted(format!("{bound} {what} at a time are open")).into_http::<Body>()
}

/// An answer's body, which ends with the status of `end` when that resolves. `held` is dropped with the body.
fn until(body: Body, end: impl Future<Output = Status> + Send + 'static, held: impl Send + 'static) -> Body {
    let frames = unfold(Some((body, Box::pin(end), held)), |open| async move {
        let (mut body, mut end, held) = open?;
        tokio::select! {
            biased;
            frame = body.frame() => Some((frame?, Some((body, end, held)))),
            status = &mut end => {
                let mut trailers = HeaderMap::new();
                // If the status cannot be encoded, the stream ends without one.
                status.add_header(&mut trailers).ok()?;
                Some((Ok(Frame::trailers(trailers)), None))
            }
        }
    });
    Body::new(StreamBody::new(frames))
}
