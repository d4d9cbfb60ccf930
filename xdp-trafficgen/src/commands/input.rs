//! Reads the files that users name. Refuses what is no text or too large, and says why.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::CommandError;
use crate::{
    cli::Overrides,
    config::{Config, Source, file},
};

/// Reads and parses a configuration file, some of whose values are overridden. `-` is standard
/// input.
pub(crate) fn read_config(path: &Path, overrides: &Overrides) -> Result<Config, CommandError> {
    let (name, text) = if path == Path::new("-") {
        ("standard input".to_owned(), read_text(io::stdin()))
    } else {
        (path.display().to_string(), read_file(path))
    };
    let text =
        text.map_err(|source| CommandError::File { action: "read", path: name.clone(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let read = |name: &str| read_file(&folder.join(name));
    let source = Source::file(&name, &text);
    // The source has a copy, which is shared from here on.
    drop(text);
    file::parse_with(source, &overrides.set, &read).map_err(CommandError::Config)
}

/// Bytes of a file at most: a kilobyte for each of the 65 536 flows that a port can have.
const LARGEST: u64 = 64 << 20;

/// Why a file is not one to read a configuration from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NotText {
    #[error("it is a directory: name a file in it")]
    Directory,
    #[error("it has more than {} MiB, which no configuration needs: name another file", LARGEST >> 20)]
    TooLarge,
    #[error("it is UTF-16: save it as UTF-8, or convert it with `iconv -f UTF-16 -t UTF-8`")]
    Utf16,
    #[error(
        "the byte 0x{byte:02x} in line {line}, byte {offset} of the file, is not UTF-8: save the file as UTF-8, or convert it with \
         `iconv -f ISO-8859-1 -t UTF-8`"
    )]
    Encoding { byte: u8, line: usize, offset: usize },
    #[error(
        "a zero byte in line {line}, byte {offset} of the file: this is no text file, name another one"
    )]
    Binary { line: usize, offset: usize },
}

/// The text of a file.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other(NotText::Directory));
    }
    read_text(file)
}

/// All that there is to read, which may be without end.
pub(crate) fn read_text(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(NotText::TooLarge));
    }
    text(bytes).map_err(io::Error::other)
}

fn text(bytes: Vec<u8>) -> Result<String, NotText> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(NotText::Utf16);
    }
    let line = |bytes: &[u8], offset: usize| {
        1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count()
    };
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        return Err(NotText::Binary { line: line(&bytes, offset), offset });
    }
    String::from_utf8(bytes).map_err(|error| {
        let (offset, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        NotText::Encoding { byte: bytes[offset], line: line(bytes, offset), offset }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text() {
        assert_eq!(text("# µ\n".into()), Ok("# µ\n".to_owned()));
        assert_eq!(
            text(b"a\n# caf\xe9\n".to_vec()),
            Err(NotText::Encoding { byte: 0xe9, line: 2, offset: 7 })
        );
        assert_eq!(text(b"a\n\nb\0".to_vec()), Err(NotText::Binary { line: 3, offset: 4 }));
        assert_eq!(text(b"\xff\xfea\0".to_vec()), Err(NotText::Utf16));
        let endless = read_text(io::repeat(b' ')).unwrap_err();
        assert!(endless.to_string().contains("more than 64 MiB"), "{endless}");
        assert!(read_file(Path::new("/")).unwrap_err().to_string().contains("a directory"));
    }
}
