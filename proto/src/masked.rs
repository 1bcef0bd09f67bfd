//! `Debug` of the messages that have a credential or a token: without it.

use std::fmt;

use crate::v1::{BeginResponse, CheckCredentialRequest, IssueTokenRequest, IssueTokenResponse, PollRequest};

/// Shows a message by its name only.
macro_rules! masked {
    ($($message:ident),*) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(****)"))
            }
        })*
    };
}

masked!(BeginResponse, CheckCredentialRequest, IssueTokenRequest, IssueTokenResponse, PollRequest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_does_not_show() {
        let request = PollRequest { credential: "hunter2".to_owned() };
        assert_eq!(format!("{request:?}"), "PollRequest(****)");
    }
}
