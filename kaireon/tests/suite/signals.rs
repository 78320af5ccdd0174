//! The signals by which a process is asked to end.

use std::process::Command;
use std::task::Poll;

use kaireon::wait_for_shutdown_signal;

#[tokio::test]
async fn sigterm_and_sigint_end_the_wait_and_not_the_process() {
    for (signal, name) in [("TERM", "SIGTERM"), ("INT", "SIGINT")] {
        let mut waiting = std::pin::pin!(wait_for_shutdown_signal());
        // The first poll installs the handler; before it the signal would end this process.
        let first = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        assert!(first.is_pending());
        let sent = Command::new("kill")
            .args(["-s", signal, &std::process::id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(waiting.await.unwrap(), name);
    }
}
