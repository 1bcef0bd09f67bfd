//! Why a process ends, and its exit code.

use std::{fmt::Display, process::ExitCode};

use crate::settings::one_line;

/// Why a process ends, although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting, or something that the operator has set up, is wrong. Only the operator can correct it: exit code 2.
    #[error("{0}")]
    Setting(String),
    /// Anything else, e.g. a port in use: exit code 1.
    #[error("{0}")]
    Other(String),
    /// The program that read our output has ended, as `head` does when it has enough: not an error, exit code 0, no message.
    #[error("the output was closed")]
    Unread,
}

impl Failure {
    /// A failure of `what` for the reason `why`, e.g. `cannot listen on 0.0.0.0:8081: address in use`.
    pub fn other(what: impl Display, why: impl Display) -> Self {
        Self::Other(one_line(&format!("{what}: {why}")))
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setting(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::FAILURE,
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}
