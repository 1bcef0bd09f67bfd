//! The processes of a run, and the links between every two of them that are connected.
//!
//! ```text
//!  provider ─► nginx ─► ingest-svc ─► RabbitMQ
//!  pads ─────► nginx ─► push-svc ×3 ─► RabbitMQ
//!                       push-svc ×3 ─► ingest-svc            each ─► is a Link
//!                       ingest-svc ×2 ─► PostgreSQL primary ◄─ standby     with a log in PostgreSQL
//!  another installation's ingest-svc ──► RabbitMQ            without one, on the same exchange
//! ```

mod database;
mod targets;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::Mutex as Lock,
};

use tokio::sync::Mutex;

use super::{
    SETTINGS,
    fault::{Process, REPLICAS, Route, Store},
    fault_log::FaultLog,
    schedule::PlannedFault,
    tamper::Tampering,
};
use crate::{
    link::Link,
    machine::{self, Machine},
    nginx::{Nginx, Upstreams},
    pads::Transport,
    postgres::Replication,
    rabbit::RabbitNode,
    services::{IngestAddresses, Service, System},
    wait::must,
};
use database::Database;
use targets::Targets;

/// The broker.
#[derive(Debug)]
pub enum Broker {
    /// Its own, which may be killed, stopped and frozen.
    Own(RabbitNode),
    /// One that other tests use too.
    Shared(&'static RabbitNode),
}

impl Deref for Broker {
    type Target = RabbitNode;

    fn deref(&self) -> &RabbitNode {
        match self {
            Self::Own(node) => node,
            Self::Shared(node) => node,
        }
    }
}

impl DerefMut for Broker {
    fn deref_mut(&mut self) -> &mut RabbitNode {
        match self {
            Self::Own(node) => node,
            Self::Shared(_) => panic!("a run with faults of the broker needs its own broker"),
        }
    }
}

/// All processes of a run.
pub(super) struct Installation {
    pub(super) node: Broker,
    /// The second ingest-svc, if there is one. It ends before the system, which then searches all logs.
    another: Option<(Service, IngestAddresses)>,
    pub(super) system: System,
    pub(super) nginx: Nginx,
    /// Another installation, whose messages must have no effect here.
    neighbour: System,
    database: Option<Database>,
    links: BTreeMap<Route, Vec<Link>>,
    /// The machine of each service: a clock that can be wrong, and for ingest-svc a disk.
    machines: BTreeMap<Process, Machine>,
}

impl Installation {
    /// Starts everything, with links in between.
    pub(super) async fn start(node: Broker, store: Store, tampering: Option<Tampering>) -> Self {
        let replication = match tampering {
            Some(Tampering::AsynchronousStandby) => Replication::Asynchronous,
            _ => Replication::Synchronous,
        };
        let database = Database::start(store, replication).await;
        let mut system = System::prepare(&node.url(), REPLICAS, &SETTINGS);
        let mut another = (store.ingests() > 1).then(|| system.another_ingest());
        let ingests_at: Vec<_> =
            std::iter::once(system.ingest_at).chain(another.as_ref().map(|(_, at)| *at)).collect();
        let mut links = BTreeMap::new();
        for route in Route::all(store) {
            let servers = match (route, &database) {
                (Route::IngestToBroker(_) | Route::PushToBroker(_), _) => vec![node.address()],
                (Route::IngestToDatabase(_), Some(database)) => database.addresses().to_vec(),
                (Route::PushToIngest(_, ingest), _) => vec![ingests_at[ingest].grpc],
                (Route::NginxToIngest(ingest), _) => vec![ingests_at[ingest].http],
                (Route::NginxToPush(replica), _) => vec![system.push_at[replica].pads],
                // nginx chooses its own addresses when it starts; the database has its own link.
                _ => continue,
            };
            for server in servers {
                links.entry(route).or_insert_with(Vec::new).push(Link::to(server).await);
            }
        }
        let at = |route: Route| links[&route][0].at;
        let ingests = std::iter::once(&mut system.ingest).chain(another.as_mut().map(|(service, _)| service));
        for (number, service) in ingests.enumerate() {
            service.set("AMQP_URL", &node.url_at(at(Route::IngestToBroker(number))));
            if let Some(database) = &database {
                service.set("DATABASE_URL", &database.url(&links[&Route::IngestToDatabase(number)]));
            }
        }
        for (replica, service) in system.push.iter_mut().enumerate() {
            service.set("AMQP_URL", &node.url_at(at(Route::PushToBroker(replica))));
            let urls = (0..store.ingests())
                .map(|ingest| format!("http://{}", at(Route::PushToIngest(replica, ingest))));
            service.set("INGEST_URL", &urls.collect::<Vec<_>>().join(","));
        }
        let machines = machines(&mut system, another.as_mut().map(|(service, _)| service), store);
        let known = if tampering == Some(Tampering::OneUpstream) { 1 } else { store.ingests() };
        let upstreams = Upstreams {
            ingest: (0..known).map(|ingest| at(Route::NginxToIngest(ingest))).collect(),
            push: [0, 1, 2].map(|replica| at(Route::NginxToPush(replica))),
        };
        let ingests = std::iter::once(&mut system.ingest).chain(another.as_mut().map(|(service, _)| service));
        for service in ingests.chain(&mut system.push) {
            service.start().await;
        }
        let mut neighbour = System::prepare(&node.url(), 0, &SETTINGS);
        neighbour.ingest.set("AMQP_EXCHANGE", &system.exchange);
        neighbour.ingest.start().await;
        let nginx = Nginx::start_before(upstreams, system.directory.path()).await;
        for (route, at) in [
            (Route::ProviderToNginx, nginx.at),
            (Route::PadsToNginx, nginx.at),
            (Route::GrpcPadsToNginx, nginx.grpc_at),
        ] {
            links.insert(route, vec![Link::to(at).await]);
        }
        Self { node, another, system, nginx, neighbour, database, links, machines }
    }

    /// Every ingest-svc and its addresses.
    pub(super) fn ingests(&self) -> impl Iterator<Item = (&Service, IngestAddresses)> {
        let another = self.another.as_ref().map(|(service, at)| (service, *at));
        std::iter::once((&self.system.ingest, self.system.ingest_at)).chain(another)
    }

    /// nginx's address for the provider.
    pub(super) fn for_provider(&self) -> SocketAddr {
        self.links[&Route::ProviderToNginx][0].at
    }

    /// nginx's address for pads.
    pub(super) fn for_pads(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Grpc => self.links[&Route::GrpcPadsToNginx][0].at,
            Transport::GrpcWeb | Transport::WebSocket => self.links[&Route::PadsToNginx][0].at,
        }
    }

    /// Sets what the log's disk does.
    pub(super) fn set_disk(&self, disk: machine::Disk) {
        self.machines[&Process::Ingest(0)].set_disk(disk);
    }

    /// Keeps the logs, and prints where they are.
    pub(super) fn keep_logs(&mut self) {
        for system in [&mut self.system, &mut self.neighbour] {
            system.directory.disable_cleanup(true);
            eprintln!("the logs are in {}", system.directory.path().display());
        }
        if let Some(database) = &self.database {
            database.keep_logs(self.system.directory.path());
        }
    }

    /// The panics in the services' logs.
    pub(super) fn panics(&self) -> Vec<String> {
        let ingests = self.ingests().map(|(service, _)| service);
        let services = ingests.chain([&self.neighbour.ingest]).chain(&self.system.push);
        let logs = services.map(Service::logged);
        logs.flat_map(|log| {
            log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Injects all faults at their times from now, and returns when everything works again.
    pub(super) async fn inject(&mut self, planned_faults: &[PlannedFault], fault_log: &Lock<FaultLog>) {
        let targets = self.targets(fault_log);
        tokio::select! {
            () = targets.inject_all(planned_faults) => {}
            never = targets.supervise() => match never {},
        }
    }

    /// Starts services again that end by themselves, while `other` is done.
    pub(super) async fn supervised<T>(
        &mut self,
        fault_log: &Lock<FaultLog>,
        other: impl Future<Output = T>,
    ) -> T {
        let targets = self.targets(fault_log);
        tokio::select! {
            done = other => done,
            never = targets.supervise() => match never {},
        }
    }

    fn targets<'a>(&'a mut self, fault_log: &'a Lock<FaultLog>) -> Targets<'a> {
        let another = self.another.as_mut().map(|(service, _)| service);
        Targets {
            node: Mutex::new(&mut self.node),
            ingests: std::iter::once(&mut self.system.ingest).chain(another).map(Mutex::new).collect(),
            push: self.system.push.iter_mut().map(Mutex::new).collect(),
            nginx: Mutex::new(&mut self.nginx),
            database: self.database.as_mut().map(Mutex::new),
            links: &self.links,
            machines: &self.machines,
            queue_prefix: format!("{}-", self.system.queue_prefix),
            fault_log,
        }
    }
}

/// Gives each service a machine; a log in a file is on its disk.
fn machines(system: &mut System, another: Option<&mut Service>, store: Store) -> BTreeMap<Process, Machine> {
    let machines = system.directory.path().join("machines");
    let log = (store == Store::Sqlite).then(|| system.directory.path().join("ringpad.db"));
    let ingests = std::iter::once(&mut system.ingest).chain(another).enumerate();
    let ingests = ingests.map(|(number, service)| (Process::Ingest(number), service));
    let push = system.push.iter_mut().enumerate().map(|(number, service)| (Process::Push(number), service));
    let machine = |(process, service): (Process, &mut Service)| {
        let directory = machines.join(format!("{process:?}"));
        must("a directory", std::fs::create_dir_all(&directory));
        let files = log.as_deref().filter(|_| matches!(process, Process::Ingest(_)));
        let machine = Machine::new(&directory, files);
        service.run_on(&machine);
        (process, machine)
    };
    ingests.chain(push).map(machine).collect()
}
