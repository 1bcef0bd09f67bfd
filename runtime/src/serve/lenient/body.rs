//! Where a body ends (RFC 9112, 6 and 7).

/// Bytes of the line before a chunk, or of a line of trailers, at most. hyper takes fewer.
const MAX_LINE: usize = 16 * 1024;

/// A body, and how far it has come.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes are still to come.
    Length(u64),
    /// It comes in chunks.
    Chunked(Chunked),
    /// Its chunks make no sense.
    Broken,
}

/// What comes next of a body in chunks.
#[derive(Debug)]
pub(super) enum Chunked {
    /// The line with the next chunk's length; what came of it.
    Size(Vec<u8>),
    /// So many bytes of a chunk, the line's end behind it among them; what came of that end.
    Data(u64, [u8; 2]),
    /// A line of trailers; what came of it. The empty one is the last.
    Trailer(Vec<u8>),
}

/// What was followed of some bytes.
pub(super) struct Followed {
    /// So many belong to the body.
    pub(super) length: usize,
    /// Its end was among them.
    pub(super) ended: bool,
}

impl Body {
    /// A body of this length, if it is one.
    pub(super) fn of_length(length: u64) -> Option<Self> {
        (length > 0).then_some(Self::Length(length))
    }

    /// A body in chunks.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::Size(Vec::new()))
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    /// Follows the body through bytes that came.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Followed {
        match self {
            Self::Length(left) => {
                let length = shorter(*left, bytes.len());
                *left -= length as u64;
                Followed { length, ended: *left == 0 }
            }
            Self::Chunked(_) => self.follow_chunks(bytes),
            Self::Broken => Followed { length: bytes.len(), ended: false },
        }
    }

    fn follow_chunks(&mut self, bytes: &[u8]) -> Followed {
        let mut length = 0;
        while let Self::Chunked(chunked) = self {
            let came = &bytes[length..];
            if came.is_empty() {
                return Followed { length, ended: false };
            }
            length += match chunked.follow(came) {
                Ok(Step { length, next: None }) => {
                    return Followed { length: bytes.len() - came.len() + length, ended: true };
                }
                Ok(Step { length, next: Some(next) }) => {
                    *chunked = next;
                    length
                }
                Err(Nonsense) => {
                    *self = Self::Broken;
                    0
                }
            };
        }
        Followed { length: bytes.len(), ended: false }
    }
}

struct Step {
    length: usize,
    /// None: that was the end.
    next: Option<Chunked>,
}

struct Nonsense;

impl Chunked {
    /// Takes a part of one line or of one chunk.
    fn follow(&mut self, bytes: &[u8]) -> Result<Step, Nonsense> {
        match self {
            Self::Size(line) => {
                let mut line = std::mem::take(line);
                let length = take_line(&mut line, bytes)?;
                let next = if !line.ends_with(b"\n") {
                    Self::Size(line)
                } else {
                    match httparse::parse_chunk_size(&line) {
                        Ok(httparse::Status::Complete((_, 0))) => Self::Trailer(Vec::new()),
                        Ok(httparse::Status::Complete((_, size))) => {
                            Self::Data(size.checked_add(2).ok_or(Nonsense)?, [0; 2])
                        }
                        Ok(httparse::Status::Partial) | Err(_) => return Err(Nonsense),
                    }
                };
                Ok(Step { length, next: Some(next) })
            }
            Self::Data(left, end) => {
                let length = shorter(*left, bytes.len());
                let (mut left, mut end) = (*left, *end);
                for byte in &bytes[..length] {
                    match left {
                        2 => end[0] = *byte,
                        1 => end[1] = *byte,
                        _ => {}
                    }
                    left -= 1;
                }
                let next = match (left, &end) {
                    (0, b"\r\n") => Self::Size(Vec::new()),
                    (0, _) => return Err(Nonsense),
                    _ => Self::Data(left, end),
                };
                Ok(Step { length, next: Some(next) })
            }
            Self::Trailer(line) => {
                let mut line = std::mem::take(line);
                let length = take_line(&mut line, bytes)?;
                let next = match &line[..] {
                    b"\r\n" => None,
                    [.., b'\n'] => Some(Self::Trailer(Vec::new())),
                    _ => Some(Self::Trailer(line)),
                };
                Ok(Step { length, next })
            }
        }
    }
}

/// Takes bytes up to a line's end, which is a carriage return and a line feed and nothing else.
fn take_line(line: &mut Vec<u8>, bytes: &[u8]) -> Result<usize, Nonsense> {
    let length = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    line.extend_from_slice(&bytes[..length]);
    let bare = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
    if line.len() > MAX_LINE || bare { Err(Nonsense) } else { Ok(length) }
}

fn shorter(left: u64, length: usize) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}
