//! PgBouncer in front of a server.

use std::net::{Ipv4Addr, SocketAddr};

use super::{PostgresServer, START, connect, directory::Directory};
use crate::{
    guard::{Program, Running},
    port::free_port,
    wait::until,
};

/// A private PgBouncer in transaction mode: a server's connection is a client's for one transaction.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    program: Program,
    running: Option<Running>,
    _directory: Directory,
}

impl Pooler {
    /// Starts one in front of `server`.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(server: &PostgresServer) -> Self {
        let (port, directory) = (free_port(), Directory::new().await);
        let at = server.address();
        let program = directory.pooler(&format!(
            "[databases]\n* = host={} port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 5\n",
            at.ip(),
            at.port(),
        ));
        let mut pooler = Self { port, program, running: None, _directory: directory };
        pooler.resume().await;
        pooler
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Ends it at once, and its connections with it.
    pub async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().await;
        }
    }

    /// Starts it again after [`kill`](Self::kill).
    ///
    /// # Panics
    /// It does not come up.
    pub async fn resume(&mut self) {
        self.running = Some(self.program.spawn());
        let url = format!("postgres://postgres:not-a-secret@{}/postgres", self.address());
        let log = self.program.log.display();
        until(&format!("PgBouncer accepts connections, see {log}"), START, async || connect(&url).await.ok())
            .await;
    }
}
