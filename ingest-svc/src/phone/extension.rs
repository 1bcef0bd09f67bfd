//! The extension after a number, as people and systems write it.

/// Digits of an extension at most. More may be another number.
const MAX_DIGITS: usize = 6;

/// What introduces an extension, in lower case; of two that begin alike the longer one first.
const LABELS: [&str; 19] = [
    ";ext",
    "extension",
    "extn",
    "ext",
    "xtn",
    "x",
    "#", // Written after a number in many countries.
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
    ";", // Pauses while a number is dialled.
];

/// The digits of an extension; `None` if `text` is anything else, for example a second number.
pub(super) fn extension(text: &str) -> Option<&str> {
    let text = text.trim();
    match brackets(text) {
        Some(inside) => labelled(inside.trim()).or_else(|| digits(inside)),
        None => labelled(text),
    }
}

fn labelled(text: &str) -> Option<&str> {
    let after = |label: &&str| {
        let begin = text.get(..label.len())?;
        begin.eq_ignore_ascii_case(label).then(|| &text[label.len()..])
    };
    let rest = LABELS.iter().find_map(after)?;
    // After a pause the digits follow directly; a list has a blank after its comma.
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

/// Digits, perhaps with the sign that ends them when they are dialled (`#`) or spoken (`번`).
pub(super) fn digits(text: &str) -> Option<&str> {
    let text = text.trim();
    let digits = text.strip_suffix(['#', '번']).unwrap_or(text);
    let is_extension =
        (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_extension.then_some(digits)
}
