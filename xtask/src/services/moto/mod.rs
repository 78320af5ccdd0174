//! S3 as moto has it, behind a layer that makes requests fail when a test asks for it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::launch::Launch;
use super::service::{Compose, Service};
use super::state::Environment;
use super::{port, python};
use crate::failure::{Context, Result};

const URL: &str = "KAIREON_TEST_S3_URL";

/// Where it is while nobody else is there.
const PORT: u16 = 19560;

/// The packages and the version that was tried.
const PACKAGES: &[&str] = &["moto==5.2.5", "flask", "flask-cors", "jsonpath_ng"];

/// The server, with the layer.
const PROGRAM: &str = include_str!("s3.py");

/// A server that is busy under a build answers late.
const PATIENCE: Duration = Duration::from_secs(10);

/// moto's S3.
pub(super) struct Moto;

impl Service for Moto {
    fn name(&self) -> &'static str {
        "moto"
    }

    fn variable(&self) -> &'static str {
        URL
    }

    fn compose(&self, _folder: &Path) -> Option<Compose> {
        // Its image has no layer that makes requests fail.
        None
    }

    fn install(&self, folder: &Path) -> Result<()> {
        python::environment(folder, PACKAGES)?;
        let program = folder.join("s3.py");
        std::fs::write(&program, PROGRAM).context(program.display())
    }

    fn start(&self, launch: &mut Launch) -> Result<()> {
        let port = port::free(PORT)?;
        let folder = launch.folder().to_owned();
        launch.spawn(
            Command::new(python::interpreter(&folder))
                .arg(folder.join("s3.py"))
                .arg(port.to_string()),
            "moto",
        )?;
        launch.export(URL, &format!("http://127.0.0.1:{port}"))
    }

    fn ready(&self, environment: &Environment) -> Result<()> {
        let url = self.url(environment)?;
        let address = url
            .strip_prefix("http://")
            .context("its URL is no http address")?
            .trim_end_matches('/');
        let mut stream = TcpStream::connect(address).context(address)?;
        stream.set_read_timeout(Some(PATIENCE)).context(address)?;
        write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n").context(address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context(address)?;
        if answer.contains("ListAllMyBucketsResult") {
            return Ok(());
        }
        Err(format!("{address} does not list its buckets").into())
    }

    fn version(&self, environment: &Environment) -> Result<String> {
        self.ready(environment)?;
        Ok(format!("moto {}", PACKAGES[0].trim_start_matches("moto==")))
    }
}
