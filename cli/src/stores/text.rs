//! A file's text. UTF-8 and CP949 (what a Korean Excel saves as CSV) are told apart by their bytes; UTF-16 and UTF-8 by a
//! byte order mark.

use std::borrow::Cow;

use encoding_rs::{EUC_KR, Encoding};

use super::file::Fault;

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    /// With U+FFFD for what cannot be read.
    pub(super) text: Cow<'a, str>,
    /// A line each that cannot be read.
    pub(super) faults: Vec<Fault>,
}

/// Reads it.
pub(super) fn read(bytes: &[u8]) -> Text<'_> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        let faults = faulty_lines(&text, encoding.name());
        return Text { text, faults };
    }
    if let Ok(text) = str::from_utf8(bytes) {
        return Text { text: Cow::Borrowed(text), faults: Vec::new() };
    }
    // A byte of a line feed is one in both.
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_ascii());
    let (utf_8, other): (Vec<_>, Vec<_>) = lines.partition(|line| str::from_utf8(line).is_ok());
    if !utf_8.is_empty() && utf_8.len() >= other.len() {
        // Few words in CP949 are also UTF-8, and no UTF-8 has faults in most lines. A wrong guess ends in faults.
        let text = String::from_utf8_lossy(bytes);
        let faults = faulty_lines(&text, "UTF-8, as the other lines are");
        return Text { text, faults };
    }
    let (text, _) = EUC_KR.decode_without_bom_handling(bytes);
    let faults = faulty_lines(&text, "UTF-8 or CP949");
    Text { text, faults }
}

/// The lines that have what cannot be read.
fn faulty_lines(text: &str, encoding: &str) -> Vec<Fault> {
    let lines = text.split('\n').zip(1..).filter(|(line, _)| line.contains(char::REPLACEMENT_CHARACTER));
    lines.map(|(_, line)| Fault { line, text: format!("not {encoding}") }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faulty(bytes: &[u8]) -> Vec<u64> {
        read(bytes).faults.iter().map(|fault| fault.line).collect()
    }

    #[test]
    fn a_byte_order_mark_decides() {
        let text = "store_id,행복 세차\n";
        let utf_16: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for file in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), [b"\xff\xfe", utf_16.as_slice()].concat()] {
            assert_eq!(read(&file), Text { text: text.into(), faults: vec![] });
        }
        assert_eq!(faulty(b"\xef\xbb\xbfa\n\xc7\xe0\n"), [2]);
    }

    #[test]
    fn lines_that_cannot_be_read_are_named() {
        assert_eq!(faulty(b"a\n\xff\xff\nb\n\x80\n"), [2, 4]);
        let mixed = ["a\n강남\n".as_bytes(), b"\xc7\xe0\xba\xb9\n", "마포\n".as_bytes()].concat();
        assert_eq!(faulty(&mixed), [3]);
        assert!(read(&mixed).text.contains("강남\n"));
    }

    proptest! {
        #[test]
        fn korean_is_read_in_either_encoding(lines in proptest::collection::vec("[가-힣]{2,12} [a-z0-9]{0,4}", 1..6)) {
            let text = lines.join("\n");
            prop_assert_eq!(read(text.as_bytes()), Text { text: text.as_str().into(), faults: vec![] });
            let (cp949, _, _) = EUC_KR.encode(&text);
            // Words of a few syllables are both, now and then; a file of them is not.
            if str::from_utf8(&cp949).is_err() {
                prop_assert_eq!(read(&cp949).text, text.as_str());
            }
        }
    }
}
