//! The signals by which a process is asked to end.

use kaireon_core::{Error, ErrorKind, Result};

/// Waits until the process is asked to end: SIGTERM or SIGINT (elsewhere than on Unix: Ctrl-C). Returns the
/// signal's name.
///
/// From the first call on, these signals no longer end the process by themselves.
///
/// # Errors
/// `Internal` when the handler cannot be installed.
pub async fn wait_for_shutdown_signal() -> Result<&'static str> {
    signal().await.map_err(|error| {
        Error::new(ErrorKind::Internal, "the signal handler cannot be installed").with_source(error)
    })
}

#[cfg(unix)]
async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => Ok("SIGTERM"),
        _ = int.recv() => Ok("SIGINT"),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "ctrl-c")
}
