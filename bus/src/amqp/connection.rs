//! One connection to the broker; it is closed in every case.
//!
//! lapin runs each connection on its own thread, which lives as long as the socket: an attempt that is given up while a
//! frozen broker does not answer would leave a thread and a socket behind. So the [`Link`] keeps a second handle on the
//! socket, and shuts it down when it is dropped. [`tasks`] ends the tasks of an attempt that fails.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    path::Path,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures_util::Stream;
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, ErrorKind, Event,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    tcp::{AMQPUriTcpExt, OwnedTLSConfig},
    uri::AMQPUri,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, dispatcher};

use super::tasks;
use crate::{
    address::BrokerAddress,
    error::{BrokerRefusal, ConnectError},
};

/// How long closing may take. The broker answers at once, or not at all.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A connection, open until it is lost, closed or dropped.
pub(super) struct Link {
    connection: Connection,
    address: BrokerAddress,
    _socket: Arc<SocketHandle>,
}

/// The second handle on the connection's socket; empty until there is one.
#[derive(Default)]
struct SocketHandle(OnceLock<TcpStream>);

impl Link {
    /// Connects and logs in. `limit` bounds TCP and TLS; the caller bounds the rest.
    pub(super) async fn open(
        address: &BrokerAddress,
        tls: &OwnedTLSConfig,
        limit: Duration,
        purpose: &str,
    ) -> Result<Self, ConnectError> {
        let given_up = CancellationToken::new();
        let runtime = tasks::runtime(given_up.clone());
        let unless_connected = given_up.drop_guard();
        let socket = Arc::new(SocketHandle::default());
        let (tls, second, reactor) = (tls.clone(), Arc::downgrade(&socket), runtime.clone());
        let connect = async move |uri: AMQPUri, _| {
            turn_logging_off();
            let connecting = uri.connect_with_config_async(tls.as_ref(), &reactor);
            let stream =
                timeout(limit, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            let handle = match &stream {
                AsyncTcpStream::Plain(stream) => stream.get_ref().as_fd().try_clone_to_owned()?,
                AsyncTcpStream::Rustls(stream) => {
                    stream.get_ref().0.get_ref().as_fd().try_clone_to_owned()?
                }
                _ => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
            };
            SocketHandle::put(&second, handle.into())?;
            Ok(stream)
        };
        let properties = ConnectionProperties::default().with_connection_name(name(purpose).into());
        match Connection::connector(address.uri(), runtime, connect, properties).await {
            Ok(connection) => {
                unless_connected.disarm();
                Ok(Self { connection, address: address.clone(), _socket: socket })
            }
            Err(error) => Err(failure(address, &error)),
        }
    }

    pub(super) async fn channel(&self) -> Result<Channel, ConnectError> {
        self.connection.create_channel().await.map_err(|error| failure(&self.address, &error))
    }

    /// The events of the connection as a whole. Call it once: two listeners would each get a part of the events.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + 'static {
        self.connection.events_listener()
    }

    /// Closes the connection with AMQP's handshake if the broker answers, so that it logs no error.
    pub(super) async fn close(self) {
        match timeout(CLOSE_LIMIT, self.connection.close(200, "OK".into())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "the connection to the broker was gone before it was closed")
            }
            Err(_) => tracing::debug!("the broker did not answer the close"),
        }
    }
}

impl SocketHandle {
    /// Fails if the link was given up while the socket was being connected.
    fn put(this: &Weak<Self>, stream: TcpStream) -> io::Result<()> {
        let this = this.upgrade().ok_or(io::ErrorKind::ConnectionAborted)?;
        this.0.set(stream).map_err(|_| io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for SocketHandle {
    fn drop(&mut self) {
        if let Some(stream) = self.0.get() {
            // It fails if the socket is not connected any more, which is what we want.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Turns logging off for the calling thread, which belongs to lapin: for a returned message lapin logs a warning with the
/// whole body, which contains phone numbers. lapin reports what happens there also to us, and we log it.
fn turn_logging_off() {
    std::mem::forget(dispatcher::set_default(&Dispatch::none()));
}

/// The connection's name in the broker's listings, e.g. `push-svc subscription`.
fn name(purpose: &str) -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
    format!("{program} {purpose}")
}

/// Why a connection, or what was declared on it, failed.
pub(super) fn failure(address: &BrokerAddress, error: &lapin::Error) -> ConnectError {
    use {AMQPHardError as Hard, AMQPSoftError as Soft};
    match error.kind() {
        ErrorKind::IOError(source) => {
            ConnectError::Unreachable { address: address.to_string(), source: Arc::clone(source) }
        }
        ErrorKind::ProtocolError(refusal) => match refusal.kind() {
            AMQPErrorKind::Soft(Soft::ACCESSREFUSED) | AMQPErrorKind::Hard(Hard::NOTALLOWED) => {
                ConnectError::Refused(BrokerRefusal(refusal.clone()))
            }
            AMQPErrorKind::Soft(Soft::PRECONDITIONFAILED) => {
                ConnectError::WrongTopology(BrokerRefusal(refusal.clone()))
            }
            _ => ConnectError::Failed(Box::new(error.clone())),
        },
        _ => ConnectError::Failed(Box::new(error.clone())),
    }
}
