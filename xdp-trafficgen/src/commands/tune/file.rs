//! The file of `--write`: found to be fit before anything is measured, and replaced as a whole
//! afterwards.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, fchown},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    cli::Overrides,
    commands::{CommandError, read_config},
    config::store::{self, Settings, Stored},
};

/// Where the best setting goes.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    interface: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A configuration with a port that sends out of the interface.
    ExistingProgram,
    /// No file yet.
    New,
}

impl Target {
    /// Checks that the settings can be stored there.
    pub(super) fn find(path: &Path, interface: &str) -> Result<Self, CommandError> {
        let kind = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                let source = io::Error::other("it is not a regular file; name another one");
                return Err(failed("write", path, source));
            }
            Ok(_) => Kind::ExistingProgram,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kind::New,
            Err(error) => return Err(failed("read", path, error)),
        };
        let target = Self { path: path.to_owned(), interface: interface.to_owned(), kind };
        if kind == Kind::ExistingProgram {
            store::senders(&read_config(path, &Overrides { set: Vec::new() })?, interface)
                .map_err(CommandError::Config)?;
        }
        // A file without a name, which leaves nothing behind.
        tempfile::tempfile_in(folder(&target.real_path()?))
            .map_err(|source| failed("write", path, source))?;
        Ok(target)
    }

    /// As the user named it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Stores the settings; `new` is the text of a new file. Gives lines to tell the user.
    pub(super) fn write(
        &self,
        settings: Settings<'_>,
        new: impl FnOnce() -> String,
    ) -> Result<Vec<String>, CommandError> {
        let name = self.path.display();
        if self.kind == Kind::New {
            self.create(&new())
                .map_err(|source| self.unwritten("there is no such file", source))?;
            return Ok(vec![format!(
                "{name} is new, with the best setting: `xdp-trafficgen run {name}` sends it"
            )]);
        }
        // Read again: the user may have changed it during the sweep.
        let config = read_config(&self.path, &Overrides { set: Vec::new() })?;
        let Stored { text, ports, kept_action } =
            store::store(&config, &self.interface, settings).map_err(CommandError::Config)?;
        if *text == *config.source.text {
            return Ok(vec![format!("{name} has the best setting already, in {}", named(&ports))]);
        }
        self.replace(&text)?;
        let mut lines = vec![format!("{name} has the best setting now, in {}", named(&ports))];
        if !kept_action.is_empty() {
            let action = settings.action.name();
            lines.push(format!(
                "{name}: the action of {} is not `{action}` now: with its `ingress`, frames would leave by another interface",
                named(&kept_action)
            ));
        }
        Ok(lines)
    }

    fn create(&self, text: &str) -> io::Result<()> {
        // As any new file: what the umask leaves.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let mut file =
            tempfile::Builder::new().permissions(mode).tempfile_in(folder(&self.path))?;
        fill(&mut file, text)?;
        // Not over a file that another process made during the sweep.
        file.persist_noclobber(&self.path)?;
        Ok(())
    }

    /// Replaces the file by one with this text and the old one's owner and mode.
    fn replace(&self, text: &str) -> Result<(), CommandError> {
        let path = self.real_path()?;
        let replace = || {
            let old = fs::metadata(&path)?;
            let mut file = NamedTempFile::new_in(folder(&path))?;
            fill(&mut file, text)?;
            if (old.uid(), old.gid()) != {
                let new = file.as_file().metadata()?;
                (new.uid(), new.gid())
            } {
                fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
            }
            // After the owner, whose change takes some bits away.
            file.as_file().set_permissions(old.permissions())?;
            file.persist(&path)?;
            Ok(())
        };
        replace().map_err(|source| self.unwritten("it stays as it was", source))
    }

    fn unwritten(&self, left: &'static str, source: io::Error) -> CommandError {
        CommandError::Unwritten { path: self.path.display().to_string(), left, source }
    }

    /// The file behind symbolic links, which stay.
    fn real_path(&self) -> Result<PathBuf, CommandError> {
        match self.kind {
            Kind::ExistingProgram => {
                fs::canonicalize(&self.path).map_err(|source| failed("read", &self.path, source))
            }
            Kind::New => Ok(self.path.clone()),
        }
    }
}

/// Writes the text, and waits until it is on the disk: what is renamed is whole, even after a power
/// cut.
fn fill(file: &mut NamedTempFile, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CommandError {
    CommandError::File { action, path: path.display().to_string(), source }
}

fn named(ports: &[String]) -> String {
    format!("port{} {}", if ports.len() == 1 { "" } else { "s" }, ports.join(", "))
}
