//! End to end: the real binaries on a real RabbitMQ node.

mod broker_harness;
mod bus;
