//! Small files of /proc and /sys; tests use a root of their own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::units::CpuList;

/// The root of /proc and /sys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'a> {
    root: &'a Path,
}

impl Files<'static> {
    /// This machine's.
    pub(super) fn of_this_machine() -> Self {
        Files { root: Path::new("/") }
    }
}

impl<'a> Files<'a> {
    /// A recorded tree, for tests.
    #[cfg(test)]
    pub(super) fn under(root: &'a Path) -> Self {
        Self { root }
    }

    /// The place of `path`, which is relative to the root or starts with it.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The contents of a file, without space around it. None when it cannot be read: the kernel
    /// does not have it.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.at(path)).ok().map(|text| text.trim().to_owned())
    }

    /// The number in a file; none when it contains something else.
    pub(super) fn number<N: std::str::FromStr>(&self, path: impl AsRef<Path>) -> Option<N> {
        self.text(path)?.parse().ok()
    }

    /// A file's list of CPUs; none when it is empty.
    pub(super) fn cpus(&self, path: impl AsRef<Path>) -> Option<Vec<u32>> {
        self.text(path)?.parse().ok().map(|CpuList(cpus)| cpus)
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// The names in a directory, in order; empty when there is no such directory.
    pub(super) fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// The path with all links followed.
    pub(super) fn resolved(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let root = self.root.canonicalize().ok()?;
        let target = self.at(path).canonicalize().ok()?;
        target.strip_prefix(root).ok().map(Path::to_path_buf)
    }
}

/// A tree for tests. Each line is `file = contents`, with `\n` for a line feed, `link -> target` or
/// `directory/`.
#[cfg(test)]
pub(super) fn recorded(tree: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for line in tree.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, content) = line.split_once(' ').unwrap_or((line, ""));
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.split_once(' ').unwrap_or((content, "")) {
            ("=", text) => fs::write(path, text.replace("\\n", "\n") + "\n").unwrap(),
            ("->", target) => std::os::unix::fs::symlink(target, path).unwrap(),
            ("", "") => fs::create_dir_all(path).unwrap(),
            other => panic!("{line}: {other:?}"),
        }
    }
    root
}
