//! Which connections and requests a port takes: so many of all clients, and so many of each address.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hyper::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    limits::Limits,
    metrics::Refused,
    shares::{AddressShare, AddressShares},
};
use crate::forwarded;

/// The connections and requests that a port has now. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ConnectionAdmission {
    connections: Arc<Semaphore>,
    shares: AddressShares,
    proxies: Arc<[ipnet::IpNet]>,
}

/// Counts a connection among those of its port, until it is dropped. Requests have it as an extension; a handler that takes
/// the connection over (an upgrade) keeps it as long as the connection.
#[derive(Debug, Clone)]
pub struct ConnectionPermit {
    _connection: Arc<OwnedSemaphorePermit>,
    /// Of the connection's own address, or of the one that a request was forwarded for.
    _share: Option<Arc<AddressShare>>,
}

/// The other side of a connection.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) permit: ConnectionPermit,
}

impl ConnectionAdmission {
    /// Nothing admitted yet.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.connections.total)),
            shares: AddressShares::new(limits.connections.per_address),
            proxies: Arc::clone(&limits.proxies),
        }
    }

    /// Admits a connection.
    ///
    /// # Errors
    /// The port, or the address, has as many as it may have.
    pub(super) fn connect(&self, address: SocketAddr) -> Result<Peer, Refused> {
        let share = match self.trusts(address.ip()) {
            true => None,
            false => Some(Arc::new(self.shares.take(address.ip()).ok_or(Refused::Address)?)),
        };
        let connection = Arc::clone(&self.connections).try_acquire_owned().map_err(|_| Refused::Port)?;
        let permit = ConnectionPermit { _connection: Arc::new(connection), _share: share };
        Ok(Peer { address, permit })
    }

    /// Admits a request of a connection. Through a proxy of ours it also counts for the address that the proxy names.
    ///
    /// # Errors
    /// That address has as many requests as it may have.
    pub(super) fn request(&self, peer: &Peer, headers: &HeaderMap) -> Result<ConnectionPermit, IpAddr> {
        if !self.trusts(peer.address.ip()) {
            return Ok(peer.permit.clone());
        }
        // A request whose client is unknown counts as the proxy's own.
        let Some(client) = forwarded::client(headers, peer.address.ip(), |address| self.trusts(address))
        else {
            return Ok(peer.permit.clone());
        };
        let share = Arc::new(self.shares.take(client).ok_or(client)?);
        Ok(ConnectionPermit { _share: Some(share), ..peer.permit.clone() })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        forwarded::contains(&self.proxies, address)
    }
}
