//! `amqps://`: which authorities are trusted.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Those of Mozilla's list.
pub(crate) fn public_authorities() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// Adds those of a PEM file.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn add_authorities(trusted: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let before = trusted.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        trusted.add(certificate).map_err(|error| error.to_string())?;
    }
    if trusted.len() == before {
        return Err("a PEM file with at least one CERTIFICATE is expected".to_owned());
    }
    Ok(())
}

/// How to connect to a broker whose certificate one of them has issued.
///
/// # Errors
/// The library supports no version of TLS.
pub(crate) fn client(trusted: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(trusted).with_no_client_auth()))
}
