//! A whole replica on real ports, with the in-process bus and a fake log in place of ingest-svc, as pads on all three
//! transports see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "only these tests use it")]

mod calls;
mod canaries;
mod closing;
mod ends;
mod fake_log;
mod harness;
mod instances;
mod leaving;
mod losses;
mod names;
mod pads;
mod ports;
mod returns;
mod streams;
