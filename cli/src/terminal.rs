//! Standard output, for what a command was asked for, and standard error, for remarks.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use ringpad_runtime::Failure;

/// Prints a line on standard output, and flushes it: a pipe gets it at once.
///
/// # Errors
/// The output is no longer read ([`Failure::Unread`]: the command can end), or it cannot be written.
pub(crate) fn print(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::other("cannot write to standard output", error),
    })
}

/// Prints a line about what a command has done; that the output is no longer read does not matter.
///
/// # Errors
/// It cannot be written.
pub(crate) fn report(line: impl Display) -> Result<(), Failure> {
    match print(line) {
        Err(Failure::Unread) => Ok(()),
        printed => printed,
    }
}

/// Prints a remark on standard error.
pub(crate) fn remark(line: impl Display) {
    // If standard error is closed, nothing can be reported.
    writeln!(io::stderr(), "{line}").ok();
}

/// Text from outside, without control characters, which could change the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_cannot_control_the_terminal() {
        assert_eq!(harmless("세차\u{1b}[2J\r\n010"), "세차 [2J  010");
    }
}
