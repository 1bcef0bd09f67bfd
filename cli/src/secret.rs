//! A command's secret: from its own flag, from a file (`--token-file`), or from the environment, in this order.

use std::{
    convert::Infallible,
    fmt,
    fs::File,
    io::Read,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{PathBufValueParser, TypedValueParser},
    error::ErrorKind,
    parser::ValueSource,
};
use ringpad_runtime::{Cause, Failure};
use secrecy::{ExposeSecret, SecretString};

/// The id of the argument that names the file.
const FILE: &str = "token_file";
/// Bytes of a file at most. A longer file is not one with a secret.
const LONGEST: u64 = 64 * 1024;

/// The flag of a secret, and its environment variable.
pub(crate) trait Flag {
    /// The flag's name, without `--`.
    const LONG: &str;
    /// The environment variable.
    const ENV: &str;

    /// Its help, and whether it is required or global.
    fn describe(argument: Arg) -> Arg;
}

/// A secret's arguments, for `#[command(flatten)]`. `--token-file` and the flag itself exclude each other, and both go before the
/// environment.
pub(crate) struct Secret<F> {
    given: Option<GivenSecret>,
    flag: PhantomData<F>,
}

/// A secret, and where it came from.
#[derive(Debug)]
pub(crate) struct GivenSecret {
    pub(crate) value: SecretString,
    /// The flag or the variable, for errors.
    name: String,
}

impl GivenSecret {
    #[cfg(test)]
    pub(crate) fn of(value: &str) -> Self {
        Self { value: value.into(), name: "a test".to_owned() }
    }

    /// The failure if its value is wrong; the value is not in it.
    pub(crate) fn wrong(&self, why: impl Into<Cause>) -> Failure {
        Failure::setting(why).context(format!("{}: the value (not shown here) is not valid", self.name))
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        self.value.expose_secret()
    }
}

impl<F: Flag> Secret<F> {
    /// The secret, if one was given.
    pub(crate) fn given(&self) -> Option<&GivenSecret> {
        self.given.as_ref()
    }

    /// The secret of a flag that is required.
    ///
    /// # Errors
    /// None was given.
    pub(crate) fn required(&self) -> Result<&GivenSecret, Failure> {
        self.given().ok_or_else(|| Failure::setting(format!("{}: required, but not set", name::<F>())))
    }

    fn argument() -> Arg {
        let parser = |text: &str| Ok::<_, Infallible>(SecretString::from(text));
        let argument = Arg::new(F::LONG).long(F::LONG).env(F::ENV).hide_env_values(true).value_parser(parser);
        let argument = F::describe(argument);
        if argument.is_required_set() {
            return argument.required(false).required_unless_present(FILE);
        }
        argument
    }

    fn file_argument() -> Arg {
        Arg::new(FILE)
            .long("token-file")
            .value_name("FILE")
            .value_parser(PathBufValueParser::new().try_map(read))
            .help(format!(
                "A file with the value of --{}, without its last line end; goes before the variable {}",
                F::LONG,
                F::ENV
            ))
            .global(Self::argument().is_global_set())
    }
}

impl<F> fmt::Debug for Secret<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("given", &self.given).finish_non_exhaustive()
    }
}

impl<F: Flag> FromArgMatches for Secret<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut secret = Self { given: None, flag: PhantomData };
        secret.update_from_arg_matches(matches)?;
        Ok(secret)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        // Not with `conflicts_with`, which would count the environment too.
        let own = |source: Option<ValueSource>| source == Some(ValueSource::CommandLine);
        if own(matches.value_source(FILE)) && own(matches.value_source(F::LONG)) {
            let text = format!("--{} and --token-file exclude each other\n", F::LONG);
            return Err(Error::raw(ErrorKind::ArgumentConflict, text));
        }
        let given = |id: &str, name: String| {
            let value = matches.get_one::<SecretString>(id)?.clone();
            Some(GivenSecret { value, name })
        };
        self.given = given(FILE, "--token-file".to_owned()).or_else(|| given(F::LONG, name::<F>()));
        Ok(())
    }
}

impl<F: Flag> Args for Secret<F> {
    fn augment_args(command: Command) -> Command {
        command.arg(Self::argument()).arg(Self::file_argument())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// As the errors of `settings` name it.
fn name<F: Flag>() -> String {
    format!("{} (or --{})", F::ENV, F::LONG)
}

/// Reads a file's only line. No error quotes it.
fn read(path: PathBuf) -> Result<SecretString, String> {
    let bytes = contents(&path).map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("a file with a secret is expected, this one is longer than {LONGEST} bytes"));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| "a file with a secret in UTF-8 is expected".to_owned())?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() { Err("the file is empty".to_owned()) } else { Ok(SecretString::from(line)) }
}

fn contents(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_does_not_belong_to_the_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, secret) in [
            ("s3cret", Some("s3cret")),
            ("s3cret\n", Some("s3cret")),
            ("s3cret\r\n", Some("s3cret")),
            ("s3cret\n\n", Some("s3cret\n")),
            (" s3cret \n", Some(" s3cret ")),
            ("s3cret\r", Some("s3cret\r")),
            ("", None),
            ("\n", None),
            ("\r\n", None),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let read = read(file.path().to_owned()).ok();
            assert_eq!(read.as_ref().map(ExposeSecret::expose_secret), secret, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_secret_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = vec![b'x'; usize::try_from(LONGEST).unwrap() + 1];
        for bytes in [&b"s3cret\xff"[..], &long] {
            std::fs::write(file.path(), bytes).unwrap();
            let fault = read(file.path().to_owned()).err().unwrap();
            assert!(fault.contains("is expected") && !fault.contains("s3cret"), "{fault}");
        }
        assert!(read(PathBuf::from("/")).err().unwrap().contains("cannot be read"));
    }
}
