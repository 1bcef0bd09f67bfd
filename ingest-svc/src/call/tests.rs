//! A call as pads see it.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::{
    cdr::{RawFields, Record},
    customer::Customer,
    source::Sources,
};

/// A call with everything that records and pads can tell; with an `edt` it is over.
fn full_call(edt: &str) -> Call {
    let mut fields = RawFields::new();
    for (name, value) in [("seq", "1"), ("fromn", "01012345678"), ("vn", "050712345678"), ("memo", "a")] {
        fields.insert(name, value.to_owned());
    }
    fields.insert("sdt", "20261123142530".to_owned());
    fields.insert("swidt", edt.to_owned());
    fields.insert("edt", edt.to_owned());
    let received_at = "2026-11-23T14:30:00+09:00".parse().unwrap();
    let record = Record::parse(fields, Sources::open().get("bizcall").unwrap(), received_at).unwrap();
    let mut call = Call::new(Uuid::from_u128(1));
    call.facts.add(record.cdr, record.answered);
    let text = str::to_owned;
    let reservation = Reservation {
        customer_name: text("김민수"),
        car_number: text("12가 3456"),
        service: text("실내 세차"),
        at: Some(1_795_411_530),
    };
    let (last_call, last_reservation) = (Some(1_795_000_000), Some(reservation.clone()));
    let customers = vec![Customer {
        id: text("c1"),
        name: text("김민수"),
        car_number: text("12가 3456"),
        note: text("단골"),
    }];
    call.facts.history =
        Some(History { calls: 1, last_call, last_note: text("b"), last_reservation, customers });
    call.facts.pop_until = Some(1_795_411_560_000);
    let state = &mut call.facts.pad_state;
    state.claim =
        Some(Claim { by: ActingPad { id: text("p1"), name: text("카운터") }, at: 1_795_411_540_000 });
    (state.note, state.reservation, state.closed) = (text("c"), Some(reservation), true);
    call
}

/// The fields of a message and of the messages in it, as `caller.number`.
fn described(messages: &[DescriptorProto], name: &str, prefix: &str, fields: &mut BTreeSet<String>) {
    let message = messages.iter().find(|message| message.name() == name).unwrap();
    for field in &message.field {
        let path = format!("{prefix}{}", field.json_name());
        match field.type_name().strip_prefix(".ringpad.v1.") {
            Some(inner) if messages.iter().any(|message| message.name() == inner) => {
                described(messages, inner, &format!("{path}."), fields);
            }
            _ => drop(fields.insert(path)),
        }
    }
}

/// The fields with a value; JSON leaves out the others.
fn filled(value: &Value, prefix: &str, fields: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().unwrap() {
        match value {
            Value::Object(_) => filled(value, &format!("{prefix}{name}."), fields),
            Value::Array(values) => {
                values.iter().for_each(|value| filled(value, &format!("{prefix}{name}."), fields));
            }
            _ => drop(fields.insert(format!("{prefix}{name}"))),
        }
    }
}

#[test]
fn every_field_of_the_message_is_filled_in() {
    let files = FileDescriptorSet::decode(ringpad_proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let messages: Vec<_> = files.into_iter().flat_map(|file| file.message_type).collect();
    let (mut expected, mut fields) = (BTreeSet::new(), BTreeSet::new());
    described(&messages, "Call", "", &mut expected);
    // Only a call that rings has `pop_until`, and only one that is over has its times.
    for edt in ["", "20261123142612"] {
        filled(&serde_json::to_value(full_call(edt).as_seen(1)).unwrap(), "", &mut fields);
    }
    assert_eq!(fields, expected);
}
