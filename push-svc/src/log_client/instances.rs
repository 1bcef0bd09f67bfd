//! The instances of ingest-svc that share the log, and which of them gets a request.
//!
//! ```text
//! request ─► the next instance that answers ─ unreachable, or no answer ─► the next one … ─► the caller
//! watch   ─► every second each instance's health; every few seconds the addresses of each name
//! ```
//!
//! Contract: a request fails only after every instance has failed it, or its time is over. An instance that fails gets no
//! further request until its health check succeeds, unless all of them fail. Every request may be sent twice: reads change
//! nothing, and ingest-svc carries out an action once for each request id. What costs the log much is sent to another instance
//! only when the first one fails, not because its answer is slow: a log that is busy would get the same work twice.

mod lookup;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use ringpad_proto::v1::{
    ingest_service_client::IngestServiceClient, pairing_service_client::PairingServiceClient,
};
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one instance may take for a request that costs little, while there is another one to ask.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is checked by a ping, and how long the answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
/// How large an answer may be. One of the current ingest-svc has about 1 MiB; an older version does not count bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How often the health of each instance is checked, and how long the answer may take.
const HEALTH: Duration = Duration::from_secs(1);
/// The connection to one instance.
type InstanceChannel = InterceptedService<Channel, TokenInterceptor>;
/// A client of one instance.
pub(super) type InstanceClient = IngestServiceClient<InstanceChannel>;
/// The same, for what concerns tablets.
pub(super) type PairingClient = PairingServiceClient<InstanceChannel>;

/// What a request costs the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Another instance is asked if the first one has not answered within [`TRY_TIMEOUT`].
    Little,
    /// Another instance is asked if the first one fails.
    Much,
}

/// A cloneable handle on all instances.
#[derive(Debug, Clone)]
pub(super) struct Instances(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    urls: Vec<Endpoint>,
    token: TokenInterceptor,
    /// Those of each URL.
    known: Mutex<Vec<Vec<Instance>>>,
    next: AtomicUsize,
    count: Family<[(&'static str, &'static str); 1], Gauge>,
    lookup_failures: Counter,
}

/// One instance; clones share its connection and its state.
#[derive(Debug, Clone)]
struct Instance {
    /// Its URL.
    name: Arc<str>,
    channel: Channel,
    fails: Arc<watch::Sender<bool>>,
}

impl Instances {
    /// The instances at these URLs. Nothing is connected yet.
    pub(super) fn new(
        urls: Vec<Endpoint>,
        bearer: Option<MetadataValue<Ascii>>,
        registry: &mut Registry,
    ) -> Self {
        let count = Family::default();
        registry.register(
            "ingest_instances",
            "Instances of ingest-svc that this replica knows",
            count.clone(),
        );
        let lookup_failures = Counter::default();
        registry.register(
            "ingest_lookup_failures",
            "Failed attempts to look up a name of ingest-svc",
            lookup_failures.clone(),
        );
        let known = urls.iter().map(|url| vec![Instance::new(&url.uri().to_string(), url.clone())]).collect();
        let token = TokenInterceptor(bearer);
        let instances = Self(Arc::new(Shared {
            urls,
            token,
            known: Mutex::new(known),
            next: AtomicUsize::new(0),
            count,
            lookup_failures,
        }));
        instances.recount();
        instances
    }

    /// Asks one instance after the other until one answers or refuses the request.
    ///
    /// # Errors
    /// The refusal, or why the last one did not answer.
    pub(super) async fn ask<Q: Clone, A, F>(
        &self,
        message: Q,
        cost: Cost,
        until: Instant,
        call: impl Fn(InstanceClient, Request<Q>) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let call = |channel, request| {
            call(IngestServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES), request)
        };
        self.ask_service(message, cost, until, call).await
    }

    /// The same about tablets.
    ///
    /// # Errors
    /// As of [`Self::ask`].
    pub(super) async fn ask_pairing<Q: Clone, A, F>(
        &self,
        message: Q,
        cost: Cost,
        until: Instant,
        call: impl Fn(PairingClient, Request<Q>) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let call = |channel, request| {
            call(PairingServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES), request)
        };
        self.ask_service(message, cost, until, call).await
    }

    async fn ask_service<Q: Clone, A, F>(
        &self,
        message: Q,
        cost: Cost,
        until: Instant,
        call: impl Fn(InstanceChannel, Request<Q>) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let instances = self.in_order();
        let mut outcome = Err(Status::unavailable("no instance of ingest-svc is known"));
        for (index, instance) in instances.iter().enumerate() {
            let is_last = index + 1 == instances.len();
            let mut request = Request::new(message.clone());
            request.set_timeout(until.saturating_duration_since(Instant::now()));
            let late = || Err(Status::deadline_exceeded("no answer in time"));
            outcome = tokio::select! {
                answer = call(self.channel(instance), request) => answer,
                // One slow answer is no failure: the health check tells a slow instance from one that is frozen.
                () = instance.is_given_up(cost), if !is_last => late(),
                () = sleep_until(until) => late(),
            };
            match &outcome {
                Err(status) if status.code() == Code::DeadlineExceeded => {}
                Err(status) if is_failure(status.code()) => self.note(instance, Some(status)),
                _ => {
                    self.note(instance, None);
                    break;
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        outcome
    }

    /// Checks the health of the instances and looks up their names, until `stop`. Also of a single one: after a request that
    /// failed there may be no other one for hours, and the gauge would show the failure all the time.
    pub(super) async fn watch(&self, stop: CancellationToken) {
        let health = async {
            let mut tick = interval(HEALTH);
            loop {
                tick.tick().await;
                let known = self.known();
                join_all(known.iter().map(|instance| self.check(instance))).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = health => {}
            () = self.look_up_names() => {}
        }
    }

    /// Those that answer first, each time beginning with another one.
    fn in_order(&self) -> Vec<Instance> {
        let mut known = self.known();
        let first = self.0.next.fetch_add(1, Ordering::Relaxed) % known.len().max(1);
        known.rotate_left(first);
        known.sort_by_key(Instance::fails);
        known
    }

    fn channel(&self, instance: &Instance) -> InstanceChannel {
        InterceptedService::new(instance.channel.clone(), self.0.token.clone())
    }

    async fn check(&self, instance: &Instance) {
        let mut client = HealthClient::with_interceptor(instance.channel.clone(), self.0.token.clone());
        let answer = timeout(HEALTH, client.check(HealthCheckRequest::default())).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        match answer {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => self.note(instance, None),
            // It answers, and has no such service.
            Err(status) if status.code() == Code::Unimplemented => self.note(instance, None),
            Ok(_) => self.note(instance, Some(&Status::unavailable("it is not ready"))),
            Err(status) => self.note(instance, Some(&status)),
        }
    }

    fn note(&self, instance: &Instance, failure: Option<&Status>) {
        if instance.fails.send_replace(failure.is_some()) == failure.is_some() {
            return;
        }
        self.recount();
        let (name, all) = (&*instance.name, self.known().len());
        match failure {
            // With one instance, the state of the log says the same.
            _ if all < 2 => {}
            Some(status) => {
                tracing::warn!(name, code = %status.code(), why = status.message(), "an ingest-svc does not answer; the others are asked");
            }
            None => tracing::info!(name, "an ingest-svc answers again"),
        }
    }

    fn known(&self) -> Vec<Instance> {
        self.lock().concat()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Instance>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recount(&self) {
        let (fail, answer): (Vec<_>, Vec<_>) = self.known().into_iter().partition(Instance::fails);
        for (state, count) in [("answers", answer.len()), ("fails", fail.len())] {
            self.0.count.get_or_create(&[("state", state)]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

impl Instance {
    fn new(name: &str, endpoint: Endpoint) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Self { name: name.into(), channel, fails: Arc::new(watch::Sender::new(false)) }
    }

    fn fails(&self) -> bool {
        *self.fails.borrow()
    }

    /// Waits until another instance should be asked in place of this one, which was asked just now.
    async fn is_given_up(&self, cost: Cost) {
        if cost == Cost::Much && !self.fails() {
            // It ends with an error if nobody can change the value any more; this instance can.
            drop(self.fails.subscribe().wait_for(|fails| *fails).await);
        } else {
            sleep(TRY_TIMEOUT).await;
        }
    }
}

/// Whether another instance may answer what this one did not.
fn is_failure(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal)
}

/// Adds the internal token to each request.
#[derive(Debug, Clone)]
pub(super) struct TokenInterceptor(Option<MetadataValue<Ascii>>);

impl Interceptor for TokenInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}
