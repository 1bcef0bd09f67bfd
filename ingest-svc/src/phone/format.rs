//! A number as people write it.

use phonenumber::Mode;

use super::korea;

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
    // Some countries' formats in the library leave digits out.
    let same = |written: &String| written.chars().filter(char::is_ascii_digit).eq(e164[1..].chars());
    written.filter(same).unwrap_or_else(|| e164.to_owned())
}
