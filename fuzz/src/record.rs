//! Properties of a call record, in every encoding.

use std::sync::OnceLock;

use encoding_rs::{BIG5, EUC_KR, Encoding, SHIFT_JIS, UTF_8};
use ingest_svc::{
    cdr::{Cdr, Faults, Field, RawFields, Record},
    phone::Called,
    request::{RawBody, RawRequest},
    source::{Source, Sources},
};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::masked::{assert_masked, assert_no_number};

/// A typical source, and one with rare settings: a time zone with clock changes, text that is encoded twice.
const SOURCES: &str = r#"
[[source]]
name = "bizcall"
open = true
[[source]]
name = "twice"
open = true
timezone = "America/New_York"
answered_by = "cause"
decode_twice = ["memo", "memo2"]
"#;

/// Encodings that a sender may declare; the first byte of an input chooses.
const CHARSETS: [Option<&Encoding>; 5] = [None, Some(UTF_8), Some(EUC_KR), Some(SHIFT_JIS), Some(BIG5)];

/// Splits an input into the declared encoding and the body.
pub fn declared(bytes: &[u8]) -> (Option<&'static Encoding>, &[u8]) {
    match bytes.split_first() {
        Some((choice, sent)) if usize::from(*choice) < CHARSETS.len() => {
            (CHARSETS[usize::from(*choice)], sent)
        }
        _ => (None, bytes),
    }
}

/// Reads a request for each of the sources, and checks the result.
pub fn check(query: &str, body: RawBody, charset: Option<&'static Encoding>) {
    let request = RawRequest { query: query.to_owned(), body, charset };
    for name in ["bizcall", "twice"] {
        let source = sources().get(name).expect("it is in the text above");
        match request.parameters(source) {
            Ok(fields) => check_fields(fields, source),
            Err(faults) => check_faults(&faults),
        }
    }
}

fn sources() -> &'static Sources {
    static ONCE: OnceLock<Sources> = OnceLock::new();
    ONCE.get_or_init(|| Sources::parse(SOURCES).expect("the text above is right"))
}

fn check_fields(fields: RawFields, source: &Source) {
    assert_no_number(&format!("{fields:?}"));
    let sent = fields.clone();
    // After the seeds' calls.
    let received_at = Timestamp::constant(1_800_000_000, 0);
    match Record::parse(fields, source, received_at) {
        Ok(record) => {
            check_record(&record);
            check_encodings(&sent, &record, source);
        }
        Err(faults) => check_faults(&faults),
    }
}

fn check_faults(faults: &Faults) {
    assert!(!faults.0.is_empty(), "a refusal says why");
    assert_no_number(&faults.to_string());
    assert_no_number(&format!("{faults:?}"));
}

fn check_record(record: &Record) {
    let cdr = &record.cdr;
    assert!((1..=64).contains(&cdr.seq().chars().count()));
    let in_time = Timestamp::constant(946_684_800, 0)..=record.received_at + SignedDuration::from_hours(24);
    assert!(in_time.contains(&cdr.sdt()) && cdr.edt().is_none_or(|edt| in_time.contains(&edt)));
    assert!(cdr.edt().is_none_or(|edt| edt >= cdr.sdt()));
    assert_eq!(cdr.is_final(), cdr.edt().is_some());
    assert!(cdr.vn().is_some() || cdr.ton().is_some());
    assert!(cdr.other().keys().all(|name| Field::named(name).is_none()));
    for field in Field::ALL {
        let text = cdr.text(field).unwrap_or_default();
        assert!(text.len() <= field.limit().unwrap_or_default(), "a long text is cut");
    }
    let numbers =
        [cdr.caller().canonical(), cdr.vn().map(Called::canonical), cdr.ton().map(Called::canonical)];
    assert!(numbers.into_iter().flatten().all(|text| text.len() <= 256), "and so is what is not a number");
    assert_masked(&cdr.caller().to_string());
    for called in [cdr.vn(), cdr.ton()].into_iter().flatten() {
        assert_masked(&called.to_string());
    }
    assert_no_number(&format!("{cdr:?}"));

    let logged = serde_json::to_vec(cdr).expect("a record can be written");
    let read: Cdr = serde_json::from_slice(&logged).expect("what was written can be read");
    assert_eq!(read, *cdr, "a record survives the log");
    assert_eq!(read.fingerprint(), record.fingerprint);
}

/// The same record in another encoding is recognised as a repeat.
fn check_encodings(sent: &RawFields, record: &Record, source: &Source) {
    let named = Field::ALL.map(|field| (field.name(), sent.get(field.name()).unwrap_or_default()));
    let other = record.cdr.other().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = named.into_iter().chain(other).collect();

    let object: Map<_, _> =
        all.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let json = RawBody::Json(Value::Object(object).to_string().into());
    let pairs = all.iter().map(|(name, value)| {
        // As this source encodes it: some texts twice.
        let times = if source.encodes_twice(name) { 2 } else { 1 };
        let value = (0..times).fold((*value).to_owned(), |value, _| encoded(&value));
        format!("{}={value}", encoded(name))
    });
    let pairs = pairs.collect::<Vec<_>>().join("&");
    let form = RawBody::Form(pairs.clone().into());

    for (query, body) in [("", json), ("", form), (&*pairs, RawBody::None)] {
        let request = RawRequest { query: query.to_owned(), body, charset: None };
        let fields = request.parameters(source).expect("parameters that were read before");
        let again = Record::parse(fields, source, record.received_at).expect("a record as before");
        assert_eq!(again.fingerprint, record.fingerprint, "one record in two encodings");
        assert_eq!(again.answered, record.answered);
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
