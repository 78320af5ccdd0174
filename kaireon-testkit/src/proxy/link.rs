//! What every connection suffers in one direction.

use std::time::Duration;

/// How one direction of every connection carries bytes. The default is a perfect link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether bytes go on.
    pub flow: Flow,
    /// How much later they arrive. The next ones need not wait for these: it is latency, not a lower rate.
    pub delay: Duration,
    /// How many bytes of each connection arrive in a second at most; `None` is no bound, and 0 is taken for 1.
    pub bytes_per_second: Option<u64>,
}

/// Whether bytes go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    #[default]
    Forward,
    /// They vanish, and so does the news that the sender closed: the connection is half-open. What vanished does not
    /// come back when the link is mended.
    Swallow,
    /// They wait until the link is mended. The sender notices when about 4 MiB wait.
    Stall,
}
