//! A file for a result: opened before anything is measured, so that a wrong name costs no run, and
//! written at its end.

use std::{
    cell::Cell,
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::commands::CommandError;

/// A file that can be written. What it held stays until the result is there; a new one goes away
/// when there is none.
#[derive(Debug)]
pub(super) struct Target {
    file: File,
    path: PathBuf,
    /// It was made by us, and holds nothing yet.
    unused: Cell<bool>,
}

impl Target {
    /// Opens it, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let open = |create_new: bool| {
            OpenOptions::new().write(true).create(!create_new).create_new(create_new).open(path)
        };
        // Not cut to nothing: a run that fails leaves the old result.
        let (made, file) = match open(true) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (false, open(false)),
            file => (true, file),
        };
        let file = file.map_err(|source| {
            let path = path.display().to_string();
            CommandError::File { action: "write", path, source }
        })?;
        Ok(Self { file, path: path.to_owned(), unused: Cell::new(made) })
    }

    /// As the user named it.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Replaces all it holds.
    pub(super) fn write(&self, text: &str) -> Result<(), CommandError> {
        let write = || self.rewrite()?.write_all(text.as_bytes());
        write().map_err(|error| self.unwritten(error))
    }

    /// Empties it, for a result in many parts. What is not a file of a disk has nothing to be
    /// emptied of.
    pub(super) fn rewrite(&self) -> io::Result<&File> {
        self.unused.set(false);
        if self.file.metadata()?.is_file() {
            (&self.file).rewind()?;
            self.file.set_len(0)?;
        }
        Ok(&self.file)
    }

    /// It took no more.
    pub(super) fn unwritten(&self, source: io::Error) -> CommandError {
        CommandError::Unwritten { path: self.name(), left: "which is not complete", source }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.unused.get() {
            // Best effort: `drop` cannot report a failure.
            let _ = fs::remove_file(&self.path);
        }
    }
}
