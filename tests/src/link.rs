//! A network between two processes: a TCP proxy whose connections can be cut, delayed, black-holed and half-closed.
//!
//! ```text
//! client ──► Link::at ══╡ conditions ╞══► server
//! ```
//!
//! A link holds at most [`IN_FLIGHT`] chunks of [`CHUNK`] bytes a direction; a sender of more waits, as with a full window. Data in
//! a black hole arrives when the black hole ends, as TCP would send it again.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use crate::wait::must;

/// Bytes of one read.
const CHUNK: usize = 16 * 1024;
/// Chunks on the way in one direction of a connection.
const IN_FLIGHT: usize = 64;

/// One of a connection's two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// The state of the network. The counters are compared with their values at the opening of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Conditions {
    delay: Duration,
    black_hole: bool,
    cuts: u64,
    half_closes_up: u64,
    half_closes_down: u64,
}

impl Conditions {
    fn half_closes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.half_closes_up,
            Direction::Down => self.half_closes_down,
        }
    }
}

/// A running link. When it is dropped, it cuts its connections and stops listening.
#[derive(Debug)]
pub struct Link {
    /// Its address for clients.
    pub at: SocketAddr,
    conditions: watch::Sender<Conditions>,
    acceptor: JoinHandle<()>,
}

impl Link {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `server`.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = must("a link listens", TcpListener::bind(("127.0.0.1", 0)).await);
        let at = must("a link's address", listener.local_addr());
        let conditions = watch::Sender::new(Conditions::default());
        let acceptor = tokio::spawn(accept(listener, server, conditions.subscribe()));
        Self { at, conditions, acceptor }
    }

    /// Resets all connections; new ones pass.
    pub fn cut(&self) {
        self.conditions.send_modify(|now| now.cuts += 1);
    }

    /// Ends one direction of all connections, while the other stays open. What is sent in that direction afterwards is lost.
    pub fn half_close(&self, direction: Direction) {
        self.conditions.send_modify(|now| match direction {
            Direction::Up => now.half_closes_up += 1,
            Direction::Down => now.half_closes_down += 1,
        });
    }

    /// Delays everything from now on; zero ends the delay.
    pub fn delay(&self, delay: Duration) {
        self.conditions.send_modify(|now| now.delay = delay);
    }

    /// Nothing passes any more, and no connection ends; new connections are accepted and not answered.
    pub fn black_hole(&self) {
        self.conditions.send_modify(|now| now.black_hole = true);
    }

    /// Ends a delay and a black hole.
    pub fn heal(&self) {
        self.conditions.send_modify(|now| {
            now.black_hole = false;
            now.delay = Duration::ZERO;
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, conditions: watch::Receiver<Conditions>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = must("a link accepts", accepted);
                connections.spawn(carry(client, server, conditions.clone()));
            }
            Some(ended) = connections.join_next() => must("a link's connection", ended),
        }
    }
}

/// One connection, until both directions have ended or something breaks it.
async fn carry(mut client: TcpStream, server: SocketAddr, conditions: watch::Receiver<Conditions>) {
    let opened = *conditions.borrow();
    let (mut seen, mut passable) = (conditions.clone(), conditions.clone());
    let mut cut = pin!(seen.wait_for(|now| now.cuts > opened.cuts));
    let connected = tokio::select! {
        _ = &mut cut => return reset(&client),
        connected = async {
            passes(&mut passable).await;
            TcpStream::connect(server).await
        } => connected,
    };
    // Nothing listens there. The client's connection is already accepted, so it can only be reset instead of refused.
    let Ok(mut server) = connected else { return reset(&client) };
    for stream in [&client, &server] {
        must("TCP_NODELAY", stream.set_nodelay(true));
    }
    let whole = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let (up, down) = (conditions.clone(), conditions);
        tokio::select! {
            _ = cut => false,
            ended = async {
                tokio::try_join!(
                    pump(Direction::Up, from_client, to_server, opened, up),
                    pump(Direction::Down, from_server, to_client, opened, down),
                )
            } => ended.is_ok(),
        }
    };
    if !whole {
        reset(&client);
        reset(&server);
    }
}

/// One direction of a connection, to its end.
async fn pump(
    direction: Direction,
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    opened: Conditions,
    conditions: watch::Receiver<Conditions>,
) -> io::Result<()> {
    let (sender, chunks) = mpsc::channel(IN_FLIGHT);
    tokio::try_join!(
        read(from, sender, conditions.clone()),
        write(to, chunks, conditions, |now| now.half_closes(direction) > opened.half_closes(direction)),
    )?;
    Ok(())
}

async fn read(
    mut from: ReadHalf<'_>,
    chunks: mpsc::Sender<(Instant, Bytes)>,
    mut conditions: watch::Receiver<Conditions>,
) -> io::Result<()> {
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        if from.read_buf(&mut chunk).await? == 0 {
            return Ok(());
        }
        passes(&mut conditions).await;
        let due = Instant::now() + conditions.borrow().delay;
        // After a half-close it is lost.
        chunks.send((due, chunk.freeze())).await.ok();
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut chunks: mpsc::Receiver<(Instant, Bytes)>,
    mut conditions: watch::Receiver<Conditions>,
    half_closed: impl Fn(&Conditions) -> bool,
) -> io::Result<()> {
    let mut passable = conditions.clone();
    let mut closed = pin!(conditions.wait_for(half_closed));
    loop {
        let chunk = tokio::select! {
            _ = &mut closed => None,
            chunk = chunks.recv() => chunk,
        };
        let Some((due, chunk)) = chunk else { return to.shutdown().await };
        sleep_until(due).await;
        passes(&mut passable).await;
        to.write_all(&chunk).await?;
    }
}

/// Waits while there is a black hole.
async fn passes(conditions: &mut watch::Receiver<Conditions>) {
    // Without its link it passes immediately, and the connection ends.
    conditions.wait_for(|now| !now.black_hole).await.ok();
}

/// Has the connection reset when it is dropped.
fn reset(stream: &TcpStream) {
    // A connection that has broken already cannot be reset.
    stream.set_zero_linger().ok();
}
