//! The harness of the end-to-end tests and benchmarks: real binaries on a real RabbitMQ node.
//!
//! * [`rabbit`]: private RabbitMQ nodes that are stopped, killed and frozen at will.
//! * [`services`]: ingest-svc and replicas of push-svc, killed and started again at will.
//! * [`link`]: a network that is cut, delayed, black-holed and half-closed at will.
//! * [`nginx`]: the load balancer, with the configuration that is shipped.
//! * [`provider`] sends what [`cdr`] makes; [`pads`] see it on all three transports and check what they see.
//! * [`alerts`]: what Prometheus would say to what the services measure.
//! * [`chaos`]: a bad night, played from a seed on all of these.
//! * `ringpad-testbed`: all of it at the command of the pad page's tests, which are TypeScript.
//! * [`secrets`]: what no log line may show. [`token`]: pad tokens, minted independently of the project's own code.
//! * [`guard`]: child processes that end with the tests; [`port`]: where they listen.
//! * [`wait`]: waiting for values with a bound. [`http`]: a small HTTP/1.1 client.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub mod alerts;
pub mod cdr;
pub mod chaos;
pub mod collector;
pub mod guard;
pub mod http;
pub mod link;
pub mod machine;
pub mod nginx;
pub mod pads;
pub mod port;
pub mod provider;
pub mod rabbit;
pub mod secrets;
pub mod services;
pub mod token;
pub mod wait;
