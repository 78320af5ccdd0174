//! Units of work that the server gives up in favour of another's.

use std::time::Duration;

use kaireon_core::Result;

use crate::error::restarts;

/// How often a unit is tried before its caller is told.
const TRIES: u32 = 10;

/// Runs a unit of work from its start, and again where the server ended it to break a deadlock or for a serialization
/// failure: nothing of it was applied then.
pub(crate) async fn unit_again<T, F>(unit: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut tries = 1;
    loop {
        match unit().await {
            Err(error) if tries < TRIES && restarts(&error) => {
                // Two processes that collide must not do so again at the same instant.
                let pause = u64::from(tries) * (1 + u64::from(std::process::id() % 7));
                tokio::time::sleep(Duration::from_millis(pause)).await;
                tries += 1;
            }
            answer => return answer,
        }
    }
}
