//! The directory in which `ringpad dev` keeps its log, its sources and the key of pad tokens: a temporary one, or one that stays.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ringpad_runtime::Failure;
use secrecy::SecretString;
use tempfile::TempDir;
use uuid::Uuid;

/// The only source. It needs no secret, since only this machine can reach it.
const SOURCES: &str = "[[source]]\nname = \"bizcall\"\ntimezone = \"Asia/Seoul\"\nopen = true\n";
/// Only the user may read them: the log has whole phone numbers, and the key opens every store.
const PRIVATE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// The data of one `ringpad dev`.
pub(super) struct DataDirectory {
    directory: DataLocation,
    secret: SecretString,
    secret_file: PathBuf,
}

enum DataLocation {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl DataDirectory {
    /// Makes what is missing in `data`, or all of it in a temporary directory.
    ///
    /// # Errors
    /// A file cannot be written or read.
    pub(super) fn open(data: Option<&Path>) -> Result<Self, Failure> {
        let directory = match data {
            None => DataLocation::Temporary(
                TempDir::with_prefix("ringpad-")
                    .map_err(|error| Failure::other("a temporary directory", error))?,
            ),
            Some(path) => {
                // A `?` would begin the options of the log's URL.
                if path.to_str().is_none_or(|text| text.contains('?')) {
                    let path = path.display();
                    return Err(Failure::setting(format!(
                        "--data: {path} is not a valid directory: a path in UTF-8 without `?` is expected"
                    )));
                }
                let made = DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(path);
                made.map_err(|error| Failure::other(path.display(), error))?;
                DataLocation::Kept(path.to_owned())
            }
        };
        keep(&directory.path().join("sources.toml"), SOURCES)?;
        let random = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let secret_file = directory.path().join("pad-token.secret");
        let secret = keep(&secret_file, &random)?.trim().into();
        Ok(Self { directory, secret, secret_file })
    }

    /// The log, as a setting.
    pub(super) fn database_url(&self) -> String {
        format!("sqlite://{}", self.directory.path().join("ringpad.db").display())
    }

    /// The sources' file.
    pub(super) fn sources(&self) -> PathBuf {
        self.directory.path().join("sources.toml")
    }

    /// The key of pad tokens.
    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The file that has the key; only this user can read it.
    pub(super) fn secret_file(&self) -> &Path {
        &self.secret_file
    }
}

impl DataLocation {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// The text of the file, which is written with `text` if it does not exist.
fn keep(file: &Path, text: &str) -> Result<String, Failure> {
    match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(file) {
        Ok(mut new) => new.write_all(text.as_bytes()).map(|()| text.to_owned()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::read_to_string(file),
        Err(error) => Err(error),
    }
    .map_err(|error| Failure::other(file.display(), error))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_directory_that_stays_keeps_its_key_and_a_temporary_one_is_removed() {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("data");
        let key = |data: &DataDirectory| data.secret().expose_secret().to_owned();
        let first = key(&DataDirectory::open(Some(&data)).unwrap());
        assert_eq!(first.len(), 64);
        assert_eq!(key(&DataDirectory::open(Some(&data)).unwrap()), first);
        let temporary = DataDirectory::open(None).unwrap();
        assert_ne!(key(&temporary), first);
        let path = temporary.sources();
        assert!(path.exists());
        drop(temporary);
        assert!(!path.exists());
    }
}
