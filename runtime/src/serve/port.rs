//! What all connections of one port share.

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::{admission::ConnectionAdmission, limits::Limits, metrics::PortMetrics};

/// One port. All of its connections have the same one.
pub(super) struct Port {
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) admission: ConnectionAdmission,
    pub(super) metrics: PortMetrics,
    /// Cancelled when the process leaves.
    pub(super) shutdown: CancellationToken,
}
