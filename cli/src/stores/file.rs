//! The CSV of stores: `store_id,name,virtual_number,line`, UTF-8 with or without a byte order mark. A repeated
//! `store_id` gives a store several numbers; its name need stand only once. All faults are found at once.
//!
//! Whether a number is one, and whose it is, ingest-svc knows; here is checked what only the file can tell.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use csv::{ByteRecord, Position, ReaderBuilder, Trim};
use ringpad_proto::v1::Store;

/// The header, to the letter.
const HEADER: [&str; 4] = ["store_id", "name", "virtual_number", "line"];
/// What Excel puts in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A store as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) store: Store,
    /// The line of its first row.
    pub(super) line: u64,
    virtual_number_lines: Vec<u64>,
    line_lines: Vec<u64>,
}

/// What is wrong, and in which line; the first is 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl Listed {
    fn new(id: &str, line: u64) -> Self {
        let store = Store { id: id.to_owned(), ..Store::default() };
        Self { store, line, virtual_number_lines: Vec::new(), line_lines: Vec::new() }
    }

    /// The line of a field that ingest-svc finds fault with, e.g. `store.virtual_numbers[1]`.
    pub(super) fn line_of(&self, field: &str) -> u64 {
        let index = || field.split_once('[')?.1.split_once(']')?.0.parse::<usize>().ok();
        let lines = if field.contains("virtual_numbers") {
            &self.virtual_number_lines
        } else if field.contains("lines") {
            &self.line_lines
        } else {
            return self.line;
        };
        index().and_then(|index| lines.get(index)).copied().unwrap_or(self.line)
    }
}

/// Reads the stores, in the order of their first rows.
///
/// # Errors
/// Every fault of the file, by line.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Listed>, Vec<Fault>> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(bytes);
    let mut table = Table::default();
    let mut lines = Lines { text: bytes, at: 0, line: 1 };
    let mut record = ByteRecord::new();
    let mut header = false;
    loop {
        let line = lines.of(reader.position());
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                table.fault(line, format!("no CSV: {error}"));
                break;
            }
        }
        if header {
            table.row(line, &record);
        } else if record.iter().eq(HEADER.iter().map(|name| name.as_bytes())) {
            header = true;
        } else {
            table.fault(line, format!("the header {:?} is expected", HEADER.join(",")));
            break;
        }
    }
    if !header && table.faults.is_empty() {
        table.fault(1, format!("the file is empty; the header {:?} is expected", HEADER.join(",")));
    }
    table.finish()
}

/// Counts lines. The reader's own count stands before the line feeds (that of a CR LF, empty lines) which it skips on
/// its way to the next record.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that the reader finds next. To be asked in the order of the file.
    fn of(&mut self, position: &Position) -> u64 {
        let reader_at = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        while let Some(byte) = self.text.get(self.at) {
            if self.at >= reader_at && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// The rows read so far.
#[derive(Default)]
struct Table {
    stores: Vec<Listed>,
    by_id: HashMap<String, usize>,
    /// Digits of a number, with its column: the store that has it, and in which line.
    owners: BTreeMap<(&'static str, String), (usize, u64)>,
    faults: Vec<Fault>,
}

impl Table {
    fn fault(&mut self, line: u64, text: impl Into<String>) {
        self.faults.push(Fault { line, text: text.into() });
    }

    fn row(&mut self, line: u64, record: &ByteRecord) {
        if record.iter().all(<[u8]>::is_empty) {
            return; // A spreadsheet's empty row.
        }
        let Ok(fields) = record.iter().map(str::from_utf8).collect::<Result<Vec<_>, _>>() else {
            return self.fault(line, "not UTF-8: save the file as \"CSV UTF-8\"");
        };
        let [id, name, virtual_number, real_line] = fields[..] else {
            return self
                .fault(line, format!("{} fields are expected, there are {}", HEADER.len(), fields.len()));
        };
        if id.is_empty() {
            return self.fault(line, "store_id: empty");
        }
        if virtual_number.is_empty() && real_line.is_empty() {
            self.fault(line, "virtual_number, line: one of them is expected");
        }
        let index = *self.by_id.entry(id.to_owned()).or_insert_with(|| {
            self.stores.push(Listed::new(id, line));
            self.stores.len() - 1
        });
        self.name(index, line, name);
        self.number(index, line, "virtual_number", virtual_number);
        self.number(index, line, "line", real_line);
    }

    fn name(&mut self, index: usize, line: u64, name: &str) {
        let known = &mut self.stores[index].store.name;
        if known.is_empty() {
            name.clone_into(known);
        } else if !name.is_empty() && name != known {
            let text = format!("name: {name:?}, but the same store is {known:?} above");
            self.fault(line, text);
        }
    }

    fn number(&mut self, index: usize, line: u64, column: &'static str, number: &str) {
        if number.is_empty() {
            return;
        }
        let digits = number.chars().filter(char::is_ascii_digit).collect();
        match self.owners.get(&(column, digits)) {
            // The same number beside another one, e.g. one virtual number with two lines.
            Some((owner, _)) if *owner == index => return,
            Some((owner, above)) => {
                let text =
                    format!("{column}: in line {above} it is store {}'s", self.stores[*owner].store.id);
                return self.fault(line, text);
            }
            None => {}
        }
        let digits = number.chars().filter(char::is_ascii_digit).collect();
        self.owners.insert((column, digits), (index, line));
        let listed = &mut self.stores[index];
        let (numbers, lines) = match column {
            "line" => (&mut listed.store.lines, &mut listed.line_lines),
            _ => (&mut listed.store.virtual_numbers, &mut listed.virtual_number_lines),
        };
        numbers.push(number.to_owned());
        lines.push(line);
    }

    fn finish(mut self) -> Result<Vec<Listed>, Vec<Fault>> {
        for listed in &self.stores {
            if listed.store.name.is_empty() {
                self.faults.push(Fault { line: listed.line, text: "name: empty".to_owned() });
            }
        }
        if self.faults.is_empty() {
            return Ok(self.stores);
        }
        self.faults.sort();
        Err(self.faults)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO_STORES: &str = "store_id,name,virtual_number,line\r\n\
        gangnam,행복 세차 강남점,0507-1234-5678,02-555-0101\r\n\
        mapo,\"반짝, 세차\",0507-2345-6789,\r\n\
        gangnam,,0507-1234-5679,02-555-0101\r\n\
        ,,,\r\n";

    fn faults(text: &[u8]) -> Vec<String> {
        read(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_repeated_store_has_several_numbers() {
        let stores = read(TWO_STORES.as_bytes()).unwrap();
        assert_eq!(stores.len(), 2);
        let Store { id, name, virtual_numbers, lines } = &stores[0].store;
        assert_eq!((id.as_str(), name.as_str()), ("gangnam", "행복 세차 강남점"));
        assert_eq!(virtual_numbers, &["0507-1234-5678", "0507-1234-5679"]);
        assert_eq!(lines, &["02-555-0101"]);
        assert_eq!((stores[1].store.name.as_str(), stores[1].line), ("반짝, 세차", 3));
        assert_eq!(stores[0].line_of("store.virtual_numbers[1]"), 4);
        assert_eq!(stores[0].line_of("store.lines[0]"), 2);
        assert_eq!(stores[0].line_of("store.id"), 2);
    }

    #[test]
    fn a_byte_order_mark_changes_nothing() {
        let with_mark = [BYTE_ORDER_MARK, TWO_STORES.as_bytes()].concat();
        assert_eq!(read(&with_mark), read(TWO_STORES.as_bytes()));
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_lines() {
        let text = "store_id,name,virtual_number,line\n\
            a,A,05071111111,\n\
            \n\
            b,B,0507-111-1111,\n\
            ,C,0507,\n\
            a,Other,05072222222,\n\
            d,D,,\n\
            e,,0507333,\n\
            f,F,0507\n";
        assert_eq!(
            faults(text.as_bytes()),
            [
                "line 4: virtual_number: in line 2 it is store a's",
                "line 5: store_id: empty",
                "line 6: name: \"Other\", but the same store is \"A\" above",
                "line 7: virtual_number, line: one of them is expected",
                "line 8: name: empty",
                "line 9: 4 fields are expected, there are 3",
            ]
        );
    }

    #[test]
    fn what_is_no_such_file_is_said() {
        assert!(faults(b"")[0].contains("empty"));
        assert!(faults(b"id,name\n")[0].contains("store_id,name,virtual_number,line"));
        let cp949 = b"store_id,name,virtual_number,line\na,\xc7\xe0\xba\xb9,0507,\n";
        assert!(faults(cp949)[0].contains("line 2: not UTF-8"), "{:?}", faults(cp949));
        assert_eq!(read(b"store_id,name,virtual_number,line\n"), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let header = b"store_id,name,virtual_number,line\n".to_vec();
            read(&bytes).ok();
            read(&[header, bytes].concat()).ok();
        }

        #[test]
        fn every_row_is_taken_or_has_a_fault(rows in proptest::collection::vec("[ab]?,[AB]?,[0-3]{0,2},[0-3]{0,2}", 0..8)) {
            let text = format!("store_id,name,virtual_number,line\n{}\n", rows.join("\n"));
            if let Ok(stores) = read(text.as_bytes()) {
                let mut numbers: Vec<_> = stores.iter().flat_map(|listed| &listed.store.virtual_numbers).collect();
                let all = numbers.len();
                numbers.sort();
                numbers.dedup();
                prop_assert_eq!(numbers.len(), all);
                for row in rows.iter().filter(|row| row.as_str() != ",,,") {
                    let id = row.split(',').next().unwrap_or_default();
                    prop_assert!(stores.iter().any(|listed| listed.store.id == id));
                }
            }
        }
    }
}
