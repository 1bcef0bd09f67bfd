//! Settings: each an environment variable and the same flag in kebab case. `clap` reads both; this module turns its
//! errors into one line with the setting, the value and what would be right. A variable that is set to the empty string
//! counts as not set, because Compose and others pass variables without a value so.
//!
//! A secret's argument has `hide_env_values = true`; then neither `--help` nor an error shows its value.

use std::{
    ffi::{OsStr, OsString},
    io::{Write, stderr},
    process::ExitCode,
    time::Duration,
};

use clap::{
    CommandFactory, Parser,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// Reads the settings from the process's arguments and environment.
///
/// # Errors
/// The exit code to end with: 0 after `--help` or `--version`; 2 for a wrong setting, after one line on standard error.
pub fn read<S: Parser>() -> Result<S, ExitCode> {
    read_from(std::env::args_os())
}

/// Reads the settings from `arguments` (the program's name first) and the environment; see [`read`].
///
/// # Errors
/// The exit code to end with.
pub fn read_from<S: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<S, ExitCode> {
    try_read_from(arguments).map_err(|error: clap::Error| match error.kind() {
        // Standard output may be closed.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print().ok();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.print().ok();
            ExitCode::from(2)
        }
        _ => {
            writeln!(stderr(), "{}", explain::<S>(&error)).ok();
            ExitCode::from(2)
        }
    })
}

/// The same, for programs that report errors themselves.
///
/// # Errors
/// `clap`'s, help and version among them.
pub fn try_read_from<S: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<S, clap::Error> {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let mut command = without(S::command(), &is_empty);
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    S::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The command without the variables that are empty.
fn without(command: clap::Command, is_empty: &dyn Fn(&OsStr) -> bool) -> clap::Command {
    let unset = |argument: clap::Arg| match argument.get_env() {
        Some(name) if is_empty(name) => argument.env(Resettable::Reset),
        _ => argument,
    };
    command.mut_args(unset).mut_subcommands(|subcommand| without(subcommand, is_empty))
}

/// One line for a wrong setting.
fn explain<S: CommandFactory>(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let Some(argument) = text(ContextKind::InvalidArg) else {
        return first_line(error);
    };
    let setting = |argument: &str| Setting::find(&S::command(), argument);
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let Setting { name, secret } = setting(&argument);
            let value = match text(ContextKind::InvalidValue) {
                _ if secret => "its value, not shown here,".to_owned(),
                Some(value) => format!("{value:?}"),
                None => "its value".to_owned(),
            };
            let right = match (std::error::Error::source(error), text(ContextKind::ValidValue)) {
                (Some(why), _) => why.to_string(),
                (None, Some(valid)) if !valid.is_empty() => format!("one of {valid} is expected"),
                (None, _) => "a value is expected".to_owned(),
            };
            one_line(&format!("{name}: {value} is wrong: {right}"))
        }
        ErrorKind::MissingRequiredArgument => {
            let names: Vec<_> = argument.split(", ").map(|argument| setting(argument).name).collect();
            format!("{}: required, but not set", names.join(", "))
        }
        // It may be a URL with a password, without its flag.
        ErrorKind::UnknownArgument if !argument.starts_with('-') => {
            "an argument, not shown here, is not expected; see --help".to_owned()
        }
        _ => first_line(error),
    }
}

/// A setting as an operator knows it.
struct Setting {
    name: String,
    secret: bool,
}

impl Setting {
    /// Finds the setting behind clap's `--amqp-url <AMQP_URL>`, in the command or one of its subcommands.
    fn find(command: &clap::Command, argument: &str) -> Self {
        let flag = argument.split_whitespace().next().unwrap_or(argument);
        let long = flag.trim_start_matches('-');
        let commands = std::iter::once(command).chain(command.get_subcommands());
        let found =
            commands.flat_map(clap::Command::get_arguments).find(|known| known.get_long() == Some(long));
        match found {
            Some(known) => Self {
                name: known.get_env().map_or_else(
                    || flag.to_owned(),
                    |name| format!("{} (or {flag})", name.to_string_lossy()),
                ),
                secret: known.is_hide_env_values_set(),
            },
            // An unknown argument might be a secret.
            None => Self { name: flag.to_owned(), secret: flag.starts_with("--") },
        }
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let end = text.find("\n\n").unwrap_or(text.len());
    one_line(text[..end].trim_start_matches("error: "))
}

/// Joins the lines of a message, so that it stays one line in a log.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads a length of time, e.g. `500ms`, `30s`, `90d`. For `#[arg(value_parser = …)]`.
///
/// # Errors
/// Says what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(length) if length > Duration::ZERO => Ok(length),
        _ => Err("a length of time above zero is expected, e.g. 500ms, 30s or 90d".to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Settings {
        #[arg(long, env = "SETTINGS_TEST_TTL", value_parser = duration)]
        ttl: Option<Duration>,
        #[arg(long, env = "SETTINGS_TEST_KEY", hide_env_values = true, value_parser = |_: &str| Err::<String, _>("32 bytes or more are expected"))]
        key: Option<String>,
    }

    fn sentence(flag: &str) -> String {
        explain::<Settings>(&Settings::try_parse_from(["test", flag]).unwrap_err())
    }

    #[test]
    fn an_error_is_one_line_with_the_value_and_what_would_be_right() {
        assert_eq!(
            sentence("--ttl=soon"),
            "SETTINGS_TEST_TTL (or --ttl): \"soon\" is wrong: a length of time above zero is expected, \
             e.g. 500ms, 30s or 90d"
        );
        assert!(sentence("--tll=1s").contains("--tll"));
        assert!(sentence("--ttl").ends_with("a value is expected"), "{}", sentence("--ttl"));
    }

    #[test]
    fn no_error_shows_a_secret() {
        let said = sentence("--key=hunter2");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(said.contains("SETTINGS_TEST_KEY") && said.contains("32 bytes"), "{said}");
        let said = sentence("hunter2");
        assert!(!said.contains("hunter2") && said.contains("not expected"), "{said}");
    }

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        action: Action,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Action {
        Do(Settings),
    }

    #[test]
    fn an_empty_variable_is_not_read_by_any_command() {
        let empty = |name: &OsStr| name == "SETTINGS_TEST_KEY";
        let variables = |command: &clap::Command| -> Vec<_> {
            command
                .get_arguments()
                .filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned))
                .collect()
        };
        let service = without(Settings::command(), &empty);
        assert_eq!(variables(&service), ["SETTINGS_TEST_TTL"]);
        let program = without(Program::command(), &empty);
        assert_eq!(program.get_subcommands().flat_map(variables).collect::<Vec<_>>(), ["SETTINGS_TEST_TTL"]);
        // An empty flag is an error.
        assert!(try_read_from::<Settings>(["test", "--ttl="]).is_err());
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("30").is_err());
        assert!(duration("0s").is_err());
    }
}
