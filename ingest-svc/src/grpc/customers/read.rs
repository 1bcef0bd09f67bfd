//! From a `CustomerRecord` as it was sent to a parsed one, or its faults; and back.

use std::collections::{BTreeSet, HashMap};

use ringpad_proto::{
    Timestamp,
    v1::{self, CustomerRecord, FieldViolation},
};
use sha2::{Digest, Sha256};

use super::super::faults::{FaultBudget, FaultList, shown};
use crate::{
    capacity::{CUSTOMER, CustomerCapacity},
    customer::{Customer, CustomerEntry, CustomerNumber, Earlier},
    phone::PhoneNumber,
};

/// By how many seconds a call may have begun after now, by our clock: clocks differ.
const AHEAD: i64 = 24 * 60 * 60;

/// A customer that was sent.
pub(super) enum ParsedCustomer {
    Valid(CustomerEntry),
    Faulty {
        /// As sent; the first characters.
        id: String,
        /// As many as the budget allows.
        faults: Vec<FieldViolation>,
        /// How many more there are.
        left_out: usize,
    },
}

/// Ids for the customers of a stream that are sent without one. Such a customer is known by its first number; several with one number,
/// by their order.
#[derive(Default)]
pub(super) struct Ids {
    /// How many have a number, by its hash.
    given: HashMap<[u8; 8], u32>,
}

impl Ids {
    /// Not the number itself, so that nobody reads it by chance. Such an id is as personal as the number: the hash has no key, so who
    /// has it finds the number by trying all there are, and is not to be shown where numbers are masked. A keyed hash would be
    /// another one after a change of the key, and an import would then make each customer a second time.
    fn of(&mut self, first: &CustomerNumber) -> String {
        let hash: [u8; 32] = Sha256::digest(first.e164()).into();
        let hash = hash.first_chunk().copied().unwrap_or_default();
        let given = self.given.entry(hash).or_default();
        *given += 1;
        let name = format!("number-{:016x}", u64::from_be_bytes(hash));
        if *given == 1 { name } else { format!("{name}-{given}") }
    }
}

/// Parses a customer. Faults beyond the budget are only counted.
pub(super) fn parse(
    record: CustomerRecord,
    ids: &mut Ids,
    now: jiff::Timestamp,
    budget: &mut FaultBudget,
) -> ParsedCustomer {
    let CustomerRecord { customer, numbers, calls, last_call_at, last_note } = record;
    let v1::Customer { id, name, car_number, note } = customer.unwrap_or_default();
    let CustomerCapacity {
        name: of_name, car_number: of_car, note: of_note, last_note: of_last_note, ..
    } = CUSTOMER;
    let mut faults = FaultList::new(budget);
    let sent_id = id.chars().take(CUSTOMER.id).collect();
    let id = parse_id(&id, &mut faults);
    let mut text = |field, text: &str, most| parse_text(field, text, most, &mut faults);
    let (name, car_number) = (text("name", &name, of_name), text("car_number", &car_number, of_car));
    let (note, last_note) = (text("note", &note, of_note), text("last_note", &last_note, of_last_note));
    if name.is_empty() && car_number.is_empty() {
        faults.add("name", "a name or a car's number is expected".to_owned());
    }
    let last_call = parse_time(last_call_at, now, &mut faults);
    let (first, numbers) = parse_numbers(numbers, &mut faults);
    let FaultList { listed: faults, left_out, .. } = faults;
    match first {
        Some(first) if faults.is_empty() && left_out == 0 => {
            let id = if id.is_empty() { ids.of(&first) } else { id };
            let customer = Customer { id, name, car_number, note };
            let earlier = Earlier { calls, last_call, last_note };
            ParsedCustomer::Valid(CustomerEntry { customer, numbers, earlier })
        }
        _ => ParsedCustomer::Faulty { id: sent_id, faults, left_out },
    }
}

fn parse_id(sent: &str, faults: &mut FaultList<'_>) -> String {
    let id = sent.trim();
    if id.chars().count() > CUSTOMER.id || id.chars().any(char::is_control) {
        let expected = format!("1–{} printable characters are expected", CUSTOMER.id);
        faults.add("id", format!("{} is not a valid customer id: {expected}", shown(id)));
    }
    id.to_owned()
}

/// A text on one line.
fn parse_text(field: &str, sent: &str, most: usize, faults: &mut FaultList<'_>) -> String {
    let text = sent.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = text.chars().count();
    if length > most {
        faults.add(field, format!("{} has {length} characters; {most} at most are expected", shown(&text)));
    }
    if text.chars().any(char::is_control) {
        faults.add(field, format!("{} has control characters; none are expected", shown(&text)));
    }
    text
}

fn parse_time(sent: Option<Timestamp>, now: jiff::Timestamp, faults: &mut FaultList<'_>) -> Option<i64> {
    let seconds = sent?.seconds;
    let is_valid = (0..=now.as_second() + AHEAD).contains(&seconds);
    if !is_valid {
        let shown = jiff::Timestamp::from_second(seconds)
            .map_or_else(|_| format!("{seconds} s since 1970"), |at| at.to_string());
        faults.add("last_call_at", format!("{shown} is not a time since 1970 that has passed"));
    }
    Some(seconds)
}

/// The first number, and all of them.
fn parse_numbers(
    sent: Vec<String>,
    faults: &mut FaultList<'_>,
) -> (Option<CustomerNumber>, BTreeSet<CustomerNumber>) {
    let (mut first, mut numbers) = (None, BTreeSet::new());
    if sent.is_empty() {
        faults.add("numbers", "a phone number is expected".to_owned());
    }
    if sent.len() > CUSTOMER.numbers {
        faults.add(
            "numbers",
            format!("{} are too many; {} at most are expected", sent.len(), CUSTOMER.numbers),
        );
    }
    for (index, text) in sent.iter().enumerate().take(CUSTOMER.numbers) {
        let Some(number) = PhoneNumber::parse(text) else {
            let shown = shown(text.trim());
            let fault = format!("{shown} is not a phone number; digits are expected, e.g. 010-1234-5678");
            faults.add(&format!("numbers[{index}]"), fault);
            continue;
        };
        let number = CustomerNumber::new(&number);
        first = first.or_else(|| Some(number.clone()));
        numbers.insert(number);
    }
    (first, numbers)
}

/// A customer of the log.
pub(super) fn message(entry: CustomerEntry) -> CustomerRecord {
    let CustomerEntry { customer, numbers, earlier: Earlier { calls, last_call, last_note } } = entry;
    CustomerRecord {
        customer: Some(customer.into()),
        numbers: numbers.iter().map(|number| number.display().to_owned()).collect(),
        calls,
        last_call_at: last_call.map(|seconds| Timestamp { seconds, nanos: 0 }),
        last_note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, name: &str, numbers: &[&str]) -> CustomerRecord {
        let customer = v1::Customer { id: id.to_owned(), name: name.to_owned(), ..v1::Customer::default() };
        CustomerRecord {
            customer: Some(customer),
            numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
            ..CustomerRecord::default()
        }
    }

    fn faults(record: CustomerRecord) -> Vec<String> {
        match parse(record, &mut Ids::default(), jiff::Timestamp::UNIX_EPOCH, &mut FaultBudget(10_000)) {
            ParsedCustomer::Valid(_) => Vec::new(),
            ParsedCustomer::Faulty { faults, .. } => {
                faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect()
            }
        }
    }

    #[test]
    fn numbers_in_any_form_are_one_number() {
        let forms = [
            "010-1234-5678",
            "+82 10 1234 5678",
            "8210 1234 5678",
            "０１０．１２３４．５６７８",
            "1012345678",
        ];
        let mut ids = Ids::default();
        let now = jiff::Timestamp::now();
        let ParsedCustomer::Valid(entry) =
            parse(record("7", " 김민수\n", &forms), &mut ids, now, &mut FaultBudget(1_000))
        else {
            panic!("it is valid");
        };
        assert_eq!((entry.numbers.len(), entry.customer.name.as_str()), (1, "김민수"));
        assert_eq!(entry.numbers.first().map(CustomerNumber::e164), Some("+821012345678"));
    }

    #[test]
    fn a_customer_without_an_id_is_known_by_its_number_and_its_place_among_those_with_the_number() {
        let mut ids = Ids::default();
        let mut id = |number| match parse(
            record("", "김", &[number]),
            &mut ids,
            jiff::Timestamp::now(),
            &mut FaultBudget(1_000),
        ) {
            ParsedCustomer::Valid(entry) => entry.customer.id,
            ParsedCustomer::Faulty { .. } => panic!("it is valid"),
        };
        let (first, other, second) = (id("010-1234-5678"), id("010-9999-0000"), id("+821012345678"));
        assert_eq!(second, format!("{first}-2"));
        assert!(first != other && !first.contains("1234") && first.len() <= CUSTOMER.id, "{first} {other}");
    }

    #[test]
    fn all_faults_are_reported_with_the_values_that_were_sent() {
        let last_call_at = Some(Timestamp { seconds: 2_000_000_000, nanos: 0 });
        let sent = CustomerRecord {
            last_call_at,
            last_note: "가".repeat(2_001),
            ..record("a\u{7}", "\u{1b}[2J", &["010-1234-5678", "anonymous"])
        };
        let told = faults(sent);
        assert_eq!(
            told[0],
            "id: \"a\\u{7}\" is not a valid customer id: 1–64 printable characters are expected"
        );
        assert_eq!(told[1], "name: \"\\u{1b}[2J\" has control characters; none are expected");
        assert!(
            told[2].starts_with("last_note: ") && told[2].contains("2001 characters; 2000 at most"),
            "{told:?}"
        );
        assert_eq!(told[3], "last_call_at: 2033-05-18T03:33:20Z is not a time since 1970 that has passed");
        assert!(told[4].starts_with("numbers[1]: \"anonymous\" is not a phone number; "), "{told:?}");
        assert_eq!(told.len(), 5);
        assert_eq!(
            faults(CustomerRecord::default()),
            ["name: a name or a car's number is expected", "numbers: a phone number is expected"]
        );
        let many = ["010-1234-5678"; 11];
        assert_eq!(faults(record("a", "김", &many)), ["numbers: 11 are too many; 10 at most are expected"]);
    }
}
