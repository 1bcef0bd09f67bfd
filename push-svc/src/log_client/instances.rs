//! The instances of ingest-svc that share the log, and which of them gets a request.
//!
//! ```text
//! request ─► the next instance that answers ─ unreachable, or no answer within a second ─► the next one … ─► the caller
//! watch   ─► every second each instance's health; every few seconds the addresses of each name
//! ```
//!
//! Contract: a request fails only after every instance has failed it, or its time is over. An instance that fails gets no
//! further request until its health check succeeds, unless all of them fail. Every request may be sent twice: reads change
//! nothing, and ingest-svc carries out an action once for each request id.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use ringpad_proto::v1::ingest_service_client::IngestServiceClient;
use tokio::{
    net::lookup_host,
    time::{Instant, interval, timeout, timeout_at},
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
/// How long one instance may take while there is another one to ask.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is checked by a ping, and how long the answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
/// How large an answer may be. One of the current ingest-svc has about 1 MiB; an older version does not count bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How often the health of each instance is checked, and how long the answer may take.
const HEALTH: Duration = Duration::from_secs(1);
/// How often the names of instances are looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// A client of one instance.
pub(super) type InstanceClient = IngestServiceClient<InterceptedService<Channel, TokenInterceptor>>;

/// A cloneable handle on all instances.
#[derive(Debug, Clone)]
pub(super) struct Instances(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    urls: Vec<Endpoint>,
    token: TokenInterceptor,
    known: Mutex<Vec<Instance>>,
    next: AtomicUsize,
    count: Family<[(&'static str, &'static str); 1], Gauge>,
}

/// One instance; clones share its connection and its state.
#[derive(Debug, Clone)]
struct Instance {
    /// Its URL.
    name: Arc<str>,
    channel: Channel,
    fails: Arc<AtomicBool>,
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
        let known = urls.iter().map(|url| Instance::new(&url.uri().to_string(), url.clone())).collect();
        let token = TokenInterceptor(bearer);
        let instances = Self(Arc::new(Shared {
            urls,
            token,
            known: Mutex::new(known),
            next: AtomicUsize::new(0),
            count,
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
        until: Instant,
        call: impl Fn(InstanceClient, Request<Q>) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let instances = self.in_order();
        let mut outcome = Err(Status::unavailable("no instance of ingest-svc is known"));
        for (index, instance) in instances.iter().enumerate() {
            let now = Instant::now();
            let is_last = index + 1 == instances.len();
            let limit = if is_last { until } else { until.min(now + TRY_TIMEOUT) };
            let mut request = Request::new(message.clone());
            request.set_timeout(limit.saturating_duration_since(now));
            outcome = match timeout_at(limit, call(self.client(instance), request)).await {
                Ok(answer) => answer,
                // One slow answer is no failure: the health check tells a slow instance from one that is frozen.
                Err(_) => Err(Status::deadline_exceeded("no answer in time")),
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
        let lookup = async {
            let mut tick = interval(LOOKUP);
            loop {
                tick.tick().await;
                self.look_up().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = health => {}
            () = lookup => {}
        }
    }

    /// Those that answer first, each time beginning with another one.
    fn in_order(&self) -> Vec<Instance> {
        let mut known = self.known();
        let first = self.0.next.fetch_add(1, Ordering::Relaxed) % known.len().max(1);
        known.rotate_left(first);
        known.sort_by_key(|instance| instance.fails.load(Ordering::Relaxed));
        known
    }

    fn client(&self, instance: &Instance) -> InstanceClient {
        IngestServiceClient::with_interceptor(instance.channel.clone(), self.0.token.clone())
            .max_decoding_message_size(ANSWER_BYTES)
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
        if instance.fails.swap(failure.is_some(), Ordering::Relaxed) == failure.is_some() {
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

    /// Replaces a name that has several addresses by one instance for each address.
    async fn look_up(&self) {
        let mut wanted = Vec::new();
        for url in &self.0.urls {
            let addresses = match addresses(url).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    tracing::debug!(%error, url = %url.uri(), "cannot look up a name of ingest-svc; the known addresses stay");
                    return;
                }
            };
            wanted.extend(instances_of(url, &addresses));
        }
        {
            let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = |name: &str| known.iter().find(|instance| &*instance.name == name).cloned();
            *known = wanted
                .into_iter()
                .map(|(name, endpoint)| kept(&name).unwrap_or_else(|| Instance::new(&name, endpoint)))
                .collect();
        }
        self.recount();
    }

    fn known(&self) -> Vec<Instance> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn recount(&self) {
        let (fail, answer): (Vec<_>, Vec<_>) =
            self.known().into_iter().partition(|instance| instance.fails.load(Ordering::Relaxed));
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
        Self { name: name.into(), channel, fails: Arc::default() }
    }
}

/// Whether another instance may answer what this one did not.
fn is_failure(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal)
}

/// The name and the endpoint of each instance that a URL with these addresses stands for. One address is not used: each connection
/// looks the name up again.
fn instances_of(url: &Endpoint, addresses: &BTreeSet<SocketAddr>) -> Vec<(String, Endpoint)> {
    if addresses.len() < 2 {
        return vec![(url.uri().to_string(), url.clone())];
    }
    let at = |address: &SocketAddr| {
        let name = format!("http://{address}/");
        match Endpoint::from_shared(name.clone()) {
            Ok(endpoint) => Some((name, endpoint.origin(url.uri().clone()))),
            Err(error) => {
                tracing::error!(%error, name, "an address is not valid in a URL");
                None
            }
        }
    };
    addresses.iter().filter_map(at).collect()
}

/// The IPv4 addresses of a URL's host: a host that has addresses of both versions is one instance.
async fn addresses(url: &Endpoint) -> io::Result<BTreeSet<SocketAddr>> {
    let uri = url.uri();
    let host = uri.host().unwrap_or_default();
    let found = lookup_host((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))).await?;
    Ok(found.filter(SocketAddr::is_ipv4).collect())
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_several_addresses_stands_for_an_instance_at_each() {
        let url = Endpoint::from_static("http://ingest:50051");
        let names = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            instances_of(&url, &addresses).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["http://ingest:50051/"]);
        assert_eq!(names(&["10.0.0.1:50051"]), ["http://ingest:50051/"]);
        assert_eq!(
            names(&["10.0.0.2:50051", "10.0.0.1:50051"]),
            ["http://10.0.0.1:50051/", "http://10.0.0.2:50051/"]
        );
    }
}
