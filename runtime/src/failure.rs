//! Why a process ends, and its exit code.

use std::{error::Error, fmt::Display, process::ExitCode};

/// Any error; also made from a text.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a process ends, although nobody asked it to. [`ErrorChain`](crate::ErrorChain) shows it with its causes.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting, or something that the operator has set up, is wrong. Only the operator can correct it: exit code 2.
    #[error(transparent)]
    Setting(Cause),
    /// Anything else, e.g. a port in use: exit code 1.
    #[error(transparent)]
    Other(Cause),
    /// The program that read our output has ended, as `head` does when it has enough: not an error, exit code 0, no message.
    #[error("the output was closed")]
    Unread,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Context {
    what: String,
    source: Cause,
}

impl Failure {
    /// A wrong setting.
    pub fn setting(fault: impl Into<Cause>) -> Self {
        Self::Setting(fault.into())
    }

    /// A failure of `what`, e.g. `cannot listen on 0.0.0.0:8081`, because of `cause`.
    pub fn other(what: impl Display, cause: impl Into<Cause>) -> Self {
        Self::Other(cause.into()).context(what)
    }

    /// The same failure as the cause of `what`.
    #[must_use]
    pub fn context(self, what: impl Display) -> Self {
        let within = |source| Box::new(Context { what: what.to_string(), source });
        match self {
            Self::Setting(cause) => Self::Setting(within(cause)),
            Self::Other(cause) => Self::Other(within(cause)),
            Self::Unread => Self::Unread,
        }
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::ErrorChain;

    #[test]
    fn a_failure_keeps_its_cause_and_is_shown_with_it() {
        let failure = Failure::other("cannot read a.toml", io::Error::from(io::ErrorKind::NotFound));
        let failure = failure.context("the start");
        assert_eq!(failure.to_string(), "the start");
        assert_eq!(ErrorChain(&failure).to_string(), "the start: cannot read a.toml: entity not found");
        let cause = failure.source().and_then(Error::source).and_then(<dyn Error>::downcast_ref::<io::Error>);
        assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::NotFound));
    }
}
