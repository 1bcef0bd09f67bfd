//! Standard output and standard error. What was asked for goes to the former, remarks go to the latter.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use ringpad_runtime::Failure;

/// Prints a line of what was asked for on standard output, at once also when that is a pipe.
///
/// # Errors
/// Nobody reads it any more ([`Failure::Unread`]: the command has nothing more to do), or it cannot be written.
pub(crate) fn print(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::other("cannot write to standard output", error),
    })
}

/// Prints a line on what a command has done, which goes on also if nobody reads it.
///
/// # Errors
/// It cannot be written.
pub(crate) fn report(line: impl Display) -> Result<(), Failure> {
    match print(line) {
        Err(Failure::Unread) => Ok(()),
        printed => printed,
    }
}

/// Says something beside the output.
pub(crate) fn remark(line: impl Display) {
    // Nobody may be there to read it.
    writeln!(io::stderr(), "{line}").ok();
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
