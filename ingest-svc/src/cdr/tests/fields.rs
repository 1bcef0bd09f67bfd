//! What holds for every field of the table.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use super::{
    super::value::{Digest, Value},
    *,
};

/// A value of a field, and another one.
fn two_values(field: Field) -> [&'static str; 2] {
    match field {
        Field::Sdt => ["20261123142530", "20261123142531"],
        Field::Edt => ["20261123142612", "20261123142613"],
        Field::Swidt => ["20261123142540", "20261123142541"],
        Field::Fromn => ["01012345678", "01012345679"],
        Field::Vn => ["050712345678", "050712345679"],
        Field::Ton => ["025550001", "025550002"],
        _ => ["a", "b"],
    }
}

/// A record with every field, with the first of its two values or, of these fields, another one.
fn whole<'a>(changes: &[(Field, &'a str)]) -> Vec<(&'static str, &'a str)> {
    let changed = |field| changes.iter().find(|(changed, _)| *changed == field).map(|(_, value)| *value);
    Field::ALL.map(|field| (field.name(), changed(field).unwrap_or(two_values(field)[0]))).into()
}

/// Each field is parsed over HTTP and gRPC, counts in the fingerprint, is in the log, and is merged.
#[test]
fn every_field_is_handled_everywhere() {
    let record = parse(&whole(&[])).unwrap();
    let mut fingerprints = BTreeSet::from([record.fingerprint()]);
    for field in Field::ALL {
        let with = |value| whole(&[(field, value)]);
        let other = parse(&with(two_values(field)[1])).unwrap();
        assert_ne!(other, record, "{field:?} is parsed");
        assert_eq!(
            parse_message(message(&with(two_values(field)[1]))).unwrap(),
            other,
            "{field:?} over gRPC"
        );
        assert!(fingerprints.insert(other.fingerprint()), "{field:?} counts in the fingerprint");
        let logged = serde_json::to_value(&other).unwrap();
        assert_eq!(serde_json::from_value::<Cdr>(logged).unwrap(), other, "{field:?} is in the log");
        assert_eq!(other.clone().completed_by(record.clone()), other, "{field:?} of the later record counts");
        // These are required.
        if !matches!(field, Field::Seq | Field::Sdt) {
            let without = parse(&with("")).unwrap();
            assert!(fingerprints.insert(without.fingerprint()), "{field:?} counts where it is absent");
            assert_eq!(without.completed_by(other.clone()), other, "{field:?} of the earlier record is kept");
        }
    }
    for parameter in [("trunk", "7"), ("trunk", "8"), ("trunk2", "7")] {
        let other = parse(&[whole(&[]), vec![parameter]].concat()).unwrap();
        assert!(fingerprints.insert(other.fingerprint()), "{parameter:?}");
    }
}

#[test]
fn the_message_has_the_fields_of_the_table_and_no_others() {
    let files = FileDescriptorSet::decode(ringpad_proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let messages = files.iter().flat_map(|file| &file.message_type);
    let cdr = messages.into_iter().find(|message| message.name() == "Cdr").unwrap();
    let described: BTreeSet<_> = cdr.field.iter().map(|field| field.name()).collect();
    let expected = Field::ALL.map(Field::name).into_iter().chain(["other"]).collect();
    assert_eq!(described, expected);
}

/// The fingerprint of a record with this one field, declared later than the others.
fn with_later(name: &str, value: &impl Value) -> Fingerprint {
    let mut digest = Digest::default();
    digest.add_later(name, value);
    digest.finish(&BTreeMap::new())
}

#[test]
fn a_field_that_older_records_do_not_have_counts_only_if_it_is_there() {
    let without = Digest::default().finish(&BTreeMap::new());
    assert_eq!(with_later("queue", &None::<Box<str>>), without);
    assert_eq!(with_later("queue", &None::<Timestamp>), without);
    assert_eq!(with_later("queue", &None::<Called>), without);
    let texts = [("queue", "a"), ("queue", "b"), ("agent", "a"), ("queue", "")];
    let numbers = [("wait", 0), ("wait", 1), ("hold", 0)];
    let texts = texts.map(|(name, text)| with_later(name, &Some(Box::<str>::from(text))));
    let numbers = numbers.map(|(name, at)| with_later(name, &Timestamp::from_second(at).ok()));
    let other = Digest::default().finish(&BTreeMap::from([("queue".to_owned(), "a".to_owned())]));
    let all: BTreeSet<_> = texts.into_iter().chain(numbers).chain([without, other]).collect();
    assert_eq!(all.len(), 9, "each of them is another record");
}

/// These fingerprints are in logs. A record without the fields that were declared later has the same one as before.
#[test]
fn records_of_existing_logs_are_recognised() {
    let hex = |cdr: &Cdr| cdr.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let first: Vec<_> = Field::LATER.iter().map(|field| (*field, "")).collect();
    assert_eq!(hex(&parse(&whole(&first)).unwrap()), "b96b008703175a61d6f8dcaf2f734d2d");
    assert_eq!(hex(&parse(RING).unwrap()), "a79be5aa4ab0867650e0f7844f6a6c02");
}
