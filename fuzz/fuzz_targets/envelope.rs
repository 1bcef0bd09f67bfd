//! Messages on the bus.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ringpad_bus::Batch;

fuzz_target!(|body: &[u8]| {
    let Ok(batch) = Batch::decode(Bytes::copy_from_slice(body)) else { return };
    assert!(batch.head.number > 0);
    let mut again = b"what was there before".to_vec();
    Batch::encode(&batch.head, &batch.events, &mut again);
    assert_eq!(Batch::decode(again.into()).as_ref(), Ok(&batch), "what is encoded is decoded");
    // Only the length of an event's bytes is shown, since they have phone numbers.
    for event in &batch.events {
        assert!(format!("{event:?}").ends_with(&format!("bytes: {} }}", event.bytes.len())));
    }
});
