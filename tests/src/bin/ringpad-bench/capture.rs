//! The packets of a call on the loopback interface, with the kernel's time stamps: captured by tcpdump, whose wake-ups are few.

use std::{fs, time::Duration};

use ringpad_tests::{
    guard::{Program, Running},
    wait::{SOON, must, until},
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

/// Bytes of a packet that are kept: enough for a record, and for an event in its message.
const SNAPSHOT: &str = "2048";
/// KiB of the kernel's buffer for packets that tcpdump has not read yet.
const BUFFER: &str = "65536";
/// tcpdump reads what has come once a second.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// A running tcpdump.
pub(crate) struct Capture {
    running: Running,
    directory: TempDir,
}

/// A TCP packet with a payload.
pub(crate) struct Packet {
    /// Since 1970.
    pub(crate) at: Duration,
    /// The sender's port.
    pub(crate) from: u16,
    /// The receiver's port.
    pub(crate) to: u16,
    pub(crate) payload: Vec<u8>,
}

impl Capture {
    /// Begins to capture the packets from and to these ports.
    ///
    /// # Errors
    /// What tcpdump says, if it is not there or may not capture.
    pub(crate) async fn start(ports: &[u16]) -> Result<Self, String> {
        let directory = must("a directory", tempfile::tempdir());
        let (file, log) = (directory.path().join("packets"), directory.path().join("log"));
        let ports = ports.iter().map(|port| format!("port {port}")).collect::<Vec<_>>().join(" or ");
        let arguments =
            ["-i", "lo", "--time-stamp-precision=nano", "-s", SNAPSHOT, "-B", BUFFER, "-Z", "root"];
        let program = arguments.into_iter().fold(Program::new("tcpdump", &log), Program::argument);
        let program = program.argument("-w").argument(file.display().to_string());
        let mut running = program.argument(format!("tcp and ({ports})")).spawn();
        let said = until("tcpdump listens", SOON, async || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            (said.contains("listening on") || running.status().is_some()).then_some(said)
        })
        .await;
        if running.status().is_some() { Err(said.trim().to_owned()) } else { Ok(Self { running, directory }) }
    }

    /// All packets so far, each once and in the order in which they were sent.
    pub(crate) async fn stop(mut self) -> Vec<Packet> {
        sleep(READ_INTERVAL * 2).await;
        self.running.signal(Signal::INT);
        assert_eq!(self.running.exit(SOON).await, 0, "tcpdump ends");
        let mut packets = packets(&must("the packets", fs::read(self.directory.path().join("packets"))));
        packets.sort_by_key(|packet| packet.at);
        packets
    }
}

/// Reads the file: a header of 24 bytes, then each packet with a header of its own.
fn packets(file: &[u8]) -> Vec<Packet> {
    /// The file's header and a packet's.
    const HEADERS: [usize; 2] = [24, 16];
    let (mut packets, mut rest) = (Vec::new(), &file[HEADERS[0]..]);
    while let Some((header, after)) = rest.split_at_checked(HEADERS[1]) {
        let number = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let Some((frame, after)) = after.split_at_checked(number(8) as usize) else { break };
        packets.extend(packet(Duration::new(number(0).into(), number(4)), frame));
        rest = after;
    }
    packets
}

/// Reads an Ethernet frame with IPv4 and TCP in it. `None`: it has no payload.
fn packet(at: Duration, frame: &[u8]) -> Option<Packet> {
    /// Of Ethernet.
    const HEADER: usize = 14;
    let ip = frame.get(HEADER..)?;
    let tcp = ip.get(usize::from(ip.first()? & 0xf) * 4..)?;
    let port = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
    let payload = tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?.to_vec();
    (!payload.is_empty()).then_some(Packet { at, from: port(0)?, to: port(2)?, payload })
}
