//! An error together with its causes.

use std::{error::Error, fmt};

/// Shows an error and its causes on one line, e.g. `the log cannot be used now: database or disk is full`. A cause that the text
/// before it ends with is left out: errors of some libraries repeat theirs.
#[derive(Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
                last = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Opened {
        #[error("cannot be opened")]
        File(#[source] std::io::Error),
        #[error("cannot be read: {0}")]
        Repeating(#[source] std::io::Error),
    }

    #[test]
    fn each_cause_is_shown_once() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let shown = |error: Opened| ErrorChain(&error).to_string();
        assert_eq!(shown(Opened::File(full())), "cannot be opened: no storage space");
        assert_eq!(shown(Opened::Repeating(full())), "cannot be read: no storage space");
    }
}
