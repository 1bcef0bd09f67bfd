//! The PostgreSQL primary and its synchronous standby.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::super::fault::{Fault, Lost, Process, Store};
use crate::{
    link::Link,
    postgres::{PostgresServer, Replication},
    wait::must,
};

/// Two servers, of which one is the primary and the other its standby.
pub(super) struct Database {
    primary: usize,
    servers: [PostgresServer; 2],
    /// The link to each server through which the other one follows it.
    pub(super) replication: Vec<Link>,
    mode: Replication,
    name: String,
}

/// How long an ingest-svc may take to find the promoted server when the former primary is frozen: a batch is given up after 5 s, and a server that
/// does not answer a new connection after 2 s.
const GIVEN_UP: Duration = Duration::from_secs(8);
/// For how much longer the former primary stays frozen.
const STAYS_FROZEN: Duration = Duration::from_secs(5);
/// How late an asynchronous standby hears of a commit.
const LATE: Duration = Duration::from_secs(2);

impl Database {
    /// Starts it, if the run has one.
    pub(super) async fn start(store: Store, mode: Replication) -> Option<Self> {
        if store == Store::Sqlite {
            return None;
        }
        let primary = PostgresServer::start_on_machine().await;
        let name = primary.create_database().await;
        let to_primary = Link::to(primary.address()).await;
        let standby = primary.standby_through(to_primary.at, mode).await;
        let replication = vec![to_primary, Link::to(standby.address()).await];
        if mode == Replication::Asynchronous {
            replication.iter().for_each(|link| link.delay(LATE));
        }
        Some(Self { primary: 0, servers: [primary, standby], replication, mode, name })
    }

    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [0, 1].map(|server| self.servers[server].address())
    }

    /// `DATABASE_URL` through links to both servers.
    pub(super) fn url(&self, links: &[Link]) -> String {
        let hosts: Vec<_> = links.iter().map(|link| link.at.to_string()).collect();
        let (hosts, name) = (hosts.join(","), &self.name);
        format!("postgres://postgres:not-a-secret@{hosts}/{name}?target_session_attrs=read-write")
    }

    /// Copies the servers' logs to `directory`.
    pub(super) fn keep_logs(&self, directory: &Path) {
        for (number, server) in self.servers.iter().enumerate() {
            let copied = fs::copy(server.log(), directory.join(format!("postgres-{number}.log")));
            must("a server's log", copied);
        }
    }

    /// Injects a fault of one of the servers, and returns when commits are possible again.
    pub(super) async fn suffer(&mut self, fault: Fault, lasts: Duration) {
        let server = match fault {
            Fault::Kill(Process::Standby)
            | Fault::Freeze(Process::Standby)
            | Fault::Restart(Process::Standby) => 1 - self.primary,
            _ => self.primary,
        };
        let server = &mut self.servers[server];
        match fault {
            Fault::Freeze(_) => server.freeze(),
            Fault::Restart(_) => server.stop().await,
            _ => server.kill().await,
        }
        sleep(lasts).await;
        match fault {
            Fault::Freeze(_) => server.thaw(),
            _ => server.resume().await,
        }
        self.follows().await;
    }

    /// Returns when the standby follows the primary: then commits are possible.
    pub(super) async fn follows(&self) {
        self.servers[self.primary].is_followed(self.mode).await;
    }

    /// Loses the primary, and promotes the standby after that time. Returns when commits are possible again.
    pub(super) async fn fail_over(&mut self, lost: Lost, after: Duration) {
        let begun = Instant::now();
        match lost {
            Lost::Killed => self.servers[self.primary].kill().await,
            Lost::Frozen => self.servers[self.primary].freeze(),
        }
        sleep(after).await;
        self.primary = 1 - self.primary;
        self.servers[self.primary].promote().await;
        if lost == Lost::Frozen {
            sleep_until(begun + GIVEN_UP).await;
        }
    }

    /// Makes the lost primary the standby of the new one. Commits are possible meanwhile. One that is frozen is killed first, and not
    /// continued: two primaries are what an operator has to prevent.
    pub(super) async fn rebuild(&mut self, lost: Lost) {
        let through = self.replication[self.primary].at;
        let [first, second] = &mut self.servers;
        let (primary, lost_one) = if self.primary == 0 { (first, second) } else { (second, first) };
        if lost == Lost::Frozen {
            sleep(STAYS_FROZEN).await;
            lost_one.kill().await;
        }
        lost_one.follow(primary, through, self.mode).await;
    }

    /// Sets how far the primary's wall clock is ahead.
    pub(super) fn set_clock(&self, ahead_ms: i64) {
        self.servers[self.primary].machine().set_clock(ahead_ms);
    }
}
