//! A service principal's certificate: the assertion that its key signs (RFC 7523; PS256, as Azure's own clients do).

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::printable;

/// How long an assertion holds, in seconds.
const HOLDS: u64 = 600;

/// A certificate with its key.
pub struct Signer {
    key: Arc<dyn SigningKey>,
    /// The principal's own first.
    certificates: Vec<CertificateDer<'static>>,
    send_chain: bool,
}

impl Signer {
    /// Reads a PEM file with an RSA key and its certificate, in any order; with `send_chain` all its certificates are shown.
    pub fn read(file: &Path, send_chain: bool) -> Result<Signer, String> {
        let name = printable(&file.to_string_lossy());
        let pem = fs::read(file).map(Zeroizing::new).map_err(|why| format!("{name} can't be read: {why}"))?;
        if !pem.windows(11).any(|part| part == b"-----BEGIN ") {
            let line = "openssl pkcs12 -in FILE -out FILE.pem -nodes";
            return Err(format!("{name} isn't PEM; a PKCS#12 file (.pfx, .p12) becomes PEM by: {line}"));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("{name} holds no private key without a passphrase"))?;
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).map_err(|_| format!("{name} holds no usable key"))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = certificates.map_err(|_| format!("{name} holds a broken certificate"))?;
        Signer { key, certificates, send_chain }.checked().ok_or_else(|| format!("{name} holds no certificate of its RSA key"))
    }

    /// With the certificate of the key in the first place.
    fn checked(mut self) -> Option<Signer> {
        let public = self.key.public_key()?;
        let own = |certificate: &CertificateDer<'_>| {
            let read = x509_parser::parse_x509_certificate(certificate).ok();
            read.is_some_and(|(_, certificate)| certificate.public_key().raw == public.as_ref())
        };
        let at = self.certificates.iter().position(own)?;
        self.certificates.swap(0, at);
        self.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).map(|_| self)
    }

    /// What `client` shows at `endpoint`.
    pub fn assertion(&self, client: &str, endpoint: &str) -> Result<Zeroizing<String>, String> {
        let own = self.certificates.first().ok_or("there is no certificate")?;
        let mut header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(own)) });
        if self.send_chain {
            header["x5c"] = self.certificates.iter().map(|certificate| STANDARD.encode_to_string(certificate)).collect();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|why| format!("the system gives no random bytes: {why}"))?;
        let id = URL_SAFE_NO_PAD.encode_to_string(id);
        let claims = json!({ "aud": endpoint, "exp": now + HOLDS, "iss": client, "jti": id, "nbf": now, "sub": client });
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode_to_string(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).ok_or("its key isn't an RSA key")?;
        let signature = signer.sign(signed.as_bytes()).map_err(|why| format!("its key can't sign: {why}"))?;
        Ok(Zeroizing::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))))
    }
}
