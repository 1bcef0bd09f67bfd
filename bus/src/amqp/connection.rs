//! One connection to the broker, with one channel. When it is dropped, its socket is closed.
//!
//! It does nothing by itself: its owner must go on receiving, also while it expects nothing, or heartbeats are missed.

use std::{
    future::poll_fn,
    io,
    path::Path,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use amq_protocol::{
    auth::Credentials,
    frame::{AMQPContentHeader, AMQPFrame, ProtocolVersion},
    protocol::{
        AMQPClass, AMQPErrorKind, AMQPHardError, AMQPSoftError,
        basic::{self, AMQPProperties},
        channel,
        connection::{self, AMQPMethod as Connection},
    },
    types::{AMQPValue, ChannelId, FieldTable},
    uri::AMQPUri,
};
use bytes::{Bytes, BytesMut};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::{
    error::LinkError,
    wire::{Frame, Socket, Wire},
};
use crate::{address::BrokerAddress, error::ConnectError};

/// How long closing may take. The broker answers at once, or not at all.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Bytes of a frame at most, unless the URL sets `frame_max`, or the broker wants less: RabbitMQ's default.
const FRAME_MAX: u32 = 128 * 1024;
/// What AMQP lets both sides always send.
const SMALLEST_FRAME_MAX: u32 = 4 * 1024;
/// The only channel.
const CHANNEL: ChannelId = 1;
/// What is not about a channel.
const CONNECTION: ChannelId = 0;

/// A connection, open until it is lost, closed or dropped.
pub(super) struct Link {
    wire: Wire,
    /// A message of which not everything was received yet.
    partial: Option<Partial>,
    is_blocked: bool,
}

/// What the broker has sent on the channel.
#[derive(Debug)]
pub(super) enum Received {
    Method(AMQPClass),
    Message(Box<Message>),
}

/// A message from the broker: a delivery, a returned one, or one that was asked for.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) method: basic::AMQPMethod,
    pub(super) properties: AMQPProperties,
    pub(super) body: Bytes,
}

struct Partial {
    method: basic::AMQPMethod,
    header: Option<AMQPContentHeader>,
    body: BytesMut,
}

impl Link {
    /// Connects, logs in and opens the channel. The caller bounds the time.
    pub(super) async fn open(
        address: &BrokerAddress,
        tls: Option<&Arc<ClientConfig>>,
        purpose: &str,
    ) -> Result<Self, ConnectError> {
        let opening = async {
            let wire = Wire::new(connect(address, tls).await?);
            let mut link = Self { wire, partial: None, is_blocked: false };
            link.log_in(address.uri(), purpose).await?;
            link.ask(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await?;
            Ok(link)
        };
        opening.await.map_err(|error| failure(address, error))
    }

    /// Connection.Start, Tune, Open.
    async fn log_in(&mut self, uri: &AMQPUri, purpose: &str) -> Result<(), LinkError> {
        self.wire.push(&AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1()))?;
        let Received::Method(AMQPClass::Connection(Connection::Start(_))) = self.receive().await? else {
            return Err(UNEXPECTED);
        };
        let mechanism = uri.query.auth_mechanism.unwrap_or_default();
        let credentials = Credentials::from(uri.authority.userinfo.clone());
        self.push(
            CONNECTION,
            AMQPClass::Connection(Connection::StartOk(connection::StartOk {
                client_properties: properties(purpose),
                mechanism: mechanism.name().into(),
                response: credentials.sasl_auth_string(mechanism),
                locale: "en_US".into(),
            })),
        )?;
        let Received::Method(AMQPClass::Connection(Connection::Tune(tune))) = self.receive().await? else {
            return Err(UNEXPECTED);
        };
        let frame_max =
            agreed(tune.frame_max, uri.query.frame_max.filter(|size| *size > 0).unwrap_or(FRAME_MAX));
        let heartbeat = agreed(tune.heartbeat.into(), uri.query.heartbeat.unwrap_or_default().into());
        self.push(
            CONNECTION,
            AMQPClass::Connection(Connection::TuneOk(connection::TuneOk {
                channel_max: CHANNEL,
                frame_max,
                heartbeat: u16::try_from(heartbeat).unwrap_or(u16::MAX),
            })),
        )?;
        if frame_max < SMALLEST_FRAME_MAX {
            return Err(LinkError::Protocol("a limit of frames that is below AMQP's least one"));
        }
        self.wire.tuned(frame_max as usize, Duration::from_secs(heartbeat.into()));
        let open = connection::Open { virtual_host: uri.vhost.as_str().into() };
        self.push(CONNECTION, AMQPClass::Connection(Connection::Open(open)))?;
        match self.receive().await? {
            Received::Method(AMQPClass::Connection(Connection::OpenOk(_))) => Ok(()),
            _ => Err(UNEXPECTED),
        }
    }

    /// Adds a method of the channel to what is to be sent.
    pub(super) fn send(&mut self, method: AMQPClass) -> Result<(), LinkError> {
        self.push(CHANNEL, method)
    }

    fn push(&mut self, channel: ChannelId, method: AMQPClass) -> Result<(), LinkError> {
        self.wire.push(&AMQPFrame::Method(channel, method))
    }

    /// Adds a message to what is to be sent.
    pub(super) fn send_message(
        &mut self,
        publish: basic::Publish,
        properties: AMQPProperties,
        body: &[u8],
    ) -> Result<(), LinkError> {
        let header = AMQPContentHeader {
            class_id: publish.get_amqp_class_id(),
            body_size: body.len() as u64,
            properties,
        };
        self.send(AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))?;
        self.wire.push(&AMQPFrame::Header(CHANNEL, header))?;
        self.wire.push_body(CHANNEL, body);
        Ok(())
    }

    /// Sends what is to be sent.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.wire.poll_flush(context)
    }

    /// Whether the broker has asked publishers to wait, because it is short of memory or of disk space.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Sends a method, and waits for the broker's answer.
    pub(super) async fn call(&mut self, method: AMQPClass) -> Result<Received, LinkError> {
        self.send(method)?;
        self.receive().await
    }

    /// The same if the answer only says that it is done.
    pub(super) async fn ask(&mut self, method: AMQPClass) -> Result<(), LinkError> {
        self.call(method).await.map(drop)
    }

    /// What the broker sends next. Cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<Received, LinkError> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// The same, polled. Sends also what is to be sent, and heartbeats.
    pub(super) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        loop {
            let received = match ready!(self.wire.poll_frame(context))? {
                Frame::Method(CONNECTION, AMQPClass::Connection(method)) => self.control(method, context)?,
                Frame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                    return Poll::Ready(Err(LinkError::closed(close.reply_code, close.reply_text)));
                }
                Frame::Method(_, AMQPClass::Basic(method)) if has_content(&method) => {
                    self.partial = Some(Partial { method, header: None, body: BytesMut::new() });
                    None
                }
                Frame::Method(_, method) => Some(Received::Method(method)),
                Frame::Header(header) => {
                    self.partial.as_mut().ok_or(UNEXPECTED)?.header = Some(header);
                    self.message()?
                }
                Frame::Body(part) => {
                    self.partial.as_mut().ok_or(UNEXPECTED)?.body.extend_from_slice(&part);
                    self.message()?
                }
            };
            if let Some(received) = received {
                return Poll::Ready(Ok(received));
            }
        }
    }

    /// Takes a method that is about the whole connection.
    fn control(
        &mut self,
        method: Connection,
        context: &mut Context<'_>,
    ) -> Result<Option<Received>, LinkError> {
        match method {
            Connection::Blocked(connection::Blocked { reason }) => {
                tracing::warn!(%reason, "the broker blocks publishers for now; messages wait");
                self.is_blocked = true;
            }
            Connection::Unblocked(_) => {
                tracing::info!("the broker accepts messages again");
                self.is_blocked = false;
            }
            Connection::Close(close) => {
                self.push(CONNECTION, AMQPClass::Connection(Connection::CloseOk(connection::CloseOk {})))?;
                // The broker waits for it only to log no warning.
                drop(self.poll_flush(context));
                return Err(LinkError::closed(close.reply_code, close.reply_text));
            }
            method => return Ok(Some(Received::Method(AMQPClass::Connection(method)))),
        }
        Ok(None)
    }

    /// The message, if everything of it was received.
    fn message(&mut self) -> Result<Option<Received>, LinkError> {
        let is_whole = |partial: &mut Partial| {
            partial.header.as_ref().is_some_and(|header| partial.body.len() as u64 >= header.body_size)
        };
        let Some(Partial { method, header: Some(AMQPContentHeader { properties, body_size, .. }), body }) =
            self.partial.take_if(is_whole)
        else {
            return Ok(None);
        };
        if body.len() as u64 > body_size {
            return Err(LinkError::Protocol("more of a message than was announced"));
        }
        Ok(Some(Received::Message(Box::new(Message { method, properties, body: body.freeze() }))))
    }

    /// Closes the connection with AMQP's handshake if the broker answers, so that it logs no error.
    pub(super) async fn close(mut self) {
        let closing = async {
            let close =
                connection::Close { reply_code: 200, reply_text: "OK".into(), class_id: 0, method_id: 0 };
            self.push(CONNECTION, AMQPClass::Connection(Connection::Close(close)))?;
            loop {
                // Messages may still be on the way.
                if let Received::Method(AMQPClass::Connection(Connection::CloseOk(_))) =
                    self.receive().await?
                {
                    return Ok::<_, LinkError>(());
                }
            }
        };
        match timeout(CLOSE_LIMIT, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "the connection to the broker was gone before it was closed")
            }
            Err(_) => tracing::debug!("the broker did not answer the close"),
        }
    }
}

/// The broker does not do what AMQP prescribes.
pub(super) const UNEXPECTED: LinkError = LinkError::Protocol("something that was not asked for");

async fn connect(address: &BrokerAddress, tls: Option<&Arc<ClientConfig>>) -> io::Result<Socket> {
    let authority = &address.uri().authority;
    let stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Either::Left(stream)) };
    let name = ServerName::try_from(authority.host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
    Ok(Either::Right(Box::new(stream)))
}

/// What both sides accept; zero: no limit.
fn agreed(theirs: u32, ours: u32) -> u32 {
    if theirs == 0 || ours == 0 { theirs.max(ours) } else { theirs.min(ours) }
}

/// What the broker is told about us. The broker sends some methods only to clients that announce them.
fn properties(purpose: &str) -> FieldTable {
    let capabilities = [
        "authentication_failure_close",
        "connection.blocked",
        "consumer_cancel_notify",
        "publisher_confirms",
        "basic.nack",
    ];
    let mut known = FieldTable::default();
    for capability in capabilities {
        known.insert(capability.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("connection_name".into(), AMQPValue::LongString(name(purpose).into()));
    properties.insert("product".into(), AMQPValue::LongString("RingPad".into()));
    properties.insert("version".into(), AMQPValue::LongString(env!("CARGO_PKG_VERSION").into()));
    properties.insert("capabilities".into(), AMQPValue::FieldTable(known));
    properties
}

/// Whether frames with a message follow.
fn has_content(method: &basic::AMQPMethod) -> bool {
    use basic::AMQPMethod::{Deliver, GetOk, Return};
    matches!(method, Deliver(_) | GetOk(_) | Return(_))
}

/// The connection's name in the broker's listings, e.g. `push-svc subscription`.
fn name(purpose: &str) -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy();
    format!("{program} {purpose}")
}

/// Why a connection, or what was declared on it, failed.
pub(super) fn failure(address: &BrokerAddress, error: LinkError) -> ConnectError {
    use {AMQPHardError as Hard, AMQPSoftError as Soft};
    match error {
        LinkError::Socket(source) => ConnectError::Unreachable { address: address.to_string(), source },
        LinkError::Closed(refusal) => match refusal.0.kind() {
            AMQPErrorKind::Soft(Soft::ACCESSREFUSED) | AMQPErrorKind::Hard(Hard::NOTALLOWED) => {
                ConnectError::Refused(refusal)
            }
            AMQPErrorKind::Soft(Soft::PRECONDITIONFAILED) => ConnectError::WrongTopology(refusal),
            _ => ConnectError::Failed(LinkError::Closed(refusal)),
        },
        LinkError::Silent { .. } | LinkError::Protocol(_) => ConnectError::Failed(error),
    }
}
