//! What must hold of whatever the parsers make of any input. The targets are in `fuzz_targets`.

pub mod masked;
pub mod number;
pub mod record;

/// Loads what the services load at their start, so that no input is blamed for it: instrumented, it takes seconds.
pub fn warm_up() {
    ingest_svc::phone::warm_up();
}
