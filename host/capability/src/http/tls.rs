//! TLS to a controller: whom it is known by, and what is shown to it.

use super::controller::EndpointError;
use bulkhead_model::grant::{EndpointGrant, Verification};
use bulkhead_model::id::Digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// The largest file of certificates, in bytes: the whole of a system's.
const LARGEST_FILE: u64 = 4 << 20;

/// The configuration for a binding's controllers.
pub(super) fn config(grant: &EndpointGrant) -> Result<Arc<ClientConfig>, EndpointError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let is_known = grant.ca.is_some() || !grant.fingerprints.is_empty();
    let builder = match (grant.verify, is_known) {
        (Verification::Off, true) => return Err(EndpointError::Contradiction),
        (Verification::Full, false) => return Err(EndpointError::Unverified),
        (Verification::Off, false) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Known {
            chain: None,
            fingerprints: None,
            provider,
        })),
        (Verification::Full, true) => {
            let chain = grant.ca.as_deref().map(|file| chain(file, &provider)).transpose()?;
            let fingerprints = (!grant.fingerprints.is_empty()).then(|| grant.fingerprints.clone());
            let known = Known { chain, fingerprints, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(known))
        }
    };
    let mut config = match (&grant.client_certificate, &grant.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?
        }
        _ => return Err(EndpointError::HalfClient),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Knows controllers by their name and a chain that ends at a certificate of `file`.
fn chain(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, EndpointError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| unusable(file, error.to_string()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| unusable(file, error.to_string()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, EndpointError> {
    check_file(file)?;
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable(file, "it holds no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(file, error.to_string())),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, EndpointError> {
    check_file(file)?;
    let metadata = file.metadata().map_err(|error| unusable(file, error.to_string()))?;
    if metadata.mode() & 0o077 != 0 {
        let reason = format!("others may read the key; run: chmod 600 {}", file.display());
        return Err(unusable(file, reason));
    }
    PrivateKeyDer::from_pem_file(file).map_err(|error| unusable(file, error.to_string()))
}

fn check_file(file: &Path) -> Result<(), EndpointError> {
    if !file.is_absolute() {
        return Err(unusable(file, "name the file by its absolute path".to_owned()));
    }
    let metadata = file.metadata().map_err(|error| unusable(file, error.to_string()))?;
    let own = rustix::process::geteuid().as_raw();
    if (metadata.uid() != 0 && metadata.uid() != own) || metadata.mode() & 0o022 != 0 {
        let path = file.display();
        let reason = format!("others may change whom it trusts; run: chown root {path} && chmod go-w {path}");
        return Err(unusable(file, reason));
    }
    // A pipe would be waited for without end.
    if !metadata.is_file() || metadata.len() > LARGEST_FILE {
        return Err(unusable(file, format!("it is no regular file of at most {LARGEST_FILE} bytes")));
    }
    Ok(())
}

fn unusable(path: &Path, reason: String) -> EndpointError {
    EndpointError::File { path: path.to_owned(), reason }
}

/// The digest by which a grant pins a certificate.
fn fingerprint(certificate: &CertificateDer<'_>) -> Digest {
    Digest::from_bytes(Sha256::digest(certificate).into())
}

/// Knows a controller by its chain, by its certificate itself, by both where both are given; or takes any.
#[derive(Debug)]
struct Known {
    chain: Option<Arc<WebPkiServerVerifier>>,
    fingerprints: Option<Vec<Digest>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        let found = fingerprint(end_entity);
        match &self.fingerprints {
            Some(known) if !known.contains(&found) => {
                tracing::warn!(%found, "a controller showed a certificate that is not the pinned one");
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
