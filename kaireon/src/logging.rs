//! Logs as one JSON object per line.
//!
//! ```
//! use kaireon::logging::{self, LogConfig, LogFormat};
//!
//! let config = LogConfig { filter: "info,kaireon=debug".into(), format: LogFormat::Json };
//! logging::init(&config)?;
//! tracing::info!(orders = 7, "ready");
//! # Ok::<(), kaireon_core::Error>(())
//! ```

use std::io::IsTerminal;

use kaireon_core::{Error, ErrorKind, Result};
use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// The variable that [`LogConfig::from_env`] reads the filter from.
pub const KAIREON_LOG: &str = "KAIREON_LOG";

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Which levels, `LEVEL` or `TARGET=LEVEL`, with commas between; `info` by default. The levels are `off`,
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

impl LogConfig {
    /// The filter of `KAIREON_LOG`, else of `RUST_LOG`, else `info`; JSON, or text where standard error is a
    /// terminal.
    #[must_use]
    pub fn from_env() -> Self {
        let var = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let format = if std::io::stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        };
        Self {
            filter: var(KAIREON_LOG)
                .or_else(|| var("RUST_LOG"))
                .unwrap_or_else(|| Self::default().filter),
            format,
        }
    }
}

/// Logs to standard error from now on, for the whole process.
///
/// # Errors
/// `Config` naming `KAIREON_LOG` when the filter cannot be read; `Config` when the process logs already.
pub fn init(config: &LogConfig) -> Result<()> {
    let subscriber = subscriber(config, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::new(ErrorKind::Config, "the process logs already").with_source(error))
}

/// The subscriber that [`init`] installs, over any writer: for tests, and for hosts that add layers of their own.
///
/// # Errors
/// `Config` naming `KAIREON_LOG` when the filter cannot be read.
pub fn subscriber<W>(
    config: &LogConfig,
    writer: W,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let LogConfig { filter, format } = config;
    let filter: Targets = filter.parse().map_err(|error| {
        Error::new(
            ErrorKind::Config,
            "is not a list of levels such as `info,kaireon=debug`",
        )
        .with_field(KAIREON_LOG)
        .with_source(error)
    })?;
    let (json, text) = match format {
        LogFormat::Json => (
            Some(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(writer),
            ),
            None,
        ),
        LogFormat::Text => (
            None,
            Some(tracing_subscriber::fmt::layer().compact().with_writer(writer)),
        ),
    };
    Ok(Registry::default().with(filter).with(json).with(text))
}
