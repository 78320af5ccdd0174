//! The coalescing queue: concurrent writes gathered into commits.
//!
//! One durable write per call wastes the disk, because the flush dominates. Callers submit items to a queue; one
//! driver (a thread or a task of the store) takes everything that waits as the next commit, and while that commit
//! is in flight, arrivals queue for the one after. There is no timer, so a lone caller pays no added latency, and
//! the size of a commit follows the load.
//!
//! - Each caller gets its own outcome: a poisonous item fails alone.
//! - The queue is bounded by count and bytes. When it is full, callers wait up to `queue_wait`, then get
//!   `RateLimited`, not applied.
//! - An item that is still queued when its caller goes away is withdrawn; one in a commit is not, and its retry
//!   gets `Duplicate`.
//!
//! ```
//! use kaireon_core::coalesce::{CoalesceConfig, queue};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> kaireon_core::Result<()> {
//! let (submitter, mut waiting) = queue::<u32, u32>("example", CoalesceConfig::default());
//! let driver = std::thread::spawn(move || {
//!     while let Some(mut batch) = waiting.next_blocking() {
//!         let doubled = batch.take_items().into_iter().map(|item| Ok(item * 2)).collect();
//!         batch.answer(doubled);
//!     }
//! });
//! assert_eq!(submitter.submit(21, 4).await?, 42);
//! submitter.close();
//! driver.join().expect("the driver ends once the queue is closed and empty");
//! # Ok(()) }
//! ```

mod queue;
mod state;

use std::time::Duration;

pub use queue::{Batch, Queue, Submitter, queue};

/// The bounds of a coalescing queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoalesceConfig {
    /// The most items of one commit; 4,096 by default.
    pub max_batch_items: usize,
    /// The most bytes of one commit, as the callers declare them; 8 MiB by default. One item may exceed it.
    pub max_batch_bytes: usize,
    /// The most items that wait; 16,384 by default.
    pub max_queue_items: usize,
    /// The most bytes that wait, as the callers declare them; 64 MiB by default, and at most 4 GiB.
    pub max_queue_bytes: usize,
    /// How long a caller waits for room; 1 s by default.
    pub queue_wait: Duration,
}

impl Default for CoalesceConfig {
    fn default() -> Self {
        Self {
            max_batch_items: 4_096,
            max_batch_bytes: 8 << 20,
            max_queue_items: 16_384,
            max_queue_bytes: 64 << 20,
            queue_wait: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests;
