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

/// Reads a table: calls `row` with each row's line and known columns, and returns the faults of its form. Rows with another number of
/// fields, or a field of more than `longest` bytes, are faults.
pub(crate) fn read<const N: usize>(
    bytes: &[u8],
    known: &[Column; N],
    others: Others,
    longest: usize,
    mut row: impl FnMut(u64, [&str; N]),
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
            Ok(true) => match fields(&record, &columns, longest) {
                Ok(Some(fields)) => row(line, fields),
                Ok(None) => {}
                Err(text) => faults.push(LineFault { line, text }),
            },
            Ok(false) => return faults,
            Err(error) => {
                faults.push(LineFault { line, text: format!("is not valid CSV: {error}") });
                return faults;
            }
        }
    }
}

/// The known columns of a row; `None`: it is a spreadsheet's empty row.
fn fields<'a, const N: usize>(
    record: &'a StringRecord,
    columns: &Columns<N>,
    longest: usize,
) -> Result<Option<[&'a str; N]>, String> {
    let mut fields: Vec<_> = record.iter().collect();
    if fields.iter().all(|field| field.is_empty()) {
        return Ok(None);
    }
    if let Some((index, field)) = fields.iter().enumerate().find(|(_, field)| field.len() > longest) {
        let (column, bytes) = (columns.name(index), field.len());
        return Err(format!("{column}: {bytes} bytes, {longest} at most: is a quote missing?"));
    }
    while fields.len() > columns.count() && fields.last().is_some_and(|field| field.is_empty()) {
        fields.pop();
    }
    if fields.len() != columns.count() {
        return Err(format!("{} fields are expected, there are {}", columns.count(), fields.len()));
    }
    Ok(Some(columns.of(&fields)))
}
