//! Who is calling: tokens are judged here, and the built-in identity provider lives here.
//! What a person may do is `domain::roles`; HTTP shapes are `wire` and `http`.

pub mod attempts;
pub mod jwks;
pub mod keys;
pub mod passwords;
pub mod principal;
pub mod provider;
pub mod tokens;

pub use keys::BuiltInKeys;
pub use principal::Principal;
pub use provider::{IdentityError, Provider};
pub use tokens::{TokenError, Verifier, VerifierConfig};

/// Chooses the cryptography of TLS (ring) and of tokens (RustCrypto) for the whole process.
/// Call it first thing; calling it again does nothing. Both libraries panic at their first use
/// when the choice was left open and more than one is compiled in.
pub fn install_crypto() {
    // An `Err` means that a provider is there already: the aim is reached.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
}
