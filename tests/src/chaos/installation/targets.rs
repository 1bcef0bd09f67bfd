//! Injects faults, each target one at a time.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ops::DerefMut,
    sync::{Mutex as Lock, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};

use super::{
    super::{
        fault::{Disk, Fault, Process, Route},
        fault_log::FaultLog,
        schedule::PlannedFault,
    },
    Broker,
    database::Database,
};
use crate::{
    link::Link,
    machine::{self, Machine},
    nginx::Nginx,
    rabbit::RabbitNode,
    services::Service,
};

/// How long systemd waits before it starts a service again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// The time between two looks at an ingest-svc.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What faults strike.
pub(super) struct Targets<'a> {
    pub(super) node: Mutex<&'a mut Broker>,
    pub(super) ingests: Vec<Mutex<&'a mut Service>>,
    pub(super) push: Vec<Mutex<&'a mut Service>>,
    pub(super) nginx: Mutex<&'a mut Nginx>,
    pub(super) database: Option<Mutex<&'a mut Database>>,
    pub(super) links: &'a BTreeMap<Route, Vec<Link>>,
    pub(super) machines: &'a BTreeMap<Process, Machine>,
    pub(super) queue_prefix: String,
    pub(super) fault_log: &'a Lock<FaultLog>,
}

impl<'a> Targets<'a> {
    /// Injects all faults at their times from now, and returns when everything works again.
    pub(super) async fn inject_all(&self, planned_faults: &[PlannedFault]) {
        let begun = Instant::now();
        let runs = planned_faults.iter().map(async |planned| {
            sleep_until(begun + planned.at).await;
            let number = self.begin(planned.fault);
            eprintln!("{:6.1} s  {}", begun.elapsed().as_secs_f64(), planned.fault);
            let over = |happened| {
                eprintln!("{:6.1} s  {}: over", begun.elapsed().as_secs_f64(), planned.fault);
                self.end(number, happened);
            };
            self.inject(planned.fault, planned.lasts, over).await;
        });
        join_all(runs).await;
    }

    /// Starts every ingest-svc again that ends by itself, as systemd does, and notes it. One that a fault strikes is started by that fault.
    pub(super) async fn supervise(&self) -> Infallible {
        let each = self.ingests.iter().enumerate().map(async |(number, ingest)| {
            loop {
                sleep(LOOK_PAUSE).await;
                let Ok(mut ingest) = ingest.try_lock() else { continue };
                if ingest.has_ended() {
                    let exit = self.begin(Fault::Exit(number));
                    bring_up(&mut ingest).await;
                    self.end(exit, true);
                }
            }
        });
        let never: Vec<Infallible> = join_all(each).await;
        never.into_iter().next().expect("a run has an ingest-svc")
    }

    fn begin(&self, fault: Fault) -> usize {
        self.fault_log.lock().unwrap_or_else(PoisonError::into_inner).begin(fault)
    }

    fn end(&self, number: usize, happened: bool) {
        self.fault_log.lock().unwrap_or_else(PoisonError::into_inner).end(number, happened);
    }

    /// Injects the fault, and says `over` when what it strikes works again; false: there was nothing to strike.
    async fn inject(&self, fault: Fault, lasts: Duration, over: impl Fn(bool)) {
        match fault {
            Fault::Kill(process) | Fault::Freeze(process) | Fault::Restart(process) => match process {
                Process::Broker => of_broker(*self.node.lock().await, fault, lasts).await,
                Process::Nginx => of_nginx(*self.nginx.lock().await, fault, lasts).await,
                Process::Ingest(number) => {
                    self.of_ingest(*self.ingests[number].lock().await, fault, lasts).await;
                }
                Process::Push(replica) => of_service(*self.push[replica].lock().await, fault, lasts).await,
                Process::Primary | Process::Standby => {
                    self.database().lock().await.suffer(fault, lasts).await
                }
            },
            Fault::Promotion(lost) => {
                let mut database = self.database().lock().await;
                database.fail_over(lost, lasts).await;
                over(true);
                return database.rebuild(lost).await;
            }
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
            Fault::Clock(Process::Primary, seconds) => {
                let database = self.database().lock().await;
                database.set_clock(1_000 * seconds);
                sleep(lasts).await;
                database.set_clock(0);
            }
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
                let Some(queue) = queues.get(replica) else { return over(false) };
                node.delete_queue(&queue.name).await;
            }
            Fault::Cut(_) | Fault::HalfClose(..) | Fault::Delay(..) | Fault::BlackHole(_) | Fault::CutOff => {
                self.of_route(fault, lasts).await;
            }
            Fault::Exit(_) => unreachable!("it is not planned"),
        }
        over(true);
    }

    fn database(&self) -> &Mutex<&'a mut Database> {
        self.database.as_ref().expect("a run with faults of the database has one")
    }

    /// Of connections to the broker, the database or another process.
    async fn of_route(&self, fault: Fault, lasts: Duration) {
        let Some(route) = fault.route() else { return };
        let (database, links) = match route {
            Route::StandbyToPrimary => (Some(self.database().lock().await), None),
            _ => (None, self.links.get(&route)),
        };
        let links = database.as_ref().map(|database| &database.replication).or(links);
        let links = || links.into_iter().flatten();
        match fault {
            Fault::Cut(_) => links().for_each(Link::cut),
            Fault::HalfClose(_, direction) => links().for_each(|link| link.half_close(direction)),
            Fault::Delay(_, by) => links().for_each(|link| link.delay(by)),
            _ => links().for_each(Link::black_hole),
        }
        sleep(lasts).await;
        links().for_each(Link::heal);
        if let Some(database) = database {
            database.follows().await;
        }
    }

    async fn power_loss(&self, lasts: Duration) {
        let mut ingest = self.ingests[0].lock().await;
        assert!(!ingest.has_ended(), "it had ended already:\n{}", ingest.logged());
        ingest.kill().await;
        self.machines[&Process::Ingest(0)].lose_power();
        sleep(lasts).await;
        ingest.start().await;
    }

    /// Returns when the log can be written again.
    async fn faulty_disk(&self, disk: Disk, lasts: Duration) {
        let (mut ingest, machine) = (self.ingests[0].lock().await, &self.machines[&Process::Ingest(0)]);
        match disk {
            Disk::Slow(by) => machine.slow_disk(by.as_millis().try_into().unwrap_or(i64::MAX)),
            Disk::Faulty(how) => machine.set_disk(how),
        }
        sleep(lasts).await;
        machine.slow_disk(0);
        machine.set_disk(machine::Disk::Healthy);
        ingest.ready().await;
    }

    /// With a database an ingest-svc may end by itself: it does if it cannot open the log when it starts, or after a promotion.
    async fn of_ingest(&self, ingest: &mut Service, fault: Fault, lasts: Duration) {
        if self.database.is_none() {
            return of_service(ingest, fault, lasts).await;
        }
        bring_up(ingest).await;
        match fault {
            Fault::Freeze(_) => {
                ingest.running().freeze();
                sleep(lasts).await;
                return ingest.running().thaw();
            }
            Fault::Restart(_) => {
                ingest.terminate();
                let code = ingest.exit().await;
                assert!(code <= 1, "{fault}: it ended with {code}:\n{}", ingest.logged());
            }
            _ => ingest.kill().await,
        }
        sleep(lasts).await;
        bring_up(ingest).await;
    }
}

/// Starts an ingest-svc until it is ready, if it has ended.
///
/// # Panics
/// It ends with another exit code than 1, that of a service that is to be started again.
async fn bring_up(ingest: &mut Service) {
    loop {
        if let Some(code) = ingest.ended_with().await {
            assert_eq!(code, 1, "an ingest-svc ended:\n{}", ingest.logged());
            sleep(RESTART_PAUSE).await;
        }
        if ingest.has_ended() {
            ingest.spawn();
        }
        if ingest.readiness().await.is_some_and(|(status, _)| status == 200) {
            return;
        }
        sleep(LOOK_PAUSE).await;
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
