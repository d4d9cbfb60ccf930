//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to the highest that this process may set. Shells start programs with a limit of
/// 1024 for the sake of `select(2)`, which this one does not use. Best effort: if it fails, the
/// limit stays.
pub fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The limit; none if there is none.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_highest_there_is() {
        raise_descriptor_limit();
        assert_eq!(descriptor_limit(), getrlimit(Resource::Nofile).maximum);
    }
}
