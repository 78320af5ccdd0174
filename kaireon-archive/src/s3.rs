//! S3 and what speaks its protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::{Error, Result};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::Place;
use crate::error::of_store;

/// How a bucket is reached.
#[derive(Clone)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// The folder of the bucket below which the archive lies, such as `kaireon/production`; the bucket itself, where it is
    /// empty, the default.
    pub prefix: String,
    /// Its region; that of the environment (`AWS_REGION`), or `us-east-1`, by default.
    pub region: Option<String>,
    /// Another service's address, such as `https://minio.internal:9000`; Amazon's by default. A plain `http://` address
    /// is taken as it is: choose it only where nobody listens.
    pub endpoint: Option<String>,
    /// Access key and secret; by default those of the environment, the container or the instance.
    pub credentials: Option<(String, String)>,
    /// The longest time for one request; 30 s by default.
    pub timeout: Duration,
    /// How often the client itself sends a request again, within `retry_timeout`; 3 by default.
    pub max_retries: usize,
    /// How long after its first attempt a request is sent again at most; 60 s by default.
    pub retry_timeout: Duration,
}

impl S3Config {
    /// A bucket, reached as the environment says.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            credentials: None,
            timeout: Duration::from_secs(30),
            max_retries: 3,
            retry_timeout: Duration::from_secs(60),
        }
    }

    /// Puts the archive below a folder of the bucket, beside whatever else it holds.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// Sets another service's address.
    #[must_use]
    pub fn with_endpoint(self, endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: Some(endpoint.into()),
            ..self
        }
    }

    /// Sets access key and secret.
    #[must_use]
    pub fn with_credentials(self, key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            credentials: Some((key.into(), secret.into())),
            ..self
        }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// A bucket of S3, or of a service that speaks its protocol and keeps the conditions of conditional puts.
    ///
    /// # Errors
    /// `InvalidInput` naming `bucket` when it is empty, or `prefix` when it is no path of an object; `Config` when the
    /// settings do not fit together.
    pub fn s3(config: S3Config) -> Result<Self> {
        let S3Config {
            bucket,
            prefix,
            region,
            endpoint,
            credentials,
            timeout,
            max_retries,
            retry_timeout,
        } = config;
        if bucket.is_empty() {
            return Err(Error::invalid("bucket", "is empty"));
        }
        let below = Path::parse(&prefix).map_err(|_| {
            Error::invalid(
                "prefix",
                "has an empty part, `.`, `..` or a character that no object has",
            )
        })?;
        let shown = match below.as_ref() {
            "" => format!("s3 bucket {bucket}"),
            below => format!("s3 bucket {bucket}, below {below}"),
        };
        let plain = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let options = ClientOptions::new()
            .with_timeout(timeout)
            .with_connect_timeout(timeout)
            .with_allow_http(plain);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries,
            retry_timeout,
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(options)
            .with_retry(retry)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some((key, secret)) = credentials {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(|error| of_store("open", error))?;
        let store: Arc<dyn ObjectStore> = match below.as_ref() {
            "" => Arc::new(store),
            _ => Arc::new(PrefixStore::new(store, below)),
        };
        Ok(Self::object_store(store).shown_as(shown))
    }
}
