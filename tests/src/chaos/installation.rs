//! The processes of a run, and the links between every two of them that are connected.
//!
//! ```text
//!  provider ─► nginx ─► ingest-svc ─► RabbitMQ
//!  pads ─────► nginx ─► push-svc ×3 ─► RabbitMQ
//!                       push-svc ×3 ─► ingest-svc            each ─► is a Link
//!  another installation's ingest-svc ──► RabbitMQ            without one, on the same exchange
//! ```

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::{Mutex as Lock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};

use super::{
    SETTINGS,
    fault::{Disk, Fault, Process, REPLICAS, Route},
    fault_log::FaultLog,
    schedule::PlannedFault,
};
use crate::{
    link::Link,
    machine::{self, Machine},
    nginx::{Nginx, Upstreams},
    pads::Transport,
    rabbit::RabbitNode,
    services::{Service, System},
    wait::must,
};

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
    pub(super) system: System,
    pub(super) nginx: Nginx,
    /// Another installation, whose messages must have no effect here.
    neighbour: System,
    links: BTreeMap<Route, Link>,
    /// The machine of each service: a clock that can be wrong, and for ingest-svc a disk.
    machines: BTreeMap<Process, Machine>,
}

impl Installation {
    /// Starts everything, with links in between.
    pub(super) async fn start(node: Broker) -> Self {
        let mut system = System::prepare(&node.url(), REPLICAS, &SETTINGS);
        let mut links = BTreeMap::new();
        for route in Route::all() {
            let server = match route {
                Route::IngestToBroker | Route::PushToBroker(_) => node.address(),
                Route::PushToIngest(_) => system.ingest_at.grpc,
                Route::NginxToIngest => system.ingest_at.http,
                Route::NginxToPush(replica) => system.push_at[replica].pads,
                // nginx chooses its own addresses when it starts.
                Route::ProviderToNginx | Route::PadsToNginx | Route::GrpcPadsToNginx => continue,
            };
            links.insert(route, Link::to(server).await);
        }
        let broker = |route| node.url_at(links[&route].at);
        system.ingest.set("AMQP_URL", &broker(Route::IngestToBroker));
        for (replica, service) in system.push.iter_mut().enumerate() {
            service.set("AMQP_URL", &broker(Route::PushToBroker(replica)));
            service.set("INGEST_URL", &format!("http://{}", links[&Route::PushToIngest(replica)].at));
        }
        let machines = machines(&mut system);
        let push = [0, 1, 2].map(|replica| links[&Route::NginxToPush(replica)].at);
        let upstreams = Upstreams { ingest: vec![links[&Route::NginxToIngest].at], push };
        for service in std::iter::once(&mut system.ingest).chain(&mut system.push) {
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
            links.insert(route, Link::to(at).await);
        }
        Self { node, system, nginx, neighbour, links, machines }
    }

    /// nginx's address for the provider.
    pub(super) fn for_provider(&self) -> SocketAddr {
        self.links[&Route::ProviderToNginx].at
    }

    /// nginx's address for pads.
    pub(super) fn for_pads(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Grpc => self.links[&Route::GrpcPadsToNginx].at,
            Transport::GrpcWeb | Transport::WebSocket => self.links[&Route::PadsToNginx].at,
        }
    }

    /// Sets what the log's disk does.
    pub(super) fn set_disk(&self, disk: machine::Disk) {
        self.machines[&Process::Ingest].set_disk(disk);
    }

    /// Keeps the logs, and prints where they are.
    pub(super) fn keep_logs(&mut self) {
        for system in [&mut self.system, &mut self.neighbour] {
            system.directory.disable_cleanup(true);
            eprintln!("the logs are in {}", system.directory.path().display());
        }
    }

    /// The panics in the services' logs.
    pub(super) fn panics(&self) -> Vec<String> {
        let services = [&self.system.ingest, &self.neighbour.ingest].into_iter().chain(&self.system.push);
        let logs = services.map(Service::logged);
        logs.flat_map(|log| {
            log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Injects all faults at their times from now, and returns when everything works again.
    pub(super) async fn inject(&mut self, planned_faults: &[PlannedFault], fault_log: &Lock<FaultLog>) {
        let begun = Instant::now();
        let prefix = format!("{}-", self.system.queue_prefix);
        let targets = Targets {
            node: Mutex::new(&mut self.node),
            ingest: Mutex::new(&mut self.system.ingest),
            push: self.system.push.iter_mut().map(Mutex::new).collect(),
            nginx: Mutex::new(&mut self.nginx),
            links: &self.links,
            machines: &self.machines,
            queue_prefix: prefix,
        };
        let runs = planned_faults.iter().map(async |planned| {
            sleep_until(begun + planned.at).await;
            let number = lock(fault_log).begin(planned.fault);
            eprintln!("{:6.1} s  {}", begun.elapsed().as_secs_f64(), planned.fault);
            let happened = targets.inject(planned.fault, planned.lasts).await;
            eprintln!("{:6.1} s  {}: over", begun.elapsed().as_secs_f64(), planned.fault);
            lock(fault_log).end(number, happened);
        });
        futures_util::future::join_all(runs).await;
    }
}

/// Gives each service a machine.
fn machines(system: &mut System) -> BTreeMap<Process, Machine> {
    let machines = system.directory.path().join("machines");
    let log = system.directory.path().join("ringpad.db");
    let push = system.push.iter_mut().enumerate().map(|(number, service)| (Process::Push(number), service));
    let services = std::iter::once((Process::Ingest, &mut system.ingest)).chain(push);
    let machine = |(process, service): (Process, &mut Service)| {
        let directory = machines.join(format!("{process:?}"));
        must("a directory", std::fs::create_dir_all(&directory));
        let machine = Machine::new(&directory, (process == Process::Ingest).then_some(log.as_path()));
        service.run_on(&machine);
        (process, machine)
    };
    services.map(machine).collect()
}

/// The log of faults; a panic of another thread does not matter.
fn lock(fault_log: &Lock<FaultLog>) -> std::sync::MutexGuard<'_, FaultLog> {
    fault_log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What faults strike, each by one fault at a time.
struct Targets<'a> {
    node: Mutex<&'a mut Broker>,
    ingest: Mutex<&'a mut Service>,
    push: Vec<Mutex<&'a mut Service>>,
    nginx: Mutex<&'a mut Nginx>,
    links: &'a BTreeMap<Route, Link>,
    machines: &'a BTreeMap<Process, Machine>,
    queue_prefix: String,
}

impl Targets<'_> {
    /// Injects the fault, and returns when what it strikes works again; false: there was nothing to strike.
    async fn inject(&self, fault: Fault, lasts: Duration) -> bool {
        match fault {
            Fault::Kill(process) | Fault::Freeze(process) | Fault::Restart(process) => match process {
                Process::Broker => of_broker(*self.node.lock().await, fault, lasts).await,
                Process::Nginx => of_nginx(*self.nginx.lock().await, fault, lasts).await,
                Process::Ingest => of_service(*self.ingest.lock().await, fault, lasts).await,
                Process::Push(replica) => of_service(*self.push[replica].lock().await, fault, lasts).await,
            },
            Fault::MemoryAlarm => {
                let mut node = self.node.lock().await;
                node.deref_mut().raise_memory_alarm().await;
                sleep(lasts).await;
                node.end_memory_alarm().await;
            }
            Fault::DiskAlarm => {
                let mut node = self.node.lock().await;
                node.deref_mut().raise_disk_alarm().await;
                sleep(lasts).await;
                node.end_disk_alarm().await;
            }
            Fault::PowerLoss => self.power_loss(lasts).await,
            Fault::Disk(disk) => self.faulty_disk(disk, lasts).await,
            Fault::Clock(process, seconds) => {
                self.machines[&process].set_clock(1_000 * seconds);
                sleep(lasts).await;
                self.machines[&process].set_clock(0);
            }
            Fault::QueueDeleted(replica) => {
                let node = self.node.lock().await;
                let mut queues = node.queues().await;
                queues.retain(|queue| queue.name.starts_with(&self.queue_prefix));
                // Any queue will do; a replica that is just connecting has none.
                let Some(queue) = queues.get(replica) else { return false };
                node.delete_queue(&queue.name).await;
            }
            Fault::Cut(route) => self.links[&route].cut(),
            Fault::HalfClose(route, direction) => self.links[&route].half_close(direction),
            Fault::Delay(route, by) => {
                self.links[&route].delay(by);
                sleep(lasts).await;
                self.links[&route].heal();
            }
            Fault::BlackHole(route) => self.black_hole(route, lasts).await,
            Fault::CutOff => self.black_hole(Route::IngestToBroker, lasts).await,
        }
        true
    }

    async fn power_loss(&self, lasts: Duration) {
        let mut ingest = self.ingest.lock().await;
        assert!(!ingest.has_ended(), "it had ended already:\n{}", ingest.logged());
        ingest.kill().await;
        self.machines[&Process::Ingest].lose_power();
        sleep(lasts).await;
        ingest.start().await;
    }

    /// Returns when the log can be written again.
    async fn faulty_disk(&self, disk: Disk, lasts: Duration) {
        let (mut ingest, machine) = (self.ingest.lock().await, &self.machines[&Process::Ingest]);
        match disk {
            Disk::Slow(by) => machine.slow_disk(by.as_millis().try_into().unwrap_or(i64::MAX)),
            Disk::Faulty(how) => machine.set_disk(how),
        }
        sleep(lasts).await;
        machine.slow_disk(0);
        machine.set_disk(machine::Disk::Healthy);
        ingest.ready().await;
    }

    async fn black_hole(&self, route: Route, lasts: Duration) {
        self.links[&route].black_hole();
        sleep(lasts).await;
        self.links[&route].heal();
    }
}

async fn of_broker(node: &mut RabbitNode, fault: Fault, lasts: Duration) {
    if let Fault::Freeze(_) = fault {
        node.freeze();
        sleep(lasts).await;
        return node.thaw();
    }
    match fault {
        Fault::Restart(_) => node.stop().await,
        _ => node.kill().await,
    }
    sleep(lasts).await;
    node.resume().await;
}

async fn of_nginx(nginx: &mut Nginx, fault: Fault, lasts: Duration) {
    if let Fault::Freeze(_) = fault {
        nginx.freeze();
        sleep(lasts).await;
        return nginx.thaw();
    }
    match fault {
        Fault::Restart(_) => nginx.stop().await,
        _ => nginx.kill().await,
    }
    sleep(lasts).await;
    nginx.resume().await;
}

/// # Panics
/// The service had ended already, or ends with another exit code than 0.
async fn of_service(service: &mut Service, fault: Fault, lasts: Duration) {
    assert!(!service.has_ended(), "{fault}: it had ended already:\n{}", service.logged());
    match fault {
        Fault::Freeze(_) => {
            service.running().freeze();
            sleep(lasts).await;
            return service.running().thaw();
        }
        Fault::Restart(_) => {
            service.terminate();
            assert_eq!(service.exit().await, 0, "{fault}:\n{}", service.logged());
        }
        _ => service.kill().await,
    }
    sleep(lasts).await;
    service.start().await;
}
