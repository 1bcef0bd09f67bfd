//! Standard output and standard error. What was asked for goes to the former, remarks go to the latter.

use std::{
    fmt::Display,
    io::{self, Write},
};

use ringpad_runtime::Failure;

/// Prints a line on standard output, at once also when that is a pipe.
///
/// # Errors
/// Nobody reads it any more, or it cannot be written.
pub(crate) fn print(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::other("cannot write to standard output", error))
}

/// Says something beside the output.
pub(crate) fn remark(line: impl Display) {
    eprintln!("{line}");
}

/// Text from outside without what would steer the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_cannot_steer_the_terminal() {
        assert_eq!(harmless("세차\u{1b}[2J\r\n010"), "세차 [2J  010");
    }
}
