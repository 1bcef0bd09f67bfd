//! The header of a file of stores, as spreadsheets write it: blank lines, lines of separators and the line `sep=;`, which tells
//! a spreadsheet the separator, may come before it. Its columns may be in any order.
//!
//! An unknown column is a fault, since it may be a known one with its name misspelt.

use super::fault::LineFault;

/// The columns.
const COLUMNS: [&str; 4] = ["store_id", "name", "virtual_number", "line"];
/// What may stand between two fields.
pub(super) const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// Characters of a wrong header that are shown at most.
const SHOWN: usize = 200;

/// A header, and what is below it.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) separator: u8,
    pub(super) columns: Columns,
    /// Its line; the first is 1.
    pub(super) line: u64,
    /// The text below it.
    pub(super) rows: &'a str,
}

/// Which column is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// As the header names them, in lower case.
    names: Vec<String>,
    /// Of [`COLUMNS`], in their order.
    places: [usize; COLUMNS.len()],
}

impl Columns {
    /// Fields in a row.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// What the header calls a field of a row, or its number.
    pub(super) fn name(&self, index: usize) -> String {
        match self.names.get(index) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("field {}", index + 1),
        }
    }

    /// `store_id`, `name`, `virtual_number` and `line` of a row with [`count`](Self::count) fields.
    pub(super) fn of<'a>(&self, fields: &[&'a str]) -> [&'a str; COLUMNS.len()] {
        self.places.map(|place| fields.get(place).copied().unwrap_or_default())
    }
}

/// Finds the header, and what is wrong with it. With one column too many the rows can still be read, for their faults.
pub(super) fn find(text: &str) -> (Option<Header<'_>>, Vec<LineFault>) {
    let mut rows = text;
    let mut line = 0;
    while !rows.is_empty() {
        let (first, rest) = rows.split_once('\n').unwrap_or((rows, ""));
        (rows, line) = (rest, line + 1);
        let is_header = !is_blank(first) && (line > 1 || !tells_separator(first));
        if is_header {
            let (separator, names) = names(first);
            let (columns, why) = columns(names);
            let fault = why.map(|why| LineFault {
                line,
                text: format!("{why}; {} is expected, found {:?}", expected(), shown(first)),
            });
            let header = columns.map(|columns| Header { separator, columns, line, rows });
            return (header, fault.into_iter().collect());
        }
    }
    (None, vec![LineFault { line: 1, text: format!("{} is expected, the file is empty", expected()) }])
}

fn expected() -> String {
    format!("the header {:?}, in any order, with commas, semicolons or tabs,", COLUMNS.join(","))
}

fn shown(line: &str) -> String {
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// Nothing but separators and empty fields.
fn is_blank(line: &str) -> bool {
    line.chars().all(|c| {
        c.is_whitespace() || c == '"' || SEPARATORS.iter().any(|separator| c == char::from(*separator))
    })
}

/// `sep=;`, maybe quoted and filled up.
fn tells_separator(line: &str) -> bool {
    let line = line.trim_matches(|c: char| c == '"' || c == ' ').to_ascii_lowercase();
    // The separator itself is taken from the header.
    line.strip_prefix("sep=").is_some_and(is_blank)
}

/// The separator with which a line has most names of ours, and the names.
fn names(line: &str) -> (u8, Vec<String>) {
    let split = |separator: u8| {
        let names = line.split(char::from(separator));
        let names = names.map(|name| name.trim().trim_matches('"').trim().to_lowercase());
        // Spreadsheets fill up rows with empty fields.
        let mut names: Vec<_> = names.collect();
        while names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        names
    };
    let ours = |names: &[String]| names.iter().filter(|name| COLUMNS.contains(&name.as_str())).count();
    let [first, others @ ..] = SEPARATORS.map(|separator| (separator, split(separator)));
    others.into_iter().fold(first, |best, other| if ours(&other.1) > ours(&best.1) { other } else { best })
}

/// Finds our columns; and what is wrong.
fn columns(names: Vec<String>) -> (Option<Columns>, Option<String>) {
    let missing: Vec<_> =
        COLUMNS.into_iter().filter(|column| !names.iter().any(|name| name == column)).collect();
    if !missing.is_empty() {
        let named = format!("`{}`", missing.join("`, `"));
        let why = match missing.len() {
            1 => format!("the column {named} is missing"),
            _ => format!("the columns {named} are missing"),
        };
        return (None, Some(why));
    }
    let twice = COLUMNS.into_iter().find(|column| names.iter().filter(|name| name == column).count() > 1);
    if let Some(column) = twice {
        return (None, Some(format!("the column `{column}` appears twice")));
    }
    let others: Vec<_> = names.iter().filter(|name| !COLUMNS.contains(&name.as_str())).collect();
    let why = (!others.is_empty()).then(|| {
        let others: Vec<_> = others.into_iter().map(|name| format!("{:?}", shown(name))).collect();
        format!("a store has no {}", others.join(", no "))
    });
    let place = |column: &str| names.iter().position(|name| name == column).unwrap_or_default();
    (Some(Columns { places: COLUMNS.map(place), names }), why)
}
