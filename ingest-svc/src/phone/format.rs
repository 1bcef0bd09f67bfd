//! How people write a number.
//!
//! Korean ones are grouped here: libphonenumber writes 0507-1234-5678 as `050-71234-5678` and 0303-1234-5678 without any
//! group.

use phonenumber::Mode;

/// The national form of a Korean number, the international one of a foreign.
pub(super) fn national(e164: &str) -> String {
    match e164.strip_prefix("+82") {
        Some(significant) => korean(significant),
        None => international(e164),
    }
}

/// Groups a Korean number, given without country code and trunk 0.
fn korean(significant: &str) -> String {
    let length = significant.len();
    // Representative numbers and short codes are dialled without a trunk 0.
    if length == 8 && significant.starts_with('1') {
        return format!("{}-{}", &significant[..4], &significant[4..]);
    }
    if length < 8 {
        return significant.to_owned();
    }
    let area = if significant.starts_with('2') {
        1
    } else if (significant.starts_with("50") || significant.starts_with("30")) && length >= 10 {
        3
    } else {
        2
    };
    let (area, local) = significant.split_at(area);
    if !(7..=8).contains(&local.len()) {
        return format!("0{significant}");
    }
    let (exchange, subscriber) = local.split_at(local.len() - 4);
    format!("0{area}-{exchange}-{subscriber}")
}

fn international(e164: &str) -> String {
    match phonenumber::parse(None, e164) {
        Ok(number) => number.format().mode(Mode::International).to_string(),
        Err(_) => e164.to_owned(),
    }
}
