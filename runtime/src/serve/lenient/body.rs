//! Finds the end of a body (RFC 9112, sections 6 and 7).

/// Bytes of the line before a chunk, or of a line of trailers, at most. hyper allows fewer.
const MAX_LINE: usize = 16 * 1024;

/// A body, and how much of it has been read.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes are missing.
    Length(u64),
    /// It is sent in chunks.
    Chunked(Chunked),
    /// Its chunks are not valid.
    Broken,
}

/// The next part of a body in chunks.
#[derive(Debug)]
pub(super) enum Chunked {
    /// The line with the next chunk's length, as far as it has arrived.
    Size(Vec<u8>),
    /// So many bytes of a chunk, including the end of line after it; and that end of line, as far as it has arrived.
    Data(u64, [u8; 2]),
    /// A line of trailers, as far as it has arrived. The empty one is the last.
    Trailer(Vec<u8>),
}

/// What some bytes are to a body.
pub(super) struct BodyStep {
    /// How many of them belong to it.
    pub(super) length: usize,
    /// Whether its end is among them.
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

    /// Reads bytes that have arrived.
    pub(super) fn read(&mut self, bytes: &[u8]) -> BodyStep {
        match self {
            Self::Length(left) => {
                let length = shorter(*left, bytes.len());
                *left -= length as u64;
                BodyStep { length, ended: *left == 0 }
            }
            Self::Chunked(_) => self.read_chunks(bytes),
            Self::Broken => BodyStep { length: bytes.len(), ended: false },
        }
    }

    fn read_chunks(&mut self, bytes: &[u8]) -> BodyStep {
        let mut length = 0;
        while let Self::Chunked(chunked) = self {
            let rest = &bytes[length..];
            if rest.is_empty() {
                return BodyStep { length, ended: false };
            }
            length += match chunked.read(rest) {
                Ok(ChunkStep { length, next: None }) => {
                    return BodyStep { length: bytes.len() - rest.len() + length, ended: true };
                }
                Ok(ChunkStep { length, next: Some(next) }) => {
                    *chunked = next;
                    length
                }
                Err(InvalidChunk) => {
                    *self = Self::Broken;
                    0
                }
            };
        }
        BodyStep { length: bytes.len(), ended: false }
    }
}

struct ChunkStep {
    length: usize,
    /// `None`: the body has ended.
    next: Option<Chunked>,
}

struct InvalidChunk;

impl Chunked {
    /// Reads a part of one line or of one chunk.
    fn read(&mut self, bytes: &[u8]) -> Result<ChunkStep, InvalidChunk> {
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
                            Self::Data(size.checked_add(2).ok_or(InvalidChunk)?, [0; 2])
                        }
                        Ok(httparse::Status::Partial) | Err(_) => return Err(InvalidChunk),
                    }
                };
                Ok(ChunkStep { length, next: Some(next) })
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
                    (0, _) => return Err(InvalidChunk),
                    _ => Self::Data(left, end),
                };
                Ok(ChunkStep { length, next: Some(next) })
            }
            Self::Trailer(line) => {
                let mut line = std::mem::take(line);
                let length = take_line(&mut line, bytes)?;
                let next = match &line[..] {
                    b"\r\n" => None,
                    [.., b'\n'] => Some(Self::Trailer(Vec::new())),
                    _ => Some(Self::Trailer(line)),
                };
                Ok(ChunkStep { length, next })
            }
        }
    }
}

/// Takes bytes up to the end of the line, which must be a carriage return and a line feed.
fn take_line(line: &mut Vec<u8>, bytes: &[u8]) -> Result<usize, InvalidChunk> {
    let length = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    line.extend_from_slice(&bytes[..length]);
    let bare = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
    if line.len() > MAX_LINE || bare { Err(InvalidChunk) } else { Ok(length) }
}

fn shorter(left: u64, length: usize) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}
