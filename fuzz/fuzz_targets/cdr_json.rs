//! A call record as JSON, in a declared encoding, UTF-8 or CP949.

#![no_main]

use bytes::Bytes;
use ingest_svc::request::RawBody;
use libfuzzer_sys::fuzz_target;
use ringpad_fuzz::record::{check, declared};

fuzz_target!(init: ringpad_fuzz::warm_up(), |bytes: &[u8]| {
    let (charset, sent) = declared(bytes);
    check("", RawBody::Json(Bytes::copy_from_slice(sent)), charset);
});
