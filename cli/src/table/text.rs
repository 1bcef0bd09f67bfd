//! A file's text. UTF-8 and CP949 (what a Korean Excel saves as CSV) are told apart by their bytes; UTF-16 and UTF-8 by a
//! byte order mark.

use std::borrow::Cow;

use encoding_rs::{EUC_KR, Encoding};

use super::fault::LineFault;

/// A file's text, and its faults.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// With U+FFFD for bytes that cannot be decoded, and a line feed at each line's end.
    pub(super) text: String,
    /// One for each line that cannot be decoded.
    pub(super) faults: Vec<LineFault>,
}

/// A line's text, and its fault.
type Line<'a> = (Cow<'a, str>, Option<String>);

/// Decodes a file.
pub(super) fn read(bytes: &[u8]) -> Text {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return joined(lines(text.as_bytes()).map(|line| {
            let line = String::from_utf8_lossy(line);
            let faulty = line.contains(char::REPLACEMENT_CHARACTER);
            (line, faulty.then(|| format!("is not valid {}", encoding.name())))
        }));
    }
    if is_cp949(bytes) { joined(lines(bytes).map(cp949)) } else { joined(lines(bytes).map(utf_8)) }
}

/// A file's lines; LF, CR LF or, as old spreadsheets write, CR ends one. No byte of these is part of a character in UTF-8 or
/// CP949.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    bytes
        .split(|byte| *byte == b'\n')
        .flat_map(|line| line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b'\r'))
}

fn joined<'a>(lines: impl Iterator<Item = Line<'a>>) -> Text {
    let (mut text, mut faults) = (String::new(), Vec::new());
    for ((line, fault), number) in lines.zip(1..) {
        if number > 1 {
            text.push('\n');
        }
        text.push_str(&line);
        faults.extend(fault.map(|text| LineFault { line: number, text }));
    }
    Text { text, faults }
}

/// Whether a file is in CP949. Its Korean words decide: few of them are valid UTF-8 too, and those have no Hangul in UTF-8.
pub(crate) fn is_cp949(bytes: &[u8]) -> bool {
    if Encoding::for_bom(bytes).is_some() {
        return false;
    }
    let others = lines(bytes).filter(|line| str::from_utf8(line).is_err()).count();
    let korean = lines(bytes).filter(|line| is_korean_utf_8(line)).count();
    if others == 0 {
        return korean == 0 && korean_cp949(bytes);
    }
    // Lines that are valid UTF-8 but not CP949 count for UTF-8, in any language. A wrong guess ends in faults.
    let foreign = |line: &&[u8]| !line.is_ascii() && str::from_utf8(line).is_ok() && !korean_cp949(line);
    let foreign = lines(bytes).filter(|line| !is_korean_utf_8(line)).filter(foreign).count();
    korean + foreign < others || korean + foreign == 0
}

fn utf_8(line: &[u8]) -> Line<'_> {
    let fault = str::from_utf8(line).is_err();
    (String::from_utf8_lossy(line), fault.then(|| "is not valid UTF-8; the other lines are UTF-8".to_owned()))
}

fn cp949(line: &[u8]) -> Line<'_> {
    let (text, faulty) = EUC_KR.decode_without_bom_handling(line);
    let fault = if is_korean_utf_8(line) {
        Some("is UTF-8; the other lines are CP949".to_owned())
    } else {
        faulty.then(|| "is not valid UTF-8 or CP949".to_owned())
    };
    (text, fault)
}

fn is_korean_utf_8(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && str::from_utf8(bytes).is_ok_and(|text| text.contains(is_hangul))
}

/// Whether bytes are valid CP949 with Hangul.
fn korean_cp949(bytes: &[u8]) -> bool {
    let (text, faulty) = EUC_KR.decode_without_bom_handling(bytes);
    !faulty && text.contains(is_hangul)
}

/// A syllable or a letter, also the letters of which macOS composes syllables.
fn is_hangul(character: char) -> bool {
    matches!(character, '가'..='힣' | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}')
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
            assert_eq!(read(&file), Text { text: text.to_owned(), faults: vec![] });
        }
        assert_eq!(faulty(b"\xef\xbb\xbfa\n\xc7\xe0\n"), [2]);
    }

    #[test]
    fn lines_that_cannot_be_decoded_are_reported() {
        assert_eq!(faulty(b"a\n\xff\xff\nb\n\x80\n"), [2, 4]);
        let mixed = ["a\n강남\n".as_bytes(), b"\xc7\xe0\xba\xb9\n", "마포\n".as_bytes()].concat();
        assert_eq!(faulty(&mixed), [3]);
        assert!(read(&mixed).text.contains("강남\n"));
    }

    #[test]
    fn cp949_that_is_also_utf_8_is_cp949() {
        for text in ["store_id,name\na,치킨\n", "치킨", "치킨\n치킨\n행복\n"] {
            let (cp949, _, _) = EUC_KR.encode(text);
            assert_eq!(read(&cp949), Text { text: text.to_owned(), faults: vec![] });
        }
        assert!(str::from_utf8(&EUC_KR.encode("치킨").0).is_ok(), "this text is valid in both encodings");
        // UTF-8 of other languages that is not valid CP949, and any Hangul in UTF-8, are UTF-8.
        for text in ["Москва", "珈琲店", "Café\n강남", "치킨", "치킨".repeat(3).as_str(), "\u{110e}\u{1175}"]
        {
            assert_eq!(read(text.as_bytes()), Text { text: text.to_owned(), faults: vec![] });
        }
    }

    #[test]
    fn a_line_in_utf_8_among_lines_in_cp949_is_a_fault() {
        let (cp949, _, _) = EUC_KR.encode("name\n행복 세차\n반짝 세차\n");
        let mixed = [&cp949, "강남\n".as_bytes(), &EUC_KR.encode("치킨\n").0].concat();
        let Text { text, faults } = read(&mixed);
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["line 4: is UTF-8; the other lines are CP949"]);
        assert!(text.starts_with("name\n행복 세차\n") && text.ends_with("치킨\n"), "{text}");
    }

    #[test]
    fn a_line_ends_with_lf_or_cr_or_both() {
        let text = "a\r\n강남\rb\n\r\rc\r";
        assert_eq!(read(text.as_bytes()).text, "a\n강남\nb\n\n\nc");
        assert_eq!(faulty(b"a\r\xff\xff\rb\r\x80\r"), [2, 4]);
        let utf_16: Vec<_> = "\u{feff}a\r강남\r".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&utf_16).text, "a\n강남");
    }

    /// Syllables whose bytes in CP949 are a character in UTF-8, too.
    fn in_both() -> Vec<char> {
        let is_utf_8 = |c: &char| str::from_utf8(&EUC_KR.encode(c.encode_utf8(&mut [0; 4])).0).is_ok();
        ('가'..='힣').filter(is_utf_8).collect()
    }

    proptest! {
        #[test]
        fn korean_is_read_in_either_encoding(lines in proptest::collection::vec("[가-힣]{1,12} [a-z0-9]{0,4}", 1..6)) {
            let text = lines.join("\n");
            prop_assert_eq!(read(text.as_bytes()), Text { text: text.clone(), faults: vec![] });
            let (cp949, _, _) = EUC_KR.encode(&text);
            prop_assert_eq!(read(&cp949), Text { text, faults: vec![] });
        }

        #[test]
        fn korean_that_is_also_utf_8_is_read(
            words in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(in_both()), 1..6), 1..6),
        ) {
            let words: Vec<String> = words.into_iter().map(|word| word.into_iter().collect()).collect();
            let text = words.join("\n");
            let (cp949, _, _) = EUC_KR.encode(&text);
            prop_assert!(str::from_utf8(&cp949).is_ok());
            prop_assert_eq!(read(&cp949), Text { text, faults: vec![] });
        }
    }
}
