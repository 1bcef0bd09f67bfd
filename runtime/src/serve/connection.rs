//! One connection, from its first byte to its last.

use std::{
    error::Error,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{Request, Response, body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

use super::{
    admission::Peer,
    http2,
    lenient::LenientStream,
    limits::{HalfClose, Heads, Limits, Timeouts},
    long_stream,
    metrics::PortMetrics,
    port::Port,
    reading::{StreamWatch, WatchedStream, read_to_end, watch},
    requests::{AnswerBody, OpenRequests, Requests},
};
use crate::ErrorChain;

/// Serves one connection until it ends. When the process leaves, it takes no new requests except those that are on their way.
/// `tasks` joins the requests over HTTP/2.
pub(super) async fn serve(stream: TcpStream, peer: Peer, port: Arc<Port>, tasks: TaskTracker) {
    let timeouts = port.limits.timeouts;
    set_tcp_options(&stream, timeouts);
    // Boxed, so that what hyper needs does not count for a long stream behind it.
    let Some((mut stream, answer)) = Box::pin(serve_requests(stream, peer, port, tasks)).await else {
        return;
    };
    match long_stream::send(&mut stream, answer, timeouts.write).await {
        Ok(()) => Box::pin(read_to_end(stream)).await,
        Err(error) => tracing::debug!(error = %ErrorChain(&error), "a long stream ended"),
    }
}

/// Serves the requests of a connection until it ends, or until one has a long stream as its answer.
async fn serve_requests(
    stream: TcpStream,
    peer: Peer,
    port: Arc<Port>,
    tasks: TaskTracker,
) -> Option<(TcpStream, Response<AnswerBody>)> {
    let timeouts = port.limits.timeouts;
    let (stream, watch) = watch(stream, timeouts.write);
    match serve_with_hyper(stream, &watch, peer, &port, tasks).await {
        End::Hyper(Ok(())) => {}
        End::Hyper(Err(error)) => note(&*error, &port.metrics),
        End::LongStream(answer) => return Some((watch.into_stream()?, answer)),
        End::Cut => return None,
    }
    // A client that was silent has sent nothing that is unread, and many clients leave such a connection open.
    if !port.shutdown.is_cancelled() || watch.last_byte().elapsed() < timeouts.quiet {
        watch.read_to_end().await;
    }
    None
}

/// How hyper's part of a connection ends.
enum End {
    /// By hyper itself.
    Hyper(Result<(), Box<dyn Error + Send + Sync>>),
    /// With an answer that is written without hyper.
    LongStream(Response<AnswerBody>),
    /// At once, by us.
    Cut,
}

async fn serve_with_hyper(
    stream: WatchedStream,
    watch: &StreamWatch,
    peer: Peer,
    port: &Arc<Port>,
    tasks: TaskTracker,
) -> End {
    let Limits { timeouts, heads, head, .. } = port.limits;
    let (stream, unreadable) = LenientStream::new(stream, (heads == Heads::Lenient).then_some(head));
    let (requests, mut long) = Requests::new(Arc::clone(port), peer);
    let mut open = requests.open();
    let number = AtomicU64::new(0);
    let service = service_fn(move |mut request: Request<Incoming>| {
        // Over HTTP/1.x requests come one after the other, and over HTTP/2 no head is unreadable.
        unreadable.attach(number.fetch_add(1, Ordering::Relaxed) + 1, &mut request);
        requests.answer(request)
    });
    let builder = builder(&port.limits, tasks);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let count_resets = |resets| port.metrics.cancelled(resets);
    // In this order, a request that has arrived is served before anything is closed.
    let close = tokio::select! {
        biased;
        end = watch.drive(connection.as_mut(), count_resets) => return End::Hyper(end),
        Ok(answer) = &mut long => return End::LongStream(answer),
        close = reason_to_close(&mut open, watch, port) => close,
    };
    match close {
        Close::Now => return End::Cut,
        // From now on hyper writes every answer.
        Close::InOrder => drop(long),
    }
    connection.as_mut().graceful_shutdown();
    // A client that does not leave, with answers that it never reads, is not waited for.
    tokio::select! {
        biased;
        end = watch.drive(connection.as_mut(), count_resets) => End::Hyper(end),
        () = open.none_for(timeouts.unacknowledged) => End::Cut,
    }
}

fn set_tcp_options(stream: &TcpStream, timeouts: Timeouts) {
    let user_timeout = || SockRef::from(stream).set_tcp_user_timeout(Some(timeouts.unacknowledged));
    if let Err(error) = stream.set_nodelay(true).and_then(|()| user_timeout()) {
        tracing::debug!(%error, "cannot set TCP options");
    }
}

/// Runs hyper's tasks where they are joined.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

fn builder(limits: &Limits, tasks: TaskTracker) -> Builder<Tracked> {
    let mut builder = Builder::new(Tracked(tasks));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.timeouts.idle)
        .max_buf_size(limits.head)
        .half_close(limits.half_close == HalfClose::Allow);
    http2::configure(builder.http2(), limits.clients);
    builder
}

/// How we close a connection.
enum Close {
    /// At once.
    Now,
    /// After the requests that are open or on their way.
    InOrder,
}

/// Resolves when the client has let a timeout pass without a request, or when the process leaves.
async fn reason_to_close(open: &mut OpenRequests, watch: &StreamWatch, port: &Port) -> Close {
    let timeouts = port.limits.timeouts;
    let process_leaves = async {
        port.shutdown.cancelled().await;
        // Over HTTP/2 a client is told at once, and calls that it sends before it knows are served.
        quiet(watch, timeouts.quiet).await;
    };
    tokio::select! {
        biased;
        close = no_request_in_time(open, watch, timeouts) => close,
        () = process_leaves => Close::InOrder,
    }
}

/// Resolves if the first request has not begun in time, or over HTTP/2 if there has been none for a while.
async fn no_request_in_time(open: &mut OpenRequests, watch: &StreamWatch, timeouts: Timeouts) -> Close {
    let deadline = Instant::now() + timeouts.idle;
    let no_first_request = async {
        loop {
            let now = Instant::now();
            let next = match watch.first_byte() {
                Some(first) if !watch.is_http2() => {
                    let head = first + timeouts.first_head;
                    if head <= now {
                        tracing::debug!("no request in time");
                        return Close::Now;
                    }
                    head
                }
                _ if deadline <= now => return Close::InOrder,
                _ => deadline.min(now + timeouts.first_head),
            };
            sleep_until(next).await;
        }
    };
    tokio::select! {
        close = no_first_request => return close,
        () = open.first() => {}
    }
    if !watch.is_http2() {
        // Between two requests over HTTP/1.1 hyper has a timeout.
        return pending().await;
    }
    open.none_for(timeouts.idle).await;
    Close::InOrder
}

/// Resolves once a client can be told to leave.
async fn quiet(watch: &StreamWatch, silence: Duration) {
    while !watch.is_http2() {
        let quiet_at = watch.last_byte() + silence;
        if quiet_at <= Instant::now() {
            return;
        }
        sleep_until(quiet_at).await;
    }
}

/// Logs and counts the end of a connection. A client that disconnects is normal, and logged at DEBUG. A connection that we
/// have ended is not normal, because all calls on it fail.
fn note(error: &(dyn Error + 'static), metrics: &PortMetrics) {
    tracing::debug!(error = %ErrorChain(error), "connection ended");
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<h2::Error>() {
            Some(error) if error.is_go_away() && error.is_library() => return metrics.ended(error),
            _ => cause = error.source(),
        }
    }
}
