//! One connection to the broker, and the certainty that it ends.
//!
//! lapin runs each connection on a thread of its own, which lives as long as its socket: a connection given up while a
//! frozen broker owes its answer would leave thread and socket behind with every try. So the [`Link`] keeps a second
//! handle on the socket, and shuts it down when it is dropped. For the tasks of an attempt that fails, see [`tasks`].

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
use crate::{address::BrokerAddress, error::ConnectError};

/// How long an orderly close may take. The broker answers at once, or not at all.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A connection, open until it is lost, closed or dropped.
pub(super) struct Link {
    connection: Connection,
    address: BrokerAddress,
    _socket: Arc<Socket>,
}

/// The second handle on the connection's socket; empty until there is one.
#[derive(Default)]
struct Socket(OnceLock<TcpStream>);

impl Link {
    /// Connects and logs in. `limit` is for reaching the broker and TLS; what follows is the caller's to bound.
    pub(super) async fn open(
        address: &BrokerAddress,
        tls: &OwnedTLSConfig,
        limit: Duration,
        purpose: &str,
    ) -> Result<Self, ConnectError> {
        let given_up = CancellationToken::new();
        let runtime = tasks::runtime(given_up.clone());
        let unless_connected = given_up.drop_guard();
        let socket = Arc::new(Socket::default());
        let (tls, second, reactor) = (tls.clone(), Arc::downgrade(&socket), runtime.clone());
        let connect = async move |uri: AMQPUri, _| {
            keep_silent();
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
            Socket::put(&second, handle.into())?;
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

    /// What happens to the connection as a whole. To be taken once: two listeners would share the events.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + 'static {
        self.connection.events_listener()
    }

    /// Closes in order, so that the broker notes no abrupt end; if it does not answer, without it.
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

impl Socket {
    /// Fails if the link was given up while the socket was being connected.
    fn put(this: &Weak<Self>, stream: TcpStream) -> io::Result<()> {
        let this = this.upgrade().ok_or(io::ErrorKind::ConnectionAborted)?;
        this.0.set(stream).map_err(|_| io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(stream) = self.0.get() {
            // An error says that it is not connected any more, which is what we want.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Takes the log away from the calling thread, one of lapin's, for good: for a returned message lapin writes a warning
/// with the whole body, and with it phone numbers. What matters of what happens there, we are told, and say ourselves.
fn keep_silent() {
    std::mem::forget(dispatcher::set_default(&Dispatch::none()));
}

/// What the broker shows its operators for the connection, e.g. `push-svc subscription`.
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
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(Soft::ACCESSREFUSED) | AMQPErrorKind::Hard(Hard::NOTALLOWED) => {
                ConnectError::Refused(said.get_message().to_string())
            }
            AMQPErrorKind::Soft(Soft::PRECONDITIONFAILED) => {
                ConnectError::WrongTopology(said.get_message().to_string())
            }
            _ => ConnectError::Failed(Box::new(error.clone())),
        },
        _ => ConnectError::Failed(Box::new(error.clone())),
    }
}
