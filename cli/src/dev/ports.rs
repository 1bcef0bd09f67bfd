//! The ports of `ringpad dev`, all bound before anything starts.

use std::net::{Ipv4Addr, SocketAddr};

use ringpad_runtime::{Failure, serve};
use tokio::net::TcpListener;

use crate::endpoint::Endpoint;

/// How many push-svc replicas there are.
pub(super) const REPLICAS: usize = 2;
/// An offset to propose, and another one if the first is in use.
const PROPOSALS: [u16; 2] = [1_000, 2_000];

/// The addresses of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) ingest_admin: SocketAddr,
    pub(super) replicas: [Replica; REPLICAS],
}

/// The addresses of one push-svc.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    pub(super) pads: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// A listener for every port.
pub(super) struct Listeners {
    pub(super) ingest: ingest_svc::Listeners,
    pub(super) replicas: [push_svc::Listeners; REPLICAS],
}

impl Ports {
    /// Listens on every port: its usual number plus `offset`.
    ///
    /// # Errors
    /// A port is in use; the message names it, and the flag that chooses other ports.
    pub(super) async fn bind(offset: u16) -> Result<(Self, Listeners), Failure> {
        let ports = Self::at(offset);
        let listen = async |address| bind(address, offset).await;
        let [first, second] = ports.replicas;
        let listeners = Listeners {
            ingest: ingest_svc::Listeners {
                http: listen(ports.http).await?,
                grpc: listen(ports.grpc).await?,
                admin: listen(ports.ingest_admin).await?,
            },
            replicas: [
                push_svc::Listeners { pads: listen(first.pads).await?, admin: listen(first.admin).await? },
                push_svc::Listeners { pads: listen(second.pads).await?, admin: listen(second.admin).await? },
            ],
        };
        Ok((ports, listeners))
    }

    fn at(offset: u16) -> Self {
        let loopback = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port.saturating_add(offset)));
        let replica = |pads, admin| Replica { pads: loopback(pads), admin: loopback(admin) };
        Self {
            http: loopback(8080),
            grpc: loopback(50_051),
            ingest_admin: loopback(9464),
            replicas: [replica(8081, 9465), replica(8082, 9466)],
        }
    }

    /// The ports that must be ready.
    pub(super) fn edges(&self) -> [SocketAddr; 1 + REPLICAS] {
        let [first, second] = self.replicas;
        [self.http, first.pads, second.pads]
    }

    /// The internal gRPC.
    pub(super) fn directory(&self) -> Result<Endpoint, Failure> {
        Endpoint::at(self.grpc).map_err(|error| Failure::other(self.grpc, error))
    }
}

async fn bind(address: SocketAddr, offset: u16) -> Result<TcpListener, Failure> {
    let other = PROPOSALS.into_iter().find(|proposal| *proposal != offset).unwrap_or(PROPOSALS[0]);
    serve::bind(&format!("ports (--port-offset {other} adds {other} to every one)"), address).await
}
