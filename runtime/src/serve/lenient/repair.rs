//! Finds the beginning and end of each request of one connection, and repairs its head.

use bytes::Bytes;

use super::{
    body::Body,
    fault::{HeadFault, UnreadableHead},
    head::{self, ReadableHead},
};

/// The first bytes of HTTP/2; the rest of its preface is not checked.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Takes the bytes of a connection in pieces of any size, and returns the bytes that hyper reads. Requests that keep to the
/// standard are not changed, except that empty lines before a request are removed.
#[derive(Debug)]
pub struct HeadRepair {
    /// Bytes of a head at most.
    limit: usize,
    state: RepairState,
    /// Requests that were passed on, including the one that replaces an unreadable one.
    passed_on: u64,
}

#[derive(Debug)]
enum RepairState {
    /// A head, as far as it has arrived.
    Head(Vec<u8>),
    Body(Body),
    /// Not HTTP/1.x any more, or a body that is broken: hyper reads it unchanged, or refuses it.
    Unchanged,
    /// After an unreadable request. Nothing more is passed on.
    Finished,
}

impl HeadRepair {
    /// For a new connection; `limit` is how many bytes a head may have.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: RepairState::Head(Vec::new()), passed_on: 0 }
    }

    /// How many requests were passed on, including the one that replaces an unreadable one.
    pub fn passed_on(&self) -> u64 {
        self.passed_on
    }

    /// Whether nothing more will be passed on.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, RepairState::Finished)
    }

    /// Takes bytes that have arrived, and appends to `ready` what hyper can read. The head of a request that cannot be read is
    /// returned; `ready` then ends with the request that replaces it.
    pub fn push(&mut self, mut bytes: &[u8], ready: &mut Vec<u8>) -> Option<UnreadableHead> {
        while !bytes.is_empty() {
            match &mut self.state {
                RepairState::Head(head) => {
                    // Line by line.
                    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
                    let (part, behind) = bytes.split_at(end);
                    head.extend_from_slice(part);
                    bytes = behind;
                    if matches!(&head[..], b"\n" | b"\r\n") {
                        // Some senders write an empty line after a body.
                        head.clear();
                    } else if head::is_complete(head) || head.len() >= self.limit || !may_be_a_request(head) {
                        let mut head = std::mem::take(head);
                        if let Err(fault) = self.pass_on(&head, ready) {
                            if fault == HeadFault::RequestLine && !head::is_complete(&head) {
                                // Not a request at all, so it has no end to search for.
                                head.extend_from_slice(&bytes[..bytes.len().min(self.limit)]);
                            }
                            return Some(self.refuse(fault, head, ready));
                        }
                    }
                }
                RepairState::Body(body) => {
                    let step = body.read(bytes);
                    let (part, behind) = bytes.split_at(step.length);
                    ready.extend_from_slice(part);
                    bytes = behind;
                    if step.ended {
                        self.state = RepairState::Head(Vec::new());
                    } else if body.is_broken() {
                        self.state = RepairState::Unchanged;
                    }
                }
                RepairState::Unchanged => {
                    ready.extend_from_slice(bytes);
                    break;
                }
                RepairState::Finished => break,
            }
        }
        None
    }

    /// The client sends nothing more. An incomplete head is returned like any other one that cannot be read.
    pub fn finish(&mut self, ready: &mut Vec<u8>) -> Option<UnreadableHead> {
        match &mut self.state {
            RepairState::Head(head) if !matches!(&head[..], b"" | b"\r") => {
                let head = std::mem::take(head);
                Some(self.refuse(HeadFault::Incomplete, head, ready))
            }
            _ => None,
        }
    }

    fn pass_on(&mut self, head: &[u8], ready: &mut Vec<u8>) -> Result<(), HeadFault> {
        if self.passed_on == 0 && head.starts_with(HTTP2) {
            ready.extend_from_slice(head);
            self.state = RepairState::Unchanged;
            return Ok(());
        }
        let ReadableHead { bytes, body } = head::read(head, self.limit)?;
        ready.extend_from_slice(&bytes);
        self.passed_on += 1;
        self.state = body.map_or_else(|| RepairState::Head(Vec::new()), RepairState::Body);
        Ok(())
    }

    fn refuse(&mut self, fault: HeadFault, head: Vec<u8>, ready: &mut Vec<u8>) -> UnreadableHead {
        ready.extend_from_slice(&head::replacement(&head));
        self.passed_on += 1;
        self.state = RepairState::Finished;
        UnreadableHead { fault, head: Bytes::from(head) }
    }
}

/// Whether these bytes may be the beginning of a head. A client that uses TLS, for example, is refused at once.
fn may_be_a_request(head: &[u8]) -> bool {
    let method = head.split(|byte| *byte == b' ').next().unwrap_or_default();
    // A carriage return may be the first half of an empty line.
    method == b"\r" || head::is_method(method)
}
