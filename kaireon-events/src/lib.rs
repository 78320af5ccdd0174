//! Event streams for kaireon: one folder and one feature per backend.
//!
//! | feature | publisher | for |
//! |---|---|---|
//! | `in-process` | [`InProcessPublisher`] | one process: topics, groups and redelivery in memory |
//! | `redis` | [`RedisPublisher`] | channels of Redis: whoever listens at the time, in any client |
//!
//! ```
//! # #[cfg(feature = "in-process")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> kaireon_core::Result<()> {
//! use kaireon_core::publisher::Subscription;
//! use kaireon_core::{Event, EventPublisher, EventType};
//! use kaireon_events::{InProcessPublisherConfig, InProcessPublisher};
//!
//! let publisher = InProcessPublisher::new(InProcessPublisherConfig::default())?;
//! let topic = EventType::new("model.updated.v1")?;
//! let mut subscriber = publisher.subscribe(Subscription::to([topic])).await?;
//!
//! publisher.publish(Event::new("model.updated.v1", &7)?).await?;
//! let mut delivery = subscriber.next_delivery().await?.expect("the publisher is connected");
//! assert_eq!(delivery.event().payload::<u32>()?, 7);
//! delivery.ack().await?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "in-process"))]
//! # fn main() {}
//! ```

#[cfg(feature = "in-process")]
mod in_process;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "in-process", feature = "redis"))]
mod vars;

#[cfg(feature = "in-process")]
pub use in_process::{InProcessPublisher, InProcessPublisherConfig, InProcessPublisherStats};
#[cfg(feature = "redis")]
pub use redis::{
    MAX_EVENT_BYTES_VARIABLE, RedisConnectConfig, RedisMode, RedisPublisher, RedisPublisherConfig,
    RedisPublisherStats,
};
