//! The contract's table of parameters, row by row, and what holds for all records.

mod times;

use std::collections::BTreeSet;

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

/// When the records here come in: half an hour after the ring.
fn received_at() -> Timestamp {
    instant("2026-11-23T14:55:30+09:00")
}

fn parse(parameters: &[(&str, &str)]) -> Result<Cdr, Faults> {
    parse_at("Asia/Seoul", parameters)
}

/// The ring with other values; an empty one takes the parameter out.
fn ring_with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = RING.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes).copied().collect()
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
fn a_ring_is_read() {
    let cdr = parse(RING).unwrap();
    assert_eq!(cdr.seq(), "20261123-000017");
    assert_eq!(cdr.sdt(), instant("2026-11-23T14:25:30+09:00"));
    assert_eq!((cdr.edt(), cdr.swidt(), cdr.is_final()), (None, None, false));
    assert_eq!(cdr.caller().key(), Some("+821012345678"));
    assert_eq!(cdr.vn().map(Called::key), Some("+8250712345678"));
    assert_eq!(cdr.ton().map(Called::key), Some("+8225550001"));
    assert_eq!((cdr.memo(), cdr.memo2()), (Some("세차 예약"), None));
}

#[test]
fn a_final_record_is_read_and_the_rest_is_kept_as_received() {
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
    assert_eq!([cdr.memo2(), cdr.crid(), cdr.irid()], [Some("100%"), Some("c1"), Some(" i ")]);
    assert_eq!([cdr.cause(), cdr.closed_from()], [Some("16"), Some("F")]);
    assert_eq!(cdr.other().iter().collect::<Vec<_>>(), [(&"trunk".to_owned(), &"7".to_owned())]);
}

#[test]
fn whether_a_call_was_answered_is_the_sources_rule() {
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
        (&[("sdt", "20261123142599")], "sdt", "is no date and time of day"),
        (&[("sdt", "20261123142560")], "sdt", "is no date and time of day"),
        (&[("sdt", "20261123240000")], "sdt", "is no date and time of day"),
        (&[("sdt", "20260229120000")], "sdt", "is no date and time of day"),
        (&[("sdt", "00000000000000")], "sdt", "is no date and time of day"),
        // Korea put its clocks forward at 2 a.m. on that day.
        (&[("sdt", "19880508023000")], "sdt", "never was in Asia/Seoul"),
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
fn long_texts_are_cut_between_characters_and_marked_whoever_sends_them() {
    let texts = ["memo", "memo2", "crid", "irid", "cause", "closed_from"];
    for (name, most) in texts.map(|name| (name, if name == "memo" { 2_048 } else { 256 })) {
        let kept = |value: &str| {
            let by_http = parse(&ring_with(&[(name, value)])).unwrap();
            let mut message =
                v1::Cdr { seq: "1".to_owned(), sdt: "20261123142530".to_owned(), ..v1::Cdr::default() };
            message.vn = "050712345678".to_owned();
            // A parameter of the contract in the map is that parameter.
            message.other = [(name.to_owned(), value.to_owned())].into();
            let sources = Sources::open();
            let by_grpc =
                Cdr::parse(RawFields::from(message), sources.get("bizcall").unwrap(), received_at()).unwrap();
            let text = |cdr: &Cdr| {
                let [memo, memo2, crid] = [cdr.memo(), cdr.memo2(), cdr.crid()];
                let [irid, cause, closed_from] = [cdr.irid(), cdr.cause(), cdr.closed_from()];
                let texts = texts.into_iter().zip([memo, memo2, crid, irid, cause, closed_from]);
                texts.filter(|(of, _)| *of == name).find_map(|(_, text)| text.map(str::to_owned)).unwrap()
            };
            assert_eq!(text(&by_http), text(&by_grpc));
            text(&by_http)
        };
        let fits = "a".repeat(most);
        assert_eq!(kept(&fits), fits, "{name}");
        assert_eq!(kept(&format!("{fits}b")), format!("{}…", "a".repeat(most - 3)), "{name}");
        let korean = kept(&"가".repeat(most));
        assert!(
            korean.len() <= most && korean.len() > most - 3 && korean.ends_with("가…"),
            "{name}: {korean}"
        );
    }
}

#[test]
fn what_is_no_number_is_kept_only_so_far_and_a_number_is_read_whole() {
    let long = "x".repeat(60_000);
    let cdr = parse(&ring_with(&[("fromn", &long), ("vn", &long), ("ton", &long)])).unwrap();
    for kept in [cdr.caller().key(), cdr.vn().map(Called::key), cdr.ton().map(Called::key)] {
        assert_eq!(kept, Some(&*format!("{}…", "x".repeat(253))));
    }
    // Cut before it is read, this would be another number.
    let spread = format!("010-1234-{}5678", "-".repeat(300));
    let cdr = parse(&ring_with(&[("fromn", &spread)])).unwrap();
    assert_eq!(cdr.caller().key(), Some("+821012345678"));
    assert!(serde_json::to_vec(&cdr).unwrap().len() < 1_000, "and what is kept of it is short");
}

#[test]
fn all_faults_come_at_once() {
    let mut fields = raw(&[("sdt", "soon"), ("edt", "later"), ("swidt", "x"), ("memo", "a"), ("memo", "b")]);
    fields.fault("tags", "is an array".to_owned());
    let Err(wrong) = Cdr::parse(fields, Sources::open().get("bizcall").unwrap(), received_at()) else {
        panic!("it is a record")
    };
    let names: Vec<_> = wrong.0.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(names, ["seq", "sdt", "edt", "swidt", "vn", "memo", "tags"]);
    assert!(wrong.to_string().starts_with("not a call record: seq: is required"), "{wrong}");
}

#[test]
fn the_same_value_twice_is_no_fault() {
    assert!(parse(&ring_with(&[("memo2", "a"), ("memo2", "a"), ("memo2", "")])).is_ok());
    assert_eq!(faults(&ring_with(&[("memo2", "a"), ("memo2", "b")]))[0].0, "memo2");
    // One that the contract does not name decides nothing.
    let trunks = parse(&ring_with(&[("trunk", "a"), ("trunk", "b"), ("trunk", "b")])).unwrap();
    assert_eq!(trunks.other()["trunk"], "a, b, b");
}

#[test]
fn grpc_has_the_same_rules() {
    let message = v1::Cdr {
        seq: "20261123-000017".to_owned(),
        sdt: "20261123142530".to_owned(),
        fromn: "01012345678".to_owned(),
        vn: "0507-1234-5678".to_owned(),
        ton: "025550001".to_owned(),
        memo: "세차 예약".to_owned(),
        other: [("trunk".to_owned(), String::new())].into(),
        ..v1::Cdr::default()
    };
    let sources = Sources::open();
    let of_message = |message: v1::Cdr| {
        Cdr::parse(RawFields::from(message), sources.get("bizcall").unwrap(), received_at())
    };
    assert_eq!(of_message(message.clone()), parse(RING));
    // A parameter of the contract in the map is that parameter.
    let other = [("seq".to_owned(), "2".to_owned())].into();
    let Err(faults) = of_message(v1::Cdr { other, ..message }) else { panic!("it is a record") };
    assert_eq!(faults.0[0].field, "seq");
    assert_eq!(of_message(v1::Cdr::default()).map_err(|faults| faults.0.len()), Err(3));
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

/// Records that differ little, so that equal ones are found.
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

/// A value of a field, and another one. Every field has them: here, too, none can be forgotten.
fn two_values(field: Field) -> [&'static str; 2] {
    match field {
        Field::Seq
        | Field::Memo
        | Field::Memo2
        | Field::Crid
        | Field::Irid
        | Field::Cause
        | Field::ClosedFrom => ["a", "b"],
        Field::Sdt => ["20261123142530", "20261123142531"],
        Field::Edt => ["20261123142612", "20261123142613"],
        Field::Swidt => ["20261123142540", "20261123142541"],
        Field::Fromn => ["01012345678", "01012345679"],
        Field::Vn => ["050712345678", "050712345679"],
        Field::Ton => ["025550001", "025550002"],
    }
}

#[test]
fn a_change_of_any_one_field_is_another_record() {
    let whole: Vec<_> = Field::ALL.map(|field| (field.name(), two_values(field)[0])).into();
    let with = |name: &'static str, value: &'static str| {
        let mut changed = whole.clone();
        changed.retain(|(kept, _)| *kept != name);
        changed.push((name, value));
        parse(&changed).unwrap()
    };
    let record = parse(&whole).unwrap();
    assert_eq!(record.fingerprint(), with("memo", "a").fingerprint(), "an equal record");
    let mut others = vec![with("trunk", "7"), with("trunk", "8"), with("trunk2", "7")];
    for field in Field::ALL {
        let [_, other] = two_values(field);
        others.push(with(field.name(), other));
        // The source must be told which call it is, and when it began.
        if !matches!(field, Field::Seq | Field::Sdt) {
            others.push(with(field.name(), ""));
        }
    }
    others.push(record);
    let fingerprints: BTreeSet<_> = others.iter().map(Cdr::fingerprint).collect();
    assert_eq!(fingerprints.len(), others.len(), "each is another record");
}

#[test]
fn what_logs_already_hold_is_recognised() {
    let whole: Vec<_> = Field::ALL.map(|field| (field.name(), two_values(field)[0])).into();
    let hex = |cdr: &Cdr| cdr.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&parse(&whole).unwrap()), "b96b008703175a61d6f8dcaf2f734d2d");
    assert_eq!(hex(&parse(RING).unwrap()), "a79be5aa4ab0867650e0f7844f6a6c02");
}

#[test]
fn a_field_over_grpc_is_that_parameter() {
    let value = |field: Field| two_values(field)[0].to_owned();
    let message = v1::Cdr {
        seq: value(Field::Seq),
        sdt: value(Field::Sdt),
        edt: value(Field::Edt),
        fromn: value(Field::Fromn),
        vn: value(Field::Vn),
        ton: value(Field::Ton),
        swidt: value(Field::Swidt),
        memo: "memo".to_owned(),
        memo2: "memo2".to_owned(),
        crid: "crid".to_owned(),
        irid: "irid".to_owned(),
        cause: "cause".to_owned(),
        closed_from: "closed_from".to_owned(),
        other: [("trunk".to_owned(), "7".to_owned())].into(),
    };
    let fields = RawFields::from(message);
    for field in Field::ALL {
        let expected = match two_values(field)[0] {
            "a" if field != Field::Seq => field.name(),
            value => value,
        };
        assert_eq!(fields.get(field.name()), Some(expected), "{field:?}");
    }
    assert_eq!(fields.get("trunk"), Some("7"));
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
    fn no_input_panics(fields in btree_map(select(&Field::ALL[..]), "\\PC{0,24}|[0-9]{14}|.{0,100}", 0..13)) {
        let fields: Vec<_> = fields.iter().map(|(field, value)| (field.name(), value.as_str())).collect();
        match parse(&fields) {
            Ok(cdr) => prop_assert!(cdr.edt().is_none_or(|edt| edt >= cdr.sdt())),
            Err(faults) => prop_assert!(!faults.0.is_empty()),
        }
    }
}
