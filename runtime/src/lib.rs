//! What every RingPad process needs next to its own work: settings, logging, listeners, health, and an orderly end. This crate
//! has no domain type.
//!
//! ```text
//! main ─► settings (exit 2) ─► telemetry ─► bind (exit 1) ─► run ─► signal ─► drain ─► exit 0
//! ```
//!
//! Only the subscriber of log lines is global, and only `main` installs it: a test runs two replicas in one process.

pub mod activation;
pub mod admin;
pub mod backoff;
mod bearer;
mod error_chain;
mod failure;
pub mod fair;
pub mod forwarded;
pub mod grpc;
pub mod readiness;
pub mod serve;
mod service;
pub mod settings;
pub mod shutdown;
pub mod supervisor;
pub mod telemetry;
pub mod traces;

pub use bearer::bearer;
pub use error_chain::ErrorChain;
pub use failure::{Cause, Failure};
pub use service::{Workers, run_service};
pub use shutdown::Hangup;
pub use tokio_util::sync::CancellationToken;
