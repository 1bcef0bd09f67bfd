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

/// Prints a table. The last column is not padded, and is for texts: how wide Korean text is depends on the terminal.
///
/// # Errors
/// As of [`print`].
pub(crate) fn print_table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), Failure> {
    for line in table([head.map(str::to_owned)].into_iter().chain(rows).collect()) {
        print(line)?;
    }
    Ok(())
}

fn table<const N: usize>(rows: Vec<[String; N]>) -> impl Iterator<Item = String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 < N { width(column) } else { 0 });
    rows.into_iter().map(move |row| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        harmless(cells.join("  ").trim_end())
    })
}

/// Text from outside, without control characters, which could change the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_columns_but_the_last_are_padded() {
        let rows = [["ID", "NUMBER", "NAME"], ["7", "010-1234-5678", "강남\n점"], ["busan", "", ""]];
        let lines: Vec<_> = table(rows.map(|row| row.map(str::to_owned)).to_vec()).collect();
        assert_eq!(lines, ["ID     NUMBER         NAME", "7      010-1234-5678  강남 점", "busan"]);
    }

    #[test]
    fn a_memo_cannot_control_the_terminal() {
        assert_eq!(harmless("세차\u{1b}[2J\r\n010"), "세차 [2J  010");
    }
}
