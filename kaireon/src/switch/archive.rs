//! Where the environment says that the archive is.

use std::fmt;
use std::path::PathBuf;

use kaireon_archive::{Archive, ArchiveConfig, Place};
use kaireon_core::Result;
use kaireon_core::digest::MasterKey;

/// A place of an archive, from its URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ArchivePlace {
    /// `file:///var/lib/shop/archive`
    Folder(PathBuf),
    /// `s3://bucket/prefix?endpoint=https://minio.internal:9000&region=eu-central-1`
    Bucket(Bucket),
}

/// A part of a bucket. Its credentials are those of the environment, the container or the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    name: String,
    prefix: String,
    endpoint: Option<String>,
    region: Option<String>,
}

impl ArchivePlace {
    /// Reads a URL. The reason of a refusal shows nothing of it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("is not a url of `file:///` or `s3://`")?;
        if rest.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err("contains white space".to_owned());
        }
        match scheme.to_ascii_lowercase().as_str() {
            "file" => folder(rest),
            "s3" => bucket(rest),
            _ => Err("is not a url of `file:///` or `s3://`".to_owned()),
        }
    }

    pub(crate) async fn open(&self, key: &MasterKey) -> Result<Archive> {
        let place = match self {
            Self::Folder(folder) => Place::folder(folder)?,
            Self::Bucket(bucket) => bucket.place()?,
        };
        Archive::open(ArchiveConfig::new(place, key.clone())).await
    }
}

fn folder(rest: &str) -> Result<ArchivePlace, String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err("names a host: a folder is `file:///` and an absolute path".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("has something behind its path".to_owned());
    }
    let path = decoded(path).ok_or("has a `%` that encodes nothing")?;
    Ok(ArchivePlace::Folder(PathBuf::from(path)))
}

fn bucket(rest: &str) -> Result<ArchivePlace, String> {
    if cfg!(not(feature = "s3")) {
        return Err("`s3` is not compiled in: turn on the feature `s3` of the crate `kaireon`".to_owned());
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() || name.contains(['@', ':', '#']) {
        return Err("names no bucket: `s3://bucket/prefix`, with credentials elsewhere".to_owned());
    }
    let prefix = decoded(prefix.trim_end_matches('/')).ok_or("has a `%` that encodes nothing")?;
    if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("has an empty part, `.` or `..` in its prefix".to_owned());
    }
    let (mut endpoint, mut region) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).filter(|value| !value.is_empty());
        let slot = match key {
            "endpoint" => &mut endpoint,
            "region" => &mut region,
            _ => return Err("has a parameter other than `endpoint` and `region`".to_owned()),
        };
        let value = value.ok_or_else(|| format!("has an empty or malformed `{key}`"))?;
        if slot.replace(value).is_some() {
            return Err(format!("has two of `{key}`"));
        }
    }
    let at_http = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if endpoint
        .as_ref()
        .is_some_and(|url| !at_http(url) || url.contains('@'))
    {
        return Err(
            "has an `endpoint` that is no `http://` or `https://` url without credentials".to_owned(),
        );
    }
    Ok(ArchivePlace::Bucket(Bucket {
        name: name.to_owned(),
        prefix,
        endpoint,
        region,
    }))
}

/// The text with `%2F` and the like decoded; `None` where one is malformed.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl Bucket {
    #[cfg(feature = "s3")]
    fn place(&self) -> Result<Place> {
        let Self {
            name,
            prefix,
            endpoint,
            region,
        } = self;
        Place::s3(kaireon_archive::S3Config {
            region: region.clone(),
            endpoint: endpoint.clone(),
            ..kaireon_archive::S3Config::new(name).with_prefix(prefix)
        })
    }

    #[cfg(not(feature = "s3"))]
    fn place(&self) -> Result<Place> {
        Err(kaireon_core::Error::unsupported("archive", "s3"))
    }
}

impl fmt::Debug for ArchivePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_) => f.write_str("a folder"),
            Self::Bucket(_) => f.write_str("a bucket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_an_absolute_path() {
        for (url, path) in [
            ("file:///var/lib/archive", "/var/lib/archive"),
            ("FILE:///a%20b", "/a b"),
            ("file://localhost/a", "/a"),
        ] {
            assert_eq!(
                ArchivePlace::parse(url),
                Ok(ArchivePlace::Folder(PathBuf::from(path)))
            );
        }
        for url in [
            "",
            "/var/lib",
            "file:/a",
            "file://host/a",
            "file://a",
            "file:///a%2",
            "file:///a%+1b",
            "file:///a?b",
            "file:///a b",
            "https://bucket/a",
        ] {
            assert!(ArchivePlace::parse(url).is_err(), "{url}");
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_bucket_has_a_prefix_an_endpoint_and_a_region() {
        let all = "s3://shop/kaireon/live/?endpoint=http%3A%2F%2Flocalhost:9000&region=eu-central-1";
        let bucket = |prefix: &str, endpoint: Option<&str>, region: Option<&str>| {
            Ok(ArchivePlace::Bucket(Bucket {
                name: "shop".to_owned(),
                prefix: prefix.to_owned(),
                endpoint: endpoint.map(str::to_owned),
                region: region.map(str::to_owned),
            }))
        };
        assert_eq!(
            ArchivePlace::parse(all),
            bucket(
                "kaireon/live",
                Some("http://localhost:9000"),
                Some("eu-central-1")
            )
        );
        assert_eq!(ArchivePlace::parse("s3://shop"), bucket("", None, None));
        for url in [
            "s3://",
            "s3:///a",
            "s3://key:hunter2@shop/a",
            "s3://shop/a//b",
            "s3://shop/../b",
            "s3://shop?endpoint=",
            "s3://shop?endpoint=minio:9000",
            "s3://shop?endpoint=http://key:hunter2@minio",
            "s3://shop?secret=hunter2",
            "s3://shop?region=a&region=b",
        ] {
            let why = ArchivePlace::parse(url).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
