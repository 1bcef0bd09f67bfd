//! A table of Korean numbers, and properties of all numbers.

use phonenumber::{Mode, country::Id};
use proptest::prelude::*;

use super::*;

/// Whether libphonenumber calls a number valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Valid,
    InUse,
}
use Validity::{InUse, Valid};

/// As sent, E.164, as people write it, masked, validity.
const NUMBERS: &[(&str, &str, &str, &str, Validity)] = &[
    // Mobiles, areas, services.
    ("01012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("010-1234-5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("010 1234 5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("010.1234.5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    (" 01012345678\t", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("011-123-4567", "+82111234567", "011-123-4567", "011-***-4567", Valid),
    ("01112345678", "+821112345678", "011-1234-5678", "011-****-5678", Valid),
    ("02-123-4567", "+8221234567", "02-123-4567", "02-***-4567", Valid),
    ("0212345678", "+82212345678", "02-1234-5678", "02-****-5678", Valid),
    ("(02)123-4567", "+8221234567", "02-123-4567", "02-***-4567", Valid),
    ("031-123-4567", "+82311234567", "031-123-4567", "031-***-4567", Valid),
    ("03112345678", "+823112345678", "031-1234-5678", "031-****-5678", Valid),
    ("070-1234-5678", "+827012345678", "070-1234-5678", "070-****-5678", Valid),
    ("080-123-4567", "+82801234567", "080-123-4567", "080-***-4567", Valid),
    // 050X, of 11 and of 12 digits.
    ("0507-1234-5678", "+8250712345678", "0507-1234-5678", "0507-****-5678", Valid),
    ("050712345678", "+8250712345678", "0507-1234-5678", "0507-****-5678", Valid),
    ("05071234567", "+825071234567", "0507-123-4567", "0507-***-4567", Valid),
    ("0505-123-4567", "+825051234567", "0505-123-4567", "0505-***-4567", Valid),
    ("+8250712345678", "+8250712345678", "0507-1234-5678", "0507-****-5678", Valid),
    // Representative numbers.
    ("1588-1234", "+8215881234", "1588-1234", "1588-****", Valid),
    ("15881234", "+8215881234", "1588-1234", "1588-****", Valid),
    ("1600-1234", "+8216001234", "1600-1234", "1600-****", Valid),
    ("1899-1234", "+8218991234", "1899-1234", "1899-****", Valid),
    ("1811-1234", "+8218111234", "1811-1234", "1811-****", InUse),
    ("1551-1234", "+8215511234", "1551-1234", "1551-****", InUse),
    ("1555-1234", "+8215551234", "1555-1234", "1555-****", InUse),
    ("0303-123-4567", "+823031234567", "0303-123-4567", "0303-***-4567", InUse),
    ("114", "+82114", "114", "***", InUse),
    // Written with a country code, or without a trunk 0.
    ("821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("1012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("+821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("+82 010-1234-5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("+82 (0)10-1234-5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("001821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("002821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("006821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("00700821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("00821012345678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("0082-10-1234-5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("0082010-1234-5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    // Valid for libphonenumber, although it is not in use.
    ("01000000000", "+821000000000", "010-0000-0000", "010-****-0000", Valid),
    // As a Korean keyboard types them: NFKC, and any hyphen.
    ("０１０－１２３４－５６７８", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("010–1234‑5678", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    ("　010-1234-5678　", "+821012345678", "010-1234-5678", "010-****-5678", Valid),
    // Foreign.
    ("+1 650-253-0000", "+16502530000", "+1 650-253-0000", "+1 ***-***-0000", Valid),
    ("00700 1 650 253 0000", "+16502530000", "+1 650-253-0000", "+1 ***-***-0000", Valid),
    ("001 86 20 1234 5678", "+862012345678", "+86 20 1234 5678", "+86 ** **** 5678", Valid),
    ("+49 30 123456", "+4930123456", "+49 30 123456", "+49 ** **3456", Valid),
];

#[test]
fn a_number_is_read_in_every_form() {
    for (text, e164, national, masked, validity) in NUMBERS {
        let number = PhoneNumber::parse(text).unwrap_or_else(|| panic!("{text} is a number"));
        assert_eq!(number.e164(), *e164, "{text}");
        assert_eq!(number.national(), *national, "{text}");
        assert_eq!(number.to_string(), *masked, "{text}");
        assert_eq!(format!("{number:?}"), *masked, "{text}");
        assert_eq!(number.raw(), text.trim(), "{text}");
        assert_eq!(number.is_valid(), *validity == Valid, "{text}");
        let (caller, called) = (Caller::parse(text), Called::parse(text));
        assert_eq!((caller.number(), caller.canonical()), (Some(&number), Some(*e164)), "{text}");
        assert_eq!((called.canonical(), &*called.display()), (*e164, *national), "{text}");
        assert_eq!((caller.display(), caller.kind()), ((*national).into(), v1::CallerKind::Number), "{text}");
        assert!(!format!("{caller:?} {caller} {called:?} {called}").contains(national), "{text}");
    }
}

#[test]
fn a_number_is_equal_to_itself_in_another_form() {
    assert_eq!(PhoneNumber::parse("010-1234-5678"), PhoneNumber::parse("00821012345678"));
    assert_ne!(PhoneNumber::parse("010-1234-5678"), PhoneNumber::parse("010-1234-5679"));
}

#[test]
fn a_text_that_is_not_a_number_is_kept_raw_and_shown_masked() {
    for (text, masked) in [
        // libphonenumber reads +82105678.
        ("010-****-5678", "***-****-****"),
        ("000-0000-0000", "000-****-0000"),
        ("00000000000", "000****0000"),
        ("010-1234-5678, 02-555-0001", "010-****-****, **-***-0001"),
        ("sip:kim@203.0.113.7", "sip:***@***.*.113.7"),
        ("sip:203.0.113.7", "sip:***.*.113.7"),
        ("sip:1001@pbx.example", "sip:****@***.***mple"),
        ("강남점", "***"),
        ("+", "+"),
        ("++821012345678", "++821*****5678"),
        ("123456789012345678901234567890", "123***********************7890"),
        ("0000821012345678", "000*********5678"),
    ] {
        let (caller, called) = (Caller::parse(text), Called::parse(text));
        assert_eq!(caller.kind(), v1::CallerKind::Unparsed, "{text}");
        assert_eq!((caller.canonical(), &*caller.display()), (Some(text), text), "{text}");
        assert_eq!((called.canonical(), &*called.display()), (text, text), "{text}");
        assert_eq!(
            (caller.to_string(), called.to_string()),
            (masked.to_owned(), masked.to_owned()),
            "{text}"
        );
        assert!(
            !format!("{caller:?}{called:?}").contains(text) || !text.contains(char::is_alphanumeric),
            "{text}"
        );
    }
    assert_eq!(Called::parse(" 내선 7 ").canonical(), "내선 7");
}

#[test]
fn numbers_in_error_messages_are_masked() {
    for (value, shown) in [
        ("2026112", "2026112"),
        ("20261123142599", "20261123142599"),
        ("01012345678", "010****5678"),
        ("a 010-1234-5678,b 02-555-0001", "a 010-****-5678,b **-***-****"),
        ("20261123142530-01012345678", "202***********-*******5678"),
        ("821012345678", "821*****5678"),
        ("1234567", "*******"),
        ("01０１２３４５６７８", "01０****５６７８"),
    ] {
        let masked = mask_digits(value);
        assert_eq!(masked, shown, "{value}");
    }
}

#[test]
fn a_number_survives_the_log() {
    for text in ["010-1234-5678", "P", "C", "O", "010-****-5678"] {
        let (caller, called) = (Caller::parse(text), Called::parse(text));
        let json = serde_json::to_string(&(&caller, &called)).unwrap();
        assert_eq!(serde_json::from_str::<(Caller, Called)>(&json).unwrap(), (caller, called), "{json}");
    }
}

/// How the library reads a text, without our fast path.
fn by_library(text: &str) -> Option<String> {
    let number = phonenumber::parse(Some(Id::KR), text).ok()?;
    Some(number.format().mode(Mode::E164).to_string())
}

#[test]
fn the_fast_path_agrees_with_the_library_for_every_prefix() {
    // The others are carriers' codes, which the library drops.
    for prefix in 100..810 {
        for length in 8..=11 {
            let significant = format!("{prefix:03}{}", &"24681357"[..length - 3]);
            if length == 8 && prefix < 200 {
                continue; // Dialled without a trunk 0, see below.
            }
            for text in [format!("0{significant}"), format!("+82{significant}"), format!("+820{significant}")]
            {
                let ours = PhoneNumber::parse(&text).map(|number| number.e164().to_owned());
                assert_eq!(ours, by_library(&text), "{text}");
            }
        }
        let representative = format!("1{prefix:03}2468");
        assert_eq!(PhoneNumber::parse(&representative).unwrap().e164(), by_library(&representative).unwrap());
    }
}

proptest! {
    #[test]
    fn the_fast_path_agrees_with_the_library(text in r"(\+820?|0)([2-7][0-9]{7,10}|1[0-9]{8,10})|1[568][0-9]{6}|(820?)?10[0-9]{8}") {
        prop_assert_eq!(PhoneNumber::parse(&text).map(|number| number.e164().to_owned()), by_library(&text));
    }

    #[test]
    fn any_text_is_parsed_and_shown_masked(text in r"\PC{0,40}|[0-9+*() .-]{0,24}|(\+|00)[0-9]{6,18}") {
        let (caller, called) = (Caller::parse(&text), Called::parse(&text));
        let shown = format!("{caller:?} {caller} {called:?} {called} {}", mask_digits(&text));
        prop_assert!(!caller.display().is_empty() || text.trim().is_empty());
        if let Called::Number(number) = &called {
            // E.164 is parsed as the same number.
            prop_assert_eq!(&Called::parse(number.e164()), &called);
            // Fewer digits are not masked.
            if number.e164().len() > 10 {
                prop_assert!(!shown.contains(&number.e164()[1..]), "{}", shown);
                prop_assert!(!shown.contains(&number.national()), "{}", shown);
            }
        }
    }

    #[test]
    fn the_displayed_form_is_parsed_as_the_same_number(number in r"0(10|11|2|31|64|70|50[2-8])[2-9][0-9]{6,7}|1(5|6|8)[0-9]{6}") {
        let number = PhoneNumber::parse(&number).unwrap();
        prop_assert_eq!(PhoneNumber::parse(&number.display()), Some(number));
    }
}

mod absent;
mod grammar;
mod unicode;
