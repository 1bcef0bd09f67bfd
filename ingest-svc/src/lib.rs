//! ingest-svc takes the number providers' call records (CDRs), logs them durably and publishes what became of them.
//!
//! ```text
//! number provider ──http──┐
//!                         ├─► Cdr ─► log ─────────► relay ─► bus
//! internal service ─grpc──┘  parse   commit          publish
//!                            once    + position      fanout
//! ```
//!
//! Contract: a CDR is answered when its commit is on disk, never before, and never later for the broker's sake. Past
//! `cdr` there are no strings that might be phone numbers; `log` is the only module with SQL; the edges never see the
//! broker.

pub mod cdr;
mod grpc;
mod http;
pub mod log;
pub mod phone;
mod relay;
pub mod settings;
pub mod source;
