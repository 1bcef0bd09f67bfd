//! Numbers in characters other than ASCII.

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::*;

/// All characters of a class.
fn all(class: &str) -> impl Iterator<Item = char> {
    let class = Regex::new(class).unwrap();
    ('\0'..=char::MAX).filter(move |char| class.is_match(char.encode_utf8(&mut [0; 4])))
}

fn e164(text: &str) -> Option<String> {
    PhoneNumber::parse(text).map(|number| number.e164().to_owned())
}

#[test]
fn invisible_characters_are_ignored() {
    let mut seen = 0;
    for char in all(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]") {
        let text = format!("{char}010{char}-1234-{char}{char}5678{char}");
        assert_eq!(e164(&text).as_deref(), Some("+821012345678"), "{}", char.escape_unicode());
        assert_eq!(Caller::parse(&format!("{char}P{char}")), Caller::Withheld, "{}", char.escape_unicode());
        seen += 1;
    }
    assert!(seen > 200, "{seen}");
    for text in [
        "\u{2068}010-1234-5678\u{2069}",
        "\u{202a}+82\u{200b}10\u{ad}1234\u{2060}5678\u{202c}",
        "\u{feff}01012345678",
        "01012345678\0\0\0",
        "010\u{3164}1234\u{fe0f}5678",
    ] {
        assert_eq!(e164(text).as_deref(), Some("+821012345678"), "{text:?}");
    }
}

#[test]
fn digits_of_every_script_are_read() {
    for (at, char) in all(r"[\p{Nd}--0-9]").enumerate() {
        let folded: String = char.nfkc().collect();
        let text = format!("010-1234-567{char}");
        let found = e164(&text).unwrap_or_else(|| panic!("{}", char.escape_unicode()));
        let value = found.chars().last().unwrap();
        assert!(folded == value.to_string() || !folded.is_ascii(), "{}", char.escape_unicode());
        // Each row is complete, and begins with its zero.
        assert_eq!(value.to_digit(10), Some(at as u32 % 10), "{}", char.escape_unicode());
    }
    for text in [
        "٠١٠-١٢٣٤-٥٦٧٨",
        "०१०-१२३४-५६७८",
        "𝟎𝟏𝟎-𝟏𝟐𝟑𝟒-𝟓𝟔𝟕𝟖",
        "０１０１２３４５６７８",
        "＋８２ １０ １２３４ ５６７８",
    ] {
        assert_eq!(e164(text).as_deref(), Some("+821012345678"), "{text}");
    }
}

#[test]
fn a_character_that_looks_like_a_digit_is_not_one() {
    // NFKC would make a digit, or digits and punctuation, of each.
    for char in all(r"[\p{No}\p{Nl}]") {
        for text in [format!("02-555-0111{char}"), format!("02-555-0111 {char}")] {
            assert_eq!(Caller::parse(&text).canonical(), Some(&*text), "{}", char.escape_unicode());
        }
    }
}

#[test]
fn hyphens_and_blanks_of_all_kinds_are_separators() {
    for char in all(r"[\p{Pd}--\u{301c}\u{3030}]").chain(['\u{2212}', '\u{30fc}', '\u{3161}']) {
        // These are on no keyboard, and their meaning is not certain.
        let text = format!("010{char}1234{char}5678");
        let found = e164(&text);
        let rare = "\u{1400}\u{2e17}\u{2e1a}\u{2e40}\u{2e5d}\u{10d6e}\u{10ead}".contains(char);
        assert_eq!(found.as_deref(), (!rare).then_some("+821012345678"), "{}", char.escape_unicode());
    }
    for char in all(r"\s") {
        let text = format!("010{char}1234{char}5678");
        assert_eq!(e164(&text).as_deref(), Some("+821012345678"), "{}", char.escape_unicode());
    }
}
