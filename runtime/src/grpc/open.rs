//! Streams that a client keeps open for as long as it likes.

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

use super::unavailable;

/// Paths of the calls of reflection, whose questions come for as long as a client likes.
pub const REFLECTIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// The path of a call that is told of each change of the readiness.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Streams of reflection at a time. A client that does not read the answers keeps its questions here, unread.
const MOST_REFLECTIONS: usize = 32;
/// How long one may go on. Clients keep such a stream for their next question, and open another one when it has ended.
const REFLECTION: Duration = Duration::from_secs(60);
/// Watches of the health at a time: as many as any internal port takes connections.
const MOST_WATCHES: usize = 512;

/// The calls that a port has open and that want no token.
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

/// Bounds the calls that want no token and that no client needs to end: streams of reflection, by their number and time,
/// and watches of the health, by their number. Ends reflection with UNAVAILABLE once the process is leaving, as a watch ends
/// by itself. For a whole port's services: `axum::middleware::from_fn_with_state`.
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
    // What answers the questions reads them in a task of its own, which ends with them.
    let answered = CancellationToken::new();
    let questions = answered.clone();
    let request = request.map(|body| {
        Body::new(StreamBody::new(BodyStream::new(body).take_until(questions.cancelled_owned())))
    });
    let held = (permit, answered.drop_guard());
    let end = async move {
        tokio::select! {
            () = open.leaving.cancelled() => unavailable("this process is leaving"),
            () = sleep(REFLECTION) => unavailable("a stream of reflection goes on for 60 s at most"),
        }
    };
    next.run(request).await.map(|body| until(body, end, held))
}

fn full(bound: usize, what: &str) -> Response {
    Status::resource_exhausted(format!("{bound} {what} at a time are open")).into_http::<Body>()
}

/// An answer's body, which ends with the status of `end` once there is one. `held` is dropped with it.
fn until(body: Body, end: impl Future<Output = Status> + Send + 'static, held: impl Send + 'static) -> Body {
    let frames = unfold(Some((body, Box::pin(end), held)), |open| async move {
        let (mut body, mut end, held) = open?;
        tokio::select! {
            biased;
            frame = body.frame() => Some((frame?, Some((body, end, held)))),
            status = &mut end => {
                let mut trailers = HeaderMap::new();
                // A status that cannot be written would end the stream without one.
                status.add_header(&mut trailers).ok()?;
                Some((Ok(Frame::trailers(trailers)), None))
            }
        }
    });
    Body::new(StreamBody::new(frames))
}
