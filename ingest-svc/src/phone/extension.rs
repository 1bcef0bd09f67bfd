//! What stands behind a number and is not part of it: an extension, in the ways that people and systems write one.

/// Digits of an extension at most. More may be another number.
const MAX_DIGITS: usize = 6;

/// What announces an extension, in lower case; of two that begin alike the longer one first.
const LABELS: [&str; 19] = [
    ";ext",
    "extension",
    "extn",
    "ext",
    "xtn",
    "x",
    "#", // Written behind a number the world over.
    "내선번호",
    "내선",
    "구내번호",
    "구내",
    "교환번호",
    "교환", // Internal line, switchboard.
    ",,,",
    ",,",
    ",",
    "p",
    "w",
    ";", // Pauses of a number that is dialled.
];

/// The digits of the extension that `text` is; `None` if it is anything else, a second number for example.
pub(super) fn extension(text: &str) -> Option<&str> {
    let text = text.trim();
    match brackets(text) {
        Some(inside) => labelled(inside.trim()).or_else(|| digits(inside)),
        None => labelled(text),
    }
}

fn labelled(text: &str) -> Option<&str> {
    let behind = |label: &&str| {
        let begin = text.get(..label.len())?;
        begin.eq_ignore_ascii_case(label).then(|| &text[label.len()..])
    };
    let rest = LABELS.iter().find_map(behind)?;
    // A pause is followed at once; a list has a blank behind its comma.
    if text.starts_with([',', ';']) && rest.starts_with(' ') {
        return None;
    }
    let rest = rest.trim_start_matches(['.', ':', '=', ' ']);
    digits(brackets(rest).unwrap_or(rest))
}

fn brackets(text: &str) -> Option<&str> {
    let within = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    within('(', ')').or_else(|| within('[', ']'))
}

/// Digits, perhaps with what ends them when dialled (`#`) or spoken (`번`).
pub(super) fn digits(text: &str) -> Option<&str> {
    let text = text.trim();
    let digits = text.strip_suffix(['#', '번']).unwrap_or(text);
    let is_extension =
        (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_extension.then_some(digits)
}
