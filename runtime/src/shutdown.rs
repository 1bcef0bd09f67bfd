//! Leaving: the first SIGTERM or SIGINT cancels a token that every long loop selects on; a second one exits at once.

use std::{io, process};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: what a shell reports for SIGINT.
const INTERRUPTED: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels.
///
/// # Errors
/// The process cannot listen to signals.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    // Not joined: it has nothing to finish, and must outlive the drain to hear the second signal.
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
