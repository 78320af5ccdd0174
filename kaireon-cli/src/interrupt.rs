//! Ctrl-C and SIGTERM.

use std::future::Future;
use std::pin::pin;

/// What a signal does to a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// It ends at once; what it did is kept.
    Stop,
    /// It is soon over and better ended; a second signal ends it at once.
    Finish,
}

/// Runs until the end, or `None` where a signal came.
pub(crate) async fn guarded<T>(work: impl Future<Output = T>, manner: Manner) -> Option<T> {
    let mut work = pin!(work);
    tokio::select! {
        ended = &mut work => return Some(ended),
        signal = kaireon::wait_for_shutdown_signal() => match (signal, manner) {
            // No handler can be had: signals end the process by themselves.
            (Err(_), _) => return Some(work.await),
            (Ok(_), Manner::Stop) => return None,
            (Ok(signal), Manner::Finish) => {
                eprintln!("kaireon: {signal}: this is soon over and is ended first; once more leaves it as it is");
            }
        },
    }
    tokio::select! {
        ended = &mut work => Some(ended),
        Ok(_) = kaireon::wait_for_shutdown_signal() => None,
    }
}
