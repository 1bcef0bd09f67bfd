//! The harness of the end-to-end tests and benchmarks: real binaries on a real RabbitMQ node.
//!
//! * [`rabbit`]: private RabbitMQ nodes, which a test can stop, kill and freeze.
//! * [`postgres`]: private PostgreSQL servers, the same, and standbys of them.
//! * [`services`]: ingest-svc and replicas of push-svc, which a test can kill and start again.
//! * [`link`]: a network that a test can cut, delay, black-hole and half-close.
//! * [`nginx`]: the load balancer, with the configuration that is shipped.
//! * [`provider`] sends what [`cdr`] makes; [`pads`] get it on all three transports and check what they get.
//! * [`alerts`]: which alerts Prometheus would fire on the services' metrics.
//! * [`chaos`]: a run with many faults, drawn from a seed, on all of these.
//! * `ringpad-testbed`: all of it, controlled by the pad page's tests, which are TypeScript.
//! * [`limits`]: the tables of limits in docs/reference.md.
//! * [`secrets`]: what no log line may show. [`token`]: pad tokens, signed independently of the product's code.
//! * [`guard`]: child processes that end with the tests; [`port`]: free ports for them.
//! * [`certificates`]: private authorities. [`wait`]: waiting for values with a bound. [`http`]: a small HTTP/1.1 client.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub mod alerts;
pub mod cdr;
pub mod certificates;
pub mod chaos;
pub mod collector;
pub mod guard;
pub mod http;
pub mod limits;
pub mod link;
pub mod machine;
pub mod nginx;
pub mod pads;
pub mod port;
pub mod postgres;
pub mod provider;
pub mod rabbit;
pub mod secrets;
pub mod services;
pub mod token;
pub mod wait;
