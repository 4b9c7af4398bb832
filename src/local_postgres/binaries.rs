//! Where Postgres's programs are on this machine.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use super::account::Account;

/// The oldest major version that the product runs on.
pub(super) const OLDEST: u32 = 14;

/// Folders that packages put versions side by side in, with what stands behind the version.
const SIDE_BY_SIDE: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", "bin"),            // Debian, Ubuntu
    ("/opt/homebrew/opt", "bin"),              // Homebrew, Apple silicon
    ("/usr/local/opt", "bin"),                 // Homebrew, Intel
    ("/home/linuxbrew/.linuxbrew/opt", "bin"), // Homebrew on Linux
    ("/Applications/Postgres.app/Contents/Versions", "bin"), // Postgres.app
    ("/usr", "bin"),                           // Fedora: /usr/pgsql-17/bin
];
const FLAT: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin"];

/// A folder with the programs of one version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
}

impl Binaries {
    /// The first usable of `PG_BIN`, `pg_config`, and the usual folders (newest version first).
    /// Usable is what the account may run and what reads the data of `version`, if there is data.
    pub(super) fn find(account: &Account, version: Option<u32>) -> anyhow::Result<Self> {
        let mut seen = Vec::new();
        for folder in candidates() {
            let Some(found) = version_of(account, &folder) else {
                continue;
            };
            if version.map_or(found >= OLDEST, |version| version == found) {
                return Ok(Self { folder });
            }
            seen.push(format!("{found} in {}", folder.display()));
        }
        let seen = if seen.is_empty() {
            "none".to_owned()
        } else {
            seen.join(", ")
        };
        match version {
            Some(version) => bail!(
                "the local database was made by PostgreSQL {version}, which is not found (found: {seen}). Install that version, or say where it is with PG_BIN, or start anew with: make reset"
            ),
            None => bail!(
                "PostgreSQL {OLDEST} or newer is needed (found: {seen}). Install it ({}), or say with PG_BIN which folder its programs are in, or set DATABASE_URL",
                if cfg!(target_os = "macos") {
                    "brew install postgresql@17"
                } else {
                    "apt-get install postgresql"
                }
            ),
        }
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    folders.extend(std::env::var_os("PG_BIN").map(PathBuf::from));
    folders.extend(pg_config());
    let mut versions: Vec<(u32, PathBuf)> = SIDE_BY_SIDE
        .iter()
        .flat_map(|(base, behind)| versions_in(base, behind))
        .collect();
    versions.sort_by_key(|(version, _)| Reverse(*version));
    folders.extend(versions.into_iter().map(|(_, folder)| folder));
    folders.extend(FLAT.map(PathBuf::from));
    folders.retain(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists());
    folders
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// `15` in `/usr/lib/postgresql`, `postgresql@15` in Homebrew's folder, `pgsql-15` in `/usr`.
fn versions_in(base: &str, behind: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(base) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let version = name
                .trim_start_matches("postgresql@")
                .trim_start_matches("pgsql-");
            Some((version.parse().ok()?, entry.path().join(behind)))
        })
        .collect()
}

fn version_of(account: &Account, folder: &Path) -> Option<u32> {
    let output = account
        .command(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    major(&String::from_utf8(output.stdout).ok()?)
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15
fn major(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    number
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_are_read_as_released_and_as_beta() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres"), None);
        assert_eq!(major(""), None);
    }
}
