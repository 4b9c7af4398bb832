//! Passwords: which are taken, and their hashes (argon2id). Hashing runs on the blocking pool and
//! never on every core at once, so that a storm of sign-ins leaves the rest of the server alive.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// In characters. ASVS 6.2.1 asks for 8 at least.
pub const MIN_CHARS: usize = 8;
/// In characters; what Supabase Auth takes, so that accounts can move there.
pub const MAX_CHARS: usize = 72;
/// Who waits longer for a turn is told to come back.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are being hashed.
    #[error("no turn for hashing within {MAX_WAIT:?}")]
    Busy,
    #[error("the password can't be hashed")]
    Hash(password_hash::Error),
    #[error("the blocking pool is gone")]
    Stopped,
}

/// Whether the password may be chosen: between [`MIN_CHARS`] and [`MAX_CHARS`] characters.
pub fn is_acceptable(password: &SecretString) -> bool {
    (MIN_CHARS..=MAX_CHARS).contains(&password.expose_secret().chars().count())
}

/// The hasher: argon2id with 19 MiB, 2 passes, 1 lane (the crate's and OWASP's choice).
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Compared with where there is no account, so that both cases take the same time.
    decoy: String,
}

impl Passwords {
    /// Leaves at least one core to others where there are two or more. Hashes once.
    pub fn new() -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Ok(Self {
            turns: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            decoy: hash_now(&SecretString::from(uuid::Uuid::new_v4().to_string()))?,
        })
    }

    /// The hash to store, in PHC string format, with a salt of its own.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        self.in_turn(move || hash_now(&password)).await
    }

    /// Whether the password is the one of that hash. Without a hash the answer is no, after the
    /// same work.
    pub async fn matches(
        &self,
        password: SecretString,
        stored: Option<SecretString>,
    ) -> Result<bool, PasswordError> {
        let decoy = SecretString::from(self.decoy.as_str());
        self.in_turn(move || {
            let same = matches_now(&password, stored.as_ref().unwrap_or(&decoy))?;
            Ok(same && stored.is_some())
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = self.turn().await?;
        // The turn goes along: it is held until the work is done, even if the caller went away.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| PasswordError::Stopped)?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, PasswordError> {
        match timeout(MAX_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(turn) => turn.map_err(|_| PasswordError::Stopped),
            Err(_) => Err(PasswordError::Busy),
        }
    }
}

fn hash_now(password: &SecretString) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(PasswordError::Hash)
}

fn matches_now(password: &SecretString, stored: &SecretString) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored.expose_secret())
        .map_err(|error| PasswordError::Hash(error.into()))?;
    match Argon2::default().verify_password(password.expose_secret().as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(PasswordError::Hash(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn only_the_same_password_matches_its_hash() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .matches(secret("correct horse"), Some(secret(&hash)))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .matches(secret("Correct horse"), Some(secret(&hash)))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let passwords = Passwords::new().unwrap();
        let one = passwords.hash(secret("correct horse")).await.unwrap();
        assert_ne!(one, passwords.hash(secret("correct horse")).await.unwrap());
    }

    #[tokio::test]
    async fn no_password_matches_an_account_that_is_not_there() {
        let passwords = Passwords::new().unwrap();
        assert!(
            !passwords
                .matches(secret("anything at all"), None)
                .await
                .unwrap()
        );
    }

    #[test]
    fn length_is_counted_in_characters() {
        for (password, acceptable) in [
            ("1234567", false),
            ("12345678", true),
            ("äöüßäöü", false),
            ("äöüßäöüß", true),
        ] {
            assert_eq!(is_acceptable(&secret(password)), acceptable, "{password}");
        }
        assert!(is_acceptable(&secret(&"é".repeat(72))));
        assert!(!is_acceptable(&secret(&"e".repeat(73))));
    }
}
