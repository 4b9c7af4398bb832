//! The folder that a server keeps its own files in (`DATA_DIR`): one server at a time, private
//! files readable by their owner alone. What is in the files is their makers' business.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rand::RngCore as _;
use secrecy::SecretString;

/// The folder, held for as long as this value lives. The hold is the kernel's (flock), so that it
/// ends with the process however that dies.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: File,
}

impl DataFolder {
    /// Makes the folder when there is none, and takes hold of it. Fails when another server holds
    /// it, and says where that one can be reached.
    pub fn claim(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .and_then(|()| path.canonicalize())
            .and_then(|path| {
                let lock = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(path.join("lock"))?;
                Ok((path, lock))
            })
            .with_context(|| format!("the folder {} can't be used", path.display()))
            .and_then(|(path, lock)| Self::hold(path, lock))
    }

    fn hold(path: PathBuf, mut lock: File) -> anyhow::Result<Self> {
        match lock.try_lock() {
            Ok(()) => {
                lock.set_len(0)?;
                Ok(Self { path, lock })
            }
            Err(TryLockError::WouldBlock) => {
                let mut url = String::new();
                lock.read_to_string(&mut url)?;
                let place = if url.is_empty() {
                    "it has not opened its port yet".to_owned()
                } else {
                    format!("it answers at {url}")
                };
                bail!(
                    "another server already works in {}: {place}. Stop it first, or give this one a folder and a port of its own (DATA_DIR, PORT).",
                    path.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} can't be locked", path.display()))
            }
        }
    }

    /// Tells whoever else tries to claim the folder where this server answers.
    pub fn announce(&mut self, url: &str) -> anyhow::Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        self.lock.write_all(url.as_bytes())?;
        Ok(())
    }

    /// The folder, absolute and free of symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a file that only its owner may read, all or nothing: after a crash the old or the new
/// content is there.
pub fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
    let temporary = path.with_added_extension("new");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

/// The content of a file, or nothing when there is no such file.
pub fn read_if_any(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

/// The secret in a private file, which is made with a random one (256 bits, in hexadecimal) when
/// there is none.
pub fn kept_secret(path: &Path) -> anyhow::Result<SecretString> {
    if let Some(secret) = read_if_any(path)? {
        return Ok(secret.trim().into());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let secret = random_secret();
    write_private(path, &secret)?;
    Ok(secret.into())
}

/// 256 random bits in hexadecimal.
pub fn random_secret() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_says_where_it_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let mut first = DataFolder::claim(&path).unwrap();
        let refused = || DataFolder::claim(&path).unwrap_err().to_string();
        assert!(
            refused().contains("has not opened its port yet"),
            "{}",
            refused()
        );
        first.announce("http://127.0.0.1:8080").unwrap();
        first.announce("http://127.0.0.1:81").unwrap();
        assert!(
            refused().contains("it answers at http://127.0.0.1:81."),
            "{}",
            refused()
        );
        drop(first);
        let second = DataFolder::claim(&path).unwrap();
        assert!(
            refused().contains("has not opened its port yet"),
            "{}",
            refused()
        );
        drop(second);
    }

    #[test]
    fn a_kept_secret_stays_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/secret_key");
        let first = kept_secret(&path).unwrap();
        assert_eq!(first.expose_secret().len(), 64);
        assert_eq!(
            kept_secret(&path).unwrap().expose_secret(),
            first.expose_secret()
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let elsewhere = kept_secret(&folder.path().join("other")).unwrap();
        assert_ne!(elsewhere.expose_secret(), first.expose_secret());
    }
}
