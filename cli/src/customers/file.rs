//! The table of customers; see [`table`]. A repeated `id` gives a customer several numbers. ingest-svc checks texts and numbers.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use ringpad_proto::v1::{Customer, CustomerRecord};

use super::time::time;
use crate::table::{self, Column, LineFault, Others, Row};

/// Bytes of a field at most: more than ingest-svc takes in any.
const CELL: usize = 16 * 1024;

const fn column(name: &'static str, aliases: &'static [&'static str]) -> Column {
    Column { name, aliases, is_required: false }
}

/// As our own header names them, and as Korean shops' systems do.
const COLUMNS: [Column; 8] = [
    column("id", &["customer_id", "고객번호", "회원번호"]),
    column("name", &["이름", "성명", "고객명"]),
    Column {
        is_required: true,
        ..column(
            "number",
            &[
                "phone",
                "phone_number",
                "mobile",
                "전화번호",
                "전화",
                "휴대폰",
                "휴대폰번호",
                "휴대전화",
                "핸드폰",
                "핸드폰번호",
                "연락처",
            ],
        )
    },
    column("car_number", &["car", "차량번호", "차번호", "차량"]),
    column("note", &["memo", "메모", "비고", "특이사항"]),
    column("calls", &["통화수", "통화횟수"]),
    column("last_call_at", &["최근통화", "마지막통화", "최근통화일시"]),
    column("last_note", &["최근메모", "마지막메모"]),
];

/// The customers of a file, and its faults.
#[derive(Debug, Default, PartialEq)]
pub(super) struct CustomersFile {
    /// In the order of their first rows; without those whose rows have faults.
    pub(super) customers: Vec<ListedCustomer>,
    /// By line.
    pub(super) faults: Vec<LineFault>,
}

/// A customer, and the lines of the file that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedCustomer {
    pub(super) record: CustomerRecord,
    /// Of its rows.
    lines: Vec<u64>,
    /// The line of each number.
    number_lines: Vec<u64>,
}

impl ListedCustomer {
    /// The line of a field as ingest-svc names it, e.g. `numbers[1]`.
    pub(super) fn line_of(&self, field: &str) -> u64 {
        let index = || field.strip_prefix("numbers[")?.strip_suffix(']')?.parse::<usize>().ok();
        let first = || self.lines.first().copied().unwrap_or_default();
        index().and_then(|index| self.number_lines.get(index)).copied().unwrap_or_else(first)
    }
}

/// Reads a file. `zone`: of times that do not say it.
pub(super) fn read(bytes: &[u8], zone: &TimeZone) -> CustomersFile {
    let mut rows = Rows { zone: zone.clone(), ..Rows::default() };
    let faults = table::read(bytes, &COLUMNS, Others::NotRead, CELL, |line, row| match row {
        Row::Read(fields) => rows.row(line, fields),
        Row::Faulty([ids, ..]) => rows.unread(line, ids),
    });
    rows.faults.extend(faults);
    rows.finish()
}

/// The rows read so far.
struct Rows {
    zone: TimeZone,
    customers: Vec<ListedCustomer>,
    by_id: HashMap<String, usize>,
    /// The lines of rows that were not read, by the ids that they may have.
    unread: Vec<(u64, Unread)>,
    faults: Vec<LineFault>,
}

/// Whose a row is that was not read.
enum Unread {
    /// One of the customers with these ids, or that of no other row.
    OneOf(Vec<String>),
    /// Any customer's with an id.
    Anybodys,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            customers: Vec::new(),
            by_id: HashMap::new(),
            unread: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl Rows {
    fn row(&mut self, line: u64, fields: [&str; 8]) {
        let [id, name, numbers, car_number, note, calls, last_call_at, last_note] = fields;
        let calls = self.parsed(line, "calls", calls, |text| text.parse().ok(), "a whole number is expected");
        let zone = self.zone.clone();
        let expected = "a time is expected, e.g. 2026-11-20 14:30";
        let last_call_at =
            self.parsed(line, "last_call_at", last_call_at, |text| time(text, &zone), expected);
        let customer = Customer {
            id: id.to_owned(),
            name: name.to_owned(),
            car_number: car_number.to_owned(),
            note: note.to_owned(),
        };
        let record = CustomerRecord {
            customer: Some(customer),
            numbers: Vec::new(),
            calls: calls.unwrap_or_default(),
            last_call_at: last_call_at
                .map(|at| ringpad_proto::Timestamp { seconds: at.as_second(), nanos: 0 }),
            last_note: last_note.to_owned(),
        };
        let index = self.index_of(record, line);
        let listed = &mut self.customers[index];
        listed.lines.push(line);
        for number in numbers.split(['/', ',', ';', '\n']).map(str::trim).filter(|number| !number.is_empty())
        {
            listed.record.numbers.push(number.to_owned());
            listed.number_lines.push(line);
        }
    }

    /// A row that was not read, with the fields one of which is its id. It may have a number of a customer who is in other rows, too. An
    /// import replaces all numbers of a customer, so it would delete this one: the customer has to fall out.
    fn unread(&mut self, line: u64, ids: Option<&[&str]>) {
        let unread = ids.map_or(Unread::Anybodys, |ids| {
            Unread::OneOf(ids.iter().filter(|id| !id.is_empty()).map(|id| (*id).to_owned()).collect())
        });
        self.unread.push((line, unread));
    }

    /// Where the customer of a row is. Rows with one id must say the same.
    fn index_of(&mut self, record: CustomerRecord, line: u64) -> usize {
        let id = record.customer.as_ref().map(|customer| customer.id.clone()).unwrap_or_default();
        if let Some(index) = self.by_id.get(&id) {
            let known = CustomerRecord { numbers: Vec::new(), ..self.customers[*index].record.clone() };
            if known != record {
                let text = format!("id: the customer {id:?} is above, with other values");
                self.faults.push(LineFault { line, text });
            }
            return *index;
        }
        self.customers.push(ListedCustomer { record, lines: Vec::new(), number_lines: Vec::new() });
        let index = self.customers.len() - 1;
        if !id.is_empty() {
            self.by_id.insert(id, index);
        }
        index
    }

    /// The value of a cell, unless it is empty or faulty.
    fn parsed<T>(
        &mut self,
        line: u64,
        column: &str,
        text: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        let parsed = parse(text);
        if parsed.is_none() {
            self.faults.push(LineFault { line, text: format!("{column}: {text:?}; {expected}") });
        }
        parsed
    }

    fn finish(mut self) -> CustomersFile {
        let mut left_out = self.with_unread_rows();
        self.faults.sort();
        let faulty: HashSet<_> = self.faults.iter().map(|fault| fault.line).collect();
        for (index, listed) in self.customers.iter().enumerate() {
            if listed.lines.iter().any(|line| faulty.contains(line)) {
                left_out.insert(index);
            }
        }
        let customers = self.customers.into_iter().enumerate();
        let customers = customers.filter(|(index, _)| !left_out.contains(index)).map(|(_, listed)| listed);
        CustomersFile { customers: customers.collect(), faults: self.faults }
    }

    /// The customers who may have a row that was not read, each a fault of that row.
    fn with_unread_rows(&mut self) -> HashSet<usize> {
        let mut found = HashSet::new();
        for (line, row) in &self.unread {
            let mut fault = |text| self.faults.push(LineFault { line: *line, text });
            match row {
                Unread::OneOf(ids) => {
                    for (id, index) in ids.iter().filter_map(|id| self.by_id.get_key_value(id)) {
                        fault(format!(
                            "id: the customer {id:?} is left out: this row may have one of its numbers"
                        ));
                        found.insert(*index);
                    }
                }
                Unread::Anybodys if !self.by_id.is_empty() => {
                    fault(
                        "id: cannot be read: all customers with an id are left out, since this row may have a \
                         number of any of them"
                            .to_owned(),
                    );
                    found.extend(self.by_id.values());
                }
                Unread::Anybodys => {}
            }
        }
        found
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn seoul() -> TimeZone {
        TimeZone::get("Asia/Seoul").unwrap()
    }

    fn told(text: &str) -> Vec<String> {
        read(text.as_bytes(), &seoul()).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_shop_s_own_export_is_read_with_its_korean_header() {
        let text = "이름;연락처;차량번호;주소;메모\n김민수;010-1234-5678 / 02-555-0101;12가 3456;서울;단골\n;010-9999-0000;34나 7890;;\n";
        for bytes in [text.as_bytes().to_vec(), encoding_rs::EUC_KR.encode(text).0.into_owned()] {
            let CustomersFile { customers, faults } = read(&bytes, &seoul());
            assert_eq!((customers.len(), faults), (2, vec![]));
            let CustomerRecord { customer, numbers, .. } = &customers[0].record;
            let Customer { id, name, car_number, note } = customer.as_ref().unwrap();
            assert_eq!([id, name, car_number, note], ["", "김민수", "12가 3456", "단골"]);
            assert_eq!(numbers, &["010-1234-5678", "02-555-0101"]);
        }
    }

    #[test]
    fn rows_with_one_id_are_one_customer_with_several_numbers() {
        let text = "id,name,number,calls,last_call_at,last_note\n\
            7,김민수,010-1234-5678,3,2026-11-20 14:30,white\n\
            8,이영희,010-9999-0000,,,\n\
            7,김민수,02-555-0101,3,2026-11-20 14:30,white\n";
        let CustomersFile { customers, faults } = read(text.as_bytes(), &seoul());
        assert_eq!((customers.len(), faults), (2, vec![]));
        let listed = &customers[0];
        assert_eq!(listed.record.numbers, ["010-1234-5678", "02-555-0101"]);
        assert_eq!((listed.line_of("numbers[1]"), listed.line_of("name")), (4, 2));
        assert_eq!(listed.record.calls, 3);
        let at: Timestamp = "2026-11-20T05:30:00Z".parse().unwrap();
        assert_eq!(listed.record.last_call_at.as_ref().map(|at| at.seconds), Some(at.as_second()));
    }

    #[test]
    fn a_faulty_row_is_told_and_left_out_and_the_others_stay() {
        let text = "id,name,number,calls,last_call_at\n\
            7,김민수,010-1234-5678,x,yesterday\n\
            8,이영희,010-9999-0000,,\n\
            9,박,010,1\n\
            8,이영미,010-9999-0001,,\n\
            10,최,010-1111-2222,,2026.11.20\n";
        assert_eq!(
            told(text),
            [
                "line 2: calls: \"x\"; a whole number is expected",
                "line 2: last_call_at: \"yesterday\"; a time is expected, e.g. 2026-11-20 14:30",
                "line 4: 5 fields are expected, there are 4",
                "line 5: id: the customer \"8\" is above, with other values",
            ]
        );
        let customers = read(text.as_bytes(), &seoul()).customers;
        assert_eq!(
            customers.iter().map(|listed| &*listed.record.customer.as_ref().unwrap().id).collect::<Vec<_>>(),
            ["10"]
        );
        assert!(told("name,car\n")[0].contains("the column `number` is missing"), "{:?}", told("name,car\n"));
    }

    #[test]
    fn a_row_that_cannot_be_read_leaves_out_its_customer_who_would_lose_a_number() {
        let read = |rows: &str| {
            let text = format!(
                "id,name,number,calls\n7,김민수,010-1234-5678,8\n{rows}8,이영희,010-9999-0000,\n,박,010-1111-2222,\n"
            );
            let CustomersFile { customers, faults } = read(text.as_bytes(), &seoul());
            let names = customers.into_iter().map(|listed| listed.record.customer.unwrap().name);
            (names.collect::<Vec<_>>(), faults.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let of_7 = "line 3: id: the customer \"7\" is left out: this row may have one of its numbers";
        let number = |fields| format!("line 3: 4 fields are expected, there are {fields}");
        // One field too many, and one missing.
        for (row, fields) in [("7,김민수,02-555-0101,8,세차\n", 5), ("7,김민수,02-555-0101\n", 3)] {
            assert_eq!(
                read(row),
                (vec!["이영희".to_owned(), "박".to_owned()], vec![number(fields), of_7.to_owned()]),
                "{row}"
            );
        }
        // It is nobody else's.
        for row in ["9,김,02-555-0101,,8\n", ",김,02-555-0101,,7\n"] {
            assert_eq!(
                read(row),
                (["김민수", "이영희", "박"].map(str::to_owned).to_vec(), vec![number(5)]),
                "{row}"
            );
        }
        // The quote in line 3 ends in line 4, whose row is swallowed.
        let (names, faults) = read("7,\"김민수,02-555-0101,8\n8,이영희,010,\"\n");
        assert_eq!((names, faults.len()), (vec!["박".to_owned()], 2));
        assert!(faults[1].starts_with("line 3: id: cannot be read: all customers with an id"), "{faults:?}");
    }

    #[test]
    fn an_id_is_looked_for_on_both_sides_of_a_field_too_many() {
        let text = "name,id,number\n김민수,7,010-1234-5678\n김,민수,7,02-555-0101\n이,8,010-9999-0000\n";
        let customers = read(text.as_bytes(), &seoul()).customers;
        assert_eq!(customers.len(), 1);
        // The row ends before its id.
        let text = "name,number,id\n김민수,010-1234-5678,7\n김민수,02-555-0101\n박,010-1111-2222,\n";
        let customers = read(text.as_bytes(), &seoul()).customers;
        assert_eq!((customers.len(), &*customers[0].record.numbers[0]), (1, "010-1111-2222"));
    }

    proptest! {
        #[test]
        fn no_file_causes_a_panic_and_every_row_is_read_or_has_a_fault(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            rows in proptest::collection::vec("[12]?,[가나]?,0?[/ ]?1?,[0-9x]?,[-0-9 :.]{0,16}", 0..8),
        ) {
            read(&bytes, &seoul());
            let text = format!("id,name,number,calls,last_call_at\n{}\n", rows.join("\n"));
            read(&[b"number,name\n".to_vec(), bytes].concat(), &seoul());
            let CustomersFile { customers, faults } = read(text.as_bytes(), &seoul());
            for (line, row) in (2_u64..).zip(&rows) {
                let is_empty = row.chars().all(|c| matches!(c, ',' | ' '));
                let is_read = customers.iter().any(|listed| listed.lines.contains(&line));
                // Rows with one id stand or fall together.
                let id = row.split(',').next().unwrap_or_default();
                let falls = faults.iter().any(|fault| {
                    fault.line == line || rows.get(usize::try_from(fault.line).unwrap() - 2).is_some_and(|other| !id.is_empty() && other.starts_with(id))
                });
                prop_assert!(is_empty || is_read || falls, "{row:?}: {customers:?} {faults:?}");
            }
        }
    }
}
