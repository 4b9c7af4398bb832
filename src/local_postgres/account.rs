//! Who runs Postgres: it refuses to be run by root, so root lends it another user's name. Every
//! program of the cluster is started through here.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Users that may run Postgres for root, best first.
const LENDERS: [&str; 2] = ["postgres", "nobody"];

/// The user that the cluster's programs run as.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// What to change to; nothing when this process is no root and stays who it is.
    other: Option<Other>,
}

#[derive(Clone, Debug)]
struct Other {
    uid: u32,
    gid: u32,
}

impl Account {
    /// This process's own user; for root the owner of an existing cluster, else the first of the
    /// lenders that this machine knows.
    pub(super) fn choose(cluster: Option<&Path>) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { other: None });
        }
        if let Some(cluster) = cluster {
            let owner = fs::metadata(cluster)?;
            if owner.uid() != 0 {
                return Ok(Self {
                    other: Some(Other {
                        uid: owner.uid(),
                        gid: owner.gid(),
                    }),
                });
            }
        }
        for name in LENDERS {
            if let (Some(uid), Some(gid)) = (id("-u", name), id("-g", name)) {
                return Ok(Self {
                    other: Some(Other { uid, gid }),
                });
            }
        }
        bail!(
            "Postgres can't be run by root, and there is no user `postgres` or `nobody` to run it"
        )
    }

    /// A command run by that user, from the root folder (it may not be allowed into this one), with
    /// nothing of this process's environment (where secrets are) but where to find programs.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(other) = &self.other {
            command.uid(other.uid).gid(other.gid);
        }
        command
    }

    /// Whether the user may enter the folder; asked by trying, for permissions have many sources.
    pub(super) fn may_enter(&self, folder: &Path) -> bool {
        self.command("/bin/sh")
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(folder)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Gives the user a file or folder that this process made.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        match &self.other {
            Some(other) => chown(path, Some(other.uid), Some(other.gid))
                .with_context(|| format!("{} can't be given away", path.display())),
            None => Ok(()),
        }
    }

    /// Runs a command to its end. Fails with what it said when it did not succeed.
    pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command
            .output()
            .with_context(|| format!("{program} can't be started"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{program} failed ({}): {}", output.status, said.trim());
        }
        Ok(())
    }
}

fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).output().ok()?;
    output.status.success().then_some(())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
