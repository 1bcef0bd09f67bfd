//! The lines in which the records of a CSV file begin.

use csv::Position;

/// Counts lines. The CSV reader's own count is not the line of the next record if there are empty lines before that record.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    /// The lines of `text`, whose first one has the number `first`.
    pub(super) fn new(text: &'a str, first: u64) -> Self {
        Self { text: text.as_bytes(), at: 0, line: first }
    }

    /// The line of the record that the reader finds next. To be called in the order of the file.
    pub(super) fn of(&mut self, position: &Position) -> u64 {
        let reader_at = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        while let Some(byte) = self.text.get(self.at) {
            if self.at >= reader_at && *byte != b'\n' {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}
