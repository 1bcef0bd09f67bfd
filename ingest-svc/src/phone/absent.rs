//! What is sent instead of a caller's number if there is none: words, the letters of Korean providers, and the digits of
//! networks that can carry only digits.
//!
//! Sources: Korean providers' manuals for `P`, `C` and `O`; RFC 3323 (4.1.1.3) for `anonymous@anonymous.invalid`; Android's
//! dialler (`CallerInfoUtils`) for `RES`, `PRIVATENUMBER`, `UNA` and `U`; Twilio's help ("Why am I getting calls from
//! these strange numbers?") for the digits, which spell a word on a telephone's keypad; Korean carriers' and handsets' texts
//! for the rest. `8566` was sent to a user's system for a call without a number; its origin is not known.

use super::address::Address;

/// Why a caller has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AbsenceReason {
    Withheld,
    Payphone,
    Unavailable,
}

/// All forms of one reason.
type Forms = (AbsenceReason, &'static [&'static str]);

/// Words in lower case without blanks and punctuation. They count only if they are all that was sent.
const WORDS: [Forms; 3] = [
    (
        AbsenceReason::Withheld,
        &[
            // Nothing, and what programs write instead: an absent caller is withheld.
            "",
            "null",
            "nil",
            "none",
            "undefined",
            "na",
            "p",
            "res",
            "pvt",
            "anonymous",
            "anonymouscall",
            "anonymouscaller",
            "anonymousnumber",
            "private",
            "privatecall",
            "privatecaller",
            "privatenumber",
            "privateid",
            "nocallerid",
            "callerid",
            "calleridwithheld",
            "calleridblocked",
            "calleridrestricted",
            "calleridhidden",
            "withheld",
            "withheldnumber",
            "numberwithheld",
            "idwithheld",
            "restricted",
            "restrictedcall",
            "restrictedcaller",
            "restrictednumber",
            "presentationrestricted",
            "blocked",
            "blockedcall",
            "blockedcaller",
            "blockednumber",
            "blockedid",
            "hidden",
            "hiddennumber",
            "hiddencaller",
            "suppressed",
            "confidential",
            "secret",
            "발신번호표시제한",
            "발신자표시제한",
            "발신자번호표시제한",
            "발신번호제한",
            "번호표시제한",
            "표시제한",
            "표시제한번호",
            "발신제한",
            "발신번호표시제한전화",
            "발신번호표시금지",
            "발신자표시금지",
            "발신번호비공개",
            "발신자비공개",
            "번호비공개",
            "비공개",
            "비공개번호",
            "발신번호비표시",
            "비표시",
            "발신번호숨김",
            "번호숨김",
            "익명",
            "익명전화",
            "非通知",
            "非通知設定",
            "匿名",
            "隐藏号码",
        ],
    ),
    (
        AbsenceReason::Payphone,
        &[
            "c",
            "payphone",
            "publicphone",
            "publictelephone",
            "coinphone",
            "coinlinepayphone",
            "공중전화",
            "公衆電話",
        ],
    ),
    (
        AbsenceReason::Unavailable,
        &[
            "o",
            "u",
            "una",
            "unavailable",
            "numberunavailable",
            "unavailablenumber",
            "notavailable",
            "numbernotavailable",
            "callerunavailable",
            "calleridunavailable",
            "unknown",
            "unknowncall",
            "unknowncaller",
            "unknownnumber",
            "numberunknown",
            "callerunknown",
            "outofarea",
            "nonumber",
            "nocli",
            "noclid",
            "번호확인불가",
            "확인불가",
            "발신번호확인불가",
            "발신자확인불가",
            "발신번호없음",
            "번호없음",
            "발신번호표시불가",
            "번호표시불가",
            "표시불가",
            "발신번호불명",
            "발신자불명",
            "번호불명",
            "알수없음",
            "알수없는번호",
            "발신번호알수없음",
            "발신번호미확인",
            "미확인",
            "通知不可能",
            "未知号码",
        ],
    ),
];

/// Words as a telephone's keypad spells them. Only exactly these digits: 0266696687 and 02-6669-6687 are real numbers.
const KEYPAD: [Forms; 2] = [
    (
        AbsenceReason::Withheld,
        &[
            "266696687",  // ANONYMOUS
            "7378742833", // RESTRICTED
            "7378742883", // RESTRICTED, as some networks spell it
            "2562533",    // BLOCKED
            "7748283",    // PRIVATE
            "94844353",   // WITHHELD
        ],
    ),
    (
        AbsenceReason::Unavailable,
        &[
            "86282452253", // UNAVAILABLE
            "8656696",     // UNKNOWN
            "8566",
        ],
    ),
];

/// Hosts of anonymous addresses, with any user (RFC 3323; GSMA's networks use the second).
const ANONYMOUS_HOSTS: [(&str, AbsenceReason); 2] =
    [("anonymous.invalid", AbsenceReason::Withheld), ("unknown.invalid", AbsenceReason::Unavailable)];

/// Why an address has no number; `None` if it may be a number.
pub(super) fn absent(address: &Address<'_>) -> Option<AbsenceReason> {
    let user = address.user.trim_start();
    if user.starts_with(|first: char| first == '+' || first.is_ascii_digit()) {
        found(&KEYPAD, user.strip_prefix('+').unwrap_or(user))
    } else if let Some((_, reason)) =
        ANONYMOUS_HOSTS.iter().find(|(host, _)| address.host.eq_ignore_ascii_case(host))
    {
        Some(*reason)
    } else if user.is_empty() && !address.host.is_empty() {
        None // A host alone says nothing about the caller.
    } else {
        found(&WORDS, &folded(user))
    }
}

/// A text in lower case, without blanks and punctuation. `+` and `*` stay, because they are part of a number, even of an
/// unreadable one.
fn folded(text: &str) -> String {
    let punctuation = |char: char| char.is_ascii_punctuation() && !matches!(char, '+' | '*');
    text.chars().filter(|char| *char != ' ' && !punctuation(*char)).flat_map(char::to_lowercase).collect()
}

fn found(table: &[Forms], text: &str) -> Option<AbsenceReason> {
    table.iter().find(|(_, forms)| forms.contains(&text)).map(|(reason, _)| *reason)
}
