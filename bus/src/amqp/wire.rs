//! Frames on a socket. There is no task and no thread here: whoever uses the connection reads and writes the socket itself, so that
//! no message waits for another thread to be woken.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::{AMQPClass, constants},
    types::ChannelId,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::AsyncWrite,
    net::TcpStream,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tokio_rustls::client::TlsStream;
use tokio_util::{either::Either, io::poll_read_buf};

use super::error::LinkError;

/// Bytes of a frame in addition to its payload: type, channel and length before it, one byte after it.
const FRAME_OVERHEAD: usize = 8;
/// Where the payload begins.
const PAYLOAD: usize = 7;
/// The largest frame until the broker has said how large a frame may be.
const FIRST_FRAMES: usize = 64 * 1024;
/// The class and the method of Connection.Close and of Channel.Close.
const CONNECTION_CLOSE: (u16, u16) = (10, 50);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
/// How much is read at once, at least.
const READ: usize = 16 * 1024;

/// The socket, encrypted or not.
pub(super) type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What the broker has sent, without heartbeats.
#[derive(Debug)]
pub(super) enum Frame {
    Method(ChannelId, AMQPClass),
    Header(AMQPContentHeader),
    /// A part of the read buffer: copy it to keep it.
    Body(Bytes),
}

/// A socket with frames on it.
pub(super) struct Wire {
    socket: Socket,
    received: BytesMut,
    unsent: BytesMut,
    largest_frame: usize,
    heartbeat: Option<Heartbeat>,
}

/// Whether both sides are alive.
struct Heartbeat {
    /// Nothing for so long: the broker is gone.
    silence: Duration,
    tick: Interval,
    heard: Instant,
    /// Whether something was sent since the last tick.
    has_sent: bool,
}

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        let (received, unsent) = (BytesMut::with_capacity(READ), BytesMut::new());
        Self { socket, received, unsent, largest_frame: FIRST_FRAMES, heartbeat: None }
    }

    /// Both sides have agreed on the largest frame, and on a heartbeat; zero: none.
    pub(super) fn tuned(&mut self, largest_frame: usize, heartbeat: Duration) {
        self.largest_frame = largest_frame;
        self.heartbeat = (!heartbeat.is_zero()).then(|| {
            let (now, half) = (Instant::now(), heartbeat / 2);
            let mut tick = interval_at(now + half, half);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Heartbeat { silence: heartbeat * 2, tick, heard: now, has_sent: false }
        });
    }

    /// Adds a frame to what is to be sent.
    pub(super) fn push(&mut self, frame: &AMQPFrame) -> Result<(), LinkError> {
        let written = gen_frame(frame)(WriteContext::from(Vec::with_capacity(256)));
        let written =
            written.map_err(|error| LinkError::from(io::Error::new(ErrorKind::InvalidInput, error)))?;
        self.unsent.extend_from_slice(&written.into_inner().0);
        Ok(())
    }

    /// Adds the content of a message, in as many frames as it needs.
    pub(super) fn push_body(&mut self, channel: ChannelId, body: &[u8]) {
        self.unsent.reserve(body.len() + FRAME_OVERHEAD);
        for part in body.chunks(self.largest_frame - FRAME_OVERHEAD) {
            self.unsent.put_u8(constants::FRAME_BODY);
            self.unsent.put_u16(channel);
            #[expect(clippy::cast_possible_truncation, reason = "a frame's length has 32 bits on the wire")]
            self.unsent.put_u32(part.len() as u32);
            self.unsent.put_slice(part);
            self.unsent.put_u8(constants::FRAME_END);
        }
    }

    /// Sends what is to be sent.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(context, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::Error::from(ErrorKind::WriteZero).into()));
            }
            self.unsent.advance(sent);
            if let Some(heartbeat) = &mut self.heartbeat {
                heartbeat.has_sent = true;
            }
        }
        Pin::new(&mut self.socket).poll_flush(context).map_err(LinkError::from)
    }

    /// The next frame. Sends heartbeats and what else is to be sent meanwhile.
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        // What cannot be sent does not keep us from reading: the broker may be waiting for us to read, or has said why it closes.
        let failed = match self.poll_flush(context) {
            Poll::Ready(sent) => sent.err(),
            Poll::Pending => None,
        };
        loop {
            if let Some(frame) = self.parse()? {
                return Poll::Ready(Ok(frame));
            }
            self.received.reserve(READ);
            let error = match poll_read_buf(Pin::new(&mut self.socket), context, &mut self.received) {
                Poll::Ready(Ok(0)) => LinkError::from(io::Error::from(ErrorKind::UnexpectedEof)),
                Poll::Ready(Ok(_)) => {
                    self.heartbeat.iter_mut().for_each(|heartbeat| heartbeat.heard = Instant::now());
                    continue;
                }
                Poll::Ready(Err(error)) => error.into(),
                Poll::Pending => match failed {
                    Some(failed) => return Poll::Ready(Err(failed)),
                    None => {
                        ready!(self.poll_heartbeat(context))?;
                        continue;
                    }
                },
            };
            return Poll::Ready(Err(failed.unwrap_or(error)));
        }
    }

    /// Resolves when a heartbeat was due. Nothing is left to be read.
    fn poll_heartbeat(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let Some(heartbeat) = &mut self.heartbeat else { return Poll::Pending };
        ready!(heartbeat.tick.poll_tick(context));
        if heartbeat.heard.elapsed() >= heartbeat.silence {
            return Poll::Ready(Err(LinkError::Silent { silence: heartbeat.silence }));
        }
        if !std::mem::take(&mut heartbeat.has_sent) && self.unsent.is_empty() {
            self.push(&AMQPFrame::Heartbeat)?;
            if let Poll::Ready(sent) = self.poll_flush(context) {
                sent?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next whole frame that is no heartbeat out of what was received.
    fn parse(&mut self) -> Result<Option<Frame>, LinkError> {
        loop {
            let Some((mut head, _)) = self.received.split_at_checked(PAYLOAD) else { return Ok(None) };
            let (kind, _channel, payload) = (head.get_u8(), head.get_u16(), head.get_u32() as usize);
            let length = payload + FRAME_OVERHEAD;
            if length > self.largest_frame {
                return Err(LinkError::Protocol("a frame that is larger than was agreed"));
            }
            if self.received.len() < length {
                self.received.reserve(length - self.received.len());
                return Ok(None);
            }
            let frame = self.received.split_to(length).freeze();
            // The library copies a body byte by byte.
            if kind == constants::FRAME_BODY && frame.last() == Some(&constants::FRAME_END) {
                return Ok(Some(Frame::Body(frame.slice(PAYLOAD..PAYLOAD + payload))));
            }
            return match parse_frame(&frame[..]) {
                Ok(([], AMQPFrame::Heartbeat)) => continue,
                Ok(([], AMQPFrame::Method(channel, method))) => Ok(Some(Frame::Method(channel, method))),
                Ok(([], AMQPFrame::Header(_, header))) => Ok(Some(Frame::Header(header))),
                Ok(_) | Err(_) => Err(cut_reason(&frame[PAYLOAD..PAYLOAD + payload])
                    .unwrap_or(LinkError::Protocol("a frame that cannot be read"))),
            };
        }
    }
}

/// Why the broker closes the connection or the channel, if this is such a method. The broker cuts a long text after some bytes, also
/// in the middle of a character, and the library then refuses the whole method.
fn cut_reason(mut method: &[u8]) -> Option<LinkError> {
    let kind = (method.try_get_u16().ok()?, method.try_get_u16().ok()?);
    if ![CONNECTION_CLOSE, CHANNEL_CLOSE].contains(&kind) {
        return None;
    }
    let (code, length) = (method.try_get_u16().ok()?, usize::from(method.try_get_u8().ok()?));
    let text = method.get(..length)?.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    Some(LinkError::closed(code, text.into()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::future::poll_fn;

    use amq_protocol::protocol::channel;
    use proptest::prelude::*;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    const CHANNEL: ChannelId = 1;

    /// A wire, and its other end.
    async fn wire() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (Wire::new(Either::Left(near.unwrap())), far.unwrap().0)
    }

    /// What arrives of these bytes until the other end closes the connection.
    async fn received(pieces: &[&[u8]]) -> (Vec<Frame>, LinkError) {
        let (mut wire, mut far) = wire().await;
        let receiving = async {
            let mut frames = Vec::new();
            loop {
                match poll_fn(|context| wire.poll_frame(context)).await {
                    Ok(frame) => frames.push(frame),
                    Err(error) => return (frames, error),
                }
            }
        };
        let sending = async {
            for piece in pieces {
                // It fails if the wire has found a fault before.
                drop(far.write_all(piece).await);
                tokio::task::yield_now().await;
            }
            drop(far);
        };
        tokio::join!(receiving, sending).0
    }

    /// A heartbeat, a method and a body, as they are on the wire.
    async fn encoded(body: &[u8]) -> Vec<u8> {
        let (mut wire, _far) = wire().await;
        let method = AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
        wire.push(&AMQPFrame::Heartbeat).unwrap();
        wire.push(&AMQPFrame::Method(CHANNEL, method)).unwrap();
        wire.push_body(CHANNEL, body);
        wire.unsent.to_vec()
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frames_arrive_whole_however_they_are_cut(
            body in proptest::collection::vec(any::<u8>(), 1..3 * FIRST_FRAMES),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let (frames, error) = run(async {
                let bytes = encoded(&body).await;
                let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
                places.extend([0, bytes.len()]);
                places.sort_unstable();
                received(&places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect::<Vec<_>>()).await
            });
            prop_assert!(matches!(error, LinkError::Socket(_)), "{error}");
            let mut whole = Vec::new();
            for frame in &frames[1..] {
                let Frame::Body(part) = frame else { panic!("{frame:?}") };
                whole.extend_from_slice(part);
            }
            prop_assert!(matches!(frames[0], Frame::Method(CHANNEL, AMQPClass::Channel(_))));
            prop_assert_eq!(whole, body);
        }

        #[test]
        fn what_is_no_frame_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            run(received(&[&bytes]));
        }
    }

    #[tokio::test]
    async fn a_frame_that_is_too_large_or_has_no_end_is_refused() {
        let mut endless = encoded(b"x").await;
        *endless.last_mut().unwrap() = 0;
        for (bytes, frames) in [(vec![constants::FRAME_BODY, 0, 1, 0xff, 0, 0, 0], 0), (endless, 1)] {
            let (received, error) = received(&[&bytes]).await;
            assert_eq!(received.len(), frames);
            assert!(matches!(error, LinkError::Protocol(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn the_reason_to_close_is_read_also_if_it_was_cut_within_a_character() {
        let text = "PRECONDITION_FAILED - 전화".as_bytes();
        let text = &text[..text.len() - 1];
        for method in [[0, 20, 0, 40, 1, 150], [0, 10, 0, 50, 1, 150]] {
            let payload = [&method, &[text.len() as u8][..], text, &[0, 40, 0, 10]].concat();
            let head = [constants::FRAME_METHOD, 0, 1, 0, 0, 0, payload.len() as u8];
            let (_, error) = received(&[&head, &payload, &[constants::FRAME_END]]).await;
            let LinkError::Closed(refusal) = error else { panic!("{error}") };
            assert_eq!(refusal.to_string(), "PRECONDITION_FAILED - 전");
        }
    }

    #[tokio::test]
    async fn silence_is_an_error_and_a_heartbeat_is_sent_before() {
        let (mut wire, far) = wire().await;
        wire.tuned(FIRST_FRAMES, Duration::from_millis(100));
        let error = poll_fn(|context| wire.poll_frame(context)).await.unwrap_err();
        assert!(matches!(error, LinkError::Silent { .. }), "{error}");
        let mut sent = [0; 8];
        assert_eq!(far.try_read(&mut sent).unwrap(), 8);
        assert_eq!(sent, [constants::FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, constants::FRAME_END]);
    }
}
