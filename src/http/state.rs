//! What every handler may reach, made once in `app` and shared by all worker threads.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use crate::actors::jobs::Jobs;
use crate::actors::registry::Registry;
use crate::auth::Verifier;
use crate::store::Db;

/// The shared parts.
pub struct AppState {
    pub db: Db,
    pub registry: Arc<Registry>,
    pub jobs: Arc<Jobs>,
    pub verifier: Arc<Verifier>,
    pub limits: Limits,
    pub settings: Settings,
    /// Cancelled when the server was told to stop.
    pub stopping: CancellationToken,
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What the handlers need of the configuration.
pub struct Settings {
    /// Signs cursors and derives secrets that are shown once.
    pub secret_key: SecretString,
    /// Proxies in front of us whose `X-Forwarded-For` entries may be believed.
    pub trusted_proxy_hops: usize,
    /// Lets a stranger read `/metrics`; from loopback it is open.
    pub metrics_token: Option<SecretString>,
    /// Exact origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Whether the connection to the caller is encrypted somewhere on its way (HSTS).
    pub https: bool,
}

impl Settings {
    /// A keyed hash under the server's secret; `purpose` keeps uses apart.
    pub fn keyed(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        use hmac::{Hmac, Mac};
        let key = self.secret_key.expose_secret().as_bytes();
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) else {
            return [0; 32];
        };
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}
