//! The PostgreSQL primary and its synchronous standby.

use std::{net::SocketAddr, time::Duration};

use tokio::time::sleep;

use super::super::fault::{Fault, Process, Store};
use crate::{
    link::Link,
    postgres::{PostgresServer, Replication},
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

/// How late an asynchronous standby hears of a commit.
const LATE: Duration = Duration::from_secs(2);

impl Database {
    /// Starts it, if the run has one.
    pub(super) async fn start(store: Store, mode: Replication) -> Option<Self> {
        if store == Store::Sqlite {
            return None;
        }
        let primary = PostgresServer::start().await;
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

    /// Kills the primary, and promotes the standby after that time.
    pub(super) async fn fail_over(&mut self, after: Duration) {
        self.servers[self.primary].kill().await;
        sleep(after).await;
        self.primary = 1 - self.primary;
        self.servers[self.primary].promote().await;
    }

    /// Makes the killed primary the standby of the new one. Commits are possible meanwhile.
    pub(super) async fn rebuild(&mut self) {
        let through = self.replication[self.primary].at;
        let [first, second] = &mut self.servers;
        let (primary, killed) = if self.primary == 0 { (first, second) } else { (second, first) };
        killed.follow(primary, through, self.mode).await;
    }
}
