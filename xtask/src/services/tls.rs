//! An authority and a server's certificate under it, made new for each server and kept nowhere else.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Result};
use crate::services::install;
use crate::{process, scratch};

/// A certificate that signs itself is refused by rustls as a server's: so an authority and a leaf.
const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
";

/// Files in PEM.
#[derive(Debug)]
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificates {
    /// Where [`make`] puts them.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            authority: folder.join("ca.crt"),
            certificate: folder.join("server.crt"),
            key: folder.join("server.key"),
        }
    }
}

/// Makes them in `folder`, for `localhost` and 127.0.0.1.
pub(super) fn make(folder: &Path) -> Result<Certificates> {
    let openssl = install::program_of("openssl", "openssl")?;
    scratch::empty(folder)?;
    let files = Certificates::in_folder(folder);
    let (config, authority_key, request) = (
        folder.join("openssl.cnf"),
        folder.join("ca.key"),
        folder.join("server.csr"),
    );
    std::fs::write(&config, CONFIG).context(config.display())?;
    let command = || Command::new(&openssl);
    let request_of = |subject: &str, key: &Path, out: &Path| {
        let mut openssl = command();
        openssl.args(["req", "-new", "-nodes", "-newkey", "ec"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]);
        openssl.arg("-config").arg(&config);
        openssl.arg("-keyout").arg(key).arg("-out").arg(out);
        openssl
    };
    // Long enough for a server that stays up between runs, short enough that nobody comes to rely on it.
    let days = ["-days", "90"];
    process::stdout_of(
        request_of("/CN=kaireon test authority", &authority_key, &files.authority)
            .args(["-x509", "-extensions", "authority"])
            .args(days),
    )?;
    process::stdout_of(&mut request_of("/CN=localhost", &files.key, &request))?;
    process::stdout_of(
        command()
            .args(["x509", "-req", "-CAcreateserial", "-extensions", "server"])
            .args(days)
            .arg("-in")
            .arg(&request)
            .arg("-CA")
            .arg(&files.authority)
            .arg("-CAkey")
            .arg(&authority_key)
            .arg("-extfile")
            .arg(&config)
            .arg("-out")
            .arg(&files.certificate),
    )?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::make;
    use crate::process;
    use crate::scratch::Scratch;
    use crate::services::install;

    #[test]
    fn the_certificate_is_a_leaf_for_localhost_under_its_own_authority() {
        // On the list of `.ci/run`, where it is absent; asked for here so that it is said which it is.
        let openssl = install::program(&["openssl"]).expect("openssl is installed");
        let scratch = Scratch::new(&std::env::temp_dir(), "tls").unwrap();
        let files = make(&scratch.path().join("tls")).unwrap();
        let verified = process::stdout_of(
            Command::new(openssl)
                .args(["verify", "-purpose", "sslserver", "-verify_hostname", "localhost"])
                .arg("-CAfile")
                .arg(&files.authority)
                .arg(&files.certificate),
        );
        assert!(verified.unwrap().trim().ends_with(": OK"));
        assert!(files.key.is_file());
    }
}
