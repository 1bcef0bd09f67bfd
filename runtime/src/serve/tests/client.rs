//! A client over HTTP/2 that sends exactly the frames of a test.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::timeout,
};

/// How long a frame that must come may take. Only a failure takes it.
const SOON: Duration = Duration::from_secs(20);
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// Bytes of a frame at most, until a server allows more.
const MAX_FRAME: usize = 16_384;

/// What the server sends, as far as a test looks at it.
#[derive(Debug)]
pub(super) enum Frame {
    Data {
        stream: u32,
        bytes: Vec<u8>,
        end: bool,
    },
    Settings {
        stream_window: Option<u32>,
    },
    Ping([u8; 8]),
    Pong,
    /// With HTTP/2's number of the reason.
    GoAway(u32),
    WindowUpdate {
        stream: u32,
        bytes: u32,
    },
    Other,
}

pub(super) struct Client {
    reading: OwnedReadHalf,
    sending: tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
    sender: JoinHandle<OwnedWriteHalf>,
    answers: BTreeMap<u32, (Vec<u8>, bool)>,
    /// Bytes that a call may send before they are read.
    pub(super) stream_window: usize,
    /// Bytes of all calls together that were sent, and that the server has asked for beyond their first windows.
    sent: usize,
    asked_for: usize,
}

/// A frame with this payload.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Begins a call.
pub(super) fn headers(stream: u32, path: &str) -> Vec<u8> {
    // Indexed in HPACK's static table: POST, http. The path is a literal.
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    frame(1, END_HEADERS, stream, &block)
}

/// Sends so many bytes of a call's request.
pub(super) fn data(stream: u32, length: usize, end: bool) -> Vec<u8> {
    frame(0, if end { END_STREAM } else { 0 }, stream, &vec![b'x'; length])
}

/// Cancels a call.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

impl Client {
    /// Connects, and exchanges the settings.
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::begin(address, Vec::new()).await;
        client.acknowledge_settings().await;
        client
    }

    /// Connects, sends `early` before it knows the server's settings, and then waits for those. They are not acknowledged.
    pub(super) async fn begin(address: SocketAddr, early: Vec<Vec<u8>>) -> Self {
        let (reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
        let (sending, mut to_send) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
        // Sends while it reads, because both sides may send more than the sockets hold.
        let sender = tokio::spawn(async move {
            while let Some(bytes) = to_send.recv().await {
                if writing.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            writing
        });
        let answers = BTreeMap::new();
        let mut client =
            Self { reading, sending, sender, answers, stream_window: 65_535, sent: 0, asked_for: 0 };
        client.sent = early.iter().filter(|frame| frame[3] == 0).map(|frame| frame.len() - 9).sum();
        let early = early.concat();
        client
            .send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[]), early].concat())
            .await;
        let (mut settings, mut window) = (false, false);
        while !(settings && window) {
            match client.next().await.unwrap() {
                Frame::Settings { stream_window } => {
                    client.stream_window = stream_window.map_or(65_535, |window| window.try_into().unwrap());
                    settings = true;
                }
                Frame::WindowUpdate { stream: 0, .. } => window = true,
                _ => {}
            }
        }
        client
    }

    /// Says that the server's settings hold.
    pub(super) async fn acknowledge_settings(&mut self) {
        self.send(frame(4, ACK, 0, &[])).await;
    }

    /// Sends the last bytes of the only call's request as the server asks for them.
    pub(super) async fn send_within_the_window(&mut self, stream: u32, mut bytes: usize) {
        while bytes > 0 {
            let window = (self.stream_window + self.asked_for).saturating_sub(self.sent);
            let length = window.min(bytes).min(MAX_FRAME);
            if length == 0 {
                assert!(self.next().await.is_some(), "closed");
                continue;
            }
            bytes -= length;
            self.sent += length;
            self.send(data(stream, length, bytes == 0)).await;
        }
    }

    pub(super) async fn send(&mut self, bytes: Vec<u8>) {
        self.sending.send(bytes).unwrap();
    }

    pub(super) async fn pong(&mut self, asked: [u8; 8]) {
        self.send(frame(6, ACK, 0, &asked)).await;
    }

    /// Returns when the server has read all frames sent until now.
    pub(super) async fn ping(&mut self) {
        self.send(frame(6, 0, 0, &[7; 8])).await;
        loop {
            match self.next().await {
                Some(Frame::Pong) => return,
                Some(Frame::GoAway(reason)) => panic!("told to go: {reason}"),
                Some(_) => {}
                None => panic!("closed"),
            }
        }
    }

    /// Whether the server still reads; false if it has ended the connection because of the frames.
    pub(super) async fn reaches(&mut self) -> bool {
        self.send(frame(6, 0, 0, &[7; 8])).await;
        loop {
            match self.next().await {
                Some(Frame::Pong) => return true,
                // ENHANCE_YOUR_CALM
                Some(Frame::GoAway(11)) => return false,
                Some(_) => {}
                None => panic!("closed without a reason"),
            }
        }
    }

    /// A call's answer, to its end.
    pub(super) async fn answer(&mut self, stream: u32) -> Vec<u8> {
        loop {
            if self.answers.get(&stream).is_some_and(|(_, end)| *end) {
                return self.answers.remove(&stream).unwrap().0;
            }
            if self.next().await.is_none() {
                panic!("closed without an answer to {stream}");
            }
        }
    }

    /// The next frame that the server sends, until it closes the connection.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let frame = timeout(SOON, read(&mut self.reading)).await.unwrap()?;
        if let Frame::Data { stream, bytes, end } = &frame {
            let answer = self.answers.entry(*stream).or_default();
            answer.0.extend(bytes);
            answer.1 |= end;
        }
        if let Frame::WindowUpdate { stream: 1.., bytes } = &frame {
            self.asked_for += usize::try_from(*bytes).unwrap();
        }
        Some(frame)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

async fn read(reading: &mut OwnedReadHalf) -> Option<Frame> {
    let mut header = [0; 9];
    match reading.read_exact(&mut header).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
        Err(error) => panic!("{error}: a reset, and not an orderly end"),
    }
    let [a, b, c, kind, flags, stream @ ..] = header;
    let stream = u32::from_be_bytes(stream);
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]).try_into().unwrap()];
    reading.read_exact(&mut payload).await.unwrap();
    let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
    Some(match kind {
        0 => Frame::Data { stream, end: flags & END_STREAM != 0, bytes: payload },
        4 if flags & ACK == 0 => {
            let window = payload.chunks(6).position(|setting| setting[..2] == [0, 4]);
            Frame::Settings { stream_window: window.map(|at| number(6 * at + 2)) }
        }
        6 if flags & ACK == 0 => Frame::Ping(payload.try_into().unwrap()),
        6 => Frame::Pong,
        7 => Frame::GoAway(number(4)),
        8 => Frame::WindowUpdate { stream, bytes: number(0) },
        _ => Frame::Other,
    })
}
