//! `amqps://`: which authorities are trusted.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

/// TLS with the public authorities of Mozilla's list, and those of a PEM file.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    if let Some(file) = authorities {
        let public = roots.len();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
            let added =
                certificate.map_err(|error| error.to_string()).map(|certificate| roots.add(certificate));
            added?.map_err(|error| error.to_string())?;
        }
        if roots.len() == public {
            return Err("a PEM file with at least one CERTIFICATE is expected".to_owned());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
