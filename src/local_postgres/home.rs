//! The folders that clusters stand in, reachable by the user who runs them.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tracing::info;

use super::account::Account;

/// Where clusters stand that are not to be reached in their data folder.
const SHARED_HOME: &str = "/var/lib/estatebase";

/// Makes the folder that the cluster stands in: in the data folder, or elsewhere with a link to it
/// when the account can't enter the data folder.
pub(super) fn make(account: &Account, folder: &Path, link: &Path) -> anyhow::Result<()> {
    if link.is_symlink() {
        // It leads nowhere: what it led to was deleted.
        fs::remove_file(link)?;
    }
    if account.may_enter(folder) {
        return make_private_folder(account, link);
    }
    let base = Path::new(SHARED_HOME);
    fs::create_dir_all(base).with_context(|| format!("{SHARED_HOME} can't be made"))?;
    let hash = hex::encode(Sha256::digest(folder.as_os_str().as_encoded_bytes()));
    let name = hash.get(..12).unwrap_or(&hash);
    // The first names may be taken by the data of earlier folders of the same path.
    let home = (1u32..)
        .map(|n| {
            base.join(if n == 1 {
                name.to_owned()
            } else {
                format!("{name}-{n}")
            })
        })
        .find(|home| !home.exists())
        .context("no name is free")?;
    make_private_folder(account, &home)?;
    symlink(&home, link)?;
    info!(
        "Postgres refuses to be run by root, and the user who runs it can't enter {}: its data is kept in {}",
        folder.display(),
        home.display()
    );
    Ok(())
}

fn make_private_folder(account: &Account, path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(|| format!("{} can't be made", path.display()))?;
    account.give(path)
}

/// A new folder among the temporary ones, or in /tmp when the account can't enter those.
pub(super) fn temporary(account: &Account) -> anyhow::Result<tempfile::TempDir> {
    let usual = std::env::temp_dir();
    let base = if account.may_enter(&usual) {
        usual
    } else {
        PathBuf::from("/tmp")
    };
    let folder = tempfile::Builder::new()
        .prefix("estatebase-")
        .tempdir_in(base)?;
    account.give(folder.path())?;
    Ok(folder)
}
