//! Finds the frames of HTTP/2 in the bytes that a client sends, and skips their payload.

/// The first bytes of a client over HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's header (RFC 9113, section 4.1): its length in three, its type, its flags, its stream in four.
const HEADER: usize = 9;
/// The type of a frame that cancels a call.
const RST_STREAM: u8 = 3;

/// The position within the frames of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames(Position);

#[derive(Debug)]
enum Position {
    /// This many bytes of the preface have come.
    Preface(usize),
    /// In a frame's header, of which so many bytes have come.
    Header([u8; HEADER], usize),
    /// So many bytes before the next frame's header.
    Payload(usize),
    /// It is not HTTP/2.
    Http1,
}

impl Default for Position {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Frames {
    /// Whether the client uses HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.0, Position::Header(..) | Position::Payload(_))
    }

    /// Reads the next bytes. Returns how many calls they cancel.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u32 {
        let mut resets = 0;
        while let Some(&byte) = bytes.first() {
            let taken = match &mut self.0 {
                Position::Preface(come) if PREFACE.get(*come) == Some(&byte) => {
                    *come += 1;
                    if *come == PREFACE.len() {
                        self.0 = Position::Header([0; HEADER], 0);
                    }
                    1
                }
                Position::Preface(_) | Position::Http1 => {
                    self.0 = Position::Http1;
                    return resets;
                }
                Position::Header(header, come) => {
                    header[*come] = byte;
                    *come += 1;
                    if *come == HEADER {
                        let [a, b, c, kind, ..] = *header;
                        resets += u32::from(kind == RST_STREAM);
                        self.0 = Position::of_payload(u32::from_be_bytes([0, a, b, c]));
                    }
                    1
                }
                Position::Payload(left) => {
                    let taken = (*left).min(bytes.len());
                    *left -= taken;
                    if *left == 0 {
                        self.0 = Position::Header([0; HEADER], 0);
                    }
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
        resets
    }
}

impl Position {
    fn of_payload(length: u32) -> Self {
        match usize::try_from(length) {
            Ok(0) => Self::Header([0; HEADER], 0),
            Ok(length) => Self::Payload(length),
            // A frame longer than memory: h2 ends the connection.
            Err(_) => Self::Payload(usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frames, PREFACE};

    fn frame(length: usize, kind: u8) -> Vec<u8> {
        let length = u32::try_from(length).unwrap_or_default().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        // A payload that looks like the header of another frame.
        frame.resize(9 + usize::from(length[2]) * 256 + usize::from(length[3]), 3);
        frame
    }

    #[test]
    fn cancelled_calls_are_counted_in_pieces_of_any_size() {
        let sent: Vec<u8> = [
            PREFACE.to_vec(),
            frame(0, 4),
            frame(30, 1),
            frame(4, 3),
            frame(16_384, 0),
            frame(4, 3),
            frame(0, 0),
            frame(4, 3),
        ]
        .concat();
        for size in [1, 2, 7, 9, 13, 24, 100, 8_192, sent.len()] {
            let mut frames = Frames::default();
            assert!(!frames.is_http2());
            let resets: u32 = sent.chunks(size).map(|chunk| frames.read(chunk)).sum();
            assert_eq!(resets, 3, "in chunks of {size}");
            assert!(frames.is_http2());
        }
    }

    #[test]
    fn http_1_has_no_frames() {
        let sent: [&[u8]; 3] = [
            b"POST /v1/cdr/bizcall HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/1.1\r\n\r\n",
            &[0, 0, 4, 3, 0, 0, 0, 0, 1],
        ];
        for sent in sent {
            let mut frames = Frames::default();
            assert_eq!(sent.chunks(3).map(|chunk| frames.read(chunk)).sum::<u32>(), 0);
            assert!(!frames.is_http2());
        }
    }
}
