//! The keys of the built-in provider, all derived from `SECRET_KEY`, so that a restart or a second
//! node signs and reads the same tokens and nothing has to be stored. Keeps no state.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::EncodePrivateKey as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::Uuid;

use super::jwks::VerifyingKey;

/// Why no keys came of a `SECRET_KEY`, or a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No scalar below the order of P-256 in 256 tries: it will not happen.
    #[error("no signing key can be derived from the secret")]
    NoScalar,
    #[error("the derived key was refused")]
    Encoding,
    #[error("a token could not be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// The signing key of the built-in provider and what is published about it.
#[derive(Clone)]
pub struct BuiltInKeys {
    signing: EncodingKey,
    verifying: VerifyingKey,
    refresh: Hmac<Sha256>,
    coordinates: Coordinates,
    kid: String,
    issuer: String,
}

/// A public point, each half base64url.
#[derive(Clone)]
struct Coordinates {
    x: String,
    y: String,
}

impl BuiltInKeys {
    /// Derives the keys: the P-256 scalar is the first HMAC-SHA256(`secret_key`,
    /// "identity es256" ‖ counter byte) that is a scalar. The issuer is `{public_url}/auth/v1`.
    pub fn derive(secret_key: &SecretString, public_url: &Url) -> Result<Self, KeyError> {
        let root = keyed(secret_key.expose_secret().as_bytes())?;
        let scalar = (0..=u8::MAX)
            .find_map(|counter| {
                SecretKey::from_slice(&mac(&root, &[b"identity es256", &[counter]])).ok()
            })
            .ok_or(KeyError::NoScalar)?;
        let coordinates = Coordinates::of(&scalar).ok_or(KeyError::Encoding)?;
        let pkcs8 = scalar.to_pkcs8_der().map_err(|_| KeyError::Encoding)?;
        let decoding = DecodingKey::from_ec_components(&coordinates.x, &coordinates.y)
            .map_err(|_| KeyError::Encoding)?;
        Ok(Self {
            signing: EncodingKey::from_ec_der(pkcs8.as_bytes()),
            verifying: VerifyingKey::new(Algorithm::ES256, decoding),
            refresh: keyed(&mac(&root, &[b"identity refresh"]))?,
            kid: coordinates.thumbprint(),
            coordinates,
            issuer: issuer(public_url),
        })
    }

    /// `iss` of the provider's tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key's name: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key set (RFC 7517) that `/.well-known/jwks.json` publishes.
    pub fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "x": self.coordinates.x, "y": self.coordinates.y,
            "kid": self.kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"],
        }]})
    }

    /// A signed token (ES256) with these claims.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(KeyError::Signing)
    }

    /// The refresh token of that id: HMAC-SHA256 under a key of its own, base64url. Derived, so
    /// that an answer that got lost can be given again though only a hash is stored.
    pub fn refresh_token(&self, id: Uuid) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.refresh, &[id.as_bytes()]))
    }

    pub(super) fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }
}

/// What is stored of a refresh token. A bare hash is enough: the token has 256 random-looking bits.
pub fn hash_refresh_token(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// `iss` of the identity provider that answers under `base`.
pub(super) fn issuer(base: &Url) -> String {
    format!("{}/auth/v1", base.as_str().trim_end_matches('/'))
}

impl Coordinates {
    fn of(scalar: &SecretKey) -> Option<Self> {
        let point = scalar.public_key().to_encoded_point(false);
        Some(Self {
            x: URL_SAFE_NO_PAD.encode(point.x()?),
            y: URL_SAFE_NO_PAD.encode(point.y()?),
        })
    }

    /// RFC 7638, 3.2: the required members only, in lexical order, no space.
    fn thumbprint(&self) -> String {
        let canonical = format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            self.x, self.y
        );
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, KeyError> {
    Hmac::new_from_slice(key).map_err(|_| KeyError::Encoding)
}

fn mac(keyed: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> BuiltInKeys {
        let base = Url::parse("http://127.0.0.1:8080/").unwrap();
        BuiltInKeys::derive(&SecretString::from(secret), &base).unwrap()
    }

    #[test]
    fn the_same_secret_gives_the_same_keys_on_every_node() {
        let (one, other) = (keys("one secret"), keys("one secret"));
        assert_eq!(one.jwks(), other.jwks());
        assert_eq!(
            one.refresh_token(Uuid::nil()),
            other.refresh_token(Uuid::nil())
        );
        assert_ne!(one.kid(), keys("another secret").kid());
        assert_ne!(
            one.refresh_token(Uuid::nil()),
            keys("another secret").refresh_token(Uuid::nil())
        );
    }

    #[test]
    fn the_issuer_has_no_doubled_slash() {
        assert_eq!(keys("s").issuer(), "http://127.0.0.1:8080/auth/v1");
    }

    #[test]
    fn the_name_of_the_key_is_its_thumbprint() {
        // The same computation by the token library, from the published document.
        super::super::install_crypto();
        let keys = keys("a secret");
        let published: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys.jwks()).unwrap();
        let thumbprint = published.keys[0].thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(keys.kid(), thumbprint.unwrap());
    }

    #[test]
    fn the_private_half_is_not_published() {
        assert!(keys("a secret").jwks()["keys"][0].get("d").is_none());
    }
}
