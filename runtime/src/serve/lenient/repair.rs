//! The requests of one connection, one behind the other: where each begins and ends.

use bytes::Bytes;

use super::{
    HeadFault, UnreadableHead,
    body::Body,
    head::{self, Head},
};

/// How HTTP/2 begins; the rest of its preface is not looked at.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Takes bytes as they come, in any pieces, and gives back what hyper is to read. Bytes that are requests by the book come
/// out as they went in, but for empty lines before a request.
#[derive(Debug)]
pub struct HeadRepair {
    /// Bytes of a head at most.
    limit: usize,
    state: State,
    /// Requests that have been passed on, with the one that may stand in an unreadable one's place.
    begun: u64,
}

#[derive(Debug)]
enum State {
    /// A head, as far as it came.
    Head(Vec<u8>),
    Body(Body),
    /// Not HTTP/1.x any more, or a body that is broken: hyper's to read, or to refuse.
    Through,
    /// Behind an unreadable request. Nothing more is passed on.
    Ended,
}

impl HeadRepair {
    /// Of a new connection; `limit` is how many bytes a head may have.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: State::Head(Vec::new()), begun: 0 }
    }

    /// Requests passed on until now.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Whether nothing more will be passed on.
    pub fn have_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes what came, and appends to `ready` what can be read. A request that cannot be read is returned; `ready` then
    /// ends with the one that stands in its place.
    pub fn take(&mut self, mut bytes: &[u8], ready: &mut Vec<u8>) -> Option<UnreadableHead> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Head(head) => {
                    // Line by line.
                    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
                    let (part, behind) = bytes.split_at(end);
                    head.extend_from_slice(part);
                    bytes = behind;
                    if matches!(&head[..], b"\n" | b"\r\n") {
                        // Some send an empty line behind a body, where none belongs.
                        head.clear();
                    } else if head::is_whole(head) || head.len() >= self.limit || !may_be_a_request(head) {
                        let mut head = std::mem::take(head);
                        if let Err(fault) = self.pass_on(&head, ready) {
                            if fault == HeadFault::RequestLine && !head::is_whole(&head) {
                                // No request at all, and so without an end that could be found.
                                head.extend_from_slice(&bytes[..bytes.len().min(self.limit)]);
                            }
                            return Some(self.refuse(fault, head, ready));
                        }
                    }
                }
                State::Body(body) => {
                    let followed = body.follow(bytes);
                    let (part, behind) = bytes.split_at(followed.length);
                    ready.extend_from_slice(part);
                    bytes = behind;
                    if followed.ended {
                        self.state = State::Head(Vec::new());
                    } else if body.is_broken() {
                        self.state = State::Through;
                    }
                }
                State::Through => {
                    ready.extend_from_slice(bytes);
                    break;
                }
                State::Ended => break,
            }
        }
        None
    }

    /// Nothing more comes. A head that is not whole is returned like any other that cannot be read.
    pub fn end(&mut self, ready: &mut Vec<u8>) -> Option<UnreadableHead> {
        match &mut self.state {
            State::Head(head) if !matches!(&head[..], b"" | b"\r") => {
                let head = std::mem::take(head);
                Some(self.refuse(HeadFault::Incomplete, head, ready))
            }
            _ => None,
        }
    }

    fn pass_on(&mut self, head: &[u8], ready: &mut Vec<u8>) -> Result<(), HeadFault> {
        if self.begun == 0 && head.starts_with(HTTP2) {
            ready.extend_from_slice(head);
            self.state = State::Through;
            return Ok(());
        }
        let Head { bytes, body } = head::read(head, self.limit)?;
        ready.extend_from_slice(&bytes);
        self.begun += 1;
        self.state = body.map_or_else(|| State::Head(Vec::new()), State::Body);
        Ok(())
    }

    fn refuse(&mut self, fault: HeadFault, head: Vec<u8>, ready: &mut Vec<u8>) -> UnreadableHead {
        ready.extend_from_slice(&head::in_its_place(&head));
        self.begun += 1;
        self.state = State::Ended;
        UnreadableHead { fault, head: Bytes::from(head) }
    }
}

/// Whether what came of a head may be the beginning of one: who speaks TLS, say, is not waited for.
fn may_be_a_request(head: &[u8]) -> bool {
    let method = head.split(|byte| *byte == b' ').next().unwrap_or_default();
    // A carriage return may be the first half of an empty line.
    method == b"\r" || head::is_method(method)
}
