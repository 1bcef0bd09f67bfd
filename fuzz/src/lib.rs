//! Properties of the parsers' results, for any input. The targets are in `fuzz_targets`.

pub mod masked;
pub mod number;
pub mod record;

/// Loads what the services load at their start. With instrumentation it takes seconds, which must not count for one input.
pub fn warm_up() {
    ingest_svc::phone::warm_up();
}
