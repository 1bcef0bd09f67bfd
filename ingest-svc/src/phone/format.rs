//! A number as people write it.

use phonenumber::Mode;

use super::{PhoneNumber, korea};

/// The national form of a Korean number, the international form of a foreign one.
pub(super) fn national(e164: &str) -> String {
    let korean = e164.strip_prefix('+').and_then(|digits| digits.strip_prefix(korea::CODE));
    match korean {
        Some(significant) => korea::written(significant),
        None => international(e164),
    }
}

fn international(e164: &str) -> String {
    let number = phonenumber::parse(None, e164);
    let written = number.map(|number| number.format().mode(Mode::International).to_string()).ok();
    // Some countries' formats in the library leave digits out. Of a number that is not valid a group may end where a valid number
    // would end, which is not read as one number.
    let same =
        |written: &String| PhoneNumber::parse(written).is_some_and(|again| again.identity() == (e164, None));
    written.filter(same).unwrap_or_else(|| e164.to_owned())
}
