//! A whole replica on real ports, with the in-process bus and a stand-in for ingest-svc's log, as pads on all three
//! transports see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "nobody but these tests reads it")]

mod calls;
mod closing;
mod ends;
mod fake_log;
mod harness;
mod leaving;
mod losses;
mod names;
mod pads;
mod ports;
mod returns;
mod signs_of_life;
mod streams;
