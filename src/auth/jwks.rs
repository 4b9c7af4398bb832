//! The public keys of a Supabase project: fetched from its key set (RFC 7517), kept for ten
//! minutes, fetched again when a token names a key that is not there. Only this one address is
//! ever called: nothing that a token says leads to a request elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

/// The largest key set that is read, in bytes. A project has a handful of keys.
const MAX_BYTES: usize = 256 * 1024;
/// The shortest RSA modulus that is trusted, in bytes (RFC 7518, 3.3: 2048 bits).
const MIN_RSA_BYTES: usize = 256;

/// A key and the one algorithm that it may be used with: a token's header never chooses.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    pub(super) fn new(algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { algorithm, key }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn key(&self) -> &DecodingKey {
        &self.key
    }
}

/// How long things are kept and left alone.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The age at which a set is fetched again before it is used: the bound on how long a revoked
    /// key lives on while the endpoint answers.
    pub fresh: Duration,
    /// The least time between two fetches once there is a set, whatever tokens say.
    pub pause: Duration,
    /// The same while there is none.
    pub pause_without_keys: Duration,
    /// For one fetch as a whole.
    pub timeout: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(600),
            pause: Duration::from_secs(30),
            pause_without_keys: Duration::from_secs(2),
            timeout: Duration::from_secs(4),
        }
    }
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The project has no such key.
    #[error("the key is unknown")]
    Unknown,
    /// The key set could not be fetched yet.
    #[error("the keys of the identity provider can't be had")]
    Unavailable,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the request failed")]
    Request(#[from] reqwest::Error),
    #[error("the endpoint answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the answer is no key set")]
    NotAKeySet(#[from] serde_json::Error),
}

/// The cache. Cheap to clone; clones share one set.
#[derive(Clone)]
pub struct JwksCache(Arc<Shared>);

struct Shared {
    address: Url,
    client: reqwest::Client,
    patience: Patience,
    current: ArcSwapOption<KeySet>,
    /// When the last fetch began. Locked while one runs, so that there is one at a time.
    last_attempt: Mutex<Option<Instant>>,
}

struct KeySet {
    keys: HashMap<String, VerifyingKey>,
    fetched_at: Instant,
}

impl JwksCache {
    /// An empty cache of the key set at `address`; nothing is fetched yet.
    ///
    /// Fails only when the system's TLS roots can't be read.
    pub fn new(address: Url, patience: Patience) -> Result<Self, reqwest::Error> {
        super::install_crypto();
        let client = reqwest::Client::builder()
            .timeout(patience.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self(Arc::new(Shared {
            address,
            client,
            patience,
            current: ArcSwapOption::empty(),
            last_attempt: Mutex::new(None),
        })))
    }

    /// The key of that name. Waits for a fetch where the set is missing or old or lacks the name;
    /// when that fails, the last good set still answers.
    pub async fn key(&self, kid: &str) -> Result<VerifyingKey, NoKey> {
        if let Some(key) = self.0.fresh_key(kid) {
            return Ok(key);
        }
        self.refresh(Some(kid)).await;
        match self.0.current.load().as_deref() {
            Some(set) => set.keys.get(kid).cloned().ok_or(NoKey::Unknown),
            None => Err(NoKey::Unavailable),
        }
    }

    /// Fetches the set where none is there or it is old.
    pub async fn warm(&self) {
        if self.0.is_due() {
            self.refresh(None).await;
        }
    }

    /// Whether a set has been had: without one no token of the project can be read.
    pub fn has_keys(&self) -> bool {
        self.0.current.load().is_some()
    }

    /// In a task of its own, so that a caller who goes away does not take the fetch along.
    async fn refresh(&self, wanted: Option<&str>) {
        let shared = Arc::clone(&self.0);
        let wanted = wanted.map(str::to_owned);
        let fetch = tokio::spawn(async move { shared.fetch_once(wanted.as_deref()).await });
        if let Err(error) = fetch.await {
            tracing::error!(%error, "fetching the key set broke off");
        }
    }
}

impl Shared {
    fn is_due(&self) -> bool {
        self.current
            .load()
            .as_deref()
            .is_none_or(|set| set.fetched_at.elapsed() >= self.patience.fresh)
    }

    fn fresh_key(&self, kid: &str) -> Option<VerifyingKey> {
        let set = self.current.load();
        let set = set.as_deref()?;
        (set.fetched_at.elapsed() < self.patience.fresh)
            .then(|| set.keys.get(kid).cloned())
            .flatten()
    }

    /// One fetch, unless another one brought what is wanted meanwhile, or it is too soon.
    async fn fetch_once(&self, wanted: Option<&str>) {
        let mut last_attempt = self.last_attempt.lock().await;
        let served = match wanted {
            Some(kid) => self.fresh_key(kid).is_some(),
            None => !self.is_due(),
        };
        let pause = if self.current.load().is_some() {
            self.patience.pause
        } else {
            self.patience.pause_without_keys
        };
        if served || last_attempt.is_some_and(|begun| begun.elapsed() < pause) {
            return;
        }
        *last_attempt = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                tracing::info!(
                    keys = keys.len(),
                    "fetched the key set of the identity provider"
                );
                self.current.store(Some(Arc::new(KeySet {
                    keys,
                    fetched_at: Instant::now(),
                })));
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the key set can't be fetched"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, VerifyingKey>, FetchError> {
        let mut answer = self.client.get(self.address.clone()).send().await?;
        if !answer.status().is_success() {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(parse(&body)?)
    }
}

/// The usable keys of a key set by name. A key that is not understood is left out, as RFC 7517, 5
/// asks; it must not take its neighbours along.
fn parse(body: &[u8]) -> Result<HashMap<String, VerifyingKey>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<serde_json::Value>,
    }
    let document: Document = serde_json::from_slice(body)?;
    Ok(document.keys.into_iter().filter_map(usable).collect())
}

fn usable(key: serde_json::Value) -> Option<(String, VerifyingKey)> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    let kid = key.common.key_id.clone()?;
    let for_signatures = matches!(
        key.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let algorithm = algorithm_of(&key.algorithm)?;
    let agrees = key
        .common
        .key_algorithm
        .is_none_or(|declared| declared == algorithm.into());
    let decoding = DecodingKey::from_jwk(&key).ok()?;
    (for_signatures && agrees).then_some((kid, VerifyingKey::new(algorithm, decoding)))
}

/// The one algorithm for a key of that shape; `None` where none is trusted. A symmetric key
/// (`oct`) has no place in a public document.
fn algorithm_of(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    match parameters {
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            let length = modulus.iter().skip_while(|byte| **byte == 0).count();
            (length >= MIN_RSA_BYTES).then_some(Algorithm::RS256)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_that_is_not_understood_does_not_hide_its_neighbours() {
        let coordinate = URL_SAFE_NO_PAD.encode([1; 32]);
        let ec = |kid: &str, crv: &str, alg: &str, usage: &str| json!({"kty": "EC", "crv": crv, "x": coordinate, "y": coordinate, "kid": kid, "alg": alg, "use": usage});
        let short_rsa = URL_SAFE_NO_PAD.encode([0xff; 128]);
        let set = json!({"keys": [
            ec("good", "P-256", "ES256", "sig"),
            ec("other curve", "P-384", "ES384", "sig"),
            ec("wrong algorithm", "P-256", "HS256", "sig"),
            ec("for encryption", "P-256", "ES256", "enc"),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric", "alg": "HS256"},
            {"kty": "RSA", "n": short_rsa, "e": "AQAB", "kid": "short", "alg": "RS256"},
            {"kty": "post-quantum", "kid": "from the future", "alg": "ML-DSA-65"},
            "not an object", null, 7,
        ]});
        let keys = parse(set.to_string().as_bytes()).unwrap();
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(keys["good"].algorithm(), Algorithm::ES256);
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for body in ["", "[]", "{}", r#"{"keys":7}"#, "<html>"] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
