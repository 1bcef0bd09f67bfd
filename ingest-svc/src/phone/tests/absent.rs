//! Callers without a number.

use super::*;

fn seen(text: &str) -> (v1::CallerKind, String, Option<String>) {
    let caller = Caller::parse(text);
    (caller.kind(), caller.display().into_owned(), caller.canonical().map(str::to_owned))
}

#[test]
fn the_kind_of_a_caller_without_a_number_is_recognised() {
    let rows: [(v1::CallerKind, &str, &[&str]); 3] = [
        (
            v1::CallerKind::Withheld,
            "발신번호 표시제한",
            &[
                "",
                "  ",
                "-",
                "null",
                "(null)",
                "N/A",
                "anonymous",
                "Anonymous",
                "ANONYMOUS",
                "\"Anonymous\"",
                "발신번호표시제한",
                "발신번호 표시제한",
                " 발신 번호 표시 제한 ",
                "[발신번호표시제한]",
                "발신번호 비공개",
                "비공개",
                "P",
                "p",
                "Ｐ",
                "anonymous@anonymous.invalid",
                "sip:anonymous@anonymous.invalid",
                "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1",
                "sip:c8oqz84zk7z@anonymous.invalid",
                "sips:Anonymous@203.0.113.7:5061;user=phone",
                "Private Number",
                "PRIVATE_NUMBER",
                "Private",
                "Restricted",
                "Blocked",
                "No Caller ID",
                "Caller ID withheld",
                "Withheld",
                "\u{feff}Restricted\u{200b}",
                // Decomposed, as a Mac writes it.
                "\u{1107}\u{1161}\u{11af}신번호표시제한",
                "266696687",
                "+266696687",
                " 266696687",
                "7378742833",
                "+7378742833",
                "2562533",
                "sip:+266696687@203.0.113.7",
            ],
        ),
        (v1::CallerKind::Payphone, "공중전화", &["C", "c", "공중전화", "Pay phone", "Coin line/payphone"]),
        (
            v1::CallerKind::Unavailable,
            "번호 확인 불가",
            &[
                "O",
                "o",
                "unavailable",
                "Unavailable",
                "Unknown",
                "Unknown Caller",
                "Out of Area",
                "발신번호 없음",
                "\"Unavailable\" <sip:unavailable@unknown.invalid>",
                "86282452253",
                "+86282452253",
                "8656696",
                "8566",
                "+8566",
            ],
        ),
    ];
    for (kind, display, texts) in rows {
        for text in texts {
            assert_eq!(seen(text), (kind, display.to_owned(), None), "{text:?}");
        }
    }
}

#[test]
fn a_real_number_is_never_taken_for_a_missing_one() {
    for (text, e164) in [
        // Seoul, and the same as it is written after a country's code.
        ("0266696687", "+82266696687"),
        ("02-6669-6687", "+82266696687"),
        ("+82266696687", "+82266696687"),
        // A name before a number is not the number.
        ("\"Anonymous\" <sip:01012345678@203.0.113.7>", "+821012345678"),
        ("Unknown <01012345678>", "+821012345678"),
    ] {
        assert_eq!(Caller::parse(text).canonical(), Some(e164), "{text}");
    }
    for text in ["*", "+", "강남점", "Private Kim", "10110", "sip:203.0.113.7", "85660", "P1"] {
        assert!(
            matches!(Caller::parse(text).kind(), v1::CallerKind::Unparsed | v1::CallerKind::Number),
            "{text}"
        );
    }
}

#[test]
fn a_called_number_is_never_absent() {
    assert_eq!(Called::parse("anonymous").canonical(), "anonymous");
    assert_eq!(Called::parse("266696687").canonical(), "+82266696687");
    assert_eq!(Called::parse("8566").canonical(), "+828566");
}
