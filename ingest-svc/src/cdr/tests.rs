//! The rules of every field, and properties of all records.

mod fields;
mod times;

use proptest::{collection::btree_map, prelude::*, sample::select};
use ringpad_proto::v1;

use super::*;
use crate::source::Sources;

/// Names and values.
type Parameters<'a> = &'a [(&'a str, &'a str)];

const RING: Parameters<'_> = &[
    ("seq", "20261123-000017"),
    ("sdt", "20261123142530"),
    ("fromn", "010-1234-5678"),
    ("vn", "050712345678"),
    ("ton", "02-555-0001"),
    ("memo", "세차 예약"),
];

fn raw(parameters: &[(&str, &str)]) -> RawFields {
    let mut fields = RawFields::new();
    for (name, value) in parameters {
        fields.insert(name, (*value).to_owned());
    }
    fields
}

fn parse_at(timezone: &str, parameters: &[(&str, &str)]) -> Result<Cdr, Faults> {
    let toml = format!("[[source]]\nname = \"test\"\nopen = true\ntimezone = {timezone:?}");
    let sources = Sources::parse(&toml).unwrap();
    Cdr::parse(raw(parameters), sources.get("test").unwrap(), received_at())
}

/// When the records here are received: half an hour after the ring.
fn received_at() -> Timestamp {
    instant("2026-11-23T14:55:30+09:00")
}

fn parse(parameters: &[(&str, &str)]) -> Result<Cdr, Faults> {
    parse_at("Asia/Seoul", parameters)
}

/// The ring with other values; an empty one removes the parameter.
fn ring_with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = RING.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes).copied().collect()
}

/// The same parameters over gRPC.
fn message(parameters: &[(&str, &str)]) -> v1::Cdr {
    let members = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    serde_json::from_value(serde_json::Value::Object(members.collect())).unwrap()
}

fn parse_message(message: v1::Cdr) -> Result<Cdr, Faults> {
    Cdr::parse(RawFields::from(message), Sources::open().get("bizcall").unwrap(), received_at())
}

fn faults(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    match parse(parameters) {
        Ok(cdr) => panic!("{cdr:?} is a record"),
        Err(Faults(faults)) => faults.into_iter().map(|fault| (fault.field, fault.message)).collect(),
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_ring_is_parsed() {
    let cdr = parse(RING).unwrap();
    assert_eq!(cdr.seq(), "20261123-000017");
    assert_eq!(cdr.sdt(), instant("2026-11-23T14:25:30+09:00"));
    assert_eq!((cdr.edt(), cdr.swidt(), cdr.is_final()), (None, None, false));
    assert_eq!(cdr.caller().canonical(), Some("+821012345678"));
    assert_eq!(cdr.vn().map(Called::canonical), Some("+8250712345678"));
    assert_eq!(cdr.ton().map(Called::canonical), Some("+8225550001"));
    assert_eq!((cdr.memo(), cdr.text(Field::Memo2)), (Some("세차 예약"), None));
}

#[test]
fn a_final_record_is_parsed_and_its_texts_are_kept_as_received() {
    let end = [
        ("edt", "20261123142612"),
        ("swidt", "20261123142541"),
        ("memo2", "100%"),
        ("crid", "c1"),
        ("irid", " i "),
        ("cause", "16"),
        ("closed_from", "F"),
        ("trunk", "7"),
    ];
    let cdr = parse(&ring_with(&end)).unwrap();
    assert!(cdr.is_final());
    assert_eq!(cdr.edt(), Some(instant("2026-11-23T14:26:12+09:00")));
    assert_eq!(cdr.swidt(), Some(instant("2026-11-23T14:25:41+09:00")));
    let texts = [Field::Memo2, Field::Crid, Field::Irid, Field::Cause, Field::ClosedFrom];
    let kept = texts.map(|field| cdr.text(field).unwrap());
    assert_eq!(kept, ["100%", "c1", " i ", "16", "F"]);
    assert_eq!(cdr.other().iter().collect::<Vec<_>>(), [(&"trunk".to_owned(), &"7".to_owned())]);
}

#[test]
fn the_source_decides_by_which_parameter_a_call_was_answered() {
    let toml = "[[source]]\nname = \"a\"\nopen = true\n[[source]]\nname = \"b\"\nopen = true\nanswered_by = \"agent\"";
    let sources = Sources::parse(toml).unwrap();
    for (source, parameter, answered) in
        [("a", "swidt", true), ("a", "agent", false), ("b", "swidt", false), ("b", "agent", true)]
    {
        let fields = raw(&ring_with(&[("edt", "20261123142612"), (parameter, "20261123142541")]));
        let record = Record::parse(fields, sources.get(source).unwrap(), received_at()).unwrap();
        assert_eq!((record.answered, &*record.source), (answered, source), "{source} {parameter}");
    }
}

#[test]
fn every_parameter_has_its_rule() {
    let long = "가".repeat(65);
    let rows: &[(Parameters<'_>, &str, &str)] = &[
        (&[("seq", "")], "seq", "is required: 1 to 64 printable"),
        (&[("seq", &long)], "seq", "has 65 characters; 1 to 64 printable"),
        (&[("seq", "a\u{7}b")], "seq", "has a character that cannot be printed, the 2. of 3"),
        (&[("sdt", "")], "sdt", "is required: YYYYMMDDHH24MISS, e.g. 20261123142530"),
        (&[("sdt", "2026112")], "sdt", "\"2026112\" is not YYYYMMDDHH24MISS, e.g. 20261123142530"),
        (&[("sdt", "202611231425300")], "sdt", "is not YYYYMMDDHH24MISS"),
        (&[("sdt", "2026-11-23 14:25:30")], "sdt", "is not YYYYMMDDHH24MISS"),
        (&[("sdt", " 20261123142530")], "sdt", "is not YYYYMMDDHH24MISS"),
        (&[("sdt", "+0261123142530")], "sdt", "is not YYYYMMDDHH24MISS"),
        (&[("sdt", "２０２６１１２３１４２５３０")], "sdt", "is not YYYYMMDDHH24MISS"),
        (&[("sdt", "01012345678")], "sdt", "\"010****5678\" is not"),
        (&[("sdt", "20261123142599")], "sdt", "is not a valid date and time of day"),
        (&[("sdt", "20261123142560")], "sdt", "is not a valid date and time of day"),
        (&[("sdt", "20261123240000")], "sdt", "is not a valid date and time of day"),
        (&[("sdt", "20260229120000")], "sdt", "is not a valid date and time of day"),
        (&[("sdt", "00000000000000")], "sdt", "is not a valid date and time of day"),
        // Korea set its clocks forward at 2 a.m. on that day.
        (&[("sdt", "19880508023000")], "sdt", "does not exist in Asia/Seoul"),
        (&[("edt", "20261123142529")], "edt", "is before sdt"),
        (&[("edt", "2026")], "edt", "is not YYYYMMDDHH24MISS"),
        (&[("edt", "01012345678")], "edt", "\"010****5678\" is not YYYYMMDDHH24MISS"),
        (&[("swidt", "soon")], "swidt", "is not YYYYMMDDHH24MISS"),
        (&[("swidt", "1")], "swidt", "is not YYYYMMDDHH24MISS"),
        // Received at 14:55:30.
        (
            &[("sdt", "20261124145531")],
            "sdt",
            "\"20261124145531\" is more than a day ahead of the clock here, which showed 2026-11-23T05:55:30Z",
        ),
        (&[("sdt", "20991231235959")], "sdt", "is more than a day ahead"),
        (&[("edt", "20271123142612")], "edt", "is more than a day ahead"),
        (&[("swidt", "20271123142540")], "swidt", "is more than a day ahead"),
        (&[("sdt", "19991231235959")], "sdt", "\"19991231235959\" is before 2000"),
        (&[("sdt", "19700101090000")], "sdt", "is before 2000"),
        (&[("sdt", "00010101000000")], "sdt", "is before 2000"),
        (&[("vn", ""), ("ton", "")], "vn", "is required where there is no ton"),
    ];
    for (changes, field, message) in rows {
        let faults = faults(&ring_with(changes));
        assert!(
            faults.len() == 1 && faults[0].0 == *field && faults[0].1.contains(message),
            "{changes:?}: {faults:?}"
        );
    }
}

#[test]
fn what_the_rules_allow_is_taken() {
    let longest = "가".repeat(64);
    let rows: &[Parameters<'_>] = &[
        &[("seq", &longest)],
        &[("seq", "a b/?#")],
        &[("edt", "20261123142530")],
        &[("swidt", "20261123142529")],
        &[("sdt", "20240229000000")],
        &[("sdt", "20000101090000")],
        &[("sdt", "20261124145530"), ("edt", "20261124145530"), ("swidt", "20261124145530")],
        &[("vn", "")],
        &[("ton", "")],
        &[("fromn", "")],
        &[("fromn", "내선 7"), ("vn", "010-****-5678"), ("ton", "x")],
    ];
    for changes in rows {
        let parsed = parse(&ring_with(changes));
        assert!(parsed.is_ok(), "{changes:?}: {parsed:?}");
    }
}

#[test]
fn long_texts_are_cut_between_characters_and_marked_by_http_and_by_grpc() {
    for (field, limit) in Field::ALL.into_iter().filter_map(|field| Some((field, field.limit()?))) {
        let name = field.name();
        let kept = |value: &str| {
            let by_http = parse(&ring_with(&[(name, value)])).unwrap();
            let by_grpc = parse_message(message(&ring_with(&[(name, value)]))).unwrap();
            assert_eq!(by_http, by_grpc, "{name}");
            by_http.text(field).unwrap().to_owned()
        };
        let fits = "a".repeat(limit);
        assert_eq!(kept(&fits), fits, "{name}");
        assert_eq!(kept(&format!("{fits}b")), format!("{}…", "a".repeat(limit - 3)), "{name}");
        let korean = kept(&"가".repeat(limit));
        let is_full = korean.len() <= limit && korean.len() > limit - 3 && korean.ends_with("가…");
        assert!(is_full, "{name}: {korean}");
    }
}

#[test]
fn a_long_text_instead_of_a_number_is_cut_after_it_was_parsed() {
    let long = "x".repeat(60_000);
    let cdr = parse(&ring_with(&[("fromn", &long), ("vn", &long), ("ton", &long)])).unwrap();
    for kept in [cdr.caller().canonical(), cdr.vn().map(Called::canonical), cdr.ton().map(Called::canonical)]
    {
        assert_eq!(kept, Some(&*format!("{}…", "x".repeat(253))));
    }
    // If it were cut before it is parsed, this would be another number.
    let spread = format!("010-1234-{}5678", "-".repeat(300));
    let cdr = parse(&ring_with(&[("fromn", &spread)])).unwrap();
    assert_eq!(cdr.caller().canonical(), Some("+821012345678"));
    assert!(serde_json::to_vec(&cdr).unwrap().len() < 1_000, "it is kept in a short form");
}

#[test]
fn all_faults_are_reported_at_once() {
    let mut fields = raw(&[("sdt", "soon"), ("edt", "later"), ("swidt", "x"), ("memo", "a"), ("memo", "b")]);
    fields.fault("tags", "is an array".to_owned());
    let Err(wrong) = Cdr::parse(fields, Sources::open().get("bizcall").unwrap(), received_at()) else {
        panic!("it is a valid record")
    };
    let names: Vec<_> = wrong.0.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(names, ["seq", "sdt", "edt", "swidt", "vn", "memo", "tags"]);
    assert!(wrong.to_string().starts_with("not a call record: seq: is required"), "{wrong}");
}

#[test]
fn the_same_value_twice_is_not_a_fault() {
    assert!(parse(&ring_with(&[("memo2", "a"), ("memo2", "a"), ("memo2", "")])).is_ok());
    assert_eq!(faults(&ring_with(&[("memo2", "a"), ("memo2", "b")]))[0].0, "memo2");
    // All values of an unknown parameter are kept.
    let trunks = parse(&ring_with(&[("trunk", "a"), ("trunk", "b"), ("trunk", "b")])).unwrap();
    assert_eq!(trunks.other()["trunk"], "a, b, b");
}

#[test]
fn grpc_has_the_same_rules() {
    let ring = message(RING);
    assert_eq!(parse_message(ring.clone()), parse(RING));
    let other = [("trunk".to_owned(), String::new())].into();
    assert_eq!(
        parse_message(v1::Cdr { other, ..ring.clone() }),
        parse(RING),
        "an empty value is an absent one"
    );
    // A known parameter may be in the map of unknown ones.
    let other = [("seq".to_owned(), "2".to_owned())].into();
    assert_eq!(parse_message(v1::Cdr { other, ..ring }).unwrap_err().0[0].field, "seq");
    assert_eq!(parse_message(v1::Cdr::default()).map_err(|faults| faults.0.len()), Err(3));
}

#[test]
fn debug_shows_no_number() {
    let parameters =
        ring_with(&[("memo", "010-1234-5678"), ("cause", "01012345678"), ("01012345678", "01012345678")]);
    let fields = raw(&parameters);
    let shown = format!("{fields:?} {:?} {:?}", parse(&parameters).unwrap(), parse(&parameters));
    assert!(shown.contains("010-****-5678"), "{shown}");
    for whole in ["1234-5678", "12345678", "5550001"] {
        assert!(!shown.contains(whole), "{shown}");
    }
}

/// Records that differ little, so that some are equal.
fn some_fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let one = |name: &'static str, values: &'static [&'static str]| {
        select(values).prop_map(move |value| (name, value))
    };
    (
        one("seq", &["1", "2"]),
        one("sdt", &["20261123142530", "20261123142531"]),
        one("edt", &["", "20261123142612"]),
        one("fromn", &["", "P", "C", "01012345678", "010-1234-5678", "010-1234-5678(7)", "010-****-5678"]),
        one("vn", &["050712345678", "0507-1234-5678", "+8250712345678", "x"]),
        one("ton", &["", "x"]),
        one("memo", &["", "a", "ab"]),
        one("memo2", &["", "b", "ab"]),
        one("crid", &["", "a"]),
        // Tuples of strategies end at twelve.
        (
            one("swidt", &["", "20261123142540", "20261123142541"]),
            one("irid", &["", "a"]),
            one("cause", &["", "16", "a"]),
            one("closed_from", &["", "a"]),
            one("other", &["", "a"]),
        ),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, (j, k, l, m, n))| {
            vec![a, b, c, d, e, f, g, h, i, j, k, l, m, n]
        })
}

proptest! {
    #[test]
    fn records_are_equal_exactly_if_their_fingerprints_are(one in some_fields(), other in some_fields()) {
        let (one, other) = (parse(&one).unwrap(), parse(&other).unwrap());
        prop_assert_eq!(one == other, one.fingerprint() == other.fingerprint());
    }

    #[test]
    fn a_record_survives_the_log(fields in some_fields(), memo in "\\PC{0,20}") {
        let mut fields: Vec<(&str, &str)> = fields.into_iter().filter(|(name, _)| *name != "memo").collect();
        fields.push(("memo", &memo));
        let cdr = parse(&fields).unwrap();
        let stored = serde_json::to_vec(&cdr).unwrap();
        let read: Cdr = serde_json::from_slice(&stored).unwrap();
        prop_assert_eq!(read.fingerprint(), cdr.fingerprint());
        prop_assert_eq!(read, cdr);
    }

    #[test]
    fn any_input_is_parsed_or_refused(fields in btree_map(select(&Field::ALL[..]), "\\PC{0,24}|[0-9]{14}|.{0,100}", 0..13)) {
        let fields: Vec<_> = fields.iter().map(|(field, value)| (field.name(), value.as_str())).collect();
        match parse(&fields) {
            Ok(cdr) => prop_assert!(cdr.edt().is_none_or(|edt| edt >= cdr.sdt())),
            Err(faults) => prop_assert!(!faults.0.is_empty()),
        }
    }
}
