//! Follows the frames of HTTP/2 in the bytes that a client sends, without reading what is in them.

/// What a client begins with if it speaks HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's header (RFC 9113, section 4.1): its length in three, its type, its flags, its stream in four.
const HEADER: usize = 9;
/// The type of a frame with which one side takes a stream back.
const RST_STREAM: u8 = 3;

/// Where in the client's bytes a connection is.
#[derive(Debug, Default)]
pub(super) struct Frames(Place);

#[derive(Debug)]
enum Place {
    /// This many bytes of the preface have come.
    Preface(usize),
    /// Within a frame's header, of which so many bytes have come.
    Header([u8; HEADER], usize),
    /// So many bytes before the next frame's header.
    Payload(usize),
    /// It is not HTTP/2.
    Http1,
}

impl Default for Place {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Frames {
    /// Whether the client has begun to speak HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.0, Place::Header(..) | Place::Payload(_))
    }

    /// Follows the next bytes.
    ///
    /// Returns how many streams they take back.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> u32 {
        let mut resets = 0;
        while let Some(&byte) = bytes.first() {
            let taken = match &mut self.0 {
                Place::Preface(come) if PREFACE.get(*come) == Some(&byte) => {
                    *come += 1;
                    if *come == PREFACE.len() {
                        self.0 = Place::Header([0; HEADER], 0);
                    }
                    1
                }
                Place::Preface(_) | Place::Http1 => {
                    self.0 = Place::Http1;
                    return resets;
                }
                Place::Header(header, come) => {
                    header[*come] = byte;
                    *come += 1;
                    if *come == HEADER {
                        let [a, b, c, kind, ..] = *header;
                        resets += u32::from(kind == RST_STREAM);
                        self.0 = Place::of_payload(u32::from_be_bytes([0, a, b, c]));
                    }
                    1
                }
                Place::Payload(left) => {
                    let taken = (*left).min(bytes.len());
                    *left -= taken;
                    if *left == 0 {
                        self.0 = Place::Header([0; HEADER], 0);
                    }
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
        resets
    }
}

impl Place {
    fn of_payload(length: u32) -> Self {
        match usize::try_from(length) {
            Ok(0) => Self::Header([0; HEADER], 0),
            Ok(length) => Self::Payload(length),
            // A frame longer than memory: the library that reads it ends the connection.
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
        // What is in a frame must not be taken for the next one's header.
        frame.resize(9 + usize::from(length[2]) * 256 + usize::from(length[3]), 3);
        frame
    }

    #[test]
    fn streams_taken_back_are_counted_however_the_bytes_are_cut() {
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
            let resets: u32 = sent.chunks(size).map(|chunk| frames.follow(chunk)).sum();
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
            assert_eq!(sent.chunks(3).map(|chunk| frames.follow(chunk)).sum::<u32>(), 0);
            assert!(!frames.is_http2());
        }
    }
}
