//! Whether a connection is encrypted, and how the server's certificate is checked: `sslmode` and `sslrootcert`, as libpq has them.

use std::{error::Error, fmt, io, path::Path, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Not encrypted.
    Disable,
    /// Encrypted if the server can, whoever it is.
    Prefer,
    /// Encrypted, whoever the server is.
    Require,
    /// Its certificate was issued by a given authority.
    VerifyCa,
    /// And for its host name.
    VerifyFull,
}

impl FromStr for TlsMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err("disable, prefer, require, verify-ca or verify-full"),
        }
    }
}

/// `sslrootcert`: the authorities that are trusted.
#[derive(Debug, Clone)]
pub(super) enum Roots {
    /// The public ones, of Mozilla's list.
    Public,
    /// Those of a file.
    File(Arc<RootCertStore>),
}

impl FromStr for Roots {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "system" {
            return Ok(Self::Public);
        }
        let fault = |why: &dyn fmt::Display| {
            format!("sslrootcert={text}: a file with certificates in PEM form is expected, or system ({why})")
        };
        let certificates = CertificateDer::pem_file_iter(Path::new(text)).map_err(|error| fault(&error))?;
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| fault(&error))?;
            store.add(certificate).map_err(|error| fault(&error))?;
        }
        if store.is_empty() { Err(fault(&"it has none")) } else { Ok(Self::File(Arc::new(store))) }
    }
}

/// How connections are made.
#[derive(Clone)]
pub(super) struct Trust {
    mode: SslMode,
    /// `None`: they are not encrypted.
    connector: Option<MakeRustlsConnect>,
}

impl Trust {
    /// Refuses what would seem to check the server and does not.
    pub(super) fn new(mode: Option<TlsMode>, roots: Option<Roots>) -> Result<Self, String> {
        let (mode, connector) = match (mode, roots) {
            (Some(TlsMode::Disable), None) => (SslMode::Disable, None),
            (None | Some(TlsMode::Prefer), None) => (SslMode::Prefer, Some(lenient(None)?)),
            (Some(TlsMode::Require), None) => (SslMode::Require, Some(lenient(None)?)),
            // So it is in libpq.
            (Some(TlsMode::Require | TlsMode::VerifyCa), Some(Roots::File(roots))) => {
                (SslMode::Require, Some(lenient(Some(roots))?))
            }
            (Some(TlsMode::VerifyFull), Some(Roots::File(roots))) => {
                let config = builder()?.with_root_certificates(roots).with_no_client_auth();
                (SslMode::Require, Some(MakeRustlsConnect::new(config)))
            }
            (Some(TlsMode::VerifyFull), None) | (None | Some(TlsMode::VerifyFull), Some(Roots::Public)) => {
                (SslMode::Require, Some(MakeRustlsConnect::with_webpki_roots()))
            }
            (Some(TlsMode::VerifyCa), None) => {
                return Err(
                    "sslmode=verify-ca needs sslrootcert=FILE, the authority's certificate".to_owned()
                );
            }
            (_, Some(Roots::Public)) => {
                return Err("sslrootcert=system checks nothing but with sslmode=verify-full".to_owned());
            }
            (None | Some(TlsMode::Disable | TlsMode::Prefer), Some(Roots::File(_))) => {
                return Err("sslrootcert needs sslmode=verify-full, or verify-ca".to_owned());
            }
        };
        Ok(Self { mode, connector })
    }

    pub(super) fn mode(&self) -> SslMode {
        self.mode
    }

    pub(super) fn connector(&self) -> Option<&MakeRustlsConnect> {
        self.connector.as_ref()
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn builder() -> Result<Builder, String> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    builder.map_err(|error| error.to_string())
}

/// Connects to a server of any name; with `roots`, only if one of them has issued its certificate.
fn lenient(roots: Option<Arc<RootCertStore>>) -> Result<MakeRustlsConnect, String> {
    let chain = roots
        .map(|roots| WebPkiServerVerifier::builder_with_provider(roots, provider()).build())
        .transpose()
        .map_err(|error| error.to_string())?;
    let verifier = AnyName { chain, algorithms: provider().signature_verification_algorithms };
    let config =
        builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// What to do about a certificate that was not accepted, if that is why a connection failed.
pub(super) fn advice(error: &tokio_postgres::Error) -> Option<&'static str> {
    let cause = error.source()?.downcast_ref::<io::Error>()?.get_ref()?;
    let rustls::Error::InvalidCertificate(fault) = cause.downcast_ref()? else { return None };
    Some(match fault {
        CertificateError::UnknownIssuer => {
            "no authority that is trusted has issued it; sslrootcert=FILE names the ones to trust"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is not for this host name; connect with a name that it has, or with sslmode=verify-ca"
        }
        _ => "see the cause",
    })
}

/// Accepts a certificate for any name. The server still has to prove that the certificate is its own.
#[derive(Debug)]
struct AnyName {
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is the last thing that is checked.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
