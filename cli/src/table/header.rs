//! The header of a table, as spreadsheets write it: blank lines, lines of separators and the line `sep=;`, which tells
//! a spreadsheet the separator, may come before it. Its columns may be in any order.

use super::fault::LineFault;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// What the header calls it.
    pub(crate) name: &'static str,
    /// What other systems call it, in lower case.
    pub(crate) aliases: &'static [&'static str],
    /// Whether a table without it is faulty.
    pub(crate) is_required: bool,
}

impl Column {
    fn is_called(&self, name: &str) -> bool {
        name == self.name || self.aliases.contains(&name)
    }
}

/// What becomes of unknown columns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Others {
    /// They are faults, since one may be a known column with its name misspelt. With what a row is about, e.g. `a store`.
    Fault(&'static str),
    /// They are not read.
    NotRead,
}

/// What may stand between two fields.
pub(crate) const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// Characters of a wrong header that are shown at most.
const SHOWN: usize = 200;

/// A header, and what is below it.
#[derive(Debug)]
pub(super) struct Header<'a, const N: usize> {
    pub(super) separator: u8,
    pub(super) columns: Columns<N>,
    /// Its line; the first is 1.
    pub(super) line: u64,
    /// The text below it.
    pub(super) rows: &'a str,
}

/// Which column is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns<const N: usize> {
    /// As the header names them, in lower case.
    names: Vec<String>,
    /// Of the known columns, in their order; `None`: the table does not have it.
    places: [Option<usize>; N],
}

impl<const N: usize> Columns<N> {
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

    /// What may stand in each known column of a row with a fault of its form; see [`super::Row::Faulty`].
    pub(super) fn candidates<'a>(&self, fields: &'a [&'a str]) -> [Option<&'a [&'a str]>; N] {
        // Behind a quote that is missing, the row has swallowed other rows.
        let is_one_line = !fields.iter().any(|field| field.contains('\n'));
        let (too_many, missing) =
            (fields.len().saturating_sub(self.count()), self.count().saturating_sub(fields.len()));
        self.places.map(|place| match place {
            None => Some(&[][..]),
            Some(place) if is_one_line => {
                fields.get(place.saturating_sub(missing)..=place.saturating_add(too_many))
            }
            Some(_) => None,
        })
    }

    /// The known columns of a row with [`count`](Self::count) fields. One that the table does not have is empty.
    pub(super) fn of<'a>(&self, fields: &[&'a str]) -> [&'a str; N] {
        self.places.map(|place| place.and_then(|place| fields.get(place).copied()).unwrap_or_default())
    }
}

/// Finds the header, and what is wrong with it. With one column too many the rows can still be read, for their faults.
pub(super) fn find<'a, const N: usize>(
    text: &'a str,
    known: &[Column; N],
    others: Others,
) -> (Option<Header<'a, N>>, Vec<LineFault>) {
    let mut rows = text;
    let mut line = 0;
    while !rows.is_empty() {
        let (first, rest) = rows.split_once('\n').unwrap_or((rows, ""));
        (rows, line) = (rest, line + 1);
        let is_header = !is_blank(first) && (line > 1 || !tells_separator(first));
        if is_header {
            let (separator, names) = names(first, known);
            let (columns, why) = columns(names, known, others);
            let fault = why.map(|why| LineFault {
                line,
                text: format!("{why}; {} is expected, found {:?}", expected(known), shown(first)),
            });
            let header = columns.map(|columns| Header { separator, columns, line, rows });
            return (header, fault.into_iter().collect());
        }
    }
    (None, vec![LineFault { line: 1, text: format!("{} is expected, the file is empty", expected(known)) }])
}

fn expected(known: &[Column]) -> String {
    let names: Vec<_> = known.iter().map(|column| column.name).collect();
    format!("the header {:?}, in any order, with commas, semicolons or tabs,", names.join(","))
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
fn names(line: &str, known: &[Column]) -> (u8, Vec<String>) {
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
    let ours = |names: &[String]| names.iter().filter(|name| is_known(name, known)).count();
    let [first, others @ ..] = SEPARATORS.map(|separator| (separator, split(separator)));
    others.into_iter().fold(first, |best, other| if ours(&other.1) > ours(&best.1) { other } else { best })
}

fn is_known(name: &str, known: &[Column]) -> bool {
    known.iter().any(|column| column.is_called(name))
}

/// Finds our columns; and what is wrong.
fn columns<const N: usize>(
    names: Vec<String>,
    known: &[Column; N],
    others: Others,
) -> (Option<Columns<N>>, Option<String>) {
    let count = |column: &Column| names.iter().filter(|name| column.is_called(name)).count();
    let missing = known.iter().filter(|column| column.is_required && count(column) == 0);
    let missing: Vec<_> = missing.map(|column| column.name).collect();
    if !missing.is_empty() {
        let named = format!("`{}`", missing.join("`, `"));
        let why = match missing.len() {
            1 => format!("the column {named} is missing"),
            _ => format!("the columns {named} are missing"),
        };
        return (None, Some(why));
    }
    if let Some(column) = known.iter().find(|column| count(column) > 1) {
        return (None, Some(format!("the column `{}` appears twice", column.name)));
    }
    let why = match others {
        Others::NotRead => None,
        Others::Fault(what) => {
            let unknown = names.iter().filter(|name| !is_known(name, known));
            let unknown: Vec<_> = unknown.map(|name| format!("{:?}", shown(name))).collect();
            (!unknown.is_empty()).then(|| format!("{what} has no {}", unknown.join(", no ")))
        }
    };
    let places = known.map(|column| names.iter().position(|name| column.is_called(name)));
    (Some(Columns { places, names }), why)
}
