//! `ringpad token`: creates and signs a pad's token, as an adopter's back end does.

use std::time::{Duration, SystemTime};

use clap::{Arg, Args};
use push_svc::admission::token::{Pad, PadTokens};
use ringpad_runtime::{Failure, settings};

use crate::{
    secret::{Flag, GivenSecret, Secret},
    terminal::print,
};

/// Creates and signs a pad's token and prints it, and nothing else.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The id of the only store that the token opens.
    #[arg(long, value_name = "ID", value_parser = id)]
    store: String,
    /// The pad's id, unique within its store: at most 256 bytes.
    #[arg(long, value_name = "ID", value_parser = pad_id)]
    pad: String,
    /// The pad's name for people; by default its id.
    #[arg(long)]
    name: Option<String>,
    /// How long the token is valid.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = settings::duration)]
    expires_in: Duration,
    #[command(flatten)]
    secret: Secret<PadTokenSecret>,
}

#[derive(Debug)]
struct PadTokenSecret;

impl Flag for PadTokenSecret {
    const LONG: &str = "pad-token-secret";
    const ENV: &str = "PAD_TOKEN_SECRET";

    fn describe(argument: Arg) -> Arg {
        let help = "The HS256 key of pad tokens, push-svc's own: 32 bytes or more";
        argument.help(help).value_name("SECRET").required(true)
    }
}

/// Creates and signs the token.
///
/// # Errors
/// The key is too short, the token would expire after the last possible time, or it cannot be signed.
pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let tokens = key(args.secret.required()?)?;
    print(sign(args, &tokens, SystemTime::now())?)
}

fn sign(args: &TokenArgs, tokens: &PadTokens, now: SystemTime) -> Result<String, Failure> {
    let expires = now.checked_add(args.expires_in);
    let expires = expires.ok_or_else(|| Failure::setting("--expires-in: too long"))?;
    let pad = Pad {
        id: args.pad.as_str().into(),
        name: args.name.as_ref().unwrap_or(&args.pad).as_str().into(),
        store: args.store.as_str().into(),
        expires,
    };
    tokens.sign(&pad).map_err(|fault| Failure::other("cannot make the token", fault))
}

fn id(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("an id is expected".to_owned()) } else { Ok(text.to_owned()) }
}

fn pad_id(text: &str) -> Result<String, String> {
    match text.len() {
        length if length > Pad::ID_BYTES => {
            Err(format!("{length} bytes: {} at most are expected", Pad::ID_BYTES))
        }
        _ => id(text),
    }
}

fn key(secret: &GivenSecret) -> Result<PadTokens, Failure> {
    PadTokens::new(&secret.value).map_err(|fault| secret.wrong(fault))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::{Command, FromArgMatches};
    use ringpad_runtime::ErrorChain;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn args(key: &str, name: &[&str]) -> TokenArgs {
        let line = ["token", "--store", "gangnam", "--pad", "counter", "--expires-in", "60s"];
        let line = [&line[..], &["--pad-token-secret", key], name].concat();
        let matches = TokenArgs::augment_args(Command::new("token")).try_get_matches_from(line);
        TokenArgs::from_arg_matches(&matches.unwrap()).unwrap()
    }

    #[test]
    fn push_svc_accepts_the_token() {
        let now = SystemTime::now();
        for (name, called) in [(&["--name", "카운터"][..], "카운터"), (&[], "counter")] {
            let args = args(KEY, name);
            let tokens = key(args.secret.required().unwrap()).unwrap();
            let pad = tokens.verify(Ok(&sign(&args, &tokens, now).unwrap())).unwrap();
            assert_eq!((&*pad.store, &*pad.id, &*pad.name), ("gangnam", "counter", called));
            let left = pad.expires.duration_since(now).unwrap_or_default();
            assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(58), "{left:?}");
        }
    }

    #[test]
    fn a_pad_id_that_push_svc_would_refuse_is_refused() {
        assert!(pad_id(&"x".repeat(256)).is_ok());
        assert_eq!(pad_id(&"x".repeat(257)), Err("257 bytes: 256 at most are expected".to_owned()));
        assert_eq!(pad_id(""), id(""));
    }

    #[test]
    fn a_short_key_is_a_wrong_setting_and_is_not_shown() {
        let failure = run(&args("hunter2", &[])).unwrap_err();
        assert!(matches!(failure, Failure::Setting(_)), "{failure}");
        let said = ErrorChain(&failure).to_string();
        assert!(
            said.starts_with("PAD_TOKEN_SECRET (or --pad-token-secret)") && !said.contains("hunter2"),
            "{said}"
        );
    }
}
