//! The query of a call record.

#![no_main]

use ingest_svc::request::RawBody;
use libfuzzer_sys::fuzz_target;
use ringpad_fuzz::record::check;

fuzz_target!(init: ringpad_fuzz::warm_up(), |bytes: &[u8]| {
    if let Ok(query) = std::str::from_utf8(bytes) {
        check(query, RawBody::None, None);
    }
});
