//! The harness of the end-to-end tests and benchmarks: real binaries on a real RabbitMQ node.
//!
//! * [`rabbit`]: private RabbitMQ nodes that are stopped, killed and frozen at will.
//! * [`guard`]: child processes that end with the tests; [`port`]: where they listen.
//! * [`wait`]: waiting for values with a bound.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub mod guard;
pub mod port;
pub mod rabbit;
pub mod wait;
