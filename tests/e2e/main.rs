//! End to end: the real binaries on a real RabbitMQ node. Each module is named for what it shows.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod abuse;
mod actions;
mod admission;
mod broker_harness;
mod burst;
mod bus;
mod checker;
mod clients;
mod clocks;
mod crash;
mod deployment;
mod describing;
mod faults;
mod full_disk;
mod grpc_ports;
mod half_close;
mod installations;
mod leaving;
mod load_balancer;
mod long_texts;
mod merging;
mod monitoring;
mod network;
mod one_file;
mod outage;
mod providers;
mod quarantine;
mod returning;
mod routing;
mod settings;
mod stalls;
mod stores;
mod stream;
mod topology;
mod traces;
