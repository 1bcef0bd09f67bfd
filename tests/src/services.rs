//! The services under test: the real binaries, each with its own environment, on free ports of 127.0.0.1.
//!
//! ```text
//! let mut system = System::start(&RabbitNode::shared().await.url(), 2).await;
//! let store = system.store("gangnam").await;
//! system.provider().deliver(&cdr::ring(&store.virtual_number, &cdr::caller())).await;
//! ```
//!
//! When a [`System`] is dropped, all its logs are searched for secrets; if its test has failed, it prints their last lines
//! instead.

mod activation;
mod second_ingest;
mod service;
mod small_disk;

use std::{collections::BTreeSet, fs, net::SocketAddr, thread, time::Duration};

use ringpad_proto::v1::{
    self, Cdr, ListCallsRequest, UpsertStoreRequest, ingest_service_client::IngestServiceClient,
    store_service_client::StoreServiceClient,
};
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::{
    cdr,
    guard::Program,
    http,
    http::{channel, metric},
    pads::{Pad, Subscription, Transport},
    port::free_address,
    provider::Provider,
    rabbit::{tail, unique},
    secrets::{Secrets, TOKEN_SECRET},
    token::Claims,
    wait::{SOON, must, until},
};

pub use activation::PassedSockets;
pub use service::{Service, binary};

/// The addresses of one ingest-svc.
#[derive(Debug, Clone, Copy)]
pub struct IngestAddresses {
    /// Number providers.
    pub http: SocketAddr,
    /// Internal services.
    pub grpc: SocketAddr,
    /// `/metrics`.
    pub admin: SocketAddr,
}

/// The addresses of one replica of push-svc.
#[derive(Debug, Clone, Copy)]
pub struct PushAddresses {
    /// Pads.
    pub pads: SocketAddr,
    /// `/metrics`.
    pub admin: SocketAddr,
}

/// A store of a test.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Its id.
    pub id: String,
    /// Its only virtual number, as people write it.
    pub virtual_number: String,
    /// The real line behind it.
    pub line: String,
}

impl Shop {
    /// The record at ring time of a new call to it.
    pub fn ring(&self) -> Cdr {
        cdr::ring(&self.virtual_number, &cdr::caller())
    }
}

/// One ingest-svc, some replicas of push-svc, and what they share.
#[derive(Debug)]
pub struct System {
    /// ingest-svc.
    pub ingest: Service,
    /// Its addresses.
    pub ingest_at: IngestAddresses,
    /// The replicas.
    pub push: Vec<Service>,
    /// Their addresses.
    pub push_at: Vec<PushAddresses>,
    /// The fanout exchange, which only this system uses.
    pub exchange: String,
    /// The prefix of the replicas' private queues.
    pub queue_prefix: String,
    /// The numbers used so far.
    pub secrets: Secrets,
    /// Logs and the database.
    pub directory: TempDir,
}

impl System {
    /// Starts one ingest-svc and `replicas` of push-svc on the broker at `amqp_url`, and waits until all are ready.
    ///
    /// # Panics
    /// One of them does not start.
    pub async fn start(amqp_url: &str, replicas: usize) -> Self {
        Self::start_with(amqp_url, replicas, &[]).await
    }

    /// The same, with more settings; each service gets all of them.
    ///
    /// # Panics
    /// One of them does not start.
    pub async fn start_with(amqp_url: &str, replicas: usize, settings: &[(&str, &str)]) -> Self {
        let mut system = Self::prepare(amqp_url, replicas, settings);
        for service in std::iter::once(&mut system.ingest).chain(&mut system.push) {
            service.spawn();
        }
        for service in std::iter::once(&mut system.ingest).chain(&mut system.push) {
            service.ready().await;
        }
        system
    }

    /// Prepares everything and starts nothing.
    pub fn prepare(amqp_url: &str, replicas: usize, settings: &[(&str, &str)]) -> Self {
        let directory = must("a directory", tempfile::Builder::new().prefix("ringpad-e2e-").tempdir());
        let (exchange, queue_prefix) = (unique("ringpad-exchange"), unique("ringpad-push"));
        let ingest_at = IngestAddresses { http: free_address(), grpc: free_address(), admin: free_address() };
        let common = |name: &str, log: &str| {
            Program::new(binary(name), directory.path().join(format!("{log}.log")))
                .set("AMQP_URL", amqp_url)
                .set("AMQP_EXCHANGE", &exchange)
                .set("AMQP_QUEUE_PREFIX", &queue_prefix)
                .set("RETRY_INITIAL_INTERVAL", "100ms")
                .set("RETRY_MAX_INTERVAL", "2s")
                .set("RUST_LOG", "debug")
                .set("RUST_BACKTRACE", "1")
        };
        // Last, so that a setting of the test replaces one of these.
        let set = |program: Program| {
            settings.iter().fold(program, |program, (name, value)| program.set(name, *value))
        };
        let ingest = common("ingest-svc", "ingest")
            .set("INGEST_HTTP_ADDR", ingest_at.http.to_string())
            .set("INGEST_GRPC_ADDR", ingest_at.grpc.to_string())
            .set("INGEST_ADMIN_ADDR", ingest_at.admin.to_string())
            .set("DATABASE_URL", format!("sqlite://{}", directory.path().join("ringpad.db").display()));
        let push_at: Vec<_> =
            (0..replicas).map(|_| PushAddresses { pads: free_address(), admin: free_address() }).collect();
        let push = push_at.iter().enumerate().map(|(index, at)| {
            let program = common("push-svc", &format!("push-{index}"))
                .set("PUSH_ADDR", at.pads.to_string())
                .set("PUSH_ADMIN_ADDR", at.admin.to_string())
                .set("INGEST_URL", format!("http://{}", ingest_at.grpc))
                .set("PAD_TOKEN_SECRET", TOKEN_SECRET)
                .set("HEARTBEAT_INTERVAL", "1s")
                .set("DRAIN_WINDOW", "1s");
            Service::new(set(program), at.pads)
        });
        Self {
            push: push.collect(),
            ingest: Service::new(set(ingest), ingest_at.http),
            ingest_at,
            push_at,
            exchange,
            queue_prefix,
            secrets: Secrets::default(),
            directory,
        }
    }

    /// Gives ingest-svc a file with these sources, for its next start.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn sources(&mut self, toml: &str) {
        let file = self.directory.path().join("sources.toml");
        must("the sources", fs::write(&file, toml));
        self.ingest.set("INGEST_CONFIG", &file.display().to_string());
    }

    /// Rings once at `shop`, which must be accepted; returns the call's id.
    ///
    /// # Panics
    /// It is not accepted.
    pub async fn ring(&self, shop: &Shop) -> String {
        let answer = self.provider().deliver(&shop.ring()).await;
        assert_eq!(answer.status, "accepted");
        answer.call_id
    }

    /// The record at ring time of a new call to `shop`, for a test that sends it itself: no log may show its numbers.
    pub fn noted_ring(&self, shop: &Shop) -> Cdr {
        let record = shop.ring();
        self.secrets.note(&record);
        record
    }

    /// A metric of ingest-svc now, by its name and labels as `/metrics` writes them; zero if it is not shown yet.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn metric(&self, series: &str) -> f64 {
        metric(self.ingest_at.admin, series).await
    }

    /// The calls of `shop` in the log, and the log's epoch.
    ///
    /// # Panics
    /// ListCalls fails.
    pub async fn listed_calls(&self, shop: &Shop) -> (BTreeSet<String>, String) {
        let mut request =
            ListCallsRequest { store_id: shop.id.clone(), page_size: 500, ..Default::default() };
        let (mut listed, mut client) = (BTreeSet::new(), self.calls().await);
        loop {
            let page = must("ListCalls", client.list_calls(request.clone()).await).into_inner();
            listed.extend(page.calls.into_iter().map(|call| call.id));
            if page.next_page_token.is_empty() {
                return (listed, page.epoch);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Another ingest-svc with the same settings at addresses of its own, which is not started. push-svc does not know it.
    pub fn another_ingest(&self) -> (Service, IngestAddresses) {
        let at = IngestAddresses { http: free_address(), grpc: free_address(), admin: free_address() };
        let mut program = self.ingest.program.clone();
        for (name, address) in
            [("INGEST_HTTP_ADDR", at.http), ("INGEST_GRPC_ADDR", at.grpc), ("INGEST_ADMIN_ADDR", at.admin)]
        {
            program = program.set(name, address.to_string());
        }
        program.log = self.directory.path().join(format!("ingest-{}.log", at.http.port()));
        (Service::new(program, at.http), at)
    }

    /// A number provider with its own connection.
    pub fn provider(&self) -> Provider {
        Provider::new(self.ingest_at.http, self.secrets.clone())
    }

    /// Starts a replica that replaces the one of that index, at new addresses, and waits until it is ready. Returns the old one,
    /// which still runs.
    ///
    /// # Panics
    /// It does not start.
    pub async fn successor(&mut self, replica: usize) -> Service {
        let at = PushAddresses { pads: free_address(), admin: free_address() };
        let mut program = self.push[replica].program.clone();
        program = program.set("PUSH_ADDR", at.pads.to_string()).set("PUSH_ADMIN_ADDR", at.admin.to_string());
        program.log = self.directory.path().join(format!("push-{replica}-{}.log", at.pads.port()));
        let mut service = Service::new(program, at.pads);
        service.start().await;
        self.push_at[replica] = at;
        std::mem::replace(&mut self.push[replica], service)
    }

    /// Makes a store with one virtual number and one line of its own.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn store(&self, id: &str) -> Shop {
        let shop = Shop { id: id.to_owned(), virtual_number: cdr::virtual_number(), line: cdr::line() };
        self.upsert(&shop, &[&shop.virtual_number]).await;
        shop
    }

    /// Makes a store, or replaces its numbers.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn upsert(&self, shop: &Shop, virtual_numbers: &[&str]) -> v1::UpsertStoreResponse {
        self.secrets.note_number(&shop.line);
        let store = v1::Store {
            id: shop.id.clone(),
            name: format!("{} 세차장", shop.id),
            virtual_numbers: virtual_numbers.iter().map(|number| (*number).to_owned()).collect(),
            lines: vec![shop.line.clone()],
        };
        let request = UpsertStoreRequest { store: Some(store), ..UpsertStoreRequest::default() };
        must("UpsertStore", self.stores().await.upsert_store(request).await).into_inner()
    }

    /// A client of `StoreService`.
    pub async fn stores(&self) -> StoreServiceClient<Channel> {
        StoreServiceClient::new(self.channel().await)
    }

    /// A client of `IngestService`.
    pub async fn calls(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel().await)
    }

    /// A connection to the internal gRPC.
    ///
    /// # Panics
    /// Nothing listens.
    pub async fn channel(&self) -> Channel {
        channel(self.ingest_at.grpc).await
    }

    /// Opens a pad of `store` on the replica of that index and takes its snapshot.
    ///
    /// # Panics
    /// There is no snapshot.
    pub async fn pad(&self, transport: Transport, replica: usize, store: &str) -> Pad {
        Pad::open(transport, self.push_at[replica].pads, &self.subscription(store)).await
    }

    /// Opens a pad of `store` on every transport of every replica.
    ///
    /// # Panics
    /// There is no snapshot.
    pub async fn pads(&self, store: &str) -> Vec<Pad> {
        let mut pads = Vec::new();
        for replica in 0..self.push_at.len() {
            pads.extend(self.pads_on(replica, store).await);
        }
        pads
    }

    /// Opens a pad of `store` on every transport of the replica of that index.
    ///
    /// # Panics
    /// There is no snapshot.
    pub async fn pads_on(&self, replica: usize, store: &str) -> Vec<Pad> {
        let mut pads = Vec::new();
        for transport in Transport::ALL {
            pads.push(self.pad(transport, replica, store).await);
        }
        pads
    }

    /// Rings at a store that has a pad on the first replica, until one of the rings has come there over the bus.
    ///
    /// A replica that has just started compares its stores with the log every second, until it knows that the bus is alive.
    /// What it reads there first is not measured as an event of the bus.
    ///
    /// # Panics
    /// None of them comes over the bus in time.
    pub async fn ring_over_the_bus(&self, shop: &Shop) {
        let mut provider = self.provider();
        let mut admin = http::Client::new(self.push_at[0].admin);
        until("a ring comes over the bus", SOON, async || {
            provider.deliver(&shop.ring()).await;
            let shown = must("/metrics", admin.get("/metrics").await).text();
            shown.contains("\nringpad_push_receipt_to_pad_seconds_count").then_some(())
        })
        .await;
    }

    /// The request of a new pad of `store`.
    pub fn subscription(&self, store: &str) -> Subscription {
        Subscription::new(&Claims::new(store, &unique("pad")).token())
    }

    /// Waits until the broker has a private queue for each running replica, and returns them.
    ///
    /// # Panics
    /// It does not have them in time.
    pub async fn private_queues(
        &self,
        node: &crate::rabbit::RabbitNode,
        count: usize,
    ) -> Vec<crate::rabbit::Queue> {
        until(&format!("{count} private queues"), Duration::from_secs(60), async || {
            let mut queues = node.queues().await;
            queues.retain(|queue| queue.name.starts_with(&format!("{}-", self.queue_prefix)));
            (queues.len() == count).then_some(queues)
        })
        .await
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for service in std::iter::once(&mut self.ingest).chain(&mut self.push) {
            service.running = None;
            if thread::panicking() {
                eprintln!("--- end of {}\n{}", service.program.log.display(), tail(&service.program.log));
            }
        }
        if thread::panicking() {
            self.directory.disable_cleanup(true);
        } else {
            self.secrets.assert_none_in_logs(self.directory.path());
        }
    }
}
