//! Signals: the first SIGTERM or SIGINT cancels a token that every long loop selects on; a second one exits at once. A SIGHUP,
//! with which process managers ask for settings to be read again, does not end a service.

use std::{io, process};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: what a shell reports for SIGINT.
const INTERRUPTED: i32 = 130;

/// What SIGHUP does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// It is only logged: for services.
    Logged,
    /// It ends the process, unless `nohup` has turned it off: for programs in a terminal.
    Ends,
}

/// A token that the first SIGTERM or SIGINT cancels.
///
/// # Errors
/// The process cannot listen to signals.
pub fn on_signal(hangup: Hangup) -> io::Result<CancellationToken> {
    if hangup == Hangup::Logged {
        log_hangups()?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    // Not joined: it has nothing to finish, and must receive a second signal during the drain.
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!(signal = name, "leaving; a second signal exits at once");
        cancelled.cancel();
        let name = next().await;
        tracing::warn!(signal = name, "exiting at once");
        process::exit(INTERRUPTED);
    });
    Ok(token)
}

fn log_hangups() -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    // Not joined: it has nothing to finish.
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!(signal = "SIGHUP", "settings are only read at the start; restart to change them");
        }
    });
    Ok(())
}
