//! Which texts are read as numbers, and that all others stay as they are.

use proptest::sample::select;

use super::*;

/// As sent; E.164; the extension; as a pad shows it.
const READ: &[(&str, &str, Option<&str>, &str)] = &[
    // A `+` that a query or a form has turned into a blank.
    (" 14155550123", "+14155550123", None, "+1 415-555-0123"),
    (" 1 415 555 0123", "+14155550123", None, "+1 415-555-0123"),
    (" 442079460958", "+442079460958", None, "+44 20 7946 0958"),
    (" 821012345678", "+821012345678", None, "010-1234-5678"),
    (" 82 10-1234-5678", "+821012345678", None, "010-1234-5678"),
    (" 8250712345678", "+8250712345678", None, "0507-1234-5678"),
    (" 8218111234", "+8218111234", None, "1811-1234"),
    ("( 82)10-1234-5678", "+821012345678", None, "010-1234-5678"),
    ("tel: 14155550123", "+14155550123", None, "+1 415-555-0123"),
    // A blank that was meant as one.
    (" 01012345678", "+821012345678", None, "010-1234-5678"),
    (" 1012345678", "+821012345678", None, "010-1234-5678"),
    (" 15881234", "+8215881234", None, "1588-1234"),
    (" 18111234", "+8218111234", None, "1811-1234"),
    // Percent-encoded once more than it was decoded.
    ("%2B14155550123", "+14155550123", None, "+1 415-555-0123"),
    ("%2b82%2010-1234-5678", "+821012345678", None, "010-1234-5678"),
    // Parentheses around a country, an area, a trunk 0.
    ("+1 (415) 555-0123", "+14155550123", None, "+1 415-555-0123"),
    ("+44 (0)20 7946 0958", "+442079460958", None, "+44 20 7946 0958"),
    ("+44 (020) 7946 0958", "+442079460958", None, "+44 20 7946 0958"),
    ("(+44) 20 7946 0958", "+442079460958", None, "+44 20 7946 0958"),
    ("(+82) 10-1234-5678", "+821012345678", None, "010-1234-5678"),
    ("82 (0)10-1234-5678", "+821012345678", None, "010-1234-5678"),
    ("001 82 (0)10 1234 5678", "+821012345678", None, "010-1234-5678"),
    ("(02) 555-0111", "+8225550111", None, "02-555-0111"),
    ("(010-1234-5678)", "+821012345678", None, "010-1234-5678"),
    // Other countries, and Korea's ways to dial them.
    ("+33 1 42 68 53 00", "+33142685300", None, "+33 1 42 68 53 00"),
    ("+39 06 6982 0000", "+390669820000", None, "+39 06 6982 0000"),
    // Not valid; in groups, its first ones would be a valid number, and the last one an extension.
    ("+92512000000000", "+92512000000000", None, "+92512000000000"),
    // Italy has no trunk 0: without it this is somebody's mobile number.
    ("+39 0333 1234567", "+3903331234567", None, "+39 0333 123 4567"),
    ("+81-3-1234-5678", "+81312345678", None, "+81 3-1234-5678"),
    ("+49 30 1234 5678", "+493012345678", None, "+49 30 12345678"),
    ("002 1 650 253 0000", "+16502530000", None, "+1 650-253-0000"),
    ("00700-81-3-1234-5678", "+81312345678", None, "+81 3-1234-5678"),
    ("0821012345678", "+821012345678", None, "010-1234-5678"),
    // Grouped in any way: no part of it is a number by itself.
    ("010 12 34 56 78", "+821012345678", None, "010-1234-5678"),
    ("050-71234-5678", "+8250712345678", None, "0507-1234-5678"),
    ("0101234.0000", "+821012340000", None, "010-1234-0000"),
    ("1588.0000", "+8215880000", None, "1588-0000"),
    ("010 - 1234 - 5678", "+821012345678", None, "010-1234-5678"),
    ("010-1234-5678.", "+821012345678", None, "010-1234-5678"),
    // Whole numbers of programs and spreadsheets.
    ("1023456789.0", "+821023456789", None, "010-2345-6789"),
    ("821023456789.00", "+821023456789", None, "010-2345-6789"),
    ("01012345678.0", "+821012345678", None, "010-1234-5678"),
    ("15881234.0", "+8215881234", None, "1588-1234"),
    ("25550111.0", "+8225550111", None, "02-555-0111"),
    ("1.023456789E9", "+821023456789", None, "010-2345-6789"),
    ("1.0234567890e+09", "+821023456789", None, "010-2345-6789"),
    ("8.21023456789E11", "+821023456789", None, "010-2345-6789"),
    ("1,023,456,789", "+821023456789", None, "010-2345-6789"),
    ("1,023,456,789.00", "+821023456789", None, "010-2345-6789"),
    ("'01012345678", "+821012345678", None, "010-1234-5678"),
    ("=\"01012345678\"", "+821012345678", None, "010-1234-5678"),
    // Extensions.
    ("02-555-0111(101)", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 (101)", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("(02)555-0111(101)", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111[101]", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 ext. 101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 Ext 101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 extension 101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111x101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 X 101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111#101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111;ext=101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 내선 101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111(내선 101번)", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 내선번호: 101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 구내(101)", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111 교환 0101", "+8225550111", Some("0101"), "02-555-0111 (0101)"),
    ("02-555-0111,101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("02-555-0111,,101#", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("025550111p101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("025550111w101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("1588-1234(1)", "+8215881234", Some("1"), "1588-1234 (1)"),
    ("0507-1234-5678 (7)", "+8250712345678", Some("7"), "0507-1234-5678 (7)"),
    ("+1 415-555-0123 x99", "+14155550123", Some("99"), "+1 415-555-0123 (99)"),
    ("０２－５５５－０１１１（１０１）", "+8225550111", Some("101"), "02-555-0111 (101)"),
    // Addresses.
    ("tel:+82-10-1234-5678", "+821012345678", None, "010-1234-5678"),
    ("tel:010-1234-5678;phone-context=+82", "+821012345678", None, "010-1234-5678"),
    ("tel:415-555-0123;phone-context=+1", "+14155550123", None, "+1 415-555-0123"),
    ("tel:010-1234-5678;phone-context=example.com", "+821012345678", None, "010-1234-5678"),
    ("TEL:+8225550111;ext=101", "+8225550111", Some("101"), "02-555-0111 (101)"),
    ("sip:01012345678@203.0.113.7", "+821012345678", None, "010-1234-5678"),
    ("sip:+821012345678@ims.example:5060;user=phone", "+821012345678", None, "010-1234-5678"),
    ("sips:01012345678;phone-context=+82@ims.example", "+821012345678", None, "010-1234-5678"),
    ("sip:%2B14155550123@host", "+14155550123", None, "+1 415-555-0123"),
    ("\"김민수\" <sip:01012345678@203.0.113.7>;tag=a1", "+821012345678", None, "010-1234-5678"),
    ("\"Kim\" <01012345678>", "+821012345678", None, "010-1234-5678"),
    ("01012345678@sip.example", "+821012345678", None, "010-1234-5678"),
];

#[test]
fn a_number_is_read_and_its_extension_is_kept_separately() {
    for (text, e164, extension, display) in READ {
        let number = PhoneNumber::parse(text).unwrap_or_else(|| panic!("{text} is a number"));
        assert_eq!((number.e164(), number.extension()), (*e164, *extension), "{text}");
        assert_eq!(number.display(), *display, "{text}");
        assert_eq!(number.raw(), text.trim(), "{text}");
        assert_eq!(PhoneNumber::parse(&number.display()).as_ref(), Some(&number), "{text}");
        assert_eq!(Caller::parse(text), Caller::Number(number), "{text}");
    }
}

#[test]
fn an_unclear_text_is_shown_as_received() {
    for text in [
        // More digits after a number.
        "02-555-0111-3",
        "02-555-0111-101",
        "02-555-0111 101",
        "02-555-0111.101",
        "02-555-0111 (101) 3",
        "010-1234-5678-9",
        "010-1234-5678 9",
        "01012345678 9",
        "1588-1234-5",
        "+82 2-555-0111-3",
        "0082 2-555-0111-3",
        "+1 415-555-0123-99",
        "+44 20 7946 0958 12",
        "0507-1234-5678-1",
        // Two numbers, or a range.
        "010-1234-5678/010-8765-4321",
        "010-1234-5678, 02-555-0001",
        "010-1234-5678~9",
        "02-555-0111~3",
        "02-555-0111·2",
        "02-555-0111, 0112",
        "02-555-0111, 교환 0101",
        "1588-1234,15881235",
        "02-555-0111 02-555-0112",
        "02-555-0111(02-555-0112)",
        "02-555-0111(25550112)",
        "02-555-0111;02-555-0112",
        // Lost digits, other quantities.
        "1023456789.5",
        "1023456789.01",
        "1.02346E+09",
        "1.02345678E9",
        "8.21E+11",
        "-1012345678",
        "-1023456789.0",
        "1e9",
        "1,023,456,78",
        "02,555,0111",
        "114.0",
        "1588.0",
        "15-88",
        // Digits that are not a number, or a number of an unknown country.
        "14155550123",
        "442079460958",
        "8613812345678",
        "14155550123.0",
        "0014155550123",
        "0044 20 7946 0958",
        "02-114",
        "0201",
        "010123456789012",
        // A carrier's code, digits that a library moves or drops.
        "0811012345678",
        "+82 81-1234-5678",
        "+54 11 15 2345-6789",
        // Letters and signs.
        "1588-CALL",
        "O10-1234-5678",
        "010-1234-567x",
        "1588x1234",
        "02-555-0111 (101호)",
        "02-555-0111 (자택)",
        "02-555-0111 내선",
        "02-555-0111 ext 1234567",
        "내선 101 02-555-0111",
        "02-555-0111*101",
        "010_1234_5678",
        "010 1234 (5678)",
        ".01012345678",
        ")010-1234-5678",
        "(010-1234-5678",
        "++821012345678",
        "+82+1012345678",
        "010+12345678",
        "kim1012345678@host",
        // There is no host after the `@`.
        "01012345678@203.0.113.7@203*013.7",
        "01012345678@sip.ex*mple",
        "sip:01012345678@sip,example",
    ] {
        let (caller, called) = (Caller::parse(text), Called::parse(text));
        assert_eq!((caller.kind(), caller.canonical()), (v1::CallerKind::Unparsed, Some(text)), "{text}");
        assert_eq!((called.canonical(), &*called.display()), (text, text), "{text}");
        assert_eq!(&*caller.display(), text);
    }
}

#[test]
fn an_extension_is_masked_and_survives_the_log() {
    let number = PhoneNumber::parse("02-555-0111(101)").unwrap();
    assert_eq!(format!("{number} {number:?}"), "02-***-0111 (***) 02-***-0111 (***)");
    let stored = serde_json::to_string(&number).unwrap();
    assert_eq!(serde_json::from_str::<PhoneNumber>(&stored).unwrap(), number);
    let of_an_older_log = r#"{"e164":"+8225550111","raw":"025550111"}"#;
    assert_eq!(serde_json::from_str::<PhoneNumber>(of_an_older_log).unwrap().extension(), None);
    assert_ne!(Some(number), PhoneNumber::parse("02-555-0111"), "another extension is another record");
}

/// Digits that may precede a number: an international prefix and the country's code, a trunk 0.
fn is_prefix(before: &str, e164: &str) -> bool {
    let before = before.strip_suffix('0').filter(|rest| !rest.is_empty()).unwrap_or(before);
    let international = (1..=3).any(|length| {
        before.strip_suffix(&e164[1..=length]).is_some_and(|prefix| {
            prefix.is_empty() || prefix == "0" || (prefix.starts_with("00") && prefix.len() <= 5)
        })
    });
    before.is_empty() || before == "0" || international
}

/// Whether all digits of the text belong to the number, its extension or a prefix, in their order.
fn accounts_for_all(text: &str, number: &PhoneNumber) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_suffix(number.extension().unwrap_or_default()).unwrap_or_default();
    let own = |length: usize| {
        let before = digits.strip_suffix(&number.e164()[1 + length..])?;
        is_prefix(before, number.e164()).then_some(())
    };
    (0..=3).any(|length| own(length).is_some())
}

fn whole_number() -> impl Strategy<Value = String> {
    r"010-?[2-9][0-9]{3}-?[0-9]{4}|02-?[2-9][0-9]{2,3}-?[0-9]{4}|0(31|51|64)-?[2-9][0-9]{2}-?[0-9]{4}|050[2-8]-?[1-9][0-9]{3}-?[0-9]{4}|1[568][0-9]{2}-?[0-9]{4}|\+82 ?10-?[2-9][0-9]{3}-?[0-9]{4}|\+1 ?415-?555-?01[0-9]{2}|\+44 ?20 ?7946 ?0[0-9]{3}"
}

proptest! {
    #[test]
    fn no_digit_is_added_lost_or_moved(
        text in r"[+ ]?\(?[0-9]{1,6}\)?([-. ]{0,2}[0-9]{1,5}){0,4}( ?(x|ext\.?|#|내선 ?|,|\()[0-9]{1,4}\)?)?|(\+|00|001|00700)? ?[0-9 ]{6,16}"
    ) {
        if let Some(number) = PhoneNumber::parse(&text) {
            prop_assert!(accounts_for_all(&text, &number), "{text}: {} {:?}", number.e164(), number.extension());
            prop_assert_eq!(PhoneNumber::parse(number.e164()).map(|again| again.e164().to_owned()), Some(number.e164().to_owned()));
            prop_assert_eq!(PhoneNumber::parse(&number.display()), Some(number));
        }
    }

    /// A text after a number either leaves the number as it is or makes it unreadable.
    #[test]
    fn a_text_after_a_number_does_not_change_it(
        number in whole_number(),
        between in select(&["-", " ", ".", ",", "/", "(", " (", "~", "x", " ext ", "#", "*", ";", "_", "·", "-(", " - ", "p", "内線", "①"][..]),
        after in r"[0-9]{1,5}",
        end in select(&["", ")", " ", "#", "호"][..]),
    ) {
        let alone = PhoneNumber::parse(&number).map(|number| number.e164().to_owned());
        prop_assert!(alone.is_some(), "{}", number);
        let text = format!("{number}{between}{after}{end}");
        match Called::parse(&text) {
            Called::Number(read) => {
                prop_assert_eq!(Some(read.e164().to_owned()), alone, "{}", text);
                let fraction = after.bytes().all(|byte| byte == b'0');
                prop_assert!(read.extension() == Some(&*after) || fraction, "{}", text);
            }
            unparsed => prop_assert_eq!(unparsed.display(), text.trim()),
        }
    }
}
