//! Tables as spreadsheets and databases export them: CSV with a header, with commas, semicolons or tabs, in UTF-8, UTF-16 or CP949;
//! see [`header`] and [`text`].
//!
//! Here the faults of the file's form are found, each with its line.

mod fault;
mod header;
mod lines;
mod text;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use csv::{ReaderBuilder, StringRecord, Trim};

use ringpad_runtime::Failure;
use tokio::sync::oneshot;

use self::{
    header::{Columns, Header},
    lines::Lines,
    text::Text,
};
use crate::terminal::remark;
#[cfg(test)]
pub(crate) use header::SEPARATORS;
pub(crate) use {
    fault::LineFault,
    header::{Column, Others},
};

/// What a file is called, and its contents; standard input if its name is `-`. Says if it will be read as CP949.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn contents(path: PathBuf) -> Result<(String, Vec<u8>), Failure> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = bytes(path).await.map_err(|error| Failure::other(&name, error))?;
    if text::is_cp949(&bytes) {
        // A short file can be valid in both encodings; a user who knows better sees it here.
        remark(format!("{name}: read as CP949"));
    }
    Ok((name, bytes))
}

/// Reads on a thread that is not joined, so that Ctrl-C ends the program also while it waits for a pipe or a terminal.
async fn bytes(path: PathBuf) -> io::Result<Vec<u8>> {
    let (sender, bytes) = oneshot::channel();
    thread::spawn(move || {
        let read = if path == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(path)
        };
        // After an interruption there is no receiver.
        drop(sender.send(read));
    });
    bytes.await.unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")))
}

/// Prints the faults, one a line.
pub(crate) fn print_faults(name: &str, faults: &mut [LineFault]) {
    faults.sort();
    for fault in faults {
        remark(format!("{name}: {fault}"));
    }
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'a, const N: usize> {
    /// Its known columns. One that the table does not have is empty.
    Read([&'a str; N]),
    /// A row with a fault of its form. For each known column the fields one of which stands in it, if any does: with fields too many, or
    /// missing, it is not known which one. None of them if the table does not have the column; `None` if the row does not tell it.
    Faulty([Option<&'a [&'a str]>; N]),
}

/// Reads a table: calls `row` with each row and its line, and returns the faults of its form. Rows with another number of fields, or a
/// field of more than `longest` bytes, are faults.
pub(crate) fn read<const N: usize>(
    bytes: &[u8],
    known: &[Column; N],
    others: Others,
    longest: usize,
    mut row: impl FnMut(u64, Row<'_, N>),
) -> Vec<LineFault> {
    let Text { text, mut faults } = text::read(bytes);
    let (header, of_header) = header::find(&text, known, others);
    faults.extend(of_header);
    let Some(Header { separator, columns, line, rows }) = header else { return faults };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .delimiter(separator)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(rows.as_bytes());
    let mut lines = Lines::new(rows, line + 1);
    let mut record = StringRecord::new();
    loop {
        let line = lines.of(reader.position());
        match reader.read_record(&mut record) {
            Ok(true) => {
                let fields = fields(&record, columns.count());
                if fields.is_empty() {
                    continue;
                }
                if let Some(text) = fault(&fields, &columns, longest) {
                    row(line, Row::Faulty(columns.candidates(&fields)));
                    faults.push(LineFault { line, text });
                } else {
                    row(line, Row::Read(columns.of(&fields)));
                }
            }
            Ok(false) => return faults,
            Err(error) => {
                row(line, Row::Faulty([None; N]));
                faults.push(LineFault { line, text: format!("is not valid CSV: {error}") });
                return faults;
            }
        }
    }
}

/// The fields of a row, without the empty ones that a spreadsheet writes behind it; none: it is a spreadsheet's empty row.
fn fields(record: &StringRecord, count: usize) -> Vec<&str> {
    let mut fields: Vec<_> = record.iter().collect();
    if fields.iter().all(|field| field.is_empty()) {
        return Vec::new();
    }
    while fields.len() > count && fields.last().is_some_and(|field| field.is_empty()) {
        fields.pop();
    }
    fields
}

/// What is wrong with the form of a row.
fn fault<const N: usize>(fields: &[&str], columns: &Columns<N>, longest: usize) -> Option<String> {
    if let Some((index, field)) = fields.iter().enumerate().find(|(_, field)| field.len() > longest) {
        let (column, bytes) = (columns.name(index), field.len());
        return Some(format!("{column}: {bytes} bytes, {longest} at most: is a quote missing?"));
    }
    (fields.len() != columns.count())
        .then(|| format!("{} fields are expected, there are {}", columns.count(), fields.len()))
}
