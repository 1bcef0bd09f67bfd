//! Generates the messages of the bus from `ringpad/bus/v1/batch.proto` without a system `protoc`.

use std::error::Error;

const ROOT: &str = "../proto";
const FILE: &str = "ringpad/bus/v1/batch.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}/{FILE}");
    let descriptors = protox::compile([FILE], [ROOT])?;
    // Parts of the message that was received, not copies.
    prost_build::Config::new().bytes([".ringpad.bus.v1.Event.bytes"]).compile_fds(descriptors)?;
    Ok(())
}
