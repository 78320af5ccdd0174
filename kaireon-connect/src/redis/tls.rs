//! TLS for connections to Redis.

use std::path::Path;
use std::sync::Arc;

use kaireon_core::Result;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::config::wrong;

/// What makes TLS of a connection: it trusts the authorities of the file, or those of the web.
///
/// # Errors
/// `Config` on the field `ca_file`.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let bytes =
                std::fs::read(file).map_err(|error| wrong("ca_file", "cannot be read").with_source(error))?;
            for certificate in CertificateDer::pem_slice_iter(&bytes) {
                let certificate = certificate
                    .map_err(|error| wrong("ca_file", "is not in the form of pem").with_source(error))?;
                roots
                    .add(certificate)
                    .map_err(|error| wrong("ca_file", "holds what is no authority").with_source(error))?;
            }
            if roots.is_empty() {
                return Err(wrong("ca_file", "holds no certificate"));
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    // Named, not the process's own: a host may have another one, or two of which rustls takes none.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("url", "asks for tls, which is not to be had").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::connector;

    #[test]
    fn a_file_without_an_authority_is_refused_by_name() {
        assert!(connector(None).is_ok());
        let folder = std::env::temp_dir().join(format!("kaireon-redis-ca-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("ca.crt");
        std::fs::write(&file, "no certificate").unwrap();
        for path in [&file, &folder.join("absent")] {
            let error = connector(Some(path)).err().expect("it is refused");
            assert_eq!(error.field(), Some("ca_file"));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
