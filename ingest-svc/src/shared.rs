//! What both edges need.

use std::sync::Arc;

use ringpad_runtime::traces::Traces;

use crate::{log::Log, source::Sources};

/// A cloneable handle.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) sources: Arc<Sources>,
    pub(crate) log: Log,
    pub(crate) traces: Traces,
}
