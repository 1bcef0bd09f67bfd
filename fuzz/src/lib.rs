//! What must hold of whatever the parsers make of any input. The targets are in `fuzz_targets`.

pub mod masked;
pub mod number;
pub mod record;
