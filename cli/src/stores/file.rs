//! The table of stores: `store_id,name,virtual_number,line`, in any order; see [`table`].
//! A repeated `store_id` gives a store several numbers; one of its rows must have its name.
//!
//! Here the line of each store and number is found. ingest-svc checks ids, names and
//! numbers, and which store owns a number. All that can be read of a faulty file is read, so that ingest-svc can find the
//! rest of the faults in the same run.

use std::collections::HashMap;

use ringpad_proto::v1::Store;

use crate::table::{self, Column, LineFault, Others, Row};

/// Bytes of a field at most: more than ingest-svc takes in any.
const CELL: usize = 1024;

/// The stores of a file, and its faults.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StoresFile {
    /// In the order of their first rows.
    pub(super) stores: Vec<ListedStore>,
    /// By line.
    pub(super) faults: Vec<LineFault>,
}

/// A store, and the lines of the file that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedStore {
    pub(super) store: Store,
    /// The line of its first row.
    pub(super) line: u64,
    virtual_number_lines: Vec<u64>,
    line_lines: Vec<u64>,
}

impl ListedStore {
    fn new(id: &str, line: u64) -> Self {
        let store = Store { id: id.to_owned(), ..Store::default() };
        Self { store, line, virtual_number_lines: Vec::new(), line_lines: Vec::new() }
    }

    /// The line of a field as ingest-svc names it, e.g. `virtual_numbers[1]`.
    pub(super) fn line_of(&self, field: &str) -> u64 {
        let index = || field.split_once('[')?.1.split_once(']')?.0.parse::<usize>().ok();
        let lines = if field.starts_with("virtual_numbers") {
            &self.virtual_number_lines
        } else if field.starts_with("lines") {
            &self.line_lines
        } else {
            return self.line;
        };
        index().and_then(|index| lines.get(index)).copied().unwrap_or(self.line)
    }
}

const fn column(name: &'static str) -> Column {
    Column { name, aliases: &[], is_required: true }
}

const COLUMNS: [Column; 4] = [column("store_id"), column("name"), column("virtual_number"), column("line")];

/// Reads a file.
pub(super) fn read(bytes: &[u8]) -> StoresFile {
    let mut rows = Rows::default();
    let faults = table::read(bytes, &COLUMNS, Others::Fault("a store"), CELL, |line, row| match row {
        Row::Read(fields) => rows.row(line, fields),
        // A file with a fault is not imported at all.
        Row::Faulty(_) => {}
    });
    rows.faults.extend(faults);
    rows.finish()
}

/// The rows read so far.
#[derive(Default)]
struct Rows {
    stores: Vec<ListedStore>,
    by_id: HashMap<String, usize>,
    faults: Vec<LineFault>,
}

impl Rows {
    fn fault(&mut self, line: u64, text: impl Into<String>) {
        self.faults.push(LineFault { line, text: text.into() });
    }

    fn row(&mut self, line: u64, [id, name, virtual_number, real_line]: [&str; 4]) {
        if virtual_number.is_empty() && real_line.is_empty() {
            self.fault(line, "virtual_number, line: one of them is expected");
        }
        let index = match self.by_id.get(id) {
            Some(index) => *index,
            None => {
                self.stores.push(ListedStore::new(id, line));
                let index = self.stores.len() - 1;
                // Rows without an id do not belong together.
                if !id.is_empty() {
                    self.by_id.insert(id.to_owned(), index);
                }
                index
            }
        };
        self.name(index, line, name);
        let ListedStore { store, virtual_number_lines, line_lines, .. } = &mut self.stores[index];
        for (number, numbers, lines) in [
            (virtual_number, &mut store.virtual_numbers, virtual_number_lines),
            (real_line, &mut store.lines, line_lines),
        ] {
            if !number.is_empty() {
                numbers.push(number.to_owned());
                lines.push(line);
            }
        }
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

    fn finish(mut self) -> StoresFile {
        self.faults.sort();
        StoresFile { stores: self.stores, faults: self.faults }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO_STORES: &str = "store_id,name,virtual_number,line\r\n\
        gangnam,행복 세차 강남점,0507-1234-5678,02-555-0101\r\n\
        mapo,\"반짝, 세차\",0507-2345-6789,\r\n\
        gangnam,,0507-1234-5679,02-555-0101\r\n\
        ,,,\r\n";

    fn faults(text: &[u8]) -> Vec<String> {
        read(text).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_repeated_store_has_several_numbers() {
        let StoresFile { stores, faults } = read(TWO_STORES.as_bytes());
        assert_eq!((stores.len(), faults), (2, vec![]));
        let Store { id, name, virtual_numbers, lines } = &stores[0].store;
        assert_eq!((id.as_str(), name.as_str()), ("gangnam", "행복 세차 강남점"));
        assert_eq!(virtual_numbers, &["0507-1234-5678", "0507-1234-5679"]);
        assert_eq!(lines, &["02-555-0101", "02-555-0101"], "ingest-svc finds out that both are one number");
        assert_eq!((stores[1].store.name.as_str(), stores[1].line), ("반짝, 세차", 3));
        assert_eq!(stores[0].line_of("virtual_numbers[1]"), 4);
        assert_eq!(stores[0].line_of("lines[0]"), 2);
        assert_eq!(stores[0].line_of("id"), 2);
    }

    #[test]
    fn semicolons_and_tabs_separate_fields_like_commas() {
        let with_commas = read(TWO_STORES.replace("\"반짝, 세차\"", "반짝 세차").as_bytes());
        for separator in [";", "\t"] {
            let text = TWO_STORES.replace("\"반짝, 세차\"", "반짝 세차").replace(',', separator);
            assert_eq!(read(text.as_bytes()), with_commas, "{separator:?}");
            let quoted = text.replace("store_id", "\"store_id\"").replace("name", " NAME ");
            assert_eq!(read(quoted.as_bytes()), with_commas, "{separator:?}");
        }
        let filled_up = TWO_STORES.replace("\r\n", ",,\r\n").replace("\"반짝, 세차\"", "반짝 세차");
        assert_eq!(read(filled_up.as_bytes()), with_commas);
    }

    #[test]
    fn all_faults_are_reported_at_once_with_their_lines_and_the_rest_is_read() {
        let text = "store_id,name,virtual_number,line\n\
            a,A,05071111111,\n\
            \n\
            ,C,0507,\n\
            ,D,0508,\n\
            a,Other,05072222222,\n\
            d,D,,\n\
            f,F,0507\n";
        assert_eq!(
            faults(text.as_bytes()),
            [
                "line 6: name: \"Other\", but the same store is \"A\" above",
                "line 7: virtual_number, line: one of them is expected",
                "line 8: 4 fields are expected, there are 3",
            ]
        );
        let stores = read(text.as_bytes()).stores;
        let ids: Vec<_> = stores.iter().map(|listed| (listed.store.id.as_str(), listed.line)).collect();
        assert_eq!(ids, [("a", 2), ("", 4), ("", 5), ("d", 7)]);
    }

    #[test]
    fn a_file_without_the_header_is_a_fault() {
        for text in
            ["", "\n", "id,name\n", "store_id,name,virtual_number\n", "store_id;name,virtual_number,line\n"]
        {
            let told = faults(text.as_bytes());
            assert!(
                told.len() == 1 && told[0].contains("store_id,name,virtual_number,line"),
                "{text:?}: {told:?}"
            );
        }
        assert_eq!(read(b"store_id,name,virtual_number,line\n"), StoresFile::default());
    }

    #[test]
    fn a_header_is_found_as_spreadsheets_write_it() {
        let plain = "store_id,name,virtual_number,line\nmapo,반짝 세차,0507-2345-6789,\n";
        let expected = read(plain.as_bytes()).stores;
        assert_eq!((expected.len(), expected[0].line), (1, 2));
        for (text, line) in [
            (format!("sep=,\n{plain}"), 3),
            (format!("sep=;\r\n{}", plain.replace(',', ";")), 3),
            (format!("\"SEP=;\"\n{}", plain.replace(',', ";")), 3),
            (format!("\u{feff}sep=\t\n{}", plain.replace(',', "\t")), 3),
            (format!("\n  \n{plain}"), 4),
            (format!(",,,\r\n;;\n\"\",\"\"\n{plain}"), 5),
            (plain.replace('\n', "\r"), 2),
            (format!("sep=,\r\r{}", plain.replace('\n', "\r")), 4),
            ("line,virtual_number,store_id,name\n,0507-2345-6789,mapo,반짝 세차\n".to_owned(), 2),
            (
                "\"Line\";\"STORE_ID\";\"name\";\"virtual_number\";;\n;mapo;반짝 세차;0507-2345-6789;;\n"
                    .to_owned(),
                2,
            ),
        ] {
            let StoresFile { stores, faults } = read(text.as_bytes());
            assert_eq!(faults, [], "{text:?}");
            assert_eq!(
                (stores.len(), &stores[0].store, stores[0].line),
                (1, &expected[0].store, line),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_wrong_header_is_shown_with_its_line() {
        for (text, line, words) in [
            (
                "sep=;\n\nid;name\n",
                3,
                &["the columns `store_id`, `virtual_number`, `line` are missing;", "\"id;name\""][..],
            ),
            ("store_id,name,line,line,virtual_number\n", 1, &["the column `line` appears twice"]),
            ("sep=;\nsep=;\n", 2, &["found \"sep=;\""]),
            ("\r\rstore_id,name,virtual_number\r", 3, &["the column `line` is missing;"]),
            ("매장,이름\n", 1, &["found \"매장,이름\""]),
        ] {
            let told = faults(text.as_bytes());
            assert!(told.len() == 1 && told[0].starts_with(&format!("line {line}: ")), "{text:?}: {told:?}");
            assert!(words.iter().all(|word| told[0].contains(word)), "{text:?}: {told:?}");
        }
        // A column too many is named, and does not hide the other faults.
        let text = "memo,store_id,name,virtual_number,line\nx,a,A,,\nx,b,B,05071111111,\ny,c,C\n";
        let told = faults(text.as_bytes());
        assert!(told[0].starts_with("line 1: a store has no \"memo\";"), "{told:?}");
        assert_eq!(
            told[1..],
            [
                "line 2: virtual_number, line: one of them is expected",
                "line 4: 5 fields are expected, there are 3"
            ]
        );
        assert!(faults("x".repeat(100_000).as_bytes())[0].len() < 1_000);
    }

    #[test]
    fn a_field_without_its_closing_quote_is_a_fault_and_not_read() {
        let rest = "b,B,05071111111,\n".repeat(200);
        let text = format!("store_id,name,virtual_number,line\na,A,05072222222,\nc,\"C,05073333333,\n{rest}");
        let StoresFile { stores, faults } = read(text.as_bytes());
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].starts_with("line 3: name: ") && told[0].contains("quote"),
            "{told:?}"
        );
        assert_eq!(stores.len(), 1);
        let long = |bytes| format!("line,store_id,name,virtual_number\n,a,{},0507\n", "x".repeat(bytes));
        assert_eq!(read(long(1024).as_bytes()).faults, []);
        assert_eq!(read(long(1025).as_bytes()).stores, []);
    }

    proptest! {
        #[test]
        fn no_file_causes_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let header = b"store_id,name,virtual_number,line\n".to_vec();
            read(&bytes);
            read(&[header, bytes].concat());
        }

        #[test]
        fn every_cell_is_read_or_its_row_has_a_fault(
            rows in proptest::collection::vec("[ab]?[,;][AB]?[,;][0-3]{0,2}[,;][0-3]{0,2}[,;]{0,2}", 0..8),
            separator in proptest::sample::select(&table::SEPARATORS[..]),
        ) {
            let separator = char::from(separator).to_string();
            let text = format!("store_id,name,virtual_number,line\n{}\n", rows.join("\n")).replace([',', ';'], &separator);
            let StoresFile { stores, faults } = read(text.as_bytes());
            for (row, line) in text.lines().zip(1_u64..).skip(1) {
                let cells: Vec<_> = row.split(&separator).collect();
                if cells.iter().all(|cell| cell.is_empty()) || faults.iter().any(|fault| fault.line == line) {
                    continue;
                }
                let has = |numbers: &[String], number: &str| number.is_empty() || numbers.iter().any(|own| own == number);
                let store = |listed: &ListedStore| listed.store.id == cells[0]
                    && (cells[1].is_empty() || listed.store.name == cells[1])
                    && has(&listed.store.virtual_numbers, cells[2]) && has(&listed.store.lines, cells[3]);
                prop_assert!(stores.iter().any(store), "{row:?}: {stores:?}");
            }
        }
    }
}
